import { MetricsRecorder, propagationRules, RequestContext, Spans, Telemetry, Tracer } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import { isHttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as EffectTracer from "effect/Tracer"
import * as Url from "effect/http/Url"
import { methodOf, printable } from "./internal/attributes.ts"
import { ClientMetrics } from "./internal/client/ClientMetrics.ts"
import { remember, resendsOf } from "./internal/client/resends.ts"

/** What an instrumented client needs of the hub; without it there are spans and trace headers alone. */
export interface HttpClientParts {
  readonly telemetry: Telemetry["Service"]
  readonly recorder: MetricsRecorder["Service"]
}

/**
 * An `HttpClient` whose every request is a client span and is measured (`HttpMetrics`), and which writes the headers of the trace itself:
 * all formats of `tracing.propagators`, `tracestate` and baggage included, to the targets that may receive them (`tracing.propagateTo`,
 * `tracing.baggageTo`). Effect's own client knows `traceparent` and `b3` only, and writes them for everybody. The id of the request at
 * hand goes along as `x-request-id`, to the targets of `tracing.propagateTo`.
 *
 * It honours `HttpClient.TracerDisabledWhen`, `TracerPropagationEnabled` and `SpanNameGenerator`. Put `HttpClient.withScope` below it, not
 * above: that function knows a request by its identity, and this one sends a copy. Put `HttpClient.retry` above it: each attempt is then a
 * span of its own, and those after the first say which resend they are.
 */
export const wrap = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  tracer: Tracer["Service"],
  parts?: HttpClientParts
): HttpClient.HttpClient.With<E, R> => {
  const instrumented: Instrumented<E, R> = {
    client,
    tracer,
    telemetry: parts?.telemetry,
    metrics: parts === undefined ? undefined : new ClientMetrics(parts.telemetry, parts.recorder)
  }
  return HttpClient.makeWith(
    Effect.flatMap((request: HttpClientRequest.HttpClientRequest) => call(instrumented, request)),
    client.preprocess
  )
}

/**
 * The program's `HttpClient`, instrumented.
 *
 * @example
 * ```ts
 * const Client = HttpClientInstrumentation.layer.pipe(Layer.provide(NodeHttpClient.layerUndici))
 * ```
 */
export const layer: Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient | Tracer | Telemetry | MetricsRecorder> = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function*() {
    return wrap(yield* HttpClient.HttpClient, yield* Tracer, { telemetry: yield* Telemetry, recorder: yield* MetricsRecorder })
  })
)

interface Instrumented<E, R> {
  readonly client: HttpClient.HttpClient.With<E, R>
  readonly tracer: Tracer["Service"]
  readonly telemetry: Telemetry["Service"] | undefined
  readonly metrics: ClientMetrics | undefined
}

const call = <E, R>(instrumented: Instrumented<E, R>, request: HttpClientRequest.HttpClientRequest): Effect.Effect<HttpClientResponse, E, R> =>
  Effect.withFiber((fiber) => {
    const { client } = instrumented
    const send = (one: HttpClientRequest.HttpClientRequest) => withoutEffectsOwn(client.postprocess(Effect.succeed(one)))
    const parsed = Url.make(request.url, request.urlParams, Option.getOrUndefined(request.hash))
    const silent = fiber.getRef(EffectTracer.DisablePropagation) || fiber.getRef(HttpClient.TracerDisabledWhen)(request)
    // What is wrong with the URL is for the client itself to say.
    if (silent || Result.isFailure(parsed)) return send(request)
    const url = parsed.success
    const clock = fiber.getRef(Clock.Clock)
    const started = clock.monotonicTimeNanosUnsafe()
    const resends = resendsOf(fiber, request)
    const sent = fiber.getRef(HttpClient.TracerPropagationEnabled) ? withHeaders(instrumented, request, url, send) : send(request)
    return Effect.useSpan(fiber.getRef(HttpClient.SpanNameGenerator)(request), { kind: "client" }, (span) => {
      if (span.sampled) describeRequest(span, request, url, resends)
      return sent.pipe(
        Effect.withParentSpan(span, { captureStackTrace: false }),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            const status = statusOf(exit)
            const errorType = errorOf(exit)
            remember(fiber, request, errorType !== undefined)
            instrumented.metrics?.record({
              method: request.method,
              host: hostOf(url),
              port: portOf(url),
              status,
              errorType,
              seconds: Number(clock.monotonicTimeNanosUnsafe() - started) / 1e9,
              resends
            })
            settle(fiber, span, exit)
          }))
      )
    })
  })

/** The span of the call is the current one here, so that it becomes the parent of whatever answers. */
const withHeaders = <E, R>(
  { telemetry, tracer }: Instrumented<E, R>,
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  send: (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<HttpClientResponse, E, R>
): Effect.Effect<HttpClientResponse, E, R> =>
  Effect.withFiber((fiber) => {
    const headers: Record<string, string> = {}
    const { requestId } = fiber.getRef(RequestContext)
    if (requestId !== undefined && request.headers["x-request-id"] === undefined && telemetry !== undefined) {
      if (propagationRules(telemetry.settings()).sentTo(url) !== "nothing") headers["x-request-id"] = requestId
    }
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
const describeRequest = (span: EffectTracer.Span, request: HttpClientRequest.HttpClientRequest, url: URL, resends: number): void => {
  const method = methodOf(request.method)
  span.attribute("http.request.method", method)
  if (method === "_OTHER") span.attribute("http.request.method_original", printable(String(request.method).slice(0, 32)))
  if (resends > 0) span.attribute("http.request.resend_count", resends)
  span.attribute("url.full", url.href)
  span.attribute("server.address", hostOf(url))
  span.attribute("server.port", portOf(url))
}

const hostOf = (url: URL): string => url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname

const portOf = (url: URL): number => url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)

const settle = <E>(fiber: Fiber.Fiber<unknown, unknown>, span: EffectTracer.Span, exit: Exit.Exit<HttpClientResponse, E>): void => {
  if (!span.sampled) return
  if (exit._tag === "Failure") {
    const { cause } = exit
    const type = Cause.hasInterruptsOnly(cause) ? undefined : reasonOf(Option.getOrUndefined(Cause.findErrorOption(cause)))
    if (type !== undefined) span.attribute("error.type", type)
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

/** The status of the answer, also where a client below makes an error of some. */
const statusOf = (exit: Exit.Exit<HttpClientResponse, unknown>): number | undefined => {
  if (exit._tag === "Success") return exit.value.status
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return isHttpClientError(error) ? error.response?.status : undefined
}

/** What went wrong, in a word that is one of few: the status, Effect's word for the failure, `interrupted`, `defect`. */
const errorOf = (exit: Exit.Exit<HttpClientResponse, unknown>): string | undefined => {
  const status = statusOf(exit)
  if (status !== undefined && status >= 400) return String(status)
  if (exit._tag === "Success") return undefined
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  const error = Cause.findErrorOption(exit.cause)
  return error._tag === "None" ? "defect" : reasonOf(error.value) ?? "_OTHER"
}

/** `TransportError`, `InvalidUrlError`, …: what Effect's `HttpClientError` says of itself. */
const reasonOf = (error: unknown): string | undefined => isHttpClientError(error) ? error.reason._tag : undefined
