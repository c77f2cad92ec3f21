import { type Exposition, Telemetry } from "@effect-observability/core"
import { NodeHttpServer } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"
import { layerRoute, type RouteOptions } from "./Prometheus.ts"

export * from "./Prometheus.ts"
export * as Workers from "./Workers.ts"

export interface ServerOptions extends RouteOptions {
  /** Default: `metrics.prometheusPort` of the settings (9090); 0 lets the kernel choose. */
  readonly port?: number
  /** Default `"127.0.0.1"`. */
  readonly host?: string
}

/** The port cannot be had; the message names it, the setting and the fix. */
export class PrometheusServerError extends Schema.TaggedError<PrometheusServerError>()("PrometheusServerError", {
  port: Schema.Int,
  message: Schema.String
}) {}

/** Serves the page on a port of its own, on loopback unless told otherwise. */
export const layerServer = (
  options: ServerOptions = {}
): Layer.Layer<HttpServer.HttpServer, PrometheusServerError, Exposition | Telemetry> =>
  Layer.unwrap(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const port = options.port ?? telemetry.settings().metrics.prometheusPort
    const host = options.host ?? "127.0.0.1"
    const server = NodeHttpServer.layerServer(() => createServer(), { port, host, gracefulShutdownTimeout: "1 second" }).pipe(
      Layer.catchCause((cause) =>
        Layer.effect(
          HttpServer.HttpServer,
          Effect.fail(
            new PrometheusServerError({
              port,
              message: `the metrics page cannot listen on ${host}:${port} (${String(cause).match(/E[A-Z]{4,}/)?.[0] ?? "no reason given"}): ` +
                "set metrics.prometheusPort (OBSERVABILITY_PROMETHEUS_PORT) to a free port, or 0 for any"
            })
          )
        )
      )
    )
    return HttpRouter.serve(layerRoute(options), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(server),
      Layer.provide(NodeHttpServer.layerHttpServices),
      // Nothing that this server answers is the program's own work.
      Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true))
    )
  }))
