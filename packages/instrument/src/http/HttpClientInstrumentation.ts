import { Spans, Tracer } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as EffectTracer from "effect/Tracer"
import * as Url from "effect/http/Url"

/**
 * An `HttpClient` whose every request is a client span, and which writes the headers of the trace itself: all formats of
 * `tracing.propagators`, `tracestate` and baggage included, to the targets that may receive them (`tracing.propagateTo`,
 * `tracing.baggageTo`). Effect's own client knows `traceparent` and `b3` only, and writes them for everybody.
 *
 * It honours `HttpClient.TracerDisabledWhen`, `TracerPropagationEnabled` and `SpanNameGenerator`. Put `HttpClient.withScope` below it, not
 * above: that function knows a request by its identity, and this one sends a copy.
 */
export const wrap = <E, R>(client: HttpClient.HttpClient.With<E, R>, tracer: Tracer["Service"]): HttpClient.HttpClient.With<E, R> =>
  HttpClient.makeWith(
    Effect.flatMap((request: HttpClientRequest.HttpClientRequest) => call(client, tracer, request)),
    client.preprocess
  )

/**
 * The program's `HttpClient`, instrumented.
 *
 * @example
 * ```ts
 * const Client = HttpClientInstrumentation.layer.pipe(Layer.provide(NodeHttpClient.layerUndici))
 * ```
 */
export const layer: Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient | Tracer> = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function*() {
    return wrap(yield* HttpClient.HttpClient, yield* Tracer)
  })
)

const call = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  tracer: Tracer["Service"],
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse, E, R> =>
  Effect.withFiber((fiber) => {
    const send = (one: HttpClientRequest.HttpClientRequest) => withoutEffectsOwn(client.postprocess(Effect.succeed(one)))
    const parsed = Url.make(request.url, request.urlParams, Option.getOrUndefined(request.hash))
    const silent = fiber.getRef(EffectTracer.DisablePropagation) || fiber.getRef(HttpClient.TracerDisabledWhen)(request)
    // What is wrong with the URL is for the client itself to say.
    if (silent || Result.isFailure(parsed)) return send(request)
    const url = parsed.success
    const sent = fiber.getRef(HttpClient.TracerPropagationEnabled) ? withTraceHeaders(tracer, request, url, send) : send(request)
    return Effect.useSpan(fiber.getRef(HttpClient.SpanNameGenerator)(request), { kind: "client" }, (span) => {
      if (span.sampled) describeRequest(span, request, url)
      return sent.pipe(
        Effect.withParentSpan(span, { captureStackTrace: false }),
        Effect.onExit((exit) => Effect.sync(() => settle(fiber, span, exit)))
      )
    })
  })

/** The span of the call is the current one here, so that it becomes the parent of whatever answers. */
const withTraceHeaders = <E, R>(
  tracer: Tracer["Service"],
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  send: (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<HttpClientResponse, E, R>
): Effect.Effect<HttpClientResponse, E, R> =>
  Effect.suspend(() => {
    const headers: Record<string, string> = {}
    return Effect.flatMap(tracer.injectContext(headers, url), () => send(HttpClientRequest.setHeaders(request, headers)))
  })

/** Effect's client below makes no span and writes no header. */
const withoutEffectsOwn = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  self.pipe(
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.provideService(HttpClient.TracerDisabledWhen, always)
  )

const always = () => true

/** OpenTelemetry semantic conventions, HTTP client spans. Redaction takes user, password and query values out of the URL. */
const describeRequest = (span: EffectTracer.Span, request: HttpClientRequest.HttpClientRequest, url: URL): void => {
  span.attribute("http.request.method", request.method)
  span.attribute("url.full", url.href)
  span.attribute("server.address", url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname)
  span.attribute("server.port", url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port))
}

const settle = <E>(fiber: Fiber.Fiber<unknown, unknown>, span: EffectTracer.Span, exit: Exit.Exit<HttpClientResponse, E>): void => {
  if (!span.sampled) return
  if (exit._tag === "Failure") {
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    const tag = reasonOf(error)
    if (tag !== undefined) span.attribute("error.type", tag)
    return
  }
  const { status } = exit.value
  span.attribute("http.response.status_code", status)
  // A client span fails for 4xx and 5xx, though the call itself succeeds (OpenTelemetry semantic conventions, HTTP spans: status).
  if (status >= 400) {
    const now = fiber.getRef(References.TracerTimingEnabled) ? fiber.getRef(Clock.Clock).currentTimeNanosUnsafe() : 0n
    span.end(now, Spans.failedStatus(String(status), `HTTP ${status}`))
  }
}

/** `TransportError`, `InvalidUrlError`, …: what Effect's `HttpClientError` says of itself. */
const reasonOf = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null || !("reason" in error)) return undefined
  const { reason } = error
  return typeof reason === "object" && reason !== null && "_tag" in reason && typeof reason._tag === "string" ? reason._tag : undefined
}
