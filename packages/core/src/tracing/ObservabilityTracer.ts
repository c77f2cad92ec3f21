import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import type * as EffectTracer from "effect/Tracer"
import * as Tracer from "effect/Tracer"
import { IdGenerator } from "./IdGenerator.ts"
import { Decision } from "./internal/Decision.ts"
import { LocalSpan, type SpanOptions } from "./internal/LocalSpan.ts"
import { LocalTrace } from "./internal/LocalTrace.ts"
import { RecordedSpan } from "./internal/RecordedSpan.ts"
import { SpanHome } from "./internal/SpanHome.ts"
import { UnrecordedSpan, type UnrecordedSink } from "./internal/UnrecordedSpan.ts"
import { Values } from "./internal/values.ts"
import { compile } from "../redaction/internal/Scrubber.ts"
import { isTraceId, TraceState } from "./Propagation.ts"
import { Sampling, type SamplingReport } from "./sampling/internal/Sampling.ts"
import { always, type Sampler } from "./sampling/Sampler.ts"
import type { SpanData } from "./SpanData.ts"
import * as SpanLimits from "./SpanLimits.ts"

export type { SamplingReport } from "./sampling/internal/Sampling.ts"

export interface TracerOptions {
  /** Decides which traces are kept, `always` unless told; read for each trace that begins here. */
  readonly sampler?: () => Sampler
  /** Takes every ended span that is kept, when its trace is decided. It must not throw. */
  readonly onEnd: (span: SpanData) => void
  /** What spans keep of what they are given; read at every use. By default the default limits and redaction. */
  readonly values?: () => Values
  /** Whether anybody wants spans; read for each span. */
  readonly active: () => boolean
  /** Where ids come from; the program's generator by default. */
  readonly ids?: IdGenerator
  /** Milliseconds that never fall, for samplers that limit or wait. */
  readonly now: () => number
}

/** The tracer to install as Effect's `Tracer.Tracer`. It has no `context` hook: a step inside a span costs nothing more. */
export const make = (options: TracerOptions): ObservabilityTracer => new ObservabilityTracer(options)

/**
 * Whether a span that begins a trace under this tracer could be kept: `false` while nobody listens. Instrumentation may then
 * leave such spans out. Of a tracer that is not ours nothing is known: `true`.
 */
export const isActive = (tracer: EffectTracer.Tracer): boolean => !(tracer instanceof ObservabilityTracer) || tracer.active()

const defaultValues = new Values(SpanLimits.defaults, compile({}))

/** Effect's tracer for a hub: it owns ids and sampling, and hands over what ends. */
export class ObservabilityTracer implements EffectTracer.Tracer {
  readonly active: () => boolean
  private readonly ids: IdGenerator
  private readonly sampling: Sampling
  private readonly home: SpanHome
  private readonly unrecorded: UnrecordedSink

  constructor(options: TracerOptions) {
    this.active = options.active
    this.ids = options.ids ?? Context.get(Context.empty(), IdGenerator)
    this.sampling = new Sampling({
      sampler: options.sampler ?? (() => always),
      now: options.now,
      ids: this.ids,
      keep: options.onEnd
    })
    this.home = new SpanHome(
      options.values ?? (() => defaultValues),
      (data, span) => this.sampling.end(data, span.trace, isLocalRoot(span))
    )
    this.unrecorded = () => this.sampling.endUnrecorded()
  }

  span(request: SpanOptions): EffectTracer.Span {
    const parent = request.parent._tag === "Some" ? request.parent.value : undefined
    if (!this.active()) {
      // What the caller decided about the trace holds for those we call, though nothing is kept here.
      const inherited = parent === undefined ? undefined : traceOf(parent)
      return new UnrecordedSpan(request, inherited, this.ids, inherited !== undefined && isPropagated(parent!), undefined)
    }
    let trace: LocalTrace
    let wanted = request.sampled
    if (parent instanceof LocalSpan) trace = parent.trace
    else {
      const remote = parent === undefined ? undefined : traceOf(parent)
      trace = remote ?? LocalTrace.random(this.ids)
      if (remote !== undefined && parent!.sampled === false && !wanted) {
        // Effect says "not sampled" for two reasons: the caller's decision, about which the sampler is asked, and the trace level.
        wanted = reachesLevel()
      }
      // A span below the level begins no trace that its children could be kept in.
      if (wanted) {
        this.sampling.begin(trace, request.name, request.kind, remote === undefined ? "none" : parent!.sampled ? "sampled" : "not_sampled")
      }
    }
    const { decision } = trace
    decision.tally?.add(decision.propagated)
    if (decision.recorded && wanted) return new RecordedSpan(request, trace, this.ids, this.home)
    // What is below the trace level was not sampled out.
    const sink = decision.recorded || decision === Decision.undecided ? undefined : this.unrecorded
    return new UnrecordedSpan(request, trace, this.ids, false, sink)
  }

  /** Counts a span that need not exist: the one around it is not kept either. */
  leaveOut(around: UnrecordedSpan): void {
    const { decision } = around.trace
    if (decision.recorded || decision === Decision.undecided || !this.active()) return
    decision.tally?.add(false)
    this.sampling.endUnrecorded()
  }

  /** Decides about traces that have waited too long; to be called now and then. */
  expire(): void {
    this.sampling.expire()
  }

  /** Decides about all traces that are held: nobody will listen any more. */
  release(): void {
    this.sampling.close()
  }

  report(): SamplingReport {
    return this.sampling.report()
  }
}

const isLocalRoot = (span: LocalSpan): boolean => span.parent._tag === "None" || !(span.parent.value instanceof LocalSpan)

const reachesLevel = (): boolean => {
  const fiber = Fiber.getCurrent()
  return fiber === undefined ||
    !LogLevel.isGreaterThan(fiber.getRef(Tracer.MinimumTraceLevel), fiber.getRef(Tracer.CurrentTraceLevel))
}

/** The flag to send with a span's ids. */
export const isPropagated = (span: EffectTracer.AnySpan): boolean => span instanceof LocalSpan ? span.propagated : span.sampled

/** The trace of a parent; `undefined` when its id is no id, so that its child begins a trace. */
export const traceOf = (parent: EffectTracer.AnySpan): LocalTrace | undefined => {
  if (parent instanceof LocalSpan) return parent.trace
  // B3 allows ids of 64 bits.
  const id = parent.traceId.toLowerCase().padStart(32, "0")
  return isTraceId(id) ? LocalTrace.remote(id, Context.get(parent.annotations, TraceState)) : undefined
}
