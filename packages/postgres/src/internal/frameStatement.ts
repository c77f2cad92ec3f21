import type { MetricFrame } from "@effect-observability/core"
import * as Encoding from "../PostgresEncoding.ts"
import { fence } from "./Lane.ts"
import type { Sql } from "./names.ts"
import { float8s, int2s, int4s, int8s, uuids } from "./parameters.ts"

/** One parameter of the statement; its number is its place, counted from 4 (the fence has the first three). */
interface Column {
  readonly name: string
  readonly type: string
  readonly value: unknown
}

/** What a batch holds; of what it does not hold the statement says nothing, which is half of its cost. */
interface Shape {
  readonly histograms: boolean
  readonly summaries: boolean
  readonly exemplars: boolean
  readonly exponentials: boolean
  /** Frames are read by the lists of other lanes than the process's own. */
  readonly lanes: boolean
}

/** One statement per shape of batch: thirty-two at most, each prepared once. */
export const make = (t: Sql) => {
  const statements = new Map<string, string>()
  /** `own` is the process's lane, `lanes` the one whose lists each frame follows. */
  return (own: number, lanes: Int32Array, batch: ReadonlyArray<MetricFrame>): { readonly sql: string; readonly parameters: ReadonlyArray<unknown> } => {
    const frames = Encoding.frames(batch)
    const exemplars = Encoding.exemplars(batch)
    const exponentials = Encoding.exponentials(batch)
    const shape: Shape = {
      histograms: frames.histograms.sums.length > 0,
      summaries: frames.summaries.sums.length > 0,
      exemplars: exemplars.times.length > 0,
      exponentials: exponentials.times.length > 0,
      lanes: lanes.some((lane) => lane !== own)
    }
    const columns = columnsOf(shape, lanes, frames, exemplars, exponentials)
    const key = Object.values(shape).join()
    let sql = statements.get(key)
    if (sql === undefined) statements.set(key, sql = insert(t, shape, columns))
    return { sql, parameters: columns.map(({ value }) => value) }
  }
}

const slices = (name: string, { from, to }: Encoding.Slices): ReadonlyArray<Column> => [
  { name: `${name}1`, type: "int4[]", value: int4s(from) },
  { name: `${name}2`, type: "int4[]", value: int4s(to) }
]

const columnsOf = (
  shape: Shape,
  lanes: Int32Array,
  c: Encoding.FrameColumns,
  e: Encoding.ExemplarColumns,
  x: Encoding.ExponentialColumns
): ReadonlyArray<Column> => {
  const columns: Array<Column> = [
    { name: "ts", type: "float8[]", value: float8s(c.ts) },
    { name: "span_ms", type: "float8[]", value: float8s(c.span) },
    { name: "sources", type: "int4[]", value: int4s(c.sources) },
    ...slices("c", c.counters),
    ...slices("g", c.gauges),
    { name: "counters2", type: "int2[]", value: int2s(c.counters.int2) },
    { name: "counters4", type: "int4[]", value: int4s(c.counters.int4) },
    { name: "counters8", type: "float8[]", value: float8s(c.counters.float8) },
    { name: "gauges", type: "float8[]", value: float8s(c.gauges.values) }
  ]
  if (shape.lanes) columns.push({ name: "lane", type: "int4[]", value: int4s(lanes) })
  if (shape.histograms) {
    columns.push(
      ...slices("h", c.histograms),
      ...slices("b", c.buckets),
      { name: "buckets2", type: "int2[]", value: int2s(c.buckets.int2) },
      { name: "buckets4", type: "int4[]", value: int4s(c.buckets.int4) },
      { name: "buckets8", type: "float8[]", value: float8s(c.buckets.float8) },
      { name: "sums", type: "float8[]", value: float8s(c.histograms.sums) },
      { name: "mins", type: "float8[]", value: float8s(c.histograms.mins) },
      { name: "maxs", type: "float8[]", value: float8s(c.histograms.maxs) }
    )
  }
  if (shape.summaries) {
    columns.push(
      ...slices("s", c.summaries),
      ...slices("q", c.quantiles),
      { name: "counts", type: "float8[]", value: float8s(c.summaries.counts) },
      { name: "totals", type: "float8[]", value: float8s(c.summaries.sums) },
      { name: "quantiles", type: "float8[]", value: float8s(c.quantiles.values) }
    )
  }
  if (shape.exemplars) {
    columns.push(
      { name: "times", type: "float8[]", value: float8s(e.times) },
      { name: "kinds", type: "int2[]", value: int2s(e.kinds) },
      { name: "places", type: "int4[]", value: int4s(e.places) },
      { name: "indexes", type: "int2[]", value: int2s(e.buckets) },
      { name: "values", type: "float8[]", value: float8s(e.values) },
      { name: "traces", type: "uuid[]", value: uuids(e.traceIds) },
      { name: "spans", type: "int8[]", value: int8s(e.spanIds) },
      { name: "owners", type: "int4[]", value: int4s(e.frames.map((frame) => lanes[frame]!)) }
    )
  }
  if (shape.exponentials) {
    columns.push(
      { name: "x_ts", type: "float8[]", value: float8s(x.times) },
      { name: "x_span", type: "float8[]", value: float8s(x.spans) },
      { name: "x_lane", type: "int4[]", value: int4s(x.frames.map((frame) => lanes[frame]!)) },
      { name: "x_place", type: "int4[]", value: int4s(x.places) },
      { name: "x_scale", type: "int2[]", value: int2s(x.scales) },
      { name: "x_zero", type: "float8[]", value: float8s(x.zeros) },
      { name: "x_low", type: "int4[]", value: int4s(x.lows) },
      { name: "x_negative_low", type: "int4[]", value: int4s(x.negativeLows) },
      { name: "x_length", type: "int4[]", value: int4s(x.lengths) },
      ...slices("x_", x),
      { name: "x_counts", type: "float8[]", value: float8s(x.counts) }
    )
  }
  return columns
}

/** Columns that have one entry per frame. */
const perFrame = ["ts", "span_ms", "sources", "lane", "c1", "c2", "g1", "g2", "h1", "h2", "b1", "b2", "s1", "s2", "q1", "q2"]

const insert = (t: Sql, shape: Shape, columns: ReadonlyArray<Column>): string => {
  const numbers = new Map(columns.map(({ name, type }, i) => [name, `$${i + 4}::${type}`]))
  const p = (name: string): string => numbers.get(name)!
  const cut = (name: string, by: string): string => `(${p(name)})[f.${by}1:f.${by}2]`
  const present = perFrame.filter((name) => numbers.has(name))
  const common = "ts, seq, span_ms, lane, sources, item"
  const shared = `to_timestamp(f.ts / 1000.0::float8), $2::int8, f.span_ms::int8, ${shape.lanes ? "f.lane" : "lane.id"}, f.sources, (f.item - 1)::int2`
  const frames = `lane, unnest(${present.map(p).join(", ")}) with ordinality as f(${present.join(", ")}, item)`
  const parts = [
    fence(t),
    `scalars as (insert into ${t.metric_frame} (${common}, c2, c4, c8, g)
      select ${shared}, ${cut("counters2", "c")}, ${cut("counters4", "c")}, ${cut("counters8", "c")}, ${cut("gauges", "g")}
      from ${frames} where f.c2 >= f.c1 or f.g2 >= f.g1)`
  ]
  if (shape.lanes) {
    parts.push(`seen as (update ${t.lane} set seen_at = now() where id = any(${p("lane")}) and id <> $1::int4 and exists (select from lane))`)
  }
  if (shape.histograms) {
    parts.push(`histograms as (insert into ${t.histogram_frame} (${common}, b2, b4, b8, sums, mins, maxs)
      select ${shared}, ${cut("buckets2", "b")}, ${cut("buckets4", "b")}, ${cut("buckets8", "b")}, ${cut("sums", "h")}, ${cut("mins", "h")}, ${cut("maxs", "h")}
      from ${frames} where f.h2 >= f.h1)`)
  }
  if (shape.summaries) {
    parts.push(`summaries as (insert into ${t.summary_frame} (${common}, counts, sums, quantiles)
      select ${shared}, ${cut("counts", "s")}, ${cut("totals", "s")}, ${cut("quantiles", "q")}
      from ${frames} where f.s2 >= f.s1)`)
  }
  if (shape.exemplars) {
    parts.push(`exemplars as (insert into ${t.exemplar} (ts, lane, series, bucket, value, trace_id, span_id)
      select to_timestamp(e.ts / 1000.0::float8), e.lane, seg.series[e.place - seg.pos + 1], e.bucket, e.value, e.trace_id, e.span_id
      from lane, unnest(${["times", "kinds", "places", "indexes", "values", "traces", "spans", "owners"].map(p).join(", ")})
        as e(ts, kind, place, bucket, value, trace_id, span_id, lane)
      join ${t.lane_series} seg on seg.lane = e.lane and seg.kind = e.kind and seg.pos <= e.place and seg.pos + cardinality(seg.series) > e.place)`)
  }
  if (shape.exponentials) {
    const names = ["x_ts", "x_span", "x_lane", "x_place", "x_scale", "x_zero", "x_low", "x_negative_low", "x_length", "x_1", "x_2"]
    parts.push(`exponentials as (insert into ${t.exponential} (ts, lane, series, span_ms, scale, zero, low, positive, negative_low, negative)
      select to_timestamp(x.ts / 1000.0::float8), x.lane, seg.series[x.place - seg.pos + 1], x.span::int8, x.scale, x.zero::int8, x.low,
        (${p("x_counts")})[x.a : x.a + x.length - 1]::int8[], x.negative_low, (${p("x_counts")})[x.a + x.length : x.b]::int8[]
      from lane, unnest(${names.map(p).join(", ")}) as x(ts, span, lane, place, scale, zero, low, negative_low, length, a, b)
      join ${t.lane_series} seg on seg.lane = x.lane and seg.kind = ${Encoding.kinds.histograms} and seg.pos <= x.place and seg.pos + cardinality(seg.series) > x.place)`)
  }
  return `${parts.join(",\n")}\nselect id from lane`
}
