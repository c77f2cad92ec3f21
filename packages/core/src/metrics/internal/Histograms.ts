import type { ExponentialState, HistogramColumn, Series, SeriesExponential } from "../MetricFrame.ts"
import { enlarged, gather, grown, increase, resized } from "./arrays.ts"
import { Column } from "./Column.ts"
import { unwanted } from "./Exemplars.ts"
import { ExponentialHistogram, increase as increaseOf, isEmpty } from "./ExponentialHistogram.ts"
import type { Slot } from "./Slot.ts"

/** Counts per bucket, sum, least and greatest value per series. Arrays are replaced as those of `Scalars`. */
export class Histograms extends Column {
  buckets = new Float64Array(256)
  /** Whether a bucket's exemplar is due. */
  due = new Uint8Array(256)
  /** Where the buckets of a series begin. */
  offsets = new Uint32Array(16)
  sums = new Float64Array(16)
  /** Least and greatest value since any reader took a frame. */
  mins = new Float64Array(16).fill(NaN)
  maxs = new Float64Array(16).fill(NaN)
  /** For series whose definition asks for one. */
  readonly exponentials = new Map<Series, ExponentialHistogram>()
  private used = 0
  private readonly readers = new Set<HistogramReader>()

  add(slot: Slot, exemplars: boolean): void {
    const size = slot.definition.buckets!.length + 1
    while (this.used + size > this.buckets.length) {
      this.buckets = grown(this.buckets)
      this.due = enlarged(this.due, this.buckets.length)
    }
    if (!exemplars) this.due.fill(unwanted, this.used, this.used + size)
    if (slot.index === this.offsets.length) {
      const offsets = new Uint32Array(this.offsets.length * 2)
      offsets.set(this.offsets)
      this.offsets = offsets
      this.sums = grown(this.sums)
      this.mins = grown(this.mins, NaN)
      this.maxs = grown(this.maxs, NaN)
    }
    this.offsets[slot.index] = this.used
    this.used += size
    this.push(slot)
    const { exponential } = slot.definition
    if (exponential !== undefined) this.exponentials.set(slot, new ExponentialHistogram(exponential.maxSize))
  }

  /** Where the bucket is that `value` went into. */
  observe(index: number, bounds: ReadonlyArray<number>, value: number): number {
    const at = this.offsets[index]! + bucketOf(bounds, value)
    this.buckets[at]! += 1
    this.sums[index]! += value
    // Written so that NaN (nothing seen yet) gives way.
    if (!(value >= this.mins[index]!)) this.mins[index] = value
    if (!(value <= this.maxs[index]!)) this.maxs[index] = value
    return at
  }

  /** Adds what was counted elsewhere, over the same bounds. */
  absorb(index: number, buckets: ArrayLike<number>, sum: number): void {
    const start = this.offsets[index]!
    for (let i = 0; i < buckets.length; i++) this.buckets[start + i]! += buckets[i]!
    this.sums[index]! += sum
  }

  count(series: Series): number {
    return series.index < 0 ? NaN : this.countAt(series.index, series)
  }

  protected activity(at: number): number {
    return this.countAt(at, this.series[at]!)
  }

  private countAt(at: number, series: Series): number {
    const start = this.offsets[at]!
    const end = start + series.definition.buckets!.length + 1
    let sum = 0
    for (let i = start; i < end; i++) sum += this.buckets[i]!
    return sum
  }

  reader(): HistogramReader {
    const reader = new HistogramReader(this, () => this.readers.delete(reader))
    this.readers.add(reader)
    return reader
  }

  protected move(keep: Uint32Array): void {
    const { series } = this
    const offsets = new Uint32Array(Math.max(16, keep.length * 2))
    let used = 0
    for (let to = 0; to < keep.length; to++) {
      offsets[to] = used
      used += series[keep[to]!]!.definition.buckets!.length + 1
    }
    const buckets = new Uint32Array(used)
    const due = new Uint8Array(Math.max(16, used * 2))
    for (let to = 0; to < keep.length; to++) {
      const shift = this.offsets[keep[to]!]! - offsets[to]!
      const end = to + 1 < keep.length ? offsets[to + 1]! : used
      for (let at = offsets[to]!; at < end; at++) {
        buckets[at] = at + shift
        // All are due again that may ever be: the window is opened before a compaction.
        due[at] = this.due[at + shift]!
      }
    }
    this.buckets = gather(this.buckets, buckets)
    this.due = due
    this.offsets = offsets
    this.used = used
    this.sums = gather(this.sums, keep)
    this.mins = gather(this.mins, keep, NaN)
    this.maxs = gather(this.maxs, keep, NaN)
    for (const reader of this.readers) reader.move(keep, buckets)
  }

  /** Hands the extremes seen since the last frame to every reader: each has its own interval. */
  settleExtremes(): void {
    const n = this.series.length
    for (const reader of this.readers) reader.widen(this.mins, this.maxs, n)
    this.mins.fill(NaN, 0, n)
    this.maxs.fill(NaN, 0, n)
  }

  get bucketsUsed(): number {
    return this.used
  }
}

export class HistogramReader {
  readonly close: () => void
  private readonly column: Histograms
  private buckets = new Float64Array(0)
  private sums = new Float64Array(0)
  private mins = new Float64Array(0)
  private maxs = new Float64Array(0)
  private readonly exponentials = new WeakMap<Series, ExponentialState>()

  constructor(column: Histograms, close: () => void) {
    this.column = column
    this.close = close
  }

  widen(mins: Float64Array, maxs: Float64Array, n: number): void {
    if (this.mins.length < n) {
      this.mins = resized(this.mins, mins.length, NaN)
      this.maxs = resized(this.maxs, maxs.length, NaN)
    }
    for (let i = 0; i < n; i++) {
      const min = mins[i]!
      if (min !== min) continue
      if (!(this.mins[i]! <= min)) this.mins[i] = min
      if (!(this.maxs[i]! >= maxs[i]!)) this.maxs[i] = maxs[i]!
    }
  }

  take(): HistogramColumn {
    const { column } = this
    column.settleExtremes()
    const n = column.series.length
    const buckets = increase(column.buckets, this.buckets, column.bucketsUsed)
    this.buckets = column.buckets.slice(0, column.bucketsUsed)
    const sums = increase(column.sums, this.sums, n)
    this.sums = column.sums.slice(0, n)
    const mins = resized(this.mins, n, NaN)
    const maxs = resized(this.maxs, n, NaN)
    this.mins.fill(NaN)
    this.maxs.fill(NaN)
    const offsets = column.offsets.slice(0, n)
    const counts = new Float64Array(n)
    for (let i = 0; i < n; i++) {
      const end = i + 1 < n ? offsets[i + 1]! : column.bucketsUsed
      let count = 0
      for (let b = offsets[i]!; b < end; b++) count += buckets[b]!
      counts[i] = count
    }
    return { series: column.list(), offsets, buckets, counts, sums, mins, maxs, exponentials: this.takeExponentials() }
  }

  private takeExponentials(): ReadonlyArray<SeriesExponential> {
    const taken: Array<SeriesExponential> = []
    for (const [series, histogram] of this.column.exponentials) {
      const now = histogram.state()
      const added = increaseOf(now, this.exponentials.get(series))
      this.exponentials.set(series, now)
      if (!isEmpty(added)) taken.push({ series, ...added })
    }
    return taken
  }

  move(keep: Uint32Array, buckets: Uint32Array): void {
    this.buckets = gather(this.buckets, buckets)
    this.sums = gather(this.sums, keep)
    this.mins = gather(this.mins, keep, NaN)
    this.maxs = gather(this.maxs, keep, NaN)
  }
}

/** Index of the first bound that is not below `value`: bounds are inclusive (Prometheus data model, histogram). */
export const bucketOf = (bounds: ReadonlyArray<number>, value: number): number => {
  const n = bounds.length
  if (n <= 24) {
    let i = 0
    while (i < n && value > bounds[i]!) i++
    return i
  }
  let low = 0
  let high = n
  while (low < high) {
    const middle = (low + high) >>> 1
    if (value > bounds[middle]!) low = middle + 1
    else high = middle
  }
  return low
}
