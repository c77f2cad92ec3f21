import { aligned } from "./internal/align.ts"
import { merged } from "./internal/ExponentialHistogram.ts"
import type { MetricDefinition } from "./MetricDefinition.ts"

/** One series of the store: a definition and one value per declared label. */
export interface Series {
  /** Position among the series of its kind in frames of the store's present generation; -1 once it was retired. */
  readonly index: number
  readonly definition: MetricDefinition
  /** One value per `definition.labelNames`, in that order; `""` stands for an absent label. */
  readonly labelValues: ReadonlyArray<string>
  /** Wall time of its first record, milliseconds since the epoch. */
  readonly createdAt: number
}

/**
 * What happened in one interval, as arrays: entry `i` belongs to `series[i]` of that column. Within one generation arrays only grow: each
 * frame is a prefix of one list of series, in order of creation. When series were retired the store moves the others together and begins
 * another generation, in which positions mean other series.
 */
export interface MetricFrame {
  /** Interval of the frame, milliseconds since the epoch; `endTime` lies on the time grid unless a flush was asked for. */
  readonly startTime: number
  readonly endTime: number
  /** How many source frames it holds: 1, more after merging. */
  readonly sources: number
  /** Unlike that of other frames when the same positions may stand for other series; 0 until the first compaction. */
  readonly generation: number
  readonly counters: ScalarColumn
  readonly gauges: ScalarColumn
  readonly histograms: HistogramColumn
  readonly summaries: SummaryColumn
  /** What was kept in the interval, at most one per series and bucket. */
  readonly exemplars: ReadonlyArray<SeriesExemplar>
}

/** One recorded value and the sampled span it was recorded in (OpenMetrics 1.0, "Exemplars"). */
export interface Exemplar {
  /** Lower-case hex, 32 and 16 digits. */
  readonly traceId: string
  readonly spanId: string
  readonly value: number
  /** Milliseconds since the epoch. */
  readonly time: number
}

export interface SeriesExemplar extends Exemplar {
  readonly series: Series
  /** The histogram's bucket it fell into (the number of bounds stands for +Inf); -1 for a counter. */
  readonly bucket: number
}

/** Counters: the increase in the interval. Gauges and up-down counters: the last value, `NaN` when the series ended before the interval. */
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
  /** The same increases in base-2 exponential buckets, for series whose definition asks for them and that observed something. */
  readonly exponentials: ReadonlyArray<SeriesExponential>
}

/**
 * Counts in base-2 exponential buckets (OpenTelemetry metrics data model): bucket `offset + i` holds the values in
 * `(base^(offset + i), base^(offset + i + 1)]` with `base = 2^(2^-scale)`; `negative` the same of the magnitudes.
 */
export interface ExponentialState {
  readonly scale: number
  readonly zeroCount: number
  readonly positive: ExponentialBuckets
  readonly negative: ExponentialBuckets
}

export interface ExponentialBuckets {
  readonly offset: number
  readonly counts: Float64Array
}

export interface SeriesExponential extends ExponentialState {
  readonly series: Series
}

/** `counts` and `sums` are increases in the interval, `quantiles[i]` the state at its end, one per objective in ascending order. */
export interface SummaryColumn {
  readonly series: ReadonlyArray<Series>
  readonly counts: Float64Array
  readonly sums: Float64Array
  readonly quantiles: ReadonlyArray<Float64Array>
}

/** Two adjacent frames as one: increases are added, last values are the newer frame's. No total changes. */
export const merge = (older: MetricFrame, newer: MetricFrame): MetricFrame =>
  older.generation === newer.generation ? joinedUp(older, newer) : joinedUp(...aligned(older, newer))

const joinedUp = (older: MetricFrame, newer: MetricFrame): MetricFrame => ({
  startTime: older.startTime,
  endTime: newer.endTime,
  sources: older.sources + newer.sources,
  generation: newer.generation,
  counters: { series: newer.counters.series, values: added(older.counters.values, newer.counters.values) },
  gauges: { series: newer.gauges.series, values: joined(older.gauges.values, newer.gauges.values, (_, value) => value) },
  histograms: {
    series: newer.histograms.series,
    offsets: newer.histograms.offsets,
    buckets: added(older.histograms.buckets, newer.histograms.buckets),
    counts: added(older.histograms.counts, newer.histograms.counts),
    sums: added(older.histograms.sums, newer.histograms.sums),
    mins: joined(older.histograms.mins, newer.histograms.mins, Math.min),
    maxs: joined(older.histograms.maxs, newer.histograms.maxs, Math.max),
    exponentials: mergedExponentials(older.histograms.exponentials, newer.histograms.exponentials)
  },
  summaries: {
    series: newer.summaries.series,
    counts: added(older.summaries.counts, newer.summaries.counts),
    sums: added(older.summaries.sums, newer.summaries.sums),
    quantiles: newer.summaries.quantiles
  },
  exemplars: newest([...older.exemplars, ...newer.exemplars])
})

const mergedExponentials = (
  older: ReadonlyArray<SeriesExponential>,
  newer: ReadonlyArray<SeriesExponential>
): ReadonlyArray<SeriesExponential> => {
  if (older.length === 0) return newer
  const bySeries = new Map(older.map((one) => [one.series, one]))
  for (const one of newer) {
    const before = bySeries.get(one.series)
    bySeries.set(one.series, before === undefined ? one : { series: one.series, ...merged(before, one, one.series.definition.exponential!.maxSize) })
  }
  return [...bySeries.values()]
}

/** One exemplar per series and bucket: the last of them. */
const newest = (exemplars: ReadonlyArray<SeriesExemplar>): ReadonlyArray<SeriesExemplar> => {
  const bySeries = new Map<Series, Map<number, SeriesExemplar>>()
  for (const exemplar of exemplars) {
    const byBucket = bySeries.get(exemplar.series)
    if (byBucket === undefined) bySeries.set(exemplar.series, new Map([[exemplar.bucket, exemplar]]))
    else byBucket.set(exemplar.bucket, exemplar)
  }
  return [...bySeries.values()].flatMap((byBucket) => [...byBucket.values()])
}

/** Bytes a frame holds on to, for the queue's budget. */
export const weigh = (frame: MetricFrame): number => {
  const { counters, gauges, histograms, summaries } = frame
  const scalars = counters.values.length + gauges.values.length
  const distributions = histograms.buckets.length + 5 * histograms.counts.length + 5 * summaries.counts.length
  let exponentials = 0
  for (const { negative, positive } of histograms.exponentials) exponentials += 128 + 8 * (positive.counts.length + negative.counts.length)
  return 512 + 16 * (scalars + distributions) + 256 * frame.exemplars.length + exponentials
}

const added = (older: Float64Array, newer: Float64Array): Float64Array => {
  const out = newer.slice()
  for (let i = 0; i < older.length; i++) out[i]! += older[i]!
  return out
}

const joined = (older: Float64Array, newer: Float64Array, pick: (a: number, b: number) => number): Float64Array => {
  const out = newer.slice()
  for (let i = 0; i < older.length; i++) {
    const before = older[i]!
    if (before === before) out[i] = out[i] === out[i] ? pick(before, out[i]!) : before
  }
  return out
}
