import type { IdGenerator } from "../IdGenerator.ts"
import { editTracestate } from "../sampling/internal/tracestate.ts"
import { Decision } from "./Decision.ts"
import { hex32 } from "./hex.ts"

/** 56 random bits as their high 24 and low 32; the trace's own are the low ones of its id. */
export interface Randomness {
  readonly high: number
  readonly low: number
}

/**
 * What all spans of a trace in this process share: the id, kept as numbers until somebody reads it, the `tracestate` that came with
 * it, and what was decided about keeping it.
 */
export class LocalTrace {
  private readonly w0: number
  private readonly w1: number
  private readonly w2: number
  private readonly w3: number
  private text: string | undefined
  /** W3C `tracestate` of the caller, checked; empty when there was none. */
  readonly incoming: string
  /** Set when the trace begins here; until then nothing of it is recorded. */
  decision: Decision = Decision.undecided
  /** Stands for the id's own bits where the caller chose those, or sent others. */
  randomness: Randomness | undefined = undefined
  /** Whether the caller said that the id is random; passed on. */
  random = false

  constructor(w0: number, w1: number, w2: number, w3: number, text: string | undefined, incoming: string) {
    this.w0 = w0
    this.w1 = w1
    this.w2 = w2
    this.w3 = w3
    this.text = text
    this.incoming = incoming
  }

  static random(ids: IdGenerator): LocalTrace {
    const w0 = ids.next()
    const w1 = ids.next()
    const w2 = ids.next()
    const w3 = ids.next()
    // All zero is the one invalid id (W3C Trace Context, 3.2.2.3).
    return new LocalTrace(w0, w1, w2, (w0 | w1 | w2 | w3) === 0 ? 1 : w3, undefined, "")
  }

  /** A trace that began elsewhere; `text` is 32 lower-case hex digits. */
  static remote(text: string, state: string, random = false): LocalTrace {
    const trace = new LocalTrace(0, 0, Number.parseInt(text.slice(16, 24), 16), Number.parseInt(text.slice(24), 16), text, state)
    trace.random = random
    return trace
  }

  get hex(): string {
    return this.text ??= hex32(this.w0, this.w1, this.w2, this.w3)
  }

  /** The `tracestate` that leaves with the trace: the caller's, with our sampling threshold in it. */
  get state(): string {
    return this.stateWith(this.decision.member)
  }

  /** As `state`, for another decision. */
  stateWith(member: string | undefined): string {
    return member === undefined ? this.incoming : editTracestate(this.incoming, member)
  }

  /**
   * Whether the trace's randomness (the low 56 bits of its id, W3C Trace Context level 2, 3.2.2.3) reaches a threshold given as its
   * high 24 and low 32 bits.
   */
  reaches(high: number, low: number): boolean {
    const { randomness } = this
    const top = randomness === undefined ? this.w2 & 0xffffff : randomness.high
    return top > high || (top === high && (randomness === undefined ? this.w3 >>> 0 : randomness.low) >= low)
  }
}
