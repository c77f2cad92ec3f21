import type { MetricsRecorder, Telemetry } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import { Call, wantsLine } from "./internal/server/Call.ts"
import { discardEffectsSpan, withoutEffectsLine, unobserved } from "./internal/server/effects.ts"
import { isCovered } from "./internal/server/mark.ts"
import type { Authenticate, CommonOptions } from "./internal/server/Options.ts"
import { Server } from "./internal/server/Server.ts"
import { pathOf } from "./internal/paths.ts"

export interface HttpServerOptions extends CommonOptions {
  readonly authenticate?: Authenticate<HttpServerRequest.HttpServerRequest>
}

/** A function from an HTTP app to the same app observed: a middleware of the router, or around a whole server. */
export type Middleware = <E, R>(app: Effect.Effect<HttpServerResponse, E, R>) => Effect.Effect<HttpServerResponse, E, R>

/**
 * One server span and one set of RED metrics per request, for an HTTP app of any kind. In two places at once (around the server and in its
 * router) the outer one counts.
 *
 * It is written with `withFiber` and `onExitPrimitive` alone: an `Effect.gen` here costs several microseconds per request.
 */
export const make = (
  telemetry: Telemetry["Service"],
  recorder: MetricsRecorder["Service"],
  options: HttpServerOptions = {}
): Middleware => {
  const server = new Server(telemetry, recorder, options)
  return (app) =>
    Effect.withFiber((fiber) => {
      const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
      discardEffectsSpan(fiber, request)
      if (isCovered(request)) return app
      if (server.ignores(pathOf(request.url))) {
        fiber.setContext(unobserved(fiber.context))
        return wantsLine(server, fiber) ? withoutEffectsLine(app) : app
      }
      const call = new Call(server, fiber, request)
      // The exit hook is in place before the span is opened: a fiber can be interrupted between any two steps.
      return Effect.onExitPrimitive(call.run(app, options.authenticate), (exit) => call.exited(exit))
    })
}
