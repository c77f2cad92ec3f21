import { MetricsRecorder, Telemetry } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as HttpServerMiddleware from "./HttpServerMiddleware.ts"

export type { HttpServerOptions } from "./HttpServerMiddleware.ts"

/** The router part with options; see `layer`. Every call makes a new layer: keep the result. */
export const layerWith = (
  options: HttpServerMiddleware.HttpServerOptions
): Layer.Layer<never, never, HttpRouter.HttpRouter | Telemetry | MetricsRecorder> =>
  HttpRouter.middleware(
    Effect.gen(function*() {
      return HttpServerMiddleware.make(yield* Telemetry, yield* MetricsRecorder, options)
    }),
    { global: true }
  )

/**
 * Traces and measures every request of a router: one span `{method} {route}` each, counts, durations and sizes by method, route
 * and status, the requests in flight, an access log, and the response headers `x-request-id` and `traceresponse`.
 *
 * Give it to the routes with `Layer.provide`, so that it is registered first and stands outside their own middleware.
 *
 * @example
 * ```ts
 * const Server = HttpRouter.serve(Routes.pipe(Layer.provide(HttpInstrumentation.layer))).pipe(
 *   Layer.provide(HttpInstrumentation.serverSpanOff),
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 3000 })),
 *   Layer.provide(Observability)
 * )
 * ```
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Telemetry | MetricsRecorder> = layerWith({})

/**
 * The outside part: the same around a whole server, for apps without a router and for what stands before one. It may be there together with
 * `layer`; a request is observed once, by the outer of them. The hub is looked for where the server runs.
 *
 * @example
 * ```ts
 * const Server = HttpServer.serve(HttpInstrumentation.around()(app))
 * const Routed = HttpRouter.serve(Routes, { middleware: HttpInstrumentation.around({ trustIncoming: false }) })
 * ```
 */
export const around = (options: HttpServerMiddleware.HttpServerOptions = {}) => {
  const made = new WeakMap<object, HttpServerMiddleware.Middleware>()
  return <E, R>(app: Effect.Effect<HttpServerResponse, E, R>): Effect.Effect<HttpServerResponse, E, R | Telemetry | MetricsRecorder> =>
    Effect.contextWith((context: Context.Context<Telemetry | MetricsRecorder>) => {
      const telemetry = Context.get(context, Telemetry)
      let middleware = made.get(telemetry)
      if (middleware === undefined) {
        middleware = HttpServerMiddleware.make(telemetry, Context.get(context, MetricsRecorder), options)
        made.set(telemetry, middleware)
      }
      return middleware(app)
    })
}

/**
 * Keeps Effect's server from opening a span of its own: provide it around `HttpRouter.serve`. Without it the span is opened and
 * thrown away, which costs a few microseconds per request.
 */
export const serverSpanOff: Layer.Layer<never> = Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)
