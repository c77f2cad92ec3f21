import { type HistoryError, type MetricPoint, MetricRange, type MetricsHistory } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Sql } from "../internal/names.ts"
import type { Ask } from "./ask.ts"
import type { Piece } from "./pieces.ts"
import { readPieces, type Request } from "./readPieces.ts"
import { resourcesOf } from "./resources.ts"
import { select, type SelectedSeries } from "./selection.ts"

/** The first stretch to look at, in milliseconds per point wanted of each series, and its bounds. */
const perPoint = 10_000
const leastStretch = 10_000
const greatestStretch = 3_600_000
/** Each further one is so much longer. */
const growth = 4

/** Points of a metric, newest first, read in ever longer stretches until there are enough. */
export const points = (ask: Ask, t: Sql): MetricsHistory["Service"]["getMetricsHistory"] => (query) =>
  Effect.gen(function*() {
    const { from, labels, limit, name, resource, to } = yield* MetricRange.pointsPlan(query)
    const tests = Object.keys(labels).map((label) => ({ label, op: "eq" as const, value: labels[label]! }))
    const { series, type } = yield* select(ask, t, { metric: name, tests, from })
    if (type === undefined || series.length === 0) return []
    const known = yield* resourcesOf(ask, t, { resource })
    const resources = known === undefined ? undefined : new Set(known.keys())
    const stored = yield* extent(ask, t)
    const first = Math.max(from, stored.from)
    const found: Array<MetricPoint> = []
    let end = Math.min(to, stored.to)
    let stretch = Math.min(greatestStretch, Math.max(leastStretch, (limit / series.length) * perPoint))
    while (found.length < limit && end > first) {
      const begin = Math.max(first, end - stretch)
      for (const point of yield* stretchOf(ask, t, name, { type, series, resources, from: begin - 1, to: end })) {
        if (point.timestamp >= begin && point.timestamp < end) found.push(point)
      }
      end = begin
      stretch *= growth
    }
    return found.sort((a, b) => b.timestamp - a.timestamp).slice(0, limit)
  }) satisfies Effect.Effect<ReadonlyArray<MetricPoint>, HistoryError>

/** The time that anything is stored of, milliseconds: questions often ask for all there is. */
const extent = (ask: Ask, t: Sql): Effect.Effect<{ readonly from: number; readonly to: number }, HistoryError> => {
  const hot = [t.metric_frame, t.histogram_frame, t.summary_frame, t.metric_row]
  const rolled = [t.rollup_minute, t.rollup_hour, t.rollup_day]
  const moment = (which: "min" | "max", tables: ReadonlyArray<string>) =>
    `(extract(epoch from ${which === "min" ? "least" : "greatest"}(${tables.map((table) => `(select ${which}(ts) from ${table})`).join(", ")})) * 1000)::float8`
  return Effect.map(
    ask(`select ${moment("min", [...hot, t.metric_segment, ...rolled])} as from,
      greatest(${moment("max", hot)}, ${moment("max", [t.metric_segment])} + 86400000, ${moment("max", [t.rollup_minute])} + 86400000) + 1 as to`, []),
    ([row]) => ({ from: (row?.["from"] as number | null) ?? 0, to: (row?.["to"] as number | null) ?? 0 })
  )
}

const stretchOf = (
  ask: Ask,
  t: Sql,
  name: string,
  of: Pick<Request, "type" | "series" | "resources" | "from" | "to">
): Effect.Effect<ReadonlyArray<MetricPoint>, HistoryError> =>
  Effect.gen(function*() {
    const { series, type } = of
    const read = (reading: MetricRange.Reading, cellOf: (one: SelectedSeries) => number) =>
      readPieces(ask, t, { ...of, reading, cellOf, function: "last", layer: undefined })
    const indexes = new Map(series.map((one, i) => [one.id, i]))
    const values = yield* read(
      type === "counter" ? "increase" : type === "histogram" || type === "summary" ? "sum" : "value",
      (one) => indexes.get(one.id)!
    )
    const bucketsAt = type === "histogram" ? yield* histograms(series, (cellOf) => read("buckets", cellOf)) : undefined
    return values.flatMap(({ columns, ends, spans, writer }) =>
      columns.flatMap(({ cell, values }) => {
        const { bounds, labels } = series[cell]!
        return Array.from(values, (value, i): MetricPoint => ({
          name, type, value, labels, timestamp: ends[i]!, interval: spans[i]!,
          ...(bucketsAt === undefined ? {} : { histogram: { bounds, sum: value, ...bucketsAt(writer, ends[i]!, cell) } })
        })).filter((point) => !Number.isNaN(point.value))
      })
    )
  })

/** The buckets of every series at every moment of each writer. */
const histograms = (
  series: ReadonlyArray<SelectedSeries>,
  read: (cellOf: (one: SelectedSeries) => number) => Effect.Effect<ReadonlyArray<Piece>, HistoryError>
) => {
  const firsts = new Map<number, number>()
  const owners: Array<{ readonly index: number; readonly bucket: number }> = []
  series.forEach(({ bounds, id }, index) => {
    firsts.set(id, owners.length)
    for (let bucket = 0; bucket <= bounds.length; bucket++) owners.push({ index, bucket })
  })
  return Effect.map(read(({ id }) => firsts.get(id)!), (pieces) => {
    const known = new Map<string, Array<number>>()
    for (const { columns, ends, writer } of pieces) {
      for (const { cell, values } of columns) {
        const { bucket, index } = owners[cell]!
        for (let i = 0; i < values.length; i++) {
          if (!(values[i]! > 0)) continue
          const key = `${writer} ${ends[i]} ${index}`
          let buckets = known.get(key)
          if (buckets === undefined) known.set(key, buckets = Array.from({ length: series[index]!.bounds.length + 1 }, () => 0))
          buckets[bucket]! += values[i]!
        }
      }
    }
    return (writer: string, end: number, index: number) => {
      const buckets = known.get(`${writer} ${end} ${index}`) ?? Array.from({ length: series[index]!.bounds.length + 1 }, () => 0)
      return { buckets, count: buckets.reduce((sum, count) => sum + count, 0) }
    }
  })
}
