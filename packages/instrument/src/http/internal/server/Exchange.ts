import { Baggage, type CounterHandle, IdGenerator, ObservabilityTracer, Propagation, RequestContext, Requests, Spans } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as EffectTracer from "effect/Tracer"
import { contentLength, describeRequest, headerOf, methodOf, type Request } from "../attributes.ts"
import type { Server } from "./Server.ts"

/** Where a request counts that no route matched. */
const unmatched = "_unmatched"

/**
 * One request and its answer, whichever server it came to: its id, its place in a trace, what is measured. `arrive`, `begin` (which may be
 * left out), then `finish`; a second call of that does nothing.
 */
export abstract class Exchange implements Request {
  readonly server: Server
  readonly method: string
  readonly given: string
  readonly url: string
  readonly headers: Request["headers"]
  readonly scheme: "http" | "https"
  readonly about: RequestContext
  span: EffectTracer.Span | undefined = undefined
  /** Of a body without a length: what came so far. */
  received: (() => number) | undefined = undefined
  private readonly clock: Clock.Clock
  private readonly started: bigint
  private readonly offset: bigint
  private active: ReadonlyArray<CounterHandle> = none
  private over = false

  abstract get client(): string | undefined
  abstract get protocol(): string | undefined

  constructor(server: Server, fiber: Fiber.Fiber<unknown, unknown>, method: string, url: string, headers: Request["headers"], scheme: "http" | "https") {
    this.server = server
    this.given = method
    this.method = methodOf(method)
    this.url = url
    this.headers = headers
    this.scheme = scheme
    this.clock = fiber.getRef(Clock.Clock)
    this.started = Spans.time.now(this.clock)
    this.offset = Spans.time.offset
    const id = headerOf(headers, "x-request-id")
    this.about = Requests.isRequestId(id)
      ? Requests.makeUnsafe(id, server.module, false)
      : Requests.makeUnsafe(IdGenerator.hexId(fiber.getRef(IdGenerator.IdGenerator)), server.module, true)
  }

  arrive(): void {
    this.active = this.server.metrics.inFlight(this.method, this.scheme)
    for (let i = 0; i < this.active.length; i++) this.active[i]!.incrementUnsafe(1)
  }

  /** Opens the span; the context in which the request is to be answered. */
  begin(fiber: Fiber.Fiber<unknown, unknown>): Context.Context<never> {
    let context = Context.add(fiber.context, RequestContext, this.about)
    const { baggage, span: remote } = this.server.incoming(this.headers)
    // Strangers must not speak for the program to those it calls.
    if (baggage.size > 0 && this.server.trustIncoming) context = Context.add(context, Baggage.Baggage, baggage)
    const { tracer } = fiber.cache
    // Nobody would see the span, and there is no trace to pass on: the request id is all that is left to know it by.
    if (remote === undefined && tracer !== undefined && !ObservabilityTracer.isActive(tracer)) return context
    const timed = fiber.getRef(References.TracerTimingEnabled)
    const span = Spans.openUnsafe(fiber, this.method, this.spanOptions(remote), timed ? this.started + this.offset : 0n)
    if (span === undefined) return context
    this.span = span
    Spans.belongTo(span, this.about)
    if (span.sampled) {
      describeRequest(span, this, this.method)
      span.attribute("env", this.server.env)
    }
    return Context.add(context, EffectTracer.ParentSpan, span)
  }

  private spanOptions(remote: EffectTracer.ExternalSpan | undefined): EffectTracer.SpanOptionsNoTrace {
    if (remote === undefined) return rootOptions
    return this.server.trustIncoming
      ? { kind: "server", parent: remote }
      : { kind: "server", root: true, links: [{ span: remote, attributes: {} }] }
  }

  /** `traceresponse` (W3C Trace Context, level 2); `undefined` when the span stands for nothing. */
  get traceresponse(): string | undefined {
    const { span } = this
    return span === undefined || span.traceId.length !== 32 ? undefined : Propagation.formatTraceparent(Spans.contextOf(span))
  }

  /** Ends the span and counts the request; how long it took in seconds, `undefined` if that was done before. */
  finish(status: number, route: string | undefined, responseBytes: number | undefined, exit: Exit.Exit<unknown, unknown>): number | undefined {
    if (this.over) return undefined
    this.over = true
    const { active, server, span } = this
    for (let i = 0; i < active.length; i++) active[i]!.incrementUnsafe(-1)
    const now = this.clock.monotonicTimeNanosUnsafe()
    const seconds = Number(now - this.started) / 1e9
    const endpoint = server.metrics.endpoint(this.method, route ?? unmatched)
    endpoint.record(status, seconds, this.requestBytes, responseBytes)
    if (span === undefined || span.status._tag === "Ended") return seconds
    Spans.rename(span, endpoint.spanName)
    if (span.sampled) {
      if (route !== undefined) span.attribute("http.route", route)
      span.attribute("http.response.status_code", status)
    }
    span.end(span.status.startTime === 0n ? 0n : now + this.offset, exit)
    return seconds
  }

  /** Bytes of the request's body, 0 without one; `undefined` when they are not known. */
  get requestBytes(): number | undefined {
    const { headers, received } = this
    const announced = headers["content-length"]
    if (announced !== undefined) return contentLength(headerOf(headers, "content-length"))
    return received !== undefined ? received() : headers["transfer-encoding"] === undefined ? 0 : undefined
  }
}

const none: ReadonlyArray<CounterHandle> = []
const rootOptions: EffectTracer.SpanOptionsNoTrace = { kind: "server", root: true }

/** A server span fails only for 5xx (OpenTelemetry semantic conventions, HTTP spans: status). */
export const answered = (status: number): Exit.Exit<unknown, unknown> =>
  status >= 500 ? Spans.failedStatus(String(status), `HTTP ${status}`) : Exit.void
