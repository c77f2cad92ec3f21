import type { IdGenerator } from "../IdGenerator.ts"

const digits = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0))

/**
 * Two 32-bit words as 16 lower-case hex digits. One call with every digit makes one flat string; joining pieces makes several
 * and takes twice the time.
 */
export const hex16 = (a: number, b: number): string =>
  String.fromCharCode(
    digits[a >>> 28]!, digits[(a >>> 24) & 15]!, digits[(a >>> 20) & 15]!, digits[(a >>> 16) & 15]!,
    digits[(a >>> 12) & 15]!, digits[(a >>> 8) & 15]!, digits[(a >>> 4) & 15]!, digits[a & 15]!,
    digits[b >>> 28]!, digits[(b >>> 24) & 15]!, digits[(b >>> 20) & 15]!, digits[(b >>> 16) & 15]!,
    digits[(b >>> 12) & 15]!, digits[(b >>> 8) & 15]!, digits[(b >>> 4) & 15]!, digits[b & 15]!
  )

/** Four 32-bit words as 32 lower-case hex digits. */
export const hex32 = (a: number, b: number, c: number, d: number): string =>
  String.fromCharCode(
    digits[a >>> 28]!, digits[(a >>> 24) & 15]!, digits[(a >>> 20) & 15]!, digits[(a >>> 16) & 15]!,
    digits[(a >>> 12) & 15]!, digits[(a >>> 8) & 15]!, digits[(a >>> 4) & 15]!, digits[a & 15]!,
    digits[b >>> 28]!, digits[(b >>> 24) & 15]!, digits[(b >>> 20) & 15]!, digits[(b >>> 16) & 15]!,
    digits[(b >>> 12) & 15]!, digits[(b >>> 8) & 15]!, digits[(b >>> 4) & 15]!, digits[b & 15]!,
    digits[c >>> 28]!, digits[(c >>> 24) & 15]!, digits[(c >>> 20) & 15]!, digits[(c >>> 16) & 15]!,
    digits[(c >>> 12) & 15]!, digits[(c >>> 8) & 15]!, digits[(c >>> 4) & 15]!, digits[c & 15]!,
    digits[d >>> 28]!, digits[(d >>> 24) & 15]!, digits[(d >>> 20) & 15]!, digits[(d >>> 16) & 15]!,
    digits[(d >>> 12) & 15]!, digits[(d >>> 8) & 15]!, digits[(d >>> 4) & 15]!, digits[d & 15]!
  )

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
    return this.text ??= hex32(this.w0, this.w1, this.w2, this.w3)
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
