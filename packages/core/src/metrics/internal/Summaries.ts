import { defaultAgeBuckets, defaultMaxAge, quantilesOf } from "../MetricDefinition.ts"
import type { SummaryColumn } from "../MetricFrame.ts"
import { gather, grown, increase } from "./arrays.ts"
import { Column } from "./Column.ts"
import { type Quantiles, SlidingSketch } from "./QuantileSketch.ts"
import type { Slot } from "./Slot.ts"

/** Count, sum and sketch per series. Arrays are replaced as those of `Scalars`. */
export class Summaries extends Column {
  sketches: Array<Quantiles> = []
  counts = new Float64Array(16)
  sums = new Float64Array(16)
  private readonly readers = new Set<SummaryReader>()
  private readonly monotonic: () => number

  /** `monotonic` is milliseconds. */
  constructor(monotonic: () => number) {
    super()
    this.monotonic = monotonic
  }

  add(slot: Slot): void {
    if (slot.index === this.counts.length) {
      this.counts = grown(this.counts)
      this.sums = grown(this.sums)
    }
    this.push(slot)
    const { ageBuckets = defaultAgeBuckets, maxAge = defaultMaxAge } = slot.definition
    this.sketches.push(new SlidingSketch(maxAge * 1000, ageBuckets, this.monotonic))
  }

  observe(index: number, value: number): void {
    this.counts[index]! += 1
    this.sums[index]! += value
    this.sketches[index]!.add(value)
  }

  /** Adds what was counted elsewhere; the quantiles are from now on those of `quantiles`. */
  absorb(index: number, count: number, sum: number, quantiles: Quantiles): void {
    this.counts[index]! += count
    this.sums[index]! += sum
    this.sketches[index] = quantiles
  }

  reader(): SummaryReader {
    const reader = new SummaryReader(this, () => this.readers.delete(reader))
    this.readers.add(reader)
    return reader
  }

  protected activity(at: number): number {
    return this.counts[at]!
  }

  protected move(keep: Uint32Array): void {
    this.counts = gather(this.counts, keep)
    this.sums = gather(this.sums, keep)
    this.sketches = Array.from(keep, (from) => this.sketches[from]!)
    for (const reader of this.readers) reader.move(keep)
  }
}

export class SummaryReader {
  readonly close: () => void
  private readonly column: Summaries
  private counts = new Float64Array(0)
  private sums = new Float64Array(0)

  constructor(column: Summaries, close: () => void) {
    this.column = column
    this.close = close
  }

  take(): SummaryColumn {
    const { column } = this
    const series = column.list()
    const n = series.length
    const counts = increase(column.counts, this.counts, n)
    const sums = increase(column.sums, this.sums, n)
    this.counts = column.counts.slice(0, n)
    this.sums = column.sums.slice(0, n)
    const quantiles = series.map((slot, i) => {
      const sketch = column.sketches[i]!
      return Float64Array.from(quantilesOf(slot.definition), (q) => sketch.quantile(q))
    })
    return { series, counts, sums, quantiles }
  }

  move(keep: Uint32Array): void {
    this.counts = gather(this.counts, keep)
    this.sums = gather(this.sums, keep)
  }
}
