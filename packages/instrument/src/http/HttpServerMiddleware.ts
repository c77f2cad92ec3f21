import {
  Baggage, IdGenerator, type MetricsRecorder, ObservabilityTracer, Propagation, type PropagationRules, propagationRules, type Propagator, Spans,
  type Telemetry
} from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { HttpBody } from "effect/http/HttpBody"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as EffectTracer from "effect/Tracer"
import { contentLength, describeRequest, methodOf } from "./internal/attributes.ts"
import { isIgnored, pathOf } from "./internal/paths.ts"
import { RouteMetrics } from "./internal/RouteMetrics.ts"
import { isRequestId, RequestId } from "./RequestId.ts"

export interface HttpServerOptions {
  /**
   * Whether the caller's trace is continued, sampling decision and baggage included (the default). At a public edge say `false`:
   * every request then begins a trace of its own that links to the caller's, and the caller's baggage is left out.
   */
  readonly trustIncoming?: boolean
}

type Response = HttpServerResponse.HttpServerResponse
type RouterMiddleware = <E, R>(app: Effect.Effect<Response, E, R>) => Effect.Effect<Response, E, R>

/**
 * One server span and one set of RED metrics per request, as a global middleware of `HttpRouter`.
 *
 * It is written with `withFiber` and `onExitPrimitive` alone: an `Effect.gen` here costs several microseconds per request.
 */
export const make = (
  telemetry: Telemetry["Service"],
  recorder: MetricsRecorder["Service"],
  options: HttpServerOptions = {}
): RouterMiddleware => {
  const server: Server = {
    metrics: new RouteMetrics(recorder, telemetry.settings().metrics.conventions),
    rules: () => propagationRules(telemetry.settings()),
    trustIncoming: options.trustIncoming ?? true
  }
  return (app) =>
    Effect.withFiber((fiber) => {
      const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
      discardEffectsSpan(fiber, request)
      if (isIgnored(pathOf(request.url), telemetry.settings().tracing.ignoredPaths)) {
        fiber.setContext(unobserved(fiber.context))
        return app
      }
      const call = new Call(server, fiber, request)
      // The exit hook is in place before the span is opened: a fiber can be interrupted between any two steps.
      return Effect.onExitPrimitive(call.run(app), (exit) => call.end(exit))
    })
}

interface Server {
  readonly metrics: RouteMetrics
  readonly rules: () => PropagationRules
  readonly trustIncoming: boolean
}

/** Without a server span every span inside would begin a trace of its own; the request root puts the context back. */
const unobserved = (context: Context.Context<never>): Context.Context<never> =>
  Context.add(Context.add(context, References.TracerEnabled, false), EffectTracer.DisablePropagation, true)

/** Effect's server opens a span of its own unless `HttpInstrumentation.serverSpanOff` is provided around it: ours replaces it. */
const discardEffectsSpan = (fiber: Fiber.Fiber<unknown, unknown>, request: HttpServerRequest.HttpServerRequest): void => {
  const span = fiber.cache.span
  if (span?._tag === "Span" && span.kind === "server" && !fiber.getRef(HttpMiddleware.TracerDisabledWhen)(request)) Spans.discard(span)
}

/** One request on its way. */
class Call {
  private readonly server: Server
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly request: HttpServerRequest.HttpServerRequest
  private readonly method: string
  private readonly clock: Clock.Clock
  private readonly started: bigint
  private readonly requestId: string
  private span: EffectTracer.Span | undefined = undefined

  constructor(server: Server, fiber: Fiber.Fiber<unknown, unknown>, request: HttpServerRequest.HttpServerRequest) {
    this.server = server
    this.fiber = fiber
    this.request = request
    this.method = methodOf(request)
    this.clock = fiber.getRef(Clock.Clock)
    this.started = this.clock.monotonicTimeNanosUnsafe()
    const given = request.headers["x-request-id"]
    this.requestId = isRequestId(given) ? given : IdGenerator.hexId(fiber.getRef(IdGenerator.IdGenerator))
  }

  run<E, R>(app: Effect.Effect<Response, E, R>): Effect.Effect<Response, E, R> {
    const { fiber } = this
    const { baggage, span: remote } = incoming(this.request, this.server.rules())
    let context = Context.add(fiber.context, RequestId, this.requestId)
    // Strangers must not speak for the program to those it calls.
    if (baggage.size > 0 && this.server.trustIncoming) context = Context.add(context, Baggage.Baggage, baggage)
    fiber.setContext(context)
    HttpEffect.appendPreResponseHandlerUnsafe(fiber.context, (_request, response) =>
      Effect.succeed(HttpServerResponse.setHeaders(response, this.responseHeaders())))
    // Nobody would see the span, and there is no trace to pass on: the request id is all that is left to know it by.
    if (remote === undefined && !ObservabilityTracer.isActive(fiber.getRef(EffectTracer.Tracer))) return app
    return Effect.flatMap(Effect.makeSpan(this.method, this.spanOptions(remote)), (span) => {
      this.span = span
      if (span.sampled) {
        describeRequest(span, this.request, this.method)
        span.attribute("request_id", this.requestId)
      }
      // Left in place when the handler is done: sending the response and reporting its error still belong to the request.
      fiber.setContext(Context.add(fiber.context, EffectTracer.ParentSpan, span))
      return app
    })
  }

  private spanOptions(remote: EffectTracer.ExternalSpan | undefined): EffectTracer.SpanOptionsNoTrace {
    if (remote === undefined) return { kind: "server", root: true }
    return this.server.trustIncoming
      ? { kind: "server", parent: remote }
      : { kind: "server", root: true, links: [{ span: remote, attributes: {} }] }
  }

  private responseHeaders(): Record<string, string> {
    const { requestId, span } = this
    // A span that stands for nothing (tracing is switched off) has no ids to send.
    return span !== undefined && span.traceId.length === 32
      ? { "x-request-id": requestId, traceresponse: Propagation.formatTraceparent(Spans.contextOf(span)) }
      : { "x-request-id": requestId }
  }

  end(exit: Exit.Exit<Response, unknown>): Effect.Effect<void> | undefined {
    if (exit._tag === "Success") return this.responded(exit.value)
    // A failure becomes a response only outside the router; asking for it here is what the server will do again.
    return Effect.map(HttpServerError.causeResponse(exit.cause), ([response]) =>
      this.finish(response.status, sizeOf(this.request, response), spanExit(exit.cause, response.status)))
  }

  private responded(response: Response): Effect.Effect<void> | undefined {
    const size = sizeOf(this.request, response)
    const ended = answered(response.status)
    const scope = response.body._tag === "Stream" ? Context.getOrUndefined(this.fiber.context, Scope.Scope) : undefined
    if (scope === undefined) {
      this.finish(response.status, size, ended)
      return undefined
    }
    // A streamed body is still to come: the request's scope closes when it was sent, or when the client left.
    return Scope.addFinalizerExit(scope, (sent) =>
      Effect.sync(() => this.finish(response.status, size, sent._tag === "Failure" ? Exit.failCause(sent.cause) : ended)))
  }

  private finish(status: number, responseBytes: number | undefined, exit: Exit.Exit<unknown, unknown>): void {
    const seconds = Number(this.clock.monotonicTimeNanosUnsafe() - this.started) / 1e9
    const span = this.span
    const route = this.route()
    const endpoint = this.server.metrics.endpoint(this.method, route ?? unmatched)
    endpoint.record(status, seconds, contentLength(this.request.headers["content-length"]), responseBytes)
    if (span === undefined || span.status._tag === "Ended") return
    Spans.rename(span, endpoint.spanName)
    if (span.sampled) {
      if (route !== undefined) span.attribute("http.route", route)
      span.attribute("http.response.status_code", status)
    }
    span.end(this.fiber.getRef(References.TracerTimingEnabled) ? this.clock.currentTimeNanosUnsafe() : 0n, exit)
  }

  /**
   * The template of the matched route. The router leaves it in the fiber's context; when a middleware moved the handler to
   * another fiber (a timeout does), what the router wrote on the span still tells.
   */
  private route(): string | undefined {
    const matched = Context.getOrUndefined(this.fiber.context, HttpRouter.RouteContext)
    if (matched !== undefined) return matched.route.path
    const written = this.span?.attributes.get("http.route")
    return typeof written === "string" ? written : undefined
  }
}

const unmatched = "_unmatched"

/** The trace and the baggage a request brought, in the formats of the settings. */
const incoming = ({ headers }: HttpServerRequest.HttpServerRequest, rules: PropagationRules): Propagator.Incoming =>
  // As a map: the names are in lower case already, so that one look answers for each.
  rules.propagator.extract({ get: (name: string) => headers[name], set: undefined })

/** Bytes of the body that is sent; `undefined` when the length is not known beforehand. */
const sizeOf = (request: HttpServerRequest.HttpServerRequest, response: Response): number | undefined =>
  HttpServerResponse.omitsBody(response, request.method === "HEAD")
    ? undefined
    : lengthOf(response.body) ?? contentLength(response.headers["content-length"])

const lengthOf = (body: HttpBody): number | undefined => "contentLength" in body ? body.contentLength : undefined

/** A server span fails only for 5xx (OpenTelemetry semantic conventions, HTTP spans: status). */
const answered = (status: number): Exit.Exit<unknown, unknown> =>
  status >= 500 ? Spans.failedStatus(String(status), `HTTP ${status}`) : Exit.void

const spanExit = (cause: Cause.Cause<unknown>, status: number): Exit.Exit<unknown, unknown> => {
  // A client that leaves interrupts its request: no error of the server's.
  if (status < 500) return Cause.hasInterruptsOnly(cause) ? Exit.failCause(cause) : Exit.void
  const [, reason] = HttpServerError.causeResponseStripped(cause)
  return Option.isSome(reason) && !Cause.hasInterruptsOnly(reason.value) ? Exit.failCause(reason.value) : answered(status)
}
