import * as Effect from "effect/Effect"
import { HistoryError } from "../../history/HistoryError.ts"
import type { MetricPoint, MetricsHistory } from "../../history/MetricsHistory.ts"
import type { MetricFrame, Series } from "../../metrics/MetricFrame.ts"
import { labelsOf } from "../Memory.ts"

/** Answers from the frames at hand, in the order in which they were taken. */
export const make = (frames: () => ReadonlyArray<MetricFrame>): MetricsHistory["Service"] => ({
  getMetricsHistory: (query) =>
    Effect.suspend(() => {
      const { limit = 1000, name } = query
      const from = Number(query.startTime)
      const to = Number(query.endTime)
      if (Number.isNaN(from) || Number.isNaN(to)) return invalid("startTime and endTime must be milliseconds or a Date")
      if (!(limit >= 1)) return invalid("limit must be 1 or more")
      const points: Array<MetricPoint> = []
      for (const frame of frames()) {
        if (frame.endTime < from || frame.endTime >= to) continue
        for (const point of pointsOf(frame, name)) {
          if (Object.entries(query.labels ?? {}).every(([key, value]) => point.labels[key] === value)) points.push(point)
        }
      }
      return Effect.succeed(points.toSorted((a, b) => b.timestamp - a.timestamp).slice(0, Math.min(limit, 100_000)))
    })
})

const invalid = (message: string) => Effect.fail(new HistoryError({ reason: "invalid", message }))

const pointsOf = (frame: MetricFrame, name: string): ReadonlyArray<MetricPoint> => {
  const { counters, endTime, gauges, histograms, startTime, summaries } = frame
  const points: Array<MetricPoint> = []
  const add = (series: Series, value: number, histogram?: NonNullable<MetricPoint["histogram"]>): void => {
    if (series.definition.name !== name) return
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
  gauges.series.forEach((series, i) => add(series, gauges.values[i]!))
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
