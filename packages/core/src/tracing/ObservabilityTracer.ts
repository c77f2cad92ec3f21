import * as Context from "effect/Context"
import type * as EffectTracer from "effect/Tracer"
import { IdGenerator } from "./IdGenerator.ts"
import { LocalSpan, type SpanOptions } from "./internal/LocalSpan.ts"
import { RatioSampler } from "./internal/ratio.ts"
import { RecordedSpan } from "./internal/RecordedSpan.ts"
import { SpanHome } from "./internal/SpanHome.ts"
import { TraceId } from "./internal/TraceId.ts"
import { UnrecordedSpan } from "./internal/UnrecordedSpan.ts"
import { Values } from "./internal/values.ts"
import { compile } from "../redaction/internal/Scrubber.ts"
import { isTraceId, TraceState } from "./Propagation.ts"
import type { SpanData } from "./SpanData.ts"
import * as SpanLimits from "./SpanLimits.ts"

export interface TracerOptions {
  /** Share of the traces that begin here and are kept, 0 to 1; read for each of them. A parent's decision is always followed. */
  readonly sampleRate: () => number
  /** Takes every ended span that was kept, in the step that ends it. It must not throw. */
  readonly onEnd: (span: SpanData) => void
  /** What spans keep of what they are given; read at every use. By default the default limits and redaction. */
  readonly values?: () => Values
  /** Whether anybody wants spans; read for each span. */
  readonly active: () => boolean
  /** Where ids come from; the program's generator by default. */
  readonly ids?: IdGenerator
}

/** The tracer to install as Effect's `Tracer.Tracer`. It has no `context` hook: a step inside a span costs nothing more. */
export const make = (options: TracerOptions): EffectTracer.Tracer => new ObservabilityTracer(options)

/**
 * Whether a span that begins a trace under this tracer could be kept: `false` while nobody listens. Instrumentation may then
 * leave such spans out. Of a tracer that is not ours nothing is known: `true`.
 */
export const isActive = (tracer: EffectTracer.Tracer): boolean => !(tracer instanceof ObservabilityTracer) || tracer.active()

const defaultValues = new Values(SpanLimits.defaults, compile({}))

class ObservabilityTracer implements EffectTracer.Tracer {
  readonly active: () => boolean
  private readonly sampleRate: () => number
  private readonly home: SpanHome
  private readonly ids: IdGenerator
  private readonly ratio = new RatioSampler()

  constructor(options: TracerOptions) {
    this.active = options.active
    this.sampleRate = options.sampleRate
    this.home = new SpanHome(options.values ?? (() => defaultValues), options.onEnd)
    this.ids = options.ids ?? Context.get(Context.empty(), IdGenerator)
  }

  span(request: SpanOptions): EffectTracer.Span {
    const parent = request.parent._tag === "Some" ? request.parent.value : undefined
    const inherited = parent === undefined ? undefined : traceOf(parent)
    if (!this.active()) {
      // What the caller decided about the trace holds for those we call, though nothing is kept here.
      return new UnrecordedSpan(request, inherited, this.ids, inherited !== undefined && isPropagated(parent!))
    }
    const trace = inherited ?? TraceId.random(this.ids)
    return request.sampled && (inherited !== undefined || this.ratio.keeps(trace, this.sampleRate()))
      ? new RecordedSpan(request, trace, this.ids, this.home)
      : new UnrecordedSpan(request, trace, this.ids, false)
  }
}

/** The flag to send with a span's ids. */
export const isPropagated = (span: EffectTracer.AnySpan): boolean => span instanceof LocalSpan ? span.propagated : span.sampled

/** The trace of a parent; `undefined` when its id is no id, so that its child begins a trace. */
export const traceOf = (parent: EffectTracer.AnySpan): TraceId | undefined => {
  if (parent instanceof LocalSpan) return parent.trace
  // B3 allows ids of 64 bits.
  const id = parent.traceId.toLowerCase().padStart(32, "0")
  return isTraceId(id) ? TraceId.remote(id, Context.get(parent.annotations, TraceState)) : undefined
}
