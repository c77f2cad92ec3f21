import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as EffectTracer from "effect/Tracer"
import * as Tracer from "effect/Tracer"
import { Classify } from "./Classify.ts"
import { IdGenerator } from "./IdGenerator.ts"
import { Decision } from "./internal/Decision.ts"
import { LocalSpan, type SpanOptions } from "./internal/LocalSpan.ts"
import { LocalTrace } from "./internal/LocalTrace.ts"
import { Names } from "./internal/Names.ts"
import { RecordedSpan } from "./internal/RecordedSpan.ts"
import { SpanHome } from "./internal/SpanHome.ts"
import { UnrecordedSpan, type UnrecordedSink } from "./internal/UnrecordedSpan.ts"
import { Values } from "./internal/values.ts"
import { nobody, RequestContext } from "../context/RequestContext.ts"
import { compile } from "../redaction/internal/Scrubber.ts"
import { isTraceId, RandomFlag, TraceState } from "./Propagation.ts"
import { Sampling, type SamplingReport } from "./sampling/internal/Sampling.ts"
import { always, type Sampler } from "./sampling/Sampler.ts"
import type { OpenSpans } from "../hub/Telemetry.ts"
import type { SpanData, SpanKind } from "./SpanData.ts"
import * as SpanLimits from "./SpanLimits.ts"

export type { SamplingReport } from "./sampling/internal/Sampling.ts"

export interface TracerOptions {
  /** Decides which traces are kept, `always` unless told; read for each trace that begins here. */
  readonly sampler?: () => Sampler
  /** Takes every ended span that is kept, when its trace is decided. It must not throw. */
  readonly onEnd: (span: SpanData) => void
  /** What spans keep of what they are given; read at every use. By default the default limits and redaction. */
  readonly values?: () => Values
  /** Told of ended spans before it matters whether they are kept; by default of none. It must not throw. */
  readonly measure?: (name: string, kind: SpanKind, failed: boolean, nanos: number) => void
  /**
   * Which spans are measured, read at every use: `entry` ones are the first of a trace in this process and those that leave or enter it
   * (every kind but internal).
   */
  readonly measured?: () => "off" | "entry" | "all"
  /** Whether anybody wants spans; read for each span. */
  readonly active: () => boolean
  /** Where ids come from; the program's generator by default. */
  readonly ids?: IdGenerator
  /** Milliseconds that never fall, for samplers that limit or wait. */
  readonly now: () => number
}

/** What a bridge to another tracing library adds to a tracer as long as it is attached. */
export interface TracerBridge {
  /** As `Tracer.context` of Effect: runs around every step of every fiber, so that it is paid for by all of them. */
  readonly context?: EffectTracer.Tracer["context"]
  /** The parent of a span that has none in Effect and does not ask to be a root. It must not throw. */
  readonly parent?: () => EffectTracer.AnySpan | undefined
}

/**
 * The tracer to install as Effect's `Tracer.Tracer`. It has no `context` hook unless a bridge is attached: a step inside a span costs nothing
 * more.
 */
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
  private readonly measured: () => "off" | "entry" | "all"
  context?: NonNullable<EffectTracer.Tracer["context"]>
  private bridge: TracerBridge | undefined = undefined

  constructor(options: TracerOptions) {
    this.active = options.active
    this.ids = options.ids ?? Context.get(Context.empty(), IdGenerator)
    this.sampling = new Sampling({
      sampler: options.sampler ?? (() => always),
      now: options.now,
      ids: this.ids,
      keep: options.onEnd
    })
    const { measure = () => {}, values = () => defaultValues } = options
    const names = new Names(values)
    this.measured = options.measure === undefined ? () => "off" : options.measured ?? (() => "entry")
    this.home = new SpanHome(
      values,
      (data, span) => {
        if (this.isMeasured(span)) measure(data.name, data.kind, data.status === "error", Number(data.endTime - data.startTime))
        this.sampling.end(data, span.trace, isLocalRoot(span))
      }
    )
    this.unrecorded = (span, startTime, endTime, exit) => {
      if (this.isMeasured(span)) measure(names.shown(span.name), span.kind, hasFailed(span, exit), Number(endTime - startTime))
      this.sampling.endUnrecorded()
    }
  }

  /**
   * Attaches the only bridge, for contexts that are made from now on; the result takes it off again. Fibers that have the hook in their context keep
   * calling it. `undefined` when there is one already.
   */
  attach(bridge: TracerBridge): (() => void) | undefined {
    if (this.bridge !== undefined) return undefined
    this.bridge = bridge
    if (bridge.context !== undefined) this.context = bridge.context
    return () => {
      this.bridge = undefined
      delete this.context
    }
  }

  span(request: SpanOptions): EffectTracer.Span {
    if (this.bridge !== undefined && request.parent._tag === "None" && !request.root) {
      const outside = this.bridge.parent?.()
      if (outside !== undefined) request = { ...request, parent: Option.some(outside), sampled: request.sampled && (!(outside instanceof LocalSpan) || outside.sampled) }
    }
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
    if (decision.recorded && wanted) return new RecordedSpan(request, trace, this.ids, this.home, requestOf(Fiber.getCurrent()))
    // What is below the trace level was not sampled out.
    const sink = decision.recorded || decision === Decision.undecided ? undefined : this.unrecorded
    return new UnrecordedSpan(request, trace, this.ids, false, sink)
  }

  private isMeasured(span: LocalSpan): boolean {
    const measured = this.measured()
    return measured === "entry" ? span.kind !== "internal" || isLocalRoot(span) : measured === "all"
  }

  /** Whether an internal span need not exist, the one around it not being kept either; it is then counted. */
  leavesOut(around: UnrecordedSpan): boolean {
    const { decision } = around.trace
    if (decision.recorded || decision === Decision.undecided || !this.active()) return true
    if (this.measured() === "all") return false
    decision.tally?.add(false)
    this.sampling.endUnrecorded()
    return true
  }

  /** Decides about traces that have waited too long; to be called now and then. */
  expire(): void {
    this.sampling.expire()
  }

  /** Decides about all traces that are held: nobody will listen any more. */
  release(): void {
    this.sampling.close()
  }

  /** The open spans as they are now, marked; they go on. `now` is nanoseconds since the epoch. */
  unfinished(now: bigint): ReadonlyArray<SpanData> {
    return this.home.unfinished(now)
  }

  openSpans(now: bigint): OpenSpans {
    const { forgotten, oldest, open } = this.home.report()
    return {
      open,
      forgotten,
      oldest: oldest === undefined ? undefined : {
        name: this.home.values().text(oldest.name, 256),
        traceId: oldest.traceId,
        spanId: oldest.spanId,
        ageMillis: Number(now - oldest.status.startTime) / 1e6
      }
    }
  }

  report(): SamplingReport {
    return this.sampling.report()
  }
}

/** The request the running fiber works for; `undefined` outside of requests. */
const requestOf = (fiber: Fiber.Fiber<unknown, unknown> | undefined): RequestContext | undefined => {
  if (fiber === undefined) return undefined
  const request = fiber.getRef(RequestContext)
  return request === nobody ? undefined : request
}

const isLocalRoot = (span: LocalSpan): boolean => span.parent._tag === "None" || !(span.parent.value instanceof LocalSpan)

/** As the status of a recorded span. */
const hasFailed = (span: LocalSpan, exit: Exit.Exit<unknown, unknown>): boolean => {
  if (exit._tag === "Failure") return !Cause.hasInterruptsOnly(exit.cause)
  if (span.annotations.mapUnsafe.size === 0) return false
  try {
    return Context.get(span.annotations, Classify)?.(exit.value) !== undefined
  } catch {
    return false
  }
}

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
  return isTraceId(id) ? LocalTrace.remote(id, Context.get(parent.annotations, TraceState), Context.get(parent.annotations, RandomFlag)) : undefined
}
