import type { SpanData } from "../../SpanData.ts"
import type { Tally } from "./Shares.ts"

/** Why held spans were not kept, or no longer held. */
export type Release = "decided" | "overflow" | "expired" | "shutdown"

/** The spans of one trace that wait for a decision, and after it the way for those that come late. */
export class Held {
  readonly holding: Holding
  /** What is done with the trace if nothing more becomes known. */
  readonly fallback: Verdict
  readonly decide: Decide
  readonly since: number
  spans: Array<SpanData> | undefined = []
  bytes = 0
  /** Whether any of its spans has failed so far. */
  failed = false
  /** Where a sampler that decides at the end counts the spans. */
  tally: Tally | undefined = undefined
  verdict: Verdict | undefined = undefined

  constructor(holding: Holding, fallback: Verdict, decide: Decide, since: number) {
    this.holding = holding
    this.fallback = fallback
    this.decide = decide
    this.since = since
  }

  /** Takes an ended span; `isRoot` when it is the one the trace waits for. */
  end(span: SpanData, isRoot: boolean): void {
    this.holding.end(this, span, isRoot)
  }

  /** A span as the verdict on its trace wants it; `undefined` when the trace is dropped or still undecided. */
  judged(span: SpanData): SpanData | undefined {
    const { verdict } = this
    if (verdict === undefined) return undefined
    const { traceState, weight } = verdict
    return span.weight === weight && span.traceState === traceState ? span : { ...span, weight, traceState }
  }

  /** The root of this trace will not end: nothing can be learnt from it any more. */
  abandon(): void {
    this.holding.settle(this, this.fallback, "decided")
  }
}

/** What becomes of a trace: `undefined` drops it. */
export type Verdict = { readonly weight: number; readonly traceState: string } | undefined

/** Looks at an ended span of a trace, the root last of all it waits for: a verdict about the trace, or `"wait"`. */
export type Decide = (span: SpanData, isRoot: boolean, held: Held) => Verdict | "wait"

export interface HoldingOptions {
  readonly maxBytes: number
  readonly maxTraces: number
  /** Milliseconds. */
  readonly maxAge: number
}

export interface HoldingEnvironment {
  /** Milliseconds that never fall. */
  readonly now: () => number
  readonly weigh: (span: SpanData) => number
  readonly keep: (span: SpanData) => void
  /** Spans given up. */
  readonly drop: (count: number) => void
  /** A trace was decided early. */
  readonly early: (reason: Exclude<Release, "decided">) => void
}

/** Bytes a held trace costs before its first span. */
const traceBytes = 200

/**
 * Spans held until their trace is decided, in bounded memory. Past a bound the oldest trace is decided by what is known, and counted;
 * a trace stays whole in every case, since spans that end later follow its verdict.
 */
export class Holding {
  private readonly options: HoldingOptions
  private readonly environment: HoldingEnvironment
  /** Oldest first. */
  private readonly traces = new Set<Held>()
  private held = 0
  private count = 0

  constructor(options: HoldingOptions, environment: HoldingEnvironment) {
    this.options = options
    this.environment = environment
  }

  /** Bytes and spans held. */
  get bytes(): number {
    return this.held
  }
  get spans(): number {
    return this.count
  }

  open(fallback: Verdict, decide: Decide): Held {
    const now = this.environment.now()
    this.expire(now)
    const held = new Held(this, fallback, decide, now)
    this.traces.add(held)
    held.bytes = traceBytes
    this.held += traceBytes
    this.bound()
    return held
  }

  end(held: Held, span: SpanData, isRoot: boolean): void {
    if (span.status === "error") held.failed = true
    if (held.spans === undefined) {
      // Statistics still want to see the root.
      if (isRoot) held.decide(span, true, held)
      this.release(held, span)
      return
    }
    this.expire(this.environment.now())
    // That may have been its own turn.
    if (held.spans === undefined) return this.release(held, span)
    held.spans.push(span)
    const bytes = this.environment.weigh(span)
    held.bytes += bytes
    this.held += bytes
    this.count++
    const verdict = held.decide(span, isRoot, held)
    if (verdict !== "wait") this.settle(held, verdict, "decided")
    else this.bound()
  }

  /** Decides every trace that has waited too long. */
  expire(now: number): void {
    for (const held of this.traces) {
      if (now - held.since < this.options.maxAge) return
      this.settle(held, held.fallback, "expired")
    }
  }

  /** Decides all of them by what is known: nobody will listen any more. */
  close(): void {
    for (const held of this.traces) this.settle(held, held.fallback, "shutdown")
  }

  settle(held: Held, verdict: Verdict, release: Release): void {
    const { spans } = held
    if (spans === undefined) return
    this.traces.delete(held)
    this.held -= held.bytes
    this.count -= spans.length
    held.spans = undefined
    held.verdict = verdict
    if (release !== "decided") this.environment.early(release)
    if (verdict === undefined) this.environment.drop(spans.length)
    else for (const span of spans) this.release(held, span)
  }

  private release(held: Held, span: SpanData): void {
    const kept = held.judged(span)
    if (kept === undefined) this.environment.drop(1)
    else this.environment.keep(kept)
  }

  private bound(): void {
    const { maxBytes, maxTraces } = this.options
    while (this.held > maxBytes || this.traces.size > maxTraces) {
      const oldest = this.traces.values().next()
      if (oldest.done === true) return
      this.settle(oldest.value, oldest.value.fallback, "overflow")
    }
  }
}
