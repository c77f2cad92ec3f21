/** Bins per doubling: durations within 0.14 % of each other count as equal. */
const binsPerOctave = 512
/** Bins come in pages that exist once they are used: an operation uses some ten of 512 bytes. */
const pageBits = 7
const pageSize = 1 << pageBits
/** Shorter than a microsecond, or longer than 1.6 days, is all the same. */
const lowestBin = 10 * binsPerOctave
const highestBin = 47 * binsPerOctave

/**
 * Tells which durations of a stream lie over one of its quantiles, in bounded memory and constant time: logarithmic bins, and a line
 * between bins that moves as they fill. The line lies a little below the quantile, by as much as a sample of this size may
 * err (four standard deviations), so that what is over the true quantile is over the line too.
 *
 * Of durations that are all alike none is slow. Two windows count, the present and the last: `turn` begins a new one.
 */
export class SlowLine {
  private readonly share: number
  private readonly pages: Array<Uint32Array | undefined> = []
  private readonly lastPages: Array<Uint32Array | undefined> = []
  private count = 0
  private lastCount = 0
  /** The lowest bin over the line, and how many durations are in it and above. */
  private line = 0
  private over = 0
  private lowest = Infinity

  /** `quantile` is above 0 and below 1. */
  constructor(quantile: number) {
    this.share = 1 - quantile
  }

  /** Counts a duration; whether it is slow. */
  add(nanos: number): boolean {
    const bin = binOf(nanos)
    const page = this.pages[bin >>> pageBits] ??= new Uint32Array(pageSize)
    page[bin & (pageSize - 1)]!++
    this.count++
    if (bin < this.lowest) this.lowest = bin
    if (bin >= this.line) this.over++
    this.move()
    return bin >= this.line
  }

  turn(): void {
    const highest = Math.max(this.pages.length, this.lastPages.length) * pageSize
    for (let i = 0; i < Math.max(this.pages.length, this.lastPages.length); i++) {
      this.lastPages[i] = this.pages[i]
      this.pages[i] = undefined
    }
    this.lastCount = this.count
    this.count = 0
    this.line = highest
    this.over = 0
    this.move()
  }

  private move(): void {
    const expected = this.share * (this.count + this.lastCount)
    const allowed = expected + 4 * Math.sqrt(expected) + 4
    while (this.over > allowed) this.over -= this.at(this.line++)
    while (this.line > this.lowest) {
      const below = this.at(this.line - 1)
      if (this.over + below > allowed) break
      this.over += below
      this.line--
    }
  }

  private at(bin: number): number {
    const page = bin >>> pageBits
    const within = bin & (pageSize - 1)
    return (this.pages[page]?.[within] ?? 0) + (this.lastPages[page]?.[within] ?? 0)
  }
}

const binOf = (nanos: number): number =>
  nanos > 1 ? Math.min(highestBin, Math.max(lowestBin, Math.floor(Math.log2(nanos) * binsPerOctave))) - lowestBin : 0
