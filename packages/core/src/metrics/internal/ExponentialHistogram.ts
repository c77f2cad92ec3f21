import type { ExponentialBuckets, ExponentialState } from "../MetricFrame.ts"

/** Finest resolution (OpenTelemetry metrics SDK, "Base2 Exponential Bucket Histogram Aggregation"). */
const maxScale = 20

/**
 * A distribution in base-2 exponential buckets (OpenTelemetry metrics data model, "ExponentialHistogram"): bucket `i` of scale `s`
 * holds `(base^i, base^(i+1)]` with `base = 2^(2^-s)`. It begins at the finest scale and halves its resolution whenever more than
 * `maxSize` buckets would be needed; counts are never lost.
 */
export class ExponentialHistogram {
  private readonly maxSize: number
  private readonly positive = new Buckets()
  private readonly negative = new Buckets()
  private scale = maxScale
  private zeroCount = 0

  constructor(maxSize: number) {
    this.maxSize = maxSize
  }

  /** `value` is finite. */
  add(value: number): void {
    if (value === 0) this.zeroCount++
    else this.put(value > 0 ? this.positive : this.negative, Math.abs(value))
  }

  private put(buckets: Buckets, magnitude: number): void {
    let index = bucketIndex(magnitude, this.scale)
    const low = Math.min(buckets.low, index)
    const high = Math.max(buckets.high, index)
    if (high - low >= this.maxSize) {
      const by = excess(low, high, this.maxSize)
      this.coarsen(by)
      index >>= by
    }
    buckets.add(index, 1)
  }

  private coarsen(by: number): void {
    if (by === 0) return
    this.scale -= by
    this.positive.coarsen(by)
    this.negative.coarsen(by)
  }

  /** Adds counts; the result has at most the coarser of both scales. */
  merge(state: ExponentialState): void {
    this.zeroCount += state.zeroCount
    let finer = state.scale - this.scale
    if (finer < 0) this.coarsen(-finer)
    finer = Math.max(finer, 0)
    for (const [buckets, added] of [[this.positive, state.positive], [this.negative, state.negative]] as const) {
      const { counts, offset } = added
      if (counts.length === 0) continue
      const low = Math.min(buckets.low, offset >> finer)
      const high = Math.max(buckets.high, (offset + counts.length - 1) >> finer)
      if (high - low < this.maxSize) continue
      const by = excess(low, high, this.maxSize)
      this.coarsen(by)
      finer += by
    }
    for (const [buckets, added] of [[this.positive, state.positive], [this.negative, state.negative]] as const) {
      for (let i = 0; i < added.counts.length; i++) {
        if (added.counts[i] !== 0) buckets.add((added.offset + i) >> finer, added.counts[i]!)
      }
    }
  }

  /** A copy of the counts. */
  state(): ExponentialState {
    return { scale: this.scale, zeroCount: this.zeroCount, positive: this.positive.state(), negative: this.negative.state() }
  }
}

/** How many halvings bring buckets `low` to `high` within `maxSize`. */
const excess = (low: number, high: number, maxSize: number): number => {
  let by = 0
  while ((high >> by) - (low >> by) >= maxSize) by++
  return by
}

const bits = new DataView(new ArrayBuffer(8))

/** The bucket of a positive, finite value. Subnormal values count as the least normal one. */
export const bucketIndex = (value: number, scale: number): number => {
  bits.setFloat64(0, value)
  const high = bits.getUint32(0)
  const subnormal = high >>> 20 === 0
  const exponent = subnormal ? -1022 : (high >>> 20) - 1023
  // A power of two is the inclusive upper bound of its bucket.
  const exact = subnormal || ((high & 0xfffff) === 0 && bits.getUint32(4) === 0)
  if (scale <= 0) return (exact ? exponent - 1 : exponent) >> -scale
  const perOctave = 2 ** scale
  if (exact) return exponent * perOctave - 1
  const within = Math.ceil(Math.log2(value / 2 ** exponent) * perOctave) - 1
  // Rounding of the logarithm must not lead out of the octave.
  return exponent * perOctave + Math.min(Math.max(within, 0), perOctave - 1)
}

class Buckets {
  /** Least and greatest bucket; `low > high` while empty. */
  low = Infinity
  high = -Infinity
  private counts = new Float64Array(0)
  /** The bucket of `counts[0]`. */
  private offset = 0

  add(index: number, count: number): void {
    if (index < this.offset || index >= this.offset + this.counts.length) this.move(Math.min(this.low, index), Math.max(this.high, index))
    if (index < this.low) this.low = index
    if (index > this.high) this.high = index
    this.counts[index - this.offset]! += count
  }

  coarsen(by: number): void {
    if (this.low > this.high) return
    const state = this.state()
    this.low = Infinity
    this.high = -Infinity
    this.counts = new Float64Array(0)
    for (let i = 0; i < state.counts.length; i++) if (state.counts[i] !== 0) this.add((state.offset + i) >> by, state.counts[i]!)
  }

  state(): ExponentialBuckets {
    return this.low > this.high
      ? none
      : { offset: this.low, counts: this.counts.slice(this.low - this.offset, this.high - this.offset + 1) }
  }

  private move(low: number, high: number): void {
    const span = high - low + 1
    const room = Math.max(8, 2 ** Math.ceil(Math.log2(span)))
    const offset = low - ((room - span) >> 1)
    const counts = new Float64Array(room)
    if (this.low <= this.high) counts.set(this.counts.subarray(this.low - this.offset, this.high - this.offset + 1), this.low - offset)
    this.counts = counts
    this.offset = offset
  }
}

const none: ExponentialBuckets = { offset: 0, counts: new Float64Array(0) }

/** What was added between two states of one histogram. */
export const increase = (now: ExponentialState, before: ExponentialState | undefined): ExponentialState => {
  if (before === undefined) return now
  // A histogram only ever becomes coarser.
  const by = before.scale - now.scale
  return {
    scale: now.scale,
    zeroCount: now.zeroCount - before.zeroCount,
    positive: minus(now.positive, before.positive, by),
    negative: minus(now.negative, before.negative, by)
  }
}

const minus = (now: ExponentialBuckets, before: ExponentialBuckets, by: number): ExponentialBuckets => {
  const counts = now.counts.slice()
  for (let i = 0; i < before.counts.length; i++) counts[((before.offset + i) >> by) - now.offset]! -= before.counts[i]!
  let start = 0
  let end = counts.length
  while (start < end && counts[start] === 0) start++
  while (end > start && counts[end - 1] === 0) end--
  return start === end ? none : { offset: now.offset + start, counts: counts.slice(start, end) }
}

export const isEmpty = ({ negative, positive, zeroCount }: ExponentialState): boolean =>
  zeroCount === 0 && positive.counts.length === 0 && negative.counts.length === 0

/** Two states as one of at most `maxSize` buckets per sign. */
export const merged = (one: ExponentialState, other: ExponentialState, maxSize: number): ExponentialState => {
  const both = new ExponentialHistogram(maxSize)
  both.merge(one)
  both.merge(other)
  return both.state()
}
