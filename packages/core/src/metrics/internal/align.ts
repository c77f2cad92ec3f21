import type { HistogramColumn, MetricFrame, ScalarColumn, Series, SummaryColumn } from "../MetricFrame.ts"

let generations = 0

/** A number that no other generation of frames in this process has. */
export const newGeneration = (): number => ++generations

/**
 * Two frames of different generations laid out alike, over one list: the newer one's series and then those that only the older one
 * has. The list is neither's, hence a generation of its own.
 */
export const aligned = (older: MetricFrame, newer: MetricFrame): readonly [older: MetricFrame, newer: MetricFrame] => {
  const generation = newGeneration()
  const counters = union(older.counters.series, newer.counters.series)
  const gauges = union(older.gauges.series, newer.gauges.series)
  const histograms = union(older.histograms.series, newer.histograms.series)
  const summaries = union(older.summaries.series, newer.summaries.series)
  const lay = (frame: MetricFrame): MetricFrame => ({
    ...frame,
    generation,
    counters: scalars(frame.counters, counters, 0),
    gauges: scalars(frame.gauges, gauges, NaN),
    histograms: distributions(frame.histograms, histograms),
    summaries: quantiles(frame.summaries, summaries)
  })
  const [before, after] = [lay(older), lay(newer)]
  // The last word on the quantiles of what the newer frame does not know any more is the older one's.
  const last = after.summaries.quantiles.slice()
  for (let i = newer.summaries.series.length; i < summaries.length; i++) last[i] = before.summaries.quantiles[i]!
  return [before, { ...after, summaries: { ...after.summaries, quantiles: last } }]
}

const union = (older: ReadonlyArray<Series>, newer: ReadonlyArray<Series>): ReadonlyArray<Series> => {
  const known = new Set(newer)
  return [...newer, ...older.filter((series) => !known.has(series))]
}

/** Where each series of `list` stands in `column`; -1 for those that are not there. */
const places = (column: { readonly series: ReadonlyArray<Series> }, list: ReadonlyArray<Series>): ReadonlyArray<number> => {
  const at = new Map(column.series.map((series, i) => [series, i]))
  return list.map((series) => at.get(series) ?? -1)
}

const pick = (values: Float64Array, at: ReadonlyArray<number>, missing: number): Float64Array =>
  Float64Array.from(at, (i) => i < 0 ? missing : values[i]!)

const scalars = (column: ScalarColumn, series: ReadonlyArray<Series>, missing: number): ScalarColumn =>
  ({ series, values: pick(column.values, places(column, series), missing) })

const distributions = (column: HistogramColumn, series: ReadonlyArray<Series>): HistogramColumn => {
  const at = places(column, series)
  const offsets = new Uint32Array(series.length)
  let used = 0
  series.forEach((one, i) => {
    offsets[i] = used
    used += one.definition.buckets!.length + 1
  })
  const buckets = new Float64Array(used)
  at.forEach((from, to) => {
    if (from < 0) return
    const start = column.offsets[from]!
    buckets.set(column.buckets.subarray(start, start + series[to]!.definition.buckets!.length + 1), offsets[to])
  })
  return {
    ...column,
    series,
    offsets,
    buckets,
    counts: pick(column.counts, at, 0),
    sums: pick(column.sums, at, 0),
    mins: pick(column.mins, at, NaN),
    maxs: pick(column.maxs, at, NaN)
  }
}

const quantiles = (column: SummaryColumn, series: ReadonlyArray<Series>): SummaryColumn => {
  const at = places(column, series)
  return {
    series,
    counts: pick(column.counts, at, 0),
    sums: pick(column.sums, at, 0),
    quantiles: at.map((from, to) =>
      from < 0 ? new Float64Array(Object.keys(series[to]!.definition.objectives ?? {}).length).fill(NaN) : column.quantiles[from]!)
  }
}
