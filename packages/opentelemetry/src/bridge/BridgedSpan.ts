import { Propagation, Spans } from "@effect-observability/core"
import * as Otel from "@opentelemetry/api"
import type { Clock } from "effect/Clock"
import * as Exit from "effect/Exit"
import type * as EffectTracer from "effect/Tracer"
import { nanosOf } from "./time.ts"

/** A span of ours as OpenTelemetry's API sees it. It is that span: the same ids, attributes and end. */
export class BridgedSpan implements Otel.Span {
  readonly inner: EffectTracer.Span
  private readonly clock: Clock
  /** Whether it was begun through the API and is to be ended through it; one of Effect's ends with its effect. */
  private readonly owned: boolean
  private status: Otel.SpanStatus = { code: Otel.SpanStatusCode.UNSET }
  private exceptionType: string | undefined
  private known: Otel.SpanContext | undefined

  constructor(inner: EffectTracer.Span, clock: Clock, owned: boolean) {
    this.inner = inner
    this.clock = clock
    this.owned = owned
  }

  spanContext(): Otel.SpanContext {
    if (this.known !== undefined) return this.known
    const { sampled, spanId, traceId } = Spans.contextOf(this.inner)
    const state = Spans.traceStateOf(this.inner)
    return this.known = {
      traceId,
      spanId,
      traceFlags: sampled ? Otel.TraceFlags.SAMPLED : Otel.TraceFlags.NONE,
      isRemote: false,
      ...(state === "" ? {} : { traceState: Otel.createTraceState(state) })
    }
  }

  setAttribute(key: string, value: Otel.AttributeValue): this {
    this.inner.attribute(key, value)
    return this
  }

  setAttributes(attributes: Otel.Attributes): this {
    for (const key of Object.keys(attributes)) this.inner.attribute(key, attributes[key])
    return this
  }

  addEvent(name: string, attributesOrTime?: Otel.Attributes | Otel.TimeInput, time?: Otel.TimeInput): this {
    const isTime = attributesOrTime === undefined || typeof attributesOrTime === "number" || attributesOrTime instanceof Date || Array.isArray(attributesOrTime)
    const at = isTime ? attributesOrTime as Otel.TimeInput | undefined : time
    this.inner.event(String(name), nanosOf(at ?? time, this.clock), isTime ? undefined : attributesOrTime as Record<string, unknown>)
    return this
  }

  addLink(link: Otel.Link): this {
    return this.addLinks([link])
  }

  addLinks(links: Array<Otel.Link>): this {
    this.inner.addLinks(linksOf(links))
    return this
  }

  /** `OK` is the last word on a span (OpenTelemetry tracing API, "Set Status"). */
  setStatus(status: Otel.SpanStatus): this {
    if (this.status.code !== Otel.SpanStatusCode.OK && status.code !== Otel.SpanStatusCode.UNSET) this.status = status
    return this
  }

  updateName(name: string): this {
    Spans.rename(this.inner, String(name))
    return this
  }

  end(endTime?: Otel.TimeInput): void {
    if (!this.owned || this.inner.status._tag === "Ended") return
    const { code, message } = this.status
    const exit = code === Otel.SpanStatusCode.ERROR ? Spans.failedStatus(this.exceptionType ?? "_OTHER", message ?? this.exceptionType ?? "error") : Exit.void
    const { startTime } = this.inner.status
    const at = nanosOf(endTime, this.clock)
    this.inner.end(at < startTime ? startTime : at, exit)
  }

  isRecording(): boolean {
    return this.inner.sampled && this.inner.status._tag === "Started"
  }

  recordException(exception: Otel.Exception, time?: Otel.TimeInput): void {
    const { code, message, name, stack } = typeof exception === "string" ? { message: exception } as Partial<Error> & { readonly code?: undefined } : exception as Partial<Error> & { readonly code?: string | number }
    const type = code !== undefined ? String(code) : name
    this.exceptionType = type ?? this.exceptionType
    this.inner.event("exception", nanosOf(time, this.clock), {
      ...(type === undefined ? {} : { "exception.type": type }),
      ...(message === undefined ? {} : { "exception.message": message }),
      ...(stack === undefined ? {} : { "exception.stacktrace": stack })
    })
  }
}

/** Links of OpenTelemetry as Effect's. */
export const linksOf = (links: ReadonlyArray<Otel.Link> | undefined): Array<EffectTracer.SpanLink> =>
  (links ?? []).filter(({ context }) => Otel.isSpanContextValid(context)).map(({ attributes = {}, context }) => ({ span: remoteSpan(context), attributes }))

/** A span that lives elsewhere, for Effect. */
export const remoteSpan = (context: Otel.SpanContext): EffectTracer.ExternalSpan =>
  Propagation.remoteSpan(
    { traceId: context.traceId, spanId: context.spanId, sampled: (context.traceFlags & Otel.TraceFlags.SAMPLED) !== 0 },
    Propagation.parseTracestate(context.traceState?.serialize() ?? "")
  )
