import { MetricsRecorder, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
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
 * and status, and the response headers `x-request-id` and `traceresponse`.
 *
 * Give it to the routes with `Layer.provide`, so that it is registered first and stands outside their own middleware.
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Telemetry | MetricsRecorder> = layerWith({})

/**
 * Keeps Effect's server from opening a span of its own: provide it around `HttpRouter.serve`. Without it the span is opened and
 * thrown away, which costs a few microseconds per request.
 */
export const serverSpanOff: Layer.Layer<never> = Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)
