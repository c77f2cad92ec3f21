import { type CompositionError, Exposition, quietly, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Registry } from "prom-client"
import { collectDefaultMetrics, Registry as PromRegistry } from "prom-client"
import { bearerMatches } from "./internal/bearer.ts"
import { joinRegistry, renderRegistry } from "./PromClient.ts"
import { contentType, PrometheusEncoding } from "./PrometheusEncoding.ts"

export interface PrometheusOptions {
  /** Name of the backend in reports. Default `"prometheus"`. */
  readonly name?: string
  /** A prom-client registry of the program's own: its metrics appear on our page. */
  readonly registry?: Registry
  /** Also puts our metrics into `registry`, so that they appear where the program already serves it. Default `false`. */
  readonly register?: boolean
  /** Adds prom-client's process metrics (CPU, memory, event loop, garbage collection) to the page. Default `false`. */
  readonly processMetrics?: boolean
}

/** The page of the hub's metrics; `layer` brings the hub along. */
export const layerBackend = (options: PrometheusOptions = {}): Layer.Layer<Exposition, CompositionError, Telemetry> =>
  Layer.effect(
    Exposition,
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const { prefix, defaultLabels } = telemetry.settings().metrics
      const name = options.name ?? "prometheus"
      const encoding = new PrometheusEncoding({ prefix, constantLabels: defaultLabels })
      const collisions = new Set<string>()
      const collide = (metric: string) => {
        collisions.add(metric)
      }
      const registries: Array<Registry> = options.registry === undefined ? [] : [options.registry]
      if (options.processMetrics === true) registries.push(yield* processMetrics)
      if (options.registry !== undefined && options.register === true) {
        yield* joinRegistry(telemetry.store, options.registry, prefix, collide)
      }
      let failure: string | undefined

      yield* telemetry.register({
        name,
        kind: "prometheus",
        report: () => ({
          name,
          kind: "prometheus",
          status: collisions.size === 0 && failure === undefined ? "up" : "degraded",
          reason: failure ?? (collisions.size === 0
            ? undefined
            : `left off the page because another metric has the same name: ${[...collisions].slice(0, 10).join(", ")}`),
          signals: []
        })
      })

      const page = Effect.gen(function*() {
        telemetry.refreshSelfMetrics()
        const taken = new Set<string>()
        const parts: Array<string> = []
        for (const slice of encoding.slices(telemetry.store, taken, collide)) {
          parts.push(slice)
          yield* Effect.yieldNow
        }
        for (const registry of registries) {
          parts.push(
            yield* Effect.catchCause(
              Effect.tap(renderRegistry(registry, taken, collide), () =>
                Effect.sync(() => {
                  failure = undefined
                })),
              (cause) =>
                Effect.sync(() => {
                  failure = `a prom-client registry could not be rendered: ${String(cause).split("\n")[0]}`
                  return ""
                })
            )
          )
        }
        return { contentType, body: parts.join("") }
      })
      return Exposition.of({ page: quietly(page) })
    })
  )

const processMetrics = Effect.acquireRelease(
  Effect.sync(() => {
    const registry = new PromRegistry()
    collectDefaultMetrics({ register: registry })
    return registry
  }),
  (registry) => Effect.sync(() => registry.clear())
)

/**
 * Prometheus as a backend: a page of everything recorded, served by `layerRoute` in the program's own HTTP server or by
 * `layerServer` (from `@effect-observability/prometheus/node`) on a port of its own.
 */
export const layer = (
  options: PrometheusOptions = {}
): Layer.Layer<Exposition | Layer.Success<typeof Telemetry.layer>, CompositionError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))

export interface RouteOptions {
  /** Default `"/metrics"`. */
  readonly path?: `/${string}`
  /** Asks for `Authorization: Bearer …`; an empty token lets nobody in. */
  readonly token?: Redacted.Redacted<string>
}

/** `GET /metrics` for the program's own router. */
export const layerRoute = (options: RouteOptions = {}): Layer.Layer<never, never, HttpRouter.HttpRouter | Exposition> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const exposition = yield* Exposition
      const { path = "/metrics", token } = options
      yield* router.add("GET", path, (request) => {
        if (token !== undefined && !bearerMatches(request.headers["authorization"], Redacted.value(token))) {
          return Effect.succeed(HttpServerResponse.text("a bearer token is needed\n", {
            status: 401,
            headers: { "www-authenticate": "Bearer", "cache-control": "no-store" }
          }))
        }
        return Effect.map(exposition.page, ({ body, contentType }) =>
          HttpServerResponse.text(body, { contentType, headers: { "cache-control": "no-store", "x-content-type-options": "nosniff" } }))
      })
    })
  )
