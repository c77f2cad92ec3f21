// Observations of one interval as values with counts, so that count and sum survive whatever was kept of the values themselves.

/** `count` observations of `value`. */
export interface Weighted {
  readonly value: number
  readonly count: number
}

/** What a frame says of a histogram's interval. Bounds are inclusive upper ones; `least` and `greatest` may be `NaN`. */
export interface Interval {
  readonly bounds: ReadonlyArray<number>
  /** One per bound and one above. */
  readonly buckets: ArrayLike<number>
  readonly count: number
  readonly sum: number
  readonly least: number
  readonly greatest: number
}

/** So few values are sent as they are; more are joined where Datadog's sketch would put them together anyway. */
const fewValues = 256

/** Relative width of a bin of Datadog's sketch (datadog-agent, `pkg/quantile`, `defaultEps` 1/128: gamma = 1 + 2 eps). */
const logGamma = Math.log1p(1 / 64)

/**
 * Values with counts whose counts add up to the interval's exactly and whose sum is the interval's, within rounding. `values` are those of the
 * observations that were kept; the others stand in their buckets, placed so that the sum comes out.
 */
export const weighted = (interval: Interval, values: ReadonlyArray<number>): ReadonlyArray<Weighted> => {
  const kept = values.length <= interval.count ? values : values.slice(0, interval.count)
  const out = kept.length <= fewValues ? kept.map((value) => ({ value, count: 1 })) : binned(kept)
  if (kept.length < interval.count) out.push(...remainder(interval, kept))
  return out
}

const binned = (values: ReadonlyArray<number>): Array<Weighted> => {
  let least = 0
  let greatest = 0
  for (let i = 1; i < values.length; i++) {
    if (values[i]! < values[least]!) least = i
    if (values[i]! >= values[greatest]!) greatest = i
  }
  const bins = new Map<number, { count: number; sum: number }>()
  for (let i = 0; i < values.length; i++) {
    if (i === least || i === greatest) continue
    const value = values[i]!
    const key = binOf(value)
    const bin = bins.get(key)
    if (bin === undefined) bins.set(key, { count: 1, sum: value })
    else {
      bin.count++
      bin.sum += value
    }
  }
  // The extremes go alone: they are shown as they were.
  const out: Array<Weighted> = [{ value: values[least]!, count: 1 }]
  if (greatest !== least) out.push({ value: values[greatest]!, count: 1 })
  for (const { count, sum } of bins.values()) {
    // A mean that overflows is no mean; it lies in a bin of one width.
    const mean = sum / count
    out.push({ value: Number.isFinite(mean) ? mean : Math.sign(sum) * Number.MAX_VALUE, count })
  }
  return out
}

/** A whole number for each bin; 0 for zero. */
const binOf = (value: number): number => {
  if (value === 0) return 0
  const at = Math.round(Math.log(Math.abs(value)) / logGamma) + 100_000
  return value > 0 ? at : -at
}

const remainder = (interval: Interval, kept: ReadonlyArray<number>): ReadonlyArray<Weighted> => {
  const { bounds } = interval
  const open = Array.from(interval.buckets)
  let sum = interval.sum
  let sawLeast = false
  let sawGreatest = false
  for (const value of kept) {
    open[bucketOf(bounds, value)]! -= 1
    sum -= value
    sawLeast ||= value === interval.least
    sawGreatest ||= value === interval.greatest
  }
  const out: Array<Weighted> = []
  const alone = (value: number): void => {
    const at = bucketOf(bounds, value)
    if (!(open[at]! >= 1)) return
    open[at]! -= 1
    sum -= value
    out.push({ value, count: 1 })
  }
  if (!sawLeast && Number.isFinite(interval.least)) alone(interval.least)
  if (!sawGreatest && Number.isFinite(interval.greatest) && interval.greatest !== interval.least) alone(interval.greatest)
  return [...out, ...placed(interval, open, sum)]
}

/** Each bucket's observations at one value, the same share of the way up in all of them, so that they add up to `sum`. */
const placed = ({ bounds, greatest, least }: Interval, open: ReadonlyArray<number>, sum: number): ReadonlyArray<Weighted> => {
  const used: Array<{ low: number; high: number; count: number }> = []
  for (let i = 0; i <= bounds.length; i++) {
    const count = Math.round(open[i]!)
    if (count <= 0) continue
    const top = bounds[i] ?? Infinity
    const bottom = bounds[i - 1] ?? -Infinity
    used.push({ low: Number.isFinite(least) ? Math.max(bottom, Math.min(least, top)) : bottom, high: Number.isFinite(greatest) ? Math.min(top, Math.max(greatest, bottom)) : top, count })
  }
  if (used.length === 0) return []
  // The ends that nothing bounds are where the sum wants them.
  const first = used[0]!
  const last = used.at(-1)!
  if (first.low === -Infinity) {
    const others = used.reduce((total, bucket) => bucket === first ? total : total + bucket.count * (Number.isFinite(bucket.high) ? bucket.high : bucket.low), 0)
    first.low = Math.min(first.high === Infinity ? sum / first.count : Math.min(0, first.high), (sum - others) / first.count)
  }
  if (last.high === Infinity) {
    const others = used.reduce((total, bucket) => bucket === last ? total : total + bucket.count * bucket.low, 0)
    last.high = Math.max(last.low, (sum - others) / last.count)
  }
  const lowest = used.reduce((total, { count, low }) => total + count * low, 0)
  const highest = used.reduce((total, { count, high }) => total + count * high, 0)
  const share = highest > lowest ? Math.min(1, Math.max(0, (sum - lowest) / (highest - lowest))) : 0
  return used.map(({ count, high, low }) => {
    const value = Math.max(low, Math.min(high, low + share * (high - low)))
    // A sum that has overflowed says nothing of where: the count still holds.
    return { value: [value, low, high].find(Number.isFinite) ?? 0, count }
  })
}

const bucketOf = (bounds: ReadonlyArray<number>, value: number): number => {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (value <= bounds[middle]!) high = middle
    else low = middle + 1
  }
  return low
}

/**
 * The sample rate that stands for `count` observations: its inverse is `count`, rounded down and to the nearest alike (the agent rounds down).
 */
export const rateOf = (count: number): number => {
  let rate = 1 / count
  while (1 / rate < count) rate -= rate * 1.2e-16
  return rate
}
