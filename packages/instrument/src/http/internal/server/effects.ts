import { Spans } from "@effect-observability/core"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as References from "effect/References"
import * as EffectTracer from "effect/Tracer"

// What Effect's own server does of the same kind, and how it is kept from doing it twice.

/** Without a server span every span inside would begin a trace of its own; the request root puts the context back. */
export const unobserved = (context: Context.Context<never>): Context.Context<never> =>
  Context.add(Context.add(context, References.TracerEnabled, false), EffectTracer.DisablePropagation, true)

/** Effect's server opens a span of its own unless `HttpInstrumentation.serverSpanOff` is provided around it: ours replaces it. */
export const discardEffectsSpan = (fiber: Fiber.Fiber<unknown, unknown>, request: HttpServerRequest.HttpServerRequest): void => {
  const span = fiber.cache.span
  if (span?._tag === "Span" && span.kind === "server" && !fiber.getRef(HttpMiddleware.TracerDisabledWhen)(request)) Spans.discard(span)
}

/** Whether Effect's server is going to log this request: its logger opens a log span around all it logs about. */
export const isLogged = (fiber: Fiber.Fiber<unknown, unknown>): boolean => {
  const spans = fiber.getRef(References.CurrentLogSpans)
  for (const [label] of spans) if (label === "http.span") return true
  return false
}

/** The app without Effect's line about its request; the requirement it names is met wherever there is a request to observe. */
export const withoutEffectsLine: <A, E, R>(app: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = HttpMiddleware.withLoggerDisabled as any
