import { type MetricPoint, MetricRange, type MetricsHistory, type MetricType, rangeLimits } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { clean, encodeRecord } from "../internal/json.ts"
import { type Sql, sqlNames } from "../internal/names.ts"
import { int4, int4s, text, timestamptz } from "../internal/parameters.ts"
import type { Row } from "../internal/session.ts"
import { asking, type HistoryOptions, invalid } from "./ask.ts"
import { queryRange } from "./rangeQueries.ts"

export const metrics = (options: HistoryOptions): MetricsHistory["Service"] => {
  const t = sqlNames(options.names)
  const ask = asking(options)
  const range = queryRange(ask, t)
  return {
    getMetricsHistory: (query) =>
      Effect.gen(function*() {
        const { from, labels, limit, name, to } = yield* MetricRange.pointsPlan(query)
        const found = yield* ask(
          `select s.id, s.labels, f.type, f.bounds from ${t.family} f join ${t.series} s on s.family = f.id
            where f.name = $1::text and s.labels @> $2::text::jsonb limit ${rangeLimits.series + 1}`,
          [text(clean(name, 255)), text(encodeRecord(labels))]
        )
        if (found.length > rangeLimits.series) return yield* invalid("labels", `leave more than ${rangeLimits.series} series: add a label`)
        const series = new Map(found.map((row) => [row["id"] as number, row]))
        const points: Array<MetricPoint> = []
        for (const branch of branches) {
          const ids = found.filter((row) => branch.types.includes(row["type"] as MetricType)).map((row) => row["id"] as number)
          if (ids.length === 0) continue
          // As many as it takes when every frame holds every series; more in each page, in case they do not.
          let frames = Math.min(maxFrames, Math.max(minFrames, Math.ceil(limit / ids.length)))
          let until = to
          let missing = limit
          while (missing > 0) {
            const rows = yield* ask(branch.sql(t), [
              int4s(Int32Array.from(ids)),
              timestamptz(from),
              timestamptz(until),
              int4(missing),
              int4(frames)
            ])
            const page = rows.filter((row) => row["series"] !== null)
            for (const row of page) points.push(point(name, row, series.get(row["series"] as number)!))
            missing -= page.length
            // Frames may hold nothing of these series: a page that was not full says nothing about the time before it.
            if (Number(rows[0]!["frames"]) < frames) break
            until = (rows[0]!["oldest"] as Date).getTime()
            frames = Math.min(maxFrames, frames * 4)
          }
        }
        return points.sort((a, b) => b.timestamp - a.timestamp).slice(0, limit)
      }),
    queryRange: range,
    streamRange: MetricRange.streamed(range)
  }
}

interface Branch {
  readonly types: ReadonlyArray<MetricType>
  readonly sql: (t: Sql) => string
}

/** Frames looked at in one statement. */
const minFrames = 16
const maxFrames = 5_000

/**
 * `$1` series, `$2` and `$3` the range, `$4` the most points, `$5` the most frames, newest first; frames of one moment stay
 * together. The arrays are fetched after the frames are chosen, and `|| '{}'` under `offset 0` expands each once and not once
 * per series. The first row always tells how many frames there were and how old they are.
 */
const branch = (kind: number, table: "metric_frame" | "histogram_frame" | "summary_frame", columns: string, values: string, buckets = ""): Branch["sql"] => (t) =>
  `with place as materialized (
    select seg.lane, u.series, (seg.pos + u.i)::int4 as pos, u.start + 1 as b1, u.start + cardinality(fam.bounds) + 1 as b2
    from ${t.lane_series} seg
    join ${t.lane} l on l.id = seg.lane and l.seen_at >= $2::timestamptz
    cross join lateral unnest(seg.series, seg.starts) with ordinality as u(series, start, i)
    join ${t.series} s on s.id = u.series
    join ${t.family} fam on fam.id = s.family
    where seg.kind = ${kind} and seg.series && $1::int4[] and u.series = any($1::int4[])
  ),
  lanes as materialized (
    select lane, array_agg(series) as series, array_agg(pos) as pos, array_agg(b1) as b1, array_agg(b2) as b2 from place group by lane
  ),
  f as materialized (
    select ts, lane, span_ms, ${columns} from ${t[table]}
    where ts >= $2::timestamptz and ts < $3::timestamptz and lane = any(array(select lane from lanes))
    order by ts desc fetch first ($5::int4) rows with ties
  )
  select w.frames, w.oldest, q.*
  from (select count(*)::int4 as frames, min(ts) as oldest from f) w
  left join (
    select x.ts, x.span_ms, x.series, x.v[x.pos] as value${buckets === "" ? "" : ", x.b[x.b1:x.b2] as buckets"}
    from (
      select e.ts, e.span_ms, e.v, unnest(e.series) as series, unnest(e.pos) as pos${buckets === "" ? "" : ", e.b, unnest(e.b1) as b1, unnest(e.b2) as b2"}
      from (
        select f.ts, f.span_ms, l.*, ${values} || '{}'::float8[] as v${buckets === "" ? "" : `, ${buckets} || '{}'::float8[] as b`}
        from f join lanes l on l.lane = f.lane offset 0
      ) e
    ) x
    where x.v[x.pos] <> 'NaN'
    order by x.ts desc limit $4::int4
  ) q on true`

const branches: ReadonlyArray<Branch> = [
  { types: ["counter"], sql: branch(0, "metric_frame", "c2, c4, c8", "coalesce(f.c8, f.c4::float8[], f.c2::float8[])") },
  { types: ["gauge", "upDownCounter"], sql: branch(1, "metric_frame", "g", "f.g") },
  {
    types: ["histogram"],
    sql: branch(2, "histogram_frame", "b2, b4, b8, sums", "f.sums", "coalesce(f.b8, f.b4::float8[], f.b2::float8[])")
  },
  { types: ["summary"], sql: branch(3, "summary_frame", "sums", "f.sums") }
]

const point = (name: string, row: Row, series: Row): MetricPoint => {
  const value = row["value"] as number
  const buckets = row["buckets"] as ReadonlyArray<number> | undefined
  return {
    name,
    type: series["type"] as MetricType,
    value,
    labels: series["labels"] as Record<string, string>,
    timestamp: (row["ts"] as Date).getTime(),
    interval: Number(row["span_ms"]),
    ...(buckets === undefined ? {} : {
      histogram: {
        bounds: series["bounds"] as ReadonlyArray<number>,
        buckets,
        count: buckets.reduce((sum, count) => sum + count, 0),
        sum: value
      }
    })
  }
}
