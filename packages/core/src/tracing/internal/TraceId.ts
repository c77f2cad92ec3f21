import type { IdGenerator } from "../IdGenerator.ts"

const bytes: ReadonlyArray<string> = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** A 32-bit word as eight lower-case hex digits. */
export const hex = (word: number): string =>
  bytes[word >>> 24]! + bytes[(word >>> 16) & 255]! + bytes[(word >>> 8) & 255]! + bytes[word & 255]!

/**
 * What all spans of a trace in this process share: the id, kept as numbers until somebody reads it, and the `tracestate` that
 * came with it.
 */
export class TraceId {
  private readonly w0: number
  private readonly w1: number
  private readonly w2: number
  private readonly w3: number
  private text: string | undefined
  /** W3C `tracestate` of the caller, checked; empty when there was none. */
  readonly state: string

  constructor(w0: number, w1: number, w2: number, w3: number, text: string | undefined, state: string) {
    this.w0 = w0
    this.w1 = w1
    this.w2 = w2
    this.w3 = w3
    this.text = text
    this.state = state
  }

  static random(ids: IdGenerator): TraceId {
    const w0 = ids.next()
    const w1 = ids.next()
    const w2 = ids.next()
    const w3 = ids.next()
    // All zero is the one invalid id (W3C Trace Context, 3.2.2.3).
    return new TraceId(w0, w1, w2, (w0 | w1 | w2 | w3) === 0 ? 1 : w3, undefined, "")
  }

  /** A trace that began elsewhere; `text` is 32 lower-case hex digits. Whether it is sampled was decided there. */
  static remote(text: string, state: string): TraceId {
    return new TraceId(0, 0, 0, 0, text, state)
  }

  get hex(): string {
    return this.text ??= hex(this.w0) + hex(this.w1) + hex(this.w2) + hex(this.w3)
  }

  /**
   * Whether the trace's randomness (its low 56 bits, W3C Trace Context level 2, 3.2.2.3) reaches a threshold given as its high
   * 24 and low 32 bits.
   */
  reaches(high: number, low: number): boolean {
    const top = this.w2 & 0xffffff
    return top > high || (top === high && (this.w3 >>> 0) >= low)
  }
}
