import type { MetricDefinition } from "./MetricDefinition.ts"

/** One series of the store: a definition and one value per declared label. */
export interface Series {
  /** Position among the series of its kind, in order of creation, from 0; never reused. */
  readonly index: number
  readonly definition: MetricDefinition
  /** One value per `definition.labelNames`, in that order; `""` stands for an absent label. */
  readonly labelValues: ReadonlyArray<string>
  /** Wall time of its first record, milliseconds since the epoch. */
  readonly createdAt: number
}

/**
 * What happened in one interval, as arrays: entry `i` belongs to the series with `index` `i` of that kind. Arrays only grow:
 * a frame is a prefix of the store's series, in order of creation.
 */
export interface MetricFrame {
  /** Interval of the frame, milliseconds since the epoch; `endTime` lies on the time grid unless a flush was asked for. */
  readonly startTime: number
  readonly endTime: number
  /** How many source frames it holds: 1, more after merging. */
  readonly sources: number
  readonly counters: ScalarColumn
  readonly gauges: ScalarColumn
  readonly histograms: HistogramColumn
  readonly summaries: SummaryColumn
}

/** Counters: the increase in the interval. Gauges and up-down counters: the last value. */
export interface ScalarColumn {
  readonly series: ReadonlyArray<Series>
  readonly values: Float64Array
}

/**
 * Increases in the interval. The buckets of series `i` are
 * `buckets[offsets[i] .. offsets[i] + definition.buckets.length]`: one per bound (inclusive upper bounds) and one for +Inf;
 * not cumulative over buckets.
 */
export interface HistogramColumn {
  readonly series: ReadonlyArray<Series>
  readonly offsets: Uint32Array
  readonly buckets: Float64Array
  readonly counts: Float64Array
  readonly sums: Float64Array
  /** Least and greatest value seen in the interval; `NaN` where nothing was observed. */
  readonly mins: Float64Array
  readonly maxs: Float64Array
}

/** `counts` and `sums` are increases in the interval, `quantiles[i]` the state at its end, one per objective in ascending order. */
export interface SummaryColumn {
  readonly series: ReadonlyArray<Series>
  readonly counts: Float64Array
  readonly sums: Float64Array
  readonly quantiles: ReadonlyArray<Float64Array>
}
