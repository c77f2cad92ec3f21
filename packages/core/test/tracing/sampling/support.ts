import * as IdGenerator from "../../../src/tracing/IdGenerator.ts"
import { LocalTrace } from "../../../src/tracing/internal/LocalTrace.ts"
import { Sampling } from "../../../src/tracing/sampling/internal/Sampling.ts"
import type { RootSpan, Sampler } from "../../../src/tracing/sampling/Sampler.ts"
import type { SpanData } from "../../../src/tracing/SpanData.ts"

export interface TraceOptions {
  readonly name?: string
  readonly kind?: SpanData["kind"]
  /** Nanoseconds of the root. */
  readonly duration?: number
  /** Whether a child, or the root itself, fails. */
  readonly failed?: "child" | "root"
  /** Spans of the trace, the root included; the others end before it. */
  readonly spans?: number
  readonly parent?: RootSpan["parent"]
  readonly traceId?: string
  readonly tracestate?: string
  readonly attributes?: Record<string, unknown>
  /** Called between the children and the end of the root. */
  readonly before?: () => void
}

/** A sampler at work in virtual time, driven by traces that take no time to make. */
export const sampling = (sampler: Sampler | (() => Sampler), options: { readonly seed?: number; readonly onKeep?: (span: SpanData) => void } = {}) => {
  const clock = { millis: 0 }
  const ids = IdGenerator.fromSeed(options.seed ?? 1)
  const kept: Array<SpanData> = []
  const engine = new Sampling({
    sampler: typeof sampler === "function" ? sampler : () => sampler,
    now: () => clock.millis,
    ids,
    keep: options.onKeep ?? ((span) => kept.push(span))
  })
  const attributes = (record: Record<string, unknown> | undefined) => record === undefined ? none : new Map(Object.entries(record))
  const end = (trace: LocalTrace, isRoot: boolean, name: string, options: TraceOptions, failed: boolean): void => {
    const { decision } = trace
    if (!decision.recorded) return engine.endUnrecorded()
    engine.end({
      traceId: trace.hex,
      spanId: "",
      parentSpanId: undefined,
      name,
      kind: options.kind ?? "internal",
      startTime: 0n,
      endTime: BigInt(options.duration ?? 1_000_000),
      status: failed ? "error" : "unset",
      statusMessage: undefined,
      attributes: isRoot ? attributes(options.attributes) : none,
      events: [],
      links: [],
      droppedAttributes: 0,
      droppedEvents: 0,
      droppedLinks: 0,
      weight: decision.weight,
      traceState: trace.state
    }, trace, isRoot)
  }
  const begin = (options: TraceOptions = {}): LocalTrace => {
    const trace = options.traceId === undefined
      ? LocalTrace.random(ids)
      : LocalTrace.remote(options.traceId, options.tracestate ?? "")
    engine.begin(trace, options.name ?? "op", options.kind ?? "internal", options.parent ?? "none")
    trace.decision.tally?.add(trace.decision.propagated)
    return trace
  }
  const finish = (trace: LocalTrace, options: TraceOptions = {}): LocalTrace => {
    const { spans = 1 } = options
    for (let i = 1; i < spans; i++) {
      trace.decision.tally?.add(trace.decision.propagated)
      end(trace, false, "child", options, options.failed === "child" && i === 1)
    }
    options.before?.()
    end(trace, true, options.name ?? "op", options, options.failed === "root")
    return trace
  }
  return {
    engine,
    clock,
    kept,
    begin,
    finish,
    end,
    trace: (options: TraceOptions = {}): LocalTrace => finish(begin(options), options),
    /** What does not add up in the books. */
    imbalance: (): string | undefined => {
      const { ended, held, kept, sampledOut } = engine.report()
      return ended === kept + sampledOut + held ? undefined : `ended ${ended} ≠ kept ${kept} + sampled out ${sampledOut} + held ${held}`
    }
  }
}

const none: ReadonlyMap<string, unknown> = new Map()
