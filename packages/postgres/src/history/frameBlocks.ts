import { type HistoryError, type MetricRange, rangeLimits } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Sql } from "../internal/names.ts"
import { int4, int4s, timestamptz } from "../internal/parameters.ts"
import type { Row } from "../internal/session.ts"
import { SentArray } from "./arrays.ts"
import { type Ask, invalid } from "./ask.ts"
import type { SelectedSeries } from "./selection.ts"

/** Which numbers of a frame a reading takes. */
interface Column {
  readonly table: "metric_frame" | "histogram_frame" | "summary_frame"
  /** The array columns it may stand in, of which one is not null. */
  readonly arrays: ReadonlyArray<string>
  /** `true`: a series has one number per bucket. */
  readonly flattened: boolean
}

const scalar = (table: Column["table"], ...arrays: ReadonlyArray<string>): Column => ({ table, arrays, flattened: false })
const buckets: Column = { table: "histogram_frame", arrays: ["b2", "b4", "b8"], flattened: true }

const columnOf = (reading: MetricRange.Reading, type: string): Column => {
  switch (reading) {
    case "increase":
      return scalar("metric_frame", "c2", "c4", "c8")
    case "value":
      return scalar("metric_frame", "g")
    case "count":
      return type === "summary" ? scalar("summary_frame", "counts") : buckets
    case "sum":
      return scalar(type === "summary" ? "summary_frame" : "histogram_frame", "sums")
    case "min":
      return scalar("histogram_frame", "mins")
    case "max":
      return scalar("histogram_frame", "maxs")
    case "buckets":
      return buckets
  }
}

/** One number of a frame and the cell it belongs to. */
interface Part {
  readonly index: number
  readonly cell: number
}

/** A block per lane: its frames that meet the time from `from` (exclusive) to `to`, in order. */
export const frameBlocks = (
  ask: Ask,
  t: Sql,
  reading: MetricRange.Reading,
  series: ReadonlyArray<SelectedSeries>,
  cellOf: (series: SelectedSeries) => number,
  from: number,
  to: number
): Effect.Effect<ReadonlyArray<MetricRange.Block>, HistoryError> =>
  Effect.gen(function*() {
    const type = series[0]?.type ?? "gauge"
    const column = columnOf(reading, type)
    const lanes = partsOf(series, column, reading, cellOf)
    if (lanes.size === 0) return []
    const widest = Math.max(...[...lanes.values()].map((parts) => parts.length))
    const most = Math.ceil(rangeLimits.samples / widest)
    const ranges = [...lanes].map(([lane, parts]) => ({
      lane,
      first: parts.reduce((least, part) => Math.min(least, part.index), Infinity),
      last: parts.reduce((greatest, part) => Math.max(greatest, part.index), 0)
    }))
    const rows = yield* ask(sql(t, column), [
      int4s(Int32Array.from(ranges, ({ lane }) => lane)),
      int4s(Int32Array.from(ranges, ({ first }) => first + 1)),
      int4s(Int32Array.from(ranges, ({ last }) => last + 1)),
      timestamptz(from),
      timestamptz(to),
      int4(most + 1)
    ])
    if (rows.length > most) return yield* invalid("start", "and end hold too many values of this metric: narrow the range or the labels")
    const byLane = Map.groupBy(rows, (row) => row["lane"] as number)
    return ranges.flatMap(({ first, lane }) => {
      const own = byLane.get(lane)
      return own === undefined ? [] : [blockOf(own, lanes.get(lane)!, first)]
    })
  })

const partsOf = (
  series: ReadonlyArray<SelectedSeries>,
  column: Column,
  reading: MetricRange.Reading,
  cellOf: (series: SelectedSeries) => number
): ReadonlyMap<number, ReadonlyArray<Part>> => {
  const lanes = new Map<number, Array<Part>>()
  for (const one of series) {
    const cell = cellOf(one)
    for (const { lane, position, start } of one.places) {
      let parts = lanes.get(lane)
      if (parts === undefined) lanes.set(lane, parts = [])
      if (!column.flattened) parts.push({ index: position, cell })
      // The number of observations is the sum of the buckets: all of them go into one cell.
      else for (let b = 0; b <= one.bounds.length; b++) parts.push({ index: start + b, cell: reading === "buckets" ? cell + b : cell })
    }
  }
  return lanes
}

/**
 * `$1` lanes, `$2` and `$3` the first and last number wanted of each, `$4` and `$5` the range, `$6` the most frames. Of the
 * frames after the range only a lane's first can reach into it.
 */
const sql = (t: Sql, { arrays, table }: Column): string => {
  const values = arrays.map((name) => `array_send(f.${name}[l.first:l.last])`)
  const columns = `l.lane, extract(epoch from f.ts)::float8 * 1000 as ended, f.span_ms::float8 as span, ${
    values.length === 1 ? values[0]! : `coalesce(${values.join(", ")})`
  } as v`
  const names = ["ts", "span_ms", ...arrays].join(", ")
  return `with l as (select * from unnest($1::int4[], $2::int4[], $3::int4[]) as l(lane, first, last))
  select * from (
    (select ${columns}, f.ts from l join ${t[table]} f on f.lane = l.lane
      where f.ts > $4::timestamptz and f.ts <= $5::timestamptz limit $6::int4)
    union all
    (select ${columns}, f.ts from l cross join lateral (
      select ${names} from ${t[table]} n
      where n.lane = l.lane and n.ts > $5::timestamptz and n.ts <= $5::timestamptz + interval '1 day' order by n.ts limit 1) f
      where f.ts - f.span_ms * interval '1 millisecond' < $5::timestamptz)
  ) q order by lane, ts`
}

const blockOf = (rows: ReadonlyArray<Row>, parts: ReadonlyArray<Part>, first: number): MetricRange.Block => {
  const values = new Float64Array(rows.length * parts.length)
  let next = 0
  for (const row of rows) {
    const sent = new SentArray(row["v"] as Uint8Array)
    for (const { index } of parts) values[next++] = sent.at(index - first)
  }
  return {
    ends: Float64Array.from(rows, (row) => row["ended"] as number),
    spans: Float64Array.from(rows, (row) => row["span"] as number),
    cells: Int32Array.from(parts, ({ cell }) => cell),
    values
  }
}
