/**
 * Quantiles of a stream in bounded memory, within 1 % of the true value: logarithmic bins (the DDSketch scheme, Masson, Rim and
 * Lee, VLDB 2019) in arrays, so that a value costs one addition. The bound holds for values down to 10^-17 of the greatest; bins
 * below that are joined into the lowest one kept.
 */
export class QuantileSketch {
  /** Greatest relative error of a quantile. */
  static readonly accuracy = 0.01
  private static readonly gamma = (1 + QuantileSketch.accuracy) / (1 - QuantileSketch.accuracy)
  private static readonly scale = 1 / Math.log(QuantileSketch.gamma)
  /** Magnitudes below it count as zero. */
  private static readonly tiny = 1e-300

  private readonly positive = new Bins()
  private readonly negative = new Bins()
  private zeros = 0
  private min = Infinity
  private max = -Infinity
  count = 0

  add(value: number): void {
    this.count++
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
    if (value > QuantileSketch.tiny) this.positive.add(QuantileSketch.key(value), 1)
    else if (value < -QuantileSketch.tiny) this.negative.add(QuantileSketch.key(-value), 1)
    else this.zeros++
  }

  /** Adds all that another sketch holds; the error stays the same. */
  merge(other: QuantileSketch): void {
    this.count += other.count
    this.zeros += other.zeros
    this.min = Math.min(this.min, other.min)
    this.max = Math.max(this.max, other.max)
    this.positive.merge(other.positive)
    this.negative.merge(other.negative)
  }

  clear(): void {
    this.count = 0
    this.zeros = 0
    this.min = Infinity
    this.max = -Infinity
    this.positive.clear()
    this.negative.clear()
  }

  /** The value at quantile `q` (0 to 1); NaN while empty. */
  quantile(q: number): number {
    if (this.count === 0) return NaN
    const rank = Math.floor(Math.min(Math.max(q, 0), 1) * (this.count - 1))
    // Adding 0 makes 0 of -0.
    return Math.min(Math.max(this.at(rank), this.min), this.max) + 0
  }

  private at(rank: number): number {
    const { negative, positive } = this
    for (let key = negative.high; key >= negative.low; key--) {
      rank -= negative.at(key)
      if (rank < 0) return -QuantileSketch.middle(key)
    }
    rank -= this.zeros
    if (rank < 0) return 0
    for (let key = positive.low; key <= positive.high; key++) {
      rank -= positive.at(key)
      if (rank < 0) return QuantileSketch.middle(key)
    }
    return this.max
  }

  private static key(value: number): number {
    return Math.ceil(Math.log(value) * QuantileSketch.scale)
  }

  private static middle(key: number): number {
    return (2 * Math.pow(QuantileSketch.gamma, key)) / (QuantileSketch.gamma + 1)
  }
}

/** Bins kept for certain; up to twice as many are held, so that joining is rare. */
const maxBins = 2048

/** Counts by key, in an array that covers the keys seen. */
class Bins {
  /** Least and greatest key; `low > high` while empty. */
  low = Infinity
  high = -Infinity
  private counts = new Float64Array(0)
  /** The key of `counts[0]`. */
  private offset = 0

  at(key: number): number {
    return this.counts[key - this.offset]!
  }

  add(key: number, count: number): void {
    const i = key - this.offset
    if (i >= 0 && i < this.counts.length && key >= this.low && key <= this.high) this.counts[i]! += count
    else this.extend(key, count)
  }

  merge(other: Bins): void {
    // From the top: what must be joined is then known before it is added.
    for (let key = other.high; key >= other.low; key--) {
      const count = other.at(key)
      if (count > 0) this.add(key, count)
    }
  }

  clear(): void {
    this.counts.fill(0)
    this.low = Infinity
    this.high = -Infinity
  }

  private extend(key: number, count: number): void {
    const high = Math.max(this.high, key)
    let low = Math.min(this.low, key)
    if (high - low >= 2 * maxBins) low = Math.max(low, high - maxBins + 1)
    const last = this.offset + this.counts.length - 1
    if (low < this.offset || high > last || low > this.low) this.move(low, high, key < low || key < this.low)
    this.low = low
    this.high = high
    this.counts[Math.max(key, low) - this.offset]! += count
  }

  /** Lays the bins out anew for keys from `low` to `high`, with the spare room where they grow; those below `low` are joined into it. */
  private move(low: number, high: number, down: boolean): void {
    const span = high - low + 1
    const room = Math.min(Math.max(64, 2 ** Math.ceil(Math.log2(span))), 2 * maxBins)
    const offset = down ? high - room + 1 : low
    const counts = new Float64Array(room)
    for (let key = this.low; key <= this.high; key++) counts[Math.max(key, low) - offset]! += this.at(key)
    this.counts = counts
    this.offset = offset
  }
}

/** What a summary asks of its distribution. */
export interface Quantiles {
  readonly add: (value: number) => void
  readonly quantile: (q: number) => number
}

/**
 * Quantiles of the last `maxAge` milliseconds: a ring of sketches, each for one part of the time. What is read covers between
 * `(parts - 1) / parts` and all of it.
 */
export class SlidingSketch implements Quantiles {
  private readonly parts: ReadonlyArray<QuantileSketch>
  private readonly span: number
  private readonly now: () => number
  /** Number of the part of time that is written to now, counted from the clock's zero. */
  private current: number
  /** All parts as one, made when asked for. */
  private whole: QuantileSketch | undefined

  /** `now` is monotonic milliseconds. */
  constructor(maxAge: number, parts: number, now: () => number) {
    this.parts = Array.from({ length: parts }, () => new QuantileSketch())
    this.span = maxAge / parts
    this.now = now
    this.current = Math.floor(now() / this.span)
  }

  add(value: number): void {
    this.turn()
    this.parts[this.current % this.parts.length]!.add(value)
    this.whole = undefined
  }

  quantile(q: number): number {
    this.turn()
    if (this.whole === undefined) {
      this.whole = new QuantileSketch()
      for (const part of this.parts) if (part.count > 0) this.whole.merge(part)
    }
    return this.whole.quantile(q)
  }

  /** Empties the parts whose time is over. */
  private turn(): void {
    const current = Math.floor(this.now() / this.span)
    if (current <= this.current) return
    const n = this.parts.length
    for (let part = Math.max(this.current + 1, current - n + 1); part <= current; part++) this.parts[part % n]!.clear()
    this.current = current
    this.whole = undefined
  }
}
