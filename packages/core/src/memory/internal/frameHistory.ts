import * as Effect from "effect/Effect"
import type { MetricPoint, MetricsHistory } from "../../history/MetricsHistory.ts"
import * as MetricRange from "../../history/range/index.ts"
import type { RangeQuery, RangeResult } from "../../history/range/RangeQuery.ts"
import type { HistoryError } from "../../history/HistoryError.ts"
import type { MetricType } from "../../metrics/MetricDefinition.ts"
import type { MetricFrame, Series } from "../../metrics/MetricFrame.ts"
import { labelsOf } from "../Memory.ts"

/** The frames of one process, in the order in which they were taken. */
type Writer = ReadonlyArray<MetricFrame>

type Known = MetricRange.Known

/** Answers from the frames at hand; `resourceOf` tells what is known of the process at a place of `writers`. */
export const make = (writers: () => ReadonlyArray<Writer>, resourceOf: (writer: number) => Known = () => ({})): MetricsHistory["Service"] => {
  const queryRange = (query: RangeQuery): Effect.Effect<RangeResult, HistoryError> =>
    Effect.flatMap(MetricRange.plan(query), (plan) => evaluate(plan, writers(), resourceOf))
  return {
    getMetricsHistory: (query) =>
      Effect.map(MetricRange.pointsPlan(query), ({ from, labels, limit, name, resource, to }) => {
        const points: Array<MetricPoint> = []
        for (const frame of writers().filter((_, i) => MetricRange.passes(resourceOf(i), resource)).flat()) {
          if (frame.endTime < from || frame.endTime >= to) continue
          for (const point of pointsOf(frame, name)) {
            if (Object.keys(labels).every((key) => Object.hasOwn(point.labels, key) && point.labels[key] === labels[key])) points.push(point)
          }
        }
        return points.toSorted((a, b) => b.timestamp - a.timestamp).slice(0, limit)
      }),
    queryRange,
    streamRange: MetricRange.streamed(queryRange)
  }
}

const evaluate = (plan: MetricRange.RangePlan, writers: ReadonlyArray<Writer>, resourceOf: (writer: number) => Known): Effect.Effect<RangeResult, HistoryError> =>
  Effect.gen(function*() {
    const named = writers.map((frames, writer) => {
      const positions = positionsOf(frames)
      const last = [...Map.groupBy(frames, ({ generation }) => generation).values()].map((own) => own.at(-1)!)
      const all = new Map(last.flatMap(seriesOf).map((one) => [keyOf(one), one]))
      return { frames, positions, resource: resourceOf(writer), all: [...all.values()].filter(({ definition }) => definition.name === plan.metric) }
    })
    const type = named.flatMap(({ all }) => all).at(-1)?.definition.type
    if (type === undefined) return MetricRange.nothing(plan)
    const readings = yield* MetricRange.readingsOf(plan, type)
    const evaluation = new MetricRange.Evaluation(plan, type)
    const chosen = named.filter(({ resource }) => MetricRange.passes(resource, plan.resource)).map(({ all, ...of }) => {
      const series = all.filter((one) => one.definition.type === type && MetricRange.passes(labelsOf(one), plan.tests))
      return { ...of, series, cells: series.map((one) => evaluation.cellOf(readings[0]!, labelsOf(one), one.definition.buckets, of.resource)) }
    })
    yield* evaluation.check
    for (const { cells, frames, positions, series } of chosen) {
      for (const reading of readings) evaluation.add(reading, blockOf(reading, frames, positions, series, cells, type))
    }
    return evaluation.result()
  })

const seriesOf = ({ counters, gauges, histograms, summaries }: MetricFrame): ReadonlyArray<Series> =>
  [counters, gauges, histograms, summaries].flatMap(({ series }) => series)

/** A series that ended and came again is the same one here. */
const keyOf = ({ definition: { buckets, name, type }, labelValues }: Series): string => JSON.stringify([name, type, buckets, labelValues])

type Positions = ReadonlyMap<number, ReadonlyMap<string, ReadonlyArray<number>>>

/** Where each series stands in the frames of a generation, at a new place each time it came again: the last frame names all of them. */
const positionsOf = (frames: Writer): Positions =>
  new Map([...Map.groupBy(frames, ({ generation }) => generation)].map(([generation, own]) => {
    const { counters, gauges, histograms, summaries } = own.at(-1)!
    const places = [counters, gauges, histograms, summaries].flatMap(({ series }) => series.map((one, at) => ({ key: keyOf(one), at })))
    return [generation, new Map([...Map.groupBy(places, ({ key }) => key)].map(([key, found]) => [key, found.map(({ at }) => at)]))]
  }))

const blockOf = (
  reading: MetricRange.Reading,
  frames: ReadonlyArray<MetricFrame>,
  positions: Positions,
  series: ReadonlyArray<Series>,
  first: ReadonlyArray<number>,
  type: MetricType
): MetricRange.Block => {
  // A column per series, or one per bucket of each.
  const columns = series.flatMap((one, i) => {
    const key = keyOf(one)
    return Array.from({ length: reading === "buckets" ? one.definition.buckets!.length + 1 : 1 }, (_, b) => ({
      cell: first[i]! + b,
      values: Float64Array.from(frames, (frame) => {
        const distribution = type === "summary" ? frame.summaries : frame.histograms
        const places = positions.get(frame.generation)!.get(key) ?? []
        return places.reduce((before, at) => joined(reading, before, read(reading, distribution, frame, at, b)), NaN)
      })
    }))
  })
  return {
    ends: Float64Array.from(frames, (frame) => frame.endTime),
    spans: Float64Array.from(frames, (frame) => frame.endTime - frame.startTime),
    columns
  }
}

/** What a series had before it ended and after it came again, in one frame. */
const joined = (reading: MetricRange.Reading, before: number, after: number): number => {
  if (Number.isNaN(before) || Number.isNaN(after)) return Number.isNaN(after) ? before : after
  switch (reading) {
    case "value":
      return after
    case "min":
      return Math.min(before, after)
    case "max":
      return Math.max(before, after)
    default:
      return before + after
  }
}

/** What a frame holds of the series at `index` of its kind; `NaN` when it ends before it. */
const read = (
  reading: MetricRange.Reading,
  { counts, sums }: MetricFrame["histograms"] | MetricFrame["summaries"],
  { counters, gauges, histograms }: MetricFrame,
  index: number,
  bucket: number
): number => {
  switch (reading) {
    case "increase":
      return counters.values[index] ?? NaN
    case "value":
      return gauges.values[index] ?? NaN
    case "buckets":
      return index < histograms.counts.length ? histograms.buckets[histograms.offsets[index]! + bucket]! : NaN
    case "min":
      return histograms.mins[index] ?? NaN
    case "max":
      return histograms.maxs[index] ?? NaN
    case "count":
      return counts[index] ?? NaN
    case "sum":
      return sums[index] ?? NaN
  }
}

const pointsOf = (frame: MetricFrame, name: string): ReadonlyArray<MetricPoint> => {
  const { counters, endTime, gauges, histograms, startTime, summaries } = frame
  const points: Array<MetricPoint> = []
  const add = (series: Series, value: number, histogram?: NonNullable<MetricPoint["histogram"]>): void => {
    // A gauge without a value.
    if (series.definition.name !== name || Number.isNaN(value)) return
    points.push({
      name,
      type: series.definition.type,
      value,
      labels: labelsOf(series),
      timestamp: endTime,
      interval: endTime - startTime,
      ...(histogram === undefined ? {} : { histogram })
    })
  }
  counters.series.forEach((series, i) => add(series, counters.values[i]!))
  gauges.series.forEach((series, i) => {
    // A gauge that ended has none.
    if (!Number.isNaN(gauges.values[i]!)) add(series, gauges.values[i]!)
  })
  summaries.series.forEach((series, i) => add(series, summaries.sums[i]!))
  histograms.series.forEach((series, i) => {
    const bounds = series.definition.buckets!
    const start = histograms.offsets[i]!
    add(series, histograms.sums[i]!, {
      bounds,
      buckets: [...histograms.buckets.subarray(start, start + bounds.length + 1)],
      count: histograms.counts[i]!,
      sum: histograms.sums[i]!
    })
  })
  return points
}
