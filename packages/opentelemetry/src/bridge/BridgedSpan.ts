import { Propagation, Spans } from "@effect-observability/core"
import * as Otel from "@opentelemetry/api"
import type { Clock } from "effect/Clock"
import * as Exit from "effect/Exit"
import type * as EffectTracer from "effect/Tracer"
import { nanosOf } from "./time.ts"

/**
 * A span of ours as OpenTelemetry's API sees it. It is that span: the same ids, attributes and end. No method throws, whatever untyped code gives
 * it.
 */
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
    try {
      for (const key of Object.keys(attributes)) this.inner.attribute(key, attributes[key])
    } catch {
      // No object, or one whose getters throw.
    }
    return this
  }

  addEvent(name: string, attributesOrTime?: Otel.Attributes | Otel.TimeInput, time?: Otel.TimeInput): this {
    const isTime = attributesOrTime === undefined || attributesOrTime === null || typeof attributesOrTime === "number" || attributesOrTime instanceof Date || Array.isArray(attributesOrTime)
    const at = isTime ? attributesOrTime as Otel.TimeInput | null | undefined : time
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
    if (this.status.code !== Otel.SpanStatusCode.OK && status?.code !== undefined && status.code !== Otel.SpanStatusCode.UNSET) this.status = status
    return this
  }

  updateName(name: string): this {
    Spans.rename(this.inner, String(name))
    return this
  }

  end(endTime?: Otel.TimeInput): void {
    if (!this.owned || this.inner.status._tag === "Ended") return
    const { code, message } = this.status
    const exit = code === Otel.SpanStatusCode.ERROR ? Spans.failedStatus(this.exceptionType ?? "_OTHER", String(message ?? this.exceptionType ?? "error")) : Exit.void
    const { startTime } = this.inner.status
    const at = nanosOf(endTime, this.clock)
    this.inner.end(at < startTime ? startTime : at, exit)
  }

  isRecording(): boolean {
    return this.inner.sampled && this.inner.status._tag === "Started"
  }

  recordException(exception: Otel.Exception, time?: Otel.TimeInput): void {
    const { message, stack, type } = described(exception)
    this.exceptionType = type ?? this.exceptionType
    this.inner.event("exception", nanosOf(time, this.clock), {
      ...(type === undefined ? {} : { "exception.type": type }),
      ...(message === undefined ? {} : { "exception.message": message }),
      ...(stack === undefined ? {} : { "exception.stacktrace": stack })
    })
  }
}

/** What can be said of whatever was thrown. */
const described = (exception: unknown): { readonly [K in "type" | "message" | "stack"]?: string | undefined } => {
  try {
    if (typeof exception !== "object" || exception === null) return { message: String(exception) }
    const { code, message, name, stack } = exception as { readonly [K in "code" | "message" | "name" | "stack"]?: unknown }
    return { type: textOf(code ?? name), message: textOf(message), stack: textOf(stack) }
  } catch {
    return { message: "an exception that cannot be read" }
  }
}

const textOf = (value: unknown): string | undefined => value === undefined || value === null ? undefined : String(value)

/** Links of OpenTelemetry as Effect's, without those that are none. */
export const linksOf = (links: ReadonlyArray<Otel.Link> | undefined): Array<EffectTracer.SpanLink> => {
  const out: Array<EffectTracer.SpanLink> = []
  try {
    for (const { attributes = {}, context } of links ?? []) if (Otel.isSpanContextValid(context)) out.push({ span: remoteSpan(context), attributes })
  } catch {
    // What comes after it is lost as well: such a list is nobody's.
  }
  return out
}

/** A span that lives elsewhere, for Effect. */
export const remoteSpan = (context: Otel.SpanContext): EffectTracer.ExternalSpan =>
  Propagation.remoteSpan(
    { traceId: context.traceId, spanId: context.spanId, sampled: (context.traceFlags & Otel.TraceFlags.SAMPLED) !== 0 },
    Propagation.parseTracestate(context.traceState?.serialize() ?? "")
  )
