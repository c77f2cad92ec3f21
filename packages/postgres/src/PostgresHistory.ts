import { HistoryError } from "@effect-observability/core"
import type {
  MetricPoint, MetricsHistory, MetricsHistoryQuery, MetricType, SpanEvent, SpanLinkData, StoredSpan, StoredTrace,
  TraceHistory, TraceSummary
} from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { describe, isMissingSchema, sqlState } from "./internal/errors.ts"
import { clean, encodeRecord } from "./internal/json.ts"
import { type Sql, sqlNames } from "./internal/names.ts"
import { int4, int4s, text, timestamptz } from "./internal/parameters.ts"
import type { Readers, Row } from "./internal/session.ts"
import type { Names } from "./PostgresConfig.ts"
import * as Encoding from "./PostgresEncoding.ts"

export interface HistoryOptions {
  readonly names: Names
  readonly readers: Readers
  /** Milliseconds until a question is given up. */
  readonly timeout: number
}

const invalid = (field: string, problem: string) => Effect.fail(new HistoryError({ reason: "invalid", message: `${field} ${problem}` }))

const clamp = (value: number | undefined, least: number, most: number, otherwise: number): number =>
  value === undefined || Number.isNaN(value) ? otherwise : Math.min(most, Math.max(least, Math.trunc(value)))

type Ask = (sql: string, parameters: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Row>, HistoryError>

/** Bound parameters only, on the readers' own connections; what the database says comes back as a `HistoryError`. */
const asking = (options: HistoryOptions): Ask => (sql, parameters) =>
  options.readers.query(sql, parameters).pipe(
    Effect.timeoutOrElse({
      duration: options.timeout,
      orElse: () => unavailable("the database did not answer in time: narrow the range, or try again")
    }),
    Effect.catchTag("SqlError", (error: SqlError) =>
      unavailable(
        sqlState(error) === "57014"
          ? "the question took too long: narrow the range"
          : isMissingSchema(error)
          ? "the store is not set up yet"
          : describe(error)
      ))
  )

const unavailable = (message: string) => Effect.fail(new HistoryError({ reason: "unavailable", message }))

// ------------------------------------------------------------------------------------------------------------------- metrics

/** What PostgreSQL's timestamps and JavaScript's dates both hold: the years 1 to 9999. */
const earliest = -62_135_596_800_000
const latest = 253_402_300_799_999

const instant = (field: string, value: number | Date): Effect.Effect<number, HistoryError> => {
  const millis = typeof value === "number" ? value : value.getTime()
  return Number.isNaN(millis)
    ? invalid(field, "is not a time: pass milliseconds since the epoch or a valid Date")
    : Effect.succeed(Math.min(latest, Math.max(earliest, millis)))
}

/** Most series one question may touch. */
const maxSeries = 100_000

export const metrics = (options: HistoryOptions): MetricsHistory["Service"] => {
  const t = sqlNames(options.names)
  const ask = asking(options)
  return {
    getMetricsHistory: (query) =>
      Effect.gen(function*() {
        if (typeof query.name !== "string" || query.name === "") return yield* invalid("name", "is empty: pass the metric's name")
        const from = yield* instant("startTime", query.startTime)
        const to = yield* instant("endTime", query.endTime)
        if (to < from) return yield* invalid("endTime", "lies before startTime: swap them")
        const limit = clamp(query.limit, 1, 100_000, 1_000)
        const found = yield* ask(
          `select s.id, s.labels, f.type, f.bounds from ${t.family} f join ${t.series} s on s.family = f.id
            where f.name = $1::text and s.labels @> $2::text::jsonb limit ${maxSeries + 1}`,
          [text(clean(query.name, 255)), text(labelsOf(query))]
        )
        if (found.length > maxSeries) return yield* invalid("labels", `leave more than ${maxSeries} series: add a label`)
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
            for (const row of page) points.push(point(query.name, row, series.get(row["series"] as number)!))
            missing -= page.length
            // Frames may hold nothing of these series: a page that was not full says nothing about the time before it.
            if (Number(rows[0]!["frames"]) < frames) break
            until = (rows[0]!["oldest"] as Date).getTime()
            frames = Math.min(maxFrames, frames * 4)
          }
        }
        return points.sort((a, b) => b.timestamp - a.timestamp).slice(0, limit)
      })
  }
}

const labelsOf = (query: MetricsHistoryQuery): string => encodeRecord(query.labels ?? {})

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

// -------------------------------------------------------------------------------------------------------------------- traces

/** Rows read of one trace; a row holds up to 1,024 spans. */
const maxParts = 5_000
/** How far back to look for recent traces, in seconds, step by step until there are enough; the last takes everything. */
const windows = [60, 3_600, 86_400, 30 * 86_400, undefined] as const

export const traces = (options: HistoryOptions): TraceHistory["Service"] => {
  const t = sqlNames(options.names)
  const ask = asking(options)
  const sql = recent(t)
  return {
    getTrace: (traceId) =>
      Effect.gen(function*() {
        if (!/^[0-9a-fA-F]{32}$/.test(traceId)) {
          return yield* invalid("traceId", `is ${JSON.stringify(String(traceId).slice(0, 40))}: pass the trace's 32 hex digits`)
        }
        const id = traceId.toLowerCase()
        const rows = yield* ask(
          `select start_ns, span_ids, parent_ids, operations, starts, durations, statuses, messages, attributes, events, links
            from ${t.trace_part} where replace(trace_id::text, '-', '') = $1::text order by ts limit ${maxParts}`,
          [text(id)]
        )
        if (rows.length === 0) return undefined
        const operations = yield* operationsOf(ask, t, rows)
        const spans = rows.flatMap((row) => spansOf(id, row, operations))
        return { traceId: id, spans: spans.sort((a, b) => (a.startTime < b.startTime ? -1 : a.startTime > b.startTime ? 1 : 0)) } satisfies StoredTrace
      }),
    getRecentTraces: (query = {}) =>
      Effect.gen(function*() {
        const limit = clamp(query.limit, 1, 1_000, 20)
        const status = query.status
        if (status !== undefined && status !== "OK" && status !== "ERROR") return yield* invalid("status", "must be \"OK\" or \"ERROR\"")
        for (const seconds of windows) {
          const rows = yield* ask(sql, [
            int4(seconds ?? null),
            int4(limit),
            text(query.serviceName === undefined ? null : clean(query.serviceName, 255)),
            text(status ?? null)
          ])
          if (rows.length >= limit || seconds === undefined) return rows.map(summaryOf)
        }
        return []
      })
  }
}

/**
 * `$1` seconds to look back or null, `$2` limit, `$3` service or null, `$4` status or null. A trace counts by its first start;
 * its rows are looked for up to a day before the window.
 */
const recent = (t: Sql): string =>
  `with range as materialized (select coalesce(now() - make_interval(secs => $1::int4), '-infinity') as begins),
  candidate as (
    select distinct replace(trace_id::text, '-', '') as id from ${t.trace_part}
    where ts >= (select begins from range)
  ),
  whole as (
    select c.id, min(p.start_ns) as start_ns, max(p.end_ns) as end_ns, sum(p.span_count)::int4 as span_count,
      sum(p.error_count)::int4 as error_count, min(p.ts) as ts,
      (array_agg(p.root_operation order by p.root desc, p.start_ns))[1] as operation,
      bool_or(p.operations && (select array_agg(id) from ${t.operation} where service = $3::text)) as of_service
    from candidate c join ${t.trace_part} p on replace(p.trace_id::text, '-', '') = c.id
    where p.ts >= (select begins - interval '1 day' from range)
    group by c.id
  )
  select w.id, w.start_ns, w.end_ns, w.span_count, w.error_count, o.name, o.service
  from whole w join ${t.operation} o on o.id = w.operation
  where w.ts >= (select begins from range) and ($3::text is null or w.of_service)
    and ($4::text is null or (w.error_count > 0) = ($4::text = 'ERROR'))
  order by w.start_ns desc limit $2::int4`

const summaryOf = (row: Row): TraceSummary => {
  const errorCount = Number(row["error_count"])
  return {
    traceId: String(row["id"]),
    name: String(row["name"]),
    serviceName: String(row["service"]),
    startTime: row["start_ns"] as bigint,
    duration: (row["end_ns"] as bigint) - (row["start_ns"] as bigint),
    spanCount: Number(row["span_count"]),
    errorCount,
    status: errorCount > 0 ? "ERROR" : "OK"
  }
}

const operationsOf = (ask: Ask, t: Sql, rows: ReadonlyArray<Row>) => {
  const ids = new Set(rows.flatMap((row) => row["operations"] as ReadonlyArray<number>))
  return Effect.map(
    ask(`select id, service, name, kind from ${t.operation} where id = any($1::int4[])`, [int4s(Int32Array.from(ids))]),
    (found) => new Map(found.map((row) => [row["id"] as number, row]))
  )
}

const spansOf = (traceId: string, row: Row, operations: ReadonlyMap<number, Row>): ReadonlyArray<StoredSpan> => {
  const column = <A>(name: string) => row[name] as ReadonlyArray<A>
  const optional = <A>(name: string) => row[name] as ReadonlyArray<A> | null
  return column<bigint>("span_ids").map((spanId, i) => {
    const operation = operations.get(column<number>("operations")[i]!)
    const parent = column<bigint>("parent_ids")[i]!
    const startTime = (row["start_ns"] as bigint) + column<bigint>("starts")[i]!
    return {
      traceId,
      spanId: Encoding.fromInt8(spanId),
      parentSpanId: parent === 0n ? undefined : Encoding.fromInt8(parent),
      name: String(operation?.["name"] ?? ""),
      kind: Encoding.spanKinds[Number(operation?.["kind"] ?? 0)] ?? "internal",
      serviceName: String(operation?.["service"] ?? ""),
      startTime,
      endTime: startTime + column<bigint>("durations")[i]!,
      status: Encoding.spanStatuses[column<number>("statuses")[i]!] ?? "unset",
      statusMessage: optional<string | null>("messages")?.[i] ?? undefined,
      attributes: new Map(Object.entries(column<Record<string, unknown>>("attributes")[i]!)),
      events: (optional<ReadonlyArray<StoredEvent> | null>("events")?.[i] ?? []).map((event): SpanEvent => ({
        name: event.n,
        time: startTime + BigInt(event.t),
        attributes: event.a
      })),
      links: (optional<ReadonlyArray<StoredLink> | null>("links")?.[i] ?? []).map((link): SpanLinkData => ({
        traceId: link.t,
        spanId: link.s,
        attributes: link.a
      })),
      // Neither is stored yet.
      weight: 1,
      traceState: ""
    }
  })
}

interface StoredEvent {
  readonly n: string
  readonly t: string
  readonly a: Readonly<Record<string, unknown>>
}
interface StoredLink {
  readonly t: string
  readonly s: string
  readonly a: Readonly<Record<string, unknown>>
}
