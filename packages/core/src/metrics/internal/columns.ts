import type { HistogramColumn, ScalarColumn, Series, SummaryColumn } from "../MetricFrame.ts"
import * as Exemplars from "./Exemplars.ts"
import { QuantileSketch } from "./QuantileSketch.ts"

/**
 * Where the numbers live: one growing typed array per kind, indexed by `Series.index`, so that a delta frame is one loop over
 * one array. Arrays are replaced when they grow: read `cells` at every access, never keep it.
 */
export class Scalars {
  cells = new Float64Array(64)
  /** Whether a cell's exemplar is due; allocated when the first counter asks for them. */
  due = new Uint8Array(0)
  readonly series: Array<Series> = []

  add(series: Series, exemplars: boolean): void {
    if (series.index === this.cells.length) this.cells = grown(this.cells)
    if (exemplars && this.due.length < this.cells.length) this.due = enlarged(this.due, this.cells.length)
    this.series.push(series)
  }
}

export class Histograms {
  readonly series: Array<Series> = []
  buckets = new Float64Array(256)
  /** Whether a bucket's exemplar is due. */
  due = new Uint8Array(256)
  /** Where the buckets of a series begin. */
  offsets = new Uint32Array(16)
  sums = new Float64Array(16)
  /** Least and greatest value since any reader took a frame. */
  mins = new Float64Array(16).fill(NaN)
  maxs = new Float64Array(16).fill(NaN)
  private used = 0
  private readonly readers: Array<HistogramReader> = []

  add(series: Series, exemplars: boolean): void {
    const size = series.definition.buckets!.length + 1
    while (this.used + size > this.buckets.length) {
      this.buckets = grown(this.buckets)
      this.due = enlarged(this.due, this.buckets.length)
    }
    if (!exemplars) this.due.fill(Exemplars.unwanted, this.used, this.used + size)
    if (series.index === this.offsets.length) {
      const offsets = new Uint32Array(this.offsets.length * 2)
      offsets.set(this.offsets)
      this.offsets = offsets
      this.sums = grown(this.sums)
      this.mins = grown(this.mins, NaN)
      this.maxs = grown(this.maxs, NaN)
    }
    this.offsets[series.index] = this.used
    this.used += size
    this.series.push(series)
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

  count(series: Series): number {
    const start = this.offsets[series.index]!
    const end = start + series.definition.buckets!.length + 1
    let sum = 0
    for (let i = start; i < end; i++) sum += this.buckets[i]!
    return sum
  }

  reader(): HistogramReader {
    const reader = new HistogramReader(this)
    this.readers.push(reader)
    return reader
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

class HistogramReader {
  private readonly column: Histograms
  private buckets = new Float64Array(0)
  private sums = new Float64Array(0)
  private mins = new Float64Array(0)
  private maxs = new Float64Array(0)

  constructor(column: Histograms) {
    this.column = column
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
    return { series: column.series.slice(0, n), offsets, buckets, counts, sums, mins, maxs }
  }
}

export class Summaries {
  readonly series: Array<Series> = []
  readonly sketches: Array<QuantileSketch> = []
  counts = new Float64Array(16)
  sums = new Float64Array(16)

  add(series: Series): void {
    if (series.index === this.counts.length) {
      this.counts = grown(this.counts)
      this.sums = grown(this.sums)
    }
    this.series.push(series)
    this.sketches.push(new QuantileSketch())
  }

  observe(index: number, value: number): void {
    this.counts[index]! += 1
    this.sums[index]! += value
    this.sketches[index]!.add(value)
  }

  reader(): { readonly take: () => SummaryColumn } {
    let counts = new Float64Array(0)
    let sums = new Float64Array(0)
    return {
      take: () => {
        const n = this.series.length
        const column: SummaryColumn = {
          series: this.series.slice(0, n),
          counts: increase(this.counts, counts, n),
          sums: increase(this.sums, sums, n),
          quantiles: this.series.map((series) => {
            const sketch = this.sketches[series.index]!
            return Float64Array.from(quantilesOf(series.definition.objectives), (q) => sketch.quantile(q))
          })
        }
        counts = this.counts.slice(0, n)
        sums = this.sums.slice(0, n)
        return column
      }
    }
  }
}

/** The quantiles of a summary's objectives, ascending. */
export const quantilesOf = (objectives: Readonly<Record<string, number>> | undefined): ReadonlyArray<number> =>
  Object.keys(objectives ?? {}).map(Number).sort((a, b) => a - b)

/** A reader of increases (`delta`) or of last values over one scalar column. */
export const scalarReader = (column: Scalars, delta: boolean): { readonly take: () => ScalarColumn } => {
  let last = new Float64Array(0)
  return {
    take: () => {
      const n = column.series.length
      const now = column.cells.slice(0, n)
      const values = delta ? increase(now, last, n) : now
      if (delta) last = now
      return { series: column.series.slice(0, n), values }
    }
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

const increase = (now: Float64Array, last: Float64Array, n: number): Float64Array<ArrayBuffer> => {
  const out = new Float64Array(n)
  const known = Math.min(last.length, n)
  for (let i = 0; i < known; i++) out[i] = now[i]! - last[i]!
  for (let i = known; i < n; i++) out[i] = now[i]!
  return out
}

const grown = (array: Float64Array, fill = 0): Float64Array<ArrayBuffer> => resized(array, array.length * 2, fill)

const enlarged = (array: Uint8Array, length: number): Uint8Array<ArrayBuffer> => {
  const out = new Uint8Array(length)
  out.set(array)
  return out
}

const resized = (array: Float64Array, length: number, fill = 0): Float64Array<ArrayBuffer> => {
  const out = new Float64Array(length)
  const known = Math.min(array.length, length)
  out.set(known === array.length ? array : array.subarray(0, known))
  if (fill !== 0) out.fill(fill, known)
  return out
}
