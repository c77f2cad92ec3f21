import { Spans } from "@effect-observability/core"
import * as Otel from "@opentelemetry/api"
import type { Clock } from "effect/Clock"
import type * as EffectTracer from "effect/Tracer"
import { BridgedSpan, remoteSpan } from "./BridgedSpan.ts"

/** Both faces of a span: whoever asks twice for one of Effect's gets the same object. */
export class SpanPairs {
  private readonly faces = new WeakMap<EffectTracer.AnySpan, Otel.Span>()
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** A span that the API began, and ends. It is not remembered: whoever has it has this face already. */
  begun(span: EffectTracer.Span): BridgedSpan {
    return new BridgedSpan(span, this.clock, true)
  }

  /** OpenTelemetry's face of a span of Effect's. */
  otel(span: EffectTracer.AnySpan): Otel.Span {
    let face = this.faces.get(span)
    if (face === undefined) {
      face = span._tag === "Span" ? new BridgedSpan(span, this.clock, false) : Otel.trace.wrapSpanContext(contextOf(span))
      this.faces.set(span, face)
    }
    return face
  }

  /** Effect's face of OpenTelemetry's: itself when it is ours, else one that lives elsewhere; `undefined` for one that is none. */
  effect(span: Otel.Span | undefined): EffectTracer.AnySpan | undefined {
    if (span === undefined) return undefined
    if (span instanceof BridgedSpan) return span.inner
    try {
      const context = span.spanContext()
      return Otel.isSpanContextValid(context) ? remoteSpan(context) : undefined
    } catch {
      // Somebody else's span, and no good one.
      return undefined
    }
  }
}

const contextOf = (span: EffectTracer.ExternalSpan): Otel.SpanContext => {
  const { sampled, spanId, traceId } = Spans.contextOf(span)
  const state = Spans.traceStateOf(span)
  return {
    traceId,
    spanId,
    traceFlags: sampled ? Otel.TraceFlags.SAMPLED : Otel.TraceFlags.NONE,
    isRemote: true,
    ...(state === "" ? {} : { traceState: Otel.createTraceState(state) })
  }
}
