import { Baggage, IdGenerator, ObservabilityTracer, Propagation, Requests, Spans } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as EffectTracer from "effect/Tracer"
import * as References from "effect/References"
import { RequestContext } from "@effect-observability/core"
import { contentLength, describeRequest, headerOf, methodOf, type Request } from "../attributes.ts"
import type { Server } from "./Server.ts"

/** Where a request counts that no route matched. */
const unmatched = "_unmatched"

/**
 * One request and its answer, whichever server it came to: its id, its place in a trace, what is measured. `arrive`, `begin` (which may be
 * left out), then `finish`; a second call of that does nothing.
 */
export class Exchange {
  readonly server: Server
  readonly request: Request
  readonly method: string
  readonly about: RequestContext
  span: EffectTracer.Span | undefined = undefined
  /** Of a body without a length: what came so far. */
  received: (() => number) | undefined = undefined
  private readonly clock: Clock.Clock
  private readonly started: bigint
  private readonly offset: bigint
  private over = false

  constructor(server: Server, fiber: Fiber.Fiber<unknown, unknown>, request: Request) {
    this.server = server
    this.request = request
    this.method = methodOf(request.method)
    this.clock = fiber.getRef(Clock.Clock)
    const { monotonic, offset } = Spans.moment(this.clock)
    this.started = monotonic
    this.offset = offset
    const given = headerOf(request.headers, "x-request-id")
    this.about = Requests.make({
      requestId: Requests.isRequestId(given) ? given : IdGenerator.hexId(fiber.getRef(IdGenerator.IdGenerator)),
      module: server.module
    })
  }

  arrive(): void {
    for (const handle of this.server.metrics.inFlight(this.method, this.request.scheme)) handle.incrementUnsafe(1)
  }

  /** Opens the span; the context in which the request is to be answered. */
  begin(fiber: Fiber.Fiber<unknown, unknown>): Context.Context<never> {
    let context = Context.add(fiber.context, RequestContext, this.about)
    const { baggage, span: remote } = this.server.rules().propagator.extract(new Carrier(this.request.headers))
    // Strangers must not speak for the program to those it calls.
    if (baggage.size > 0 && this.server.trustIncoming) context = Context.add(context, Baggage.Baggage, baggage)
    // Nobody would see the span, and there is no trace to pass on: the request id is all that is left to know it by.
    if (remote === undefined && !ObservabilityTracer.isActive(fiber.getRef(EffectTracer.Tracer))) return context
    const timed = fiber.getRef(References.TracerTimingEnabled)
    const span = Spans.openUnsafe(fiber, this.method, this.spanOptions(remote), timed ? this.started + this.offset : 0n)
    if (span === undefined) return context
    this.span = span
    Spans.belongTo(span, this.about)
    if (span.sampled) {
      describeRequest(span, this.request, this.method)
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

  get finished(): boolean {
    return this.over
  }

  /** Ends the span and counts the request; how long it took in seconds, `undefined` if that was done before. */
  finish(status: number, route: string | undefined, responseBytes: number | undefined, exit: Exit.Exit<unknown, unknown>): number | undefined {
    if (this.over) return undefined
    this.over = true
    const { method, request, server, span } = this
    for (const handle of server.metrics.inFlight(method, request.scheme)) handle.incrementUnsafe(-1)
    const now = this.clock.monotonicTimeNanosUnsafe()
    const seconds = Number(now - this.started) / 1e9
    const endpoint = server.metrics.endpoint(method, route ?? unmatched)
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
    const { headers } = this.request
    const announced = contentLength(headerOf(headers, "content-length"))
    if (announced !== undefined) return announced
    return this.received !== undefined ? this.received() : headers["transfer-encoding"] === undefined ? 0 : undefined
  }
}

const rootOptions: EffectTracer.SpanOptionsNoTrace = { kind: "server", root: true }

/** Headers as a map: their names are in lower case already, so that one look answers for each. */
class Carrier {
  readonly set = undefined
  private readonly headers: Request["headers"]

  constructor(headers: Request["headers"]) {
    this.headers = headers
  }

  get(name: string): string | ReadonlyArray<string> | undefined {
    return this.headers[name]
  }
}
