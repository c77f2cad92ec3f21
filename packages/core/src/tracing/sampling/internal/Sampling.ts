import { Decision } from "../../internal/Decision.ts"
import type { LocalTrace, Randomness } from "../../internal/LocalTrace.ts"
import { weighSpan } from "../../internal/weigh.ts"
import type { IdGenerator } from "../../IdGenerator.ts"
import type { SpanData, SpanKind } from "../../SpanData.ts"
import type { Sampler } from "../Sampler.ts"
import { type Decide as DecideHeld, Holding, type Verdict } from "./Holding.ts"
import { type Decide, type Late, Root, type RootSpan } from "./Root.ts"
import { type Threshold, thresholdOf } from "./threshold.ts"
import { readTracestate } from "./tracestate.ts"

/** The books of sampling, in spans: `ended = kept + sampledOut + held` at every instant. */
export interface SamplingReport {
  /** The sampler in force. */
  readonly sampler: string
  /** Spans that ended while somebody listened; those below the trace level are not among them. */
  readonly ended: number
  /** Handed to the backends. */
  readonly kept: number
  readonly sampledOut: number
  /** Waiting for the end of their trace, and their bytes by estimate. */
  readonly held: number
  readonly heldBytes: number
  /** Traces decided before their root ended, by reason. */
  readonly decidedEarly: Readonly<Record<"overflow" | "expired" | "shutdown", number>>
}

export interface SamplingOptions {
  /** Read for each trace that begins here: another sampler takes over with the next one. */
  readonly sampler: () => Sampler
  /** Milliseconds that never fall. */
  readonly now: () => number
  readonly ids: IdGenerator
  readonly keep: (span: SpanData) => void
}

/** Applies the sampler of a hub to its traces. Plain state that moves only when it is called. */
export class Sampling {
  private readonly options: SamplingOptions
  private sampler: Sampler | undefined
  private ask: Decide = () => 0
  private readonly root = new Root()
  private readonly holdings = new Set<Holding>()
  private readonly early = { overflow: 0, expired: 0, shutdown: 0 }
  private ended = 0
  private kept = 0
  private sampledOut = 0
  private lastProbability = NaN
  private lastThreshold!: Threshold
  private lastKept!: Decision

  constructor(options: SamplingOptions) {
    this.options = options
  }

  /** Decides about a trace whose first span here begins now. */
  begin(trace: LocalTrace, name: string, kind: SpanKind, parent: RootSpan["parent"]): void {
    const wanted = this.options.sampler()
    if (wanted !== this.sampler) this.start(wanted)
    if (parent === "none" && wanted.fixed !== undefined) {
      trace.decision = this.byId(trace, wanted.fixed)
      return
    }
    const { root } = this
    if (parent === "none") root.begin(name, kind, parent, 1)
    else {
      const said = readTracestate(trace.incoming)
      trace.randomness = said.randomness
      root.begin(name, kind, parent, said.probability ?? 1)
    }
    const probability = this.ask(root)
    trace.decision = root.tally === undefined && root.late === undefined
      ? this.decide(trace, root, probability)
      : this.decideSpecial(trace, root, probability)
  }

  private start(sampler: Sampler): void {
    this.sampler = sampler
    this.ask = sampler.start({
      now: this.options.now,
      hold: (options) => {
        const holding = new Holding(options, {
          now: this.options.now,
          weigh: weighSpan,
          keep: (span) => this.keep(span),
          drop: (count) => {
            this.sampledOut += count
          },
          early: (reason) => {
            this.early[reason]++
          }
        })
        // One of a former sampler goes when its last trace is decided.
        for (const one of this.holdings) if (one.spans === 0) this.holdings.delete(one)
        this.holdings.add(holding)
        return holding
      }
    })
  }

  private decide(trace: LocalTrace, root: Root, probability: number): Decision {
    if (probability >= 1) {
      if (!root.inherits) return trace.incoming === "" ? Decision.kept : Decision.keptAnew
      // The caller's threshold still says it all.
      return root.carried === 1 ? Decision.kept : new Decision(true, true, 1 / root.carried, undefined)
    }
    // Also what is no number.
    if (!(probability > 0)) return Decision.dropped
    if (root.fresh) return this.decideFresh(trace, root.inherits ? root.carried : 1, probability)
    return this.byId(trace, probability)
  }

  private byId(trace: LocalTrace, probability: number): Decision {
    if (probability >= 1) return Decision.kept
    if (!(probability > 0)) return Decision.dropped
    const { high, low } = this.aim(probability)
    return trace.reaches(high, low) ? this.lastKept : Decision.dropped
  }

  private aim(probability: number): Threshold {
    if (probability !== this.lastProbability) {
      const threshold = thresholdOf(probability)
      this.lastProbability = probability
      this.lastThreshold = threshold
      this.lastKept = new Decision(true, true, 1 / threshold.probability, `th:${threshold.text}`)
    }
    return this.lastThreshold
  }

  /** By randomness of our own, which then goes out with the trace so that others decide by it too. */
  private decideFresh(trace: LocalTrace, inherited: number, probability: number): Decision {
    const threshold = this.aim(probability)
    const drawn = draw(this.options.ids)
    trace.randomness = drawn
    if (!trace.reaches(threshold.high, threshold.low)) return Decision.dropped
    if (inherited === 1) return new Decision(true, true, 1 / threshold.probability, member(threshold, drawn))
    const joint = thresholdOf(threshold.probability * inherited)
    const spread = stretch(drawn, threshold, joint)
    trace.randomness = spread
    return new Decision(true, true, 1 / joint.probability, member(joint, spread))
  }

  private decideSpecial(trace: LocalTrace, root: Root, probability: number): Decision {
    const { late, tally } = root
    const said = this.decide(trace, root, probability)
    if (late === undefined) return new Decision(said.recorded, said.propagated, said.weight, said.member, tally)
    if (root.fresh) trace.randomness ??= draw(this.options.ids)
    const fallback: Verdict = said.recorded ? { weight: said.weight, traceState: trace.stateWith(said.member) } : undefined
    const held = late.holding.open(fallback, this.decideHeld(trace, late))
    return new Decision(true, said.propagated, said.weight, said.member, tally, held)
  }

  private decideHeld(trace: LocalTrace, late: Late): DecideHeld {
    return (span, isRoot, held) => {
      const answer = late.decide(span, isRoot, held)
      if (answer === "wait") return answer
      const verdict = answer === "fallback" ? held.fallback : verdictOf(trace, answer)
      if (held.spans !== undefined) held.tally?.add(verdict !== undefined, held.spans.length)
      return verdict
    }
  }

  /** A recorded span has ended. */
  end(span: SpanData, trace: LocalTrace, isRoot: boolean): void {
    this.ended++
    const { held } = trace.decision
    if (held === undefined) this.keep(span)
    else held.end(span, isRoot)
  }

  private keep(span: SpanData): void {
    this.kept++
    this.options.keep(span)
  }

  /** A span of a trace that is not kept has ended. */
  endUnrecorded(): void {
    this.ended++
    this.sampledOut++
  }

  /** Lets go of traces that have waited too long. */
  expire(): void {
    const now = this.options.now()
    for (const holding of this.holdings) holding.expire(now)
  }

  /** Decides all that is held by what is known. */
  close(): void {
    for (const holding of this.holdings) holding.close()
  }

  report(): SamplingReport {
    let held = 0
    let heldBytes = 0
    for (const holding of this.holdings) {
      held += holding.spans
      heldBytes += holding.bytes
    }
    return {
      sampler: (this.sampler ?? this.options.sampler()).description,
      ended: this.ended,
      kept: this.kept,
      sampledOut: this.sampledOut,
      held,
      heldBytes,
      decidedEarly: { ...this.early }
    }
  }
}

/** What a probability means for a trace that is held. */
const verdictOf = (trace: LocalTrace, probability: number): Verdict => {
  if (probability >= 1) return { weight: 1, traceState: trace.stateWith("") }
  if (!(probability > 0)) return undefined
  const threshold = thresholdOf(probability)
  if (!trace.reaches(threshold.high, threshold.low)) return undefined
  const { randomness } = trace
  const said = randomness === undefined ? `th:${threshold.text}` : member(threshold, randomness)
  return { weight: 1 / threshold.probability, traceState: trace.stateWith(said) }
}

const draw = (ids: IdGenerator): Randomness => ({ high: ids.next() & 0xffffff, low: ids.next() >>> 0 })

/** Randomness that is uniform over one threshold, made uniform over a lower probability's. */
const stretch = (drawn: Randomness, from: Threshold, to: Threshold): Randomness => {
  const base = (threshold: Threshold): number => threshold.high * 2 ** 32 + threshold.low
  const share = (base(drawn as Threshold) - base(from)) / (2 ** 56 - base(from))
  const value = base(to) + Math.floor(share * (2 ** 56 - base(to)))
  return { high: Math.floor(value / 2 ** 32), low: value % 2 ** 32 }
}

const member = (threshold: Threshold, { high, low }: Randomness): string =>
  `th:${threshold.text};rv:${high.toString(16).padStart(6, "0")}${low.toString(16).padStart(8, "0")}`
