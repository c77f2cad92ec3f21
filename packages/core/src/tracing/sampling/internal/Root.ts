import type { SpanData, SpanKind } from "../../SpanData.ts"
import type { Held, Holding, HoldingOptions } from "./Holding.ts"
import type { Tally } from "./Shares.ts"

/** The first span of a trace in this process, as a sampler sees it when it begins: attributes and route do not exist yet. */
export interface RootSpan {
  readonly name: string
  readonly kind: SpanKind
  /** What the caller in another process said; `"none"` when the trace begins here. */
  readonly parent: "none" | "sampled" | "not_sampled"
}

/** The root a sampler is asked about, with room for what it says beyond a probability. One object serves all traces. */
export class Root implements RootSpan {
  name = ""
  kind: SpanKind = "internal"
  parent: RootSpan["parent"] = "none"
  /** With which probability the caller kept the trace, as far as it said so. */
  carried = 1
  /** Answer: the caller's decision is followed, so that a kept trace stands for all those its caller saw. */
  inherits = false
  /** Answer: the trace id must not decide, because somebody else chose it. */
  fresh = false
  /** Answer: where the spans of the trace are counted. */
  tally: Tally | undefined = undefined
  /** Answer: who wants to see the trace before it is decided. */
  late: Late | undefined = undefined

  begin(name: string, kind: SpanKind, parent: RootSpan["parent"], carried: number): void {
    this.name = name
    this.kind = kind
    this.parent = parent
    this.carried = carried
    this.inherits = false
    this.fresh = false
    this.tally = undefined
    this.late = undefined
  }
}

/** A decision about what is already held: a probability of its own, or `"wait"`, or `"fallback"` to what was said at the beginning. */
export interface Late {
  readonly holding: Holding
  readonly decide: (span: SpanData, isRoot: boolean, held: Held) => number | "wait" | "fallback"
}

/** What a sampler at work may use. */
export interface SamplingEnvironment {
  /** Milliseconds that never fall. */
  readonly now: () => number
  readonly hold: (options: HoldingOptions) => Holding
}

/** With which probability a trace is kept, 0 to 1. */
export type Decide = (root: Root) => number
