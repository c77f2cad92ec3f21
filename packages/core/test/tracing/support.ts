import * as Effect from "effect/Effect"
import * as EffectTracer from "effect/Tracer"
import * as IdGenerator from "../../src/tracing/IdGenerator.ts"
import * as ObservabilityTracer from "../../src/tracing/ObservabilityTracer.ts"
import * as Sampler from "../../src/tracing/sampling/Sampler.ts"
import type { SpanData } from "../../src/tracing/SpanData.ts"

/** A tracer that keeps what it is handed, with the same ids in every run. */
export const recording = (
  options: {
    /** Share of the traces that begin here and are kept; a caller's decision is followed. */
    readonly rate?: () => number
    readonly sampler?: () => Sampler.Sampler
    readonly active?: () => boolean
    readonly ids?: IdGenerator.IdGenerator
    readonly now?: () => number
  } = {}
) => {
  const { rate } = options
  const byRate = rate === undefined ? Sampler.parentBased(Sampler.always) : Sampler.parentBased(Sampler.make("by rate", rate))
  const ended: Array<SpanData> = []
  const tracer = ObservabilityTracer.make({
    sampler: options.sampler ?? (() => byRate),
    now: options.now ?? (() => 0),
    active: options.active ?? (() => true),
    onEnd: (span) => ended.push(span),
    ids: options.ids ?? IdGenerator.fromSeed(7)
  })
  return {
    ended,
    tracer,
    provide: Effect.provideService(EffectTracer.Tracer, tracer),
    named: (name: string): SpanData => {
      const found = ended.filter((span) => span.name === name)
      if (found.length !== 1) throw new Error(`${found.length} spans are named ${name}`)
      return found[0]!
    }
  }
}
