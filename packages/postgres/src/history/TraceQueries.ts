import { type HistoryError, type StoredTrace, type TraceHistory, TraceQuestions, type TraceSummary } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Sql, sqlNames } from "../internal/names.ts"
import { int4, text, texts, uuids } from "../internal/parameters.ts"
import { clean } from "../internal/json.ts"
import type { Row } from "../internal/session.ts"
import type { Live } from "../Live.ts"
import { type Deleter, deleteTraces } from "../spans/deletion.ts"
import { type Ask, asking, type HistoryOptions } from "./ask.ts"
import { liveTraces } from "./liveTraces.ts"
import { Parameters, passing, type Searchable } from "./spanSql.ts"
import { spanOf, traceById } from "./traceById.ts"
import { dependencies, differences, latency, operations } from "./traceFigures.ts"

export interface TraceHistoryOptions extends HistoryOptions {
  /** A connection for writing, for `deleteTraces`. */
  readonly writer: Deleter
  /** What tells of new rows, for `liveTraces`. */
  readonly live: Live["Service"]
}

export const traces = (options: TraceHistoryOptions): TraceHistory["Service"] => {
  const t = sqlNames(options.names)
  const ask = asking(options)
  // A key that all there is has an index for is so "since ever": looking for older rows would cost more than the answer.
  const searchable = Effect.map(
    ask(`select key, case when since > (select min(chunk) from ${t.span_pack}) then since else 0 end as since from ${t.searchable}`, []),
    (rows): Searchable => new Map(rows.map((row) => [String(row["key"]), row["since"] as bigint]))
  )
  const searchTraces: TraceHistory["Service"]["searchTraces"] = (query = {}) =>
    Effect.gen(function*() {
      const question = yield* TraceQuestions.search(query)
      return yield* search(ask, t, question, yield* searchable)
    })
  return {
    getTrace: (traceId) =>
      Effect.gen(function*() {
        const id = yield* TraceQuestions.traceId(traceId)
        const rows = yield* ask(traceById(t), [text(id)])
        if (rows.length === 0) return undefined
        return {
          traceId: id,
          spans: rows.map(spanOf(id)).sort((a, b) => (a.startTime < b.startTime ? -1 : a.startTime > b.startTime ? 1 : 0))
        } satisfies StoredTrace
      }),
    getRecentTraces: (query = {}) =>
      Effect.gen(function*() {
        const { serviceName, status } = query
        if (status !== undefined && status !== "OK" && status !== "ERROR") {
          return yield* TraceQuestions.invalid("status", "must be \"OK\" or \"ERROR\"")
        }
        return yield* recent(ask, t, { limit: TraceQuestions.clamped(query.limit, 1, 1_000, 20), serviceName, status })
      }),
    searchTraces,
    streamTraces: TraceQuestions.stream(searchTraces),
    liveTraces: liveTraces(ask, t, options.live, (ids) => Effect.map(summariesOf(ask, t, ids), (found) => [...found.values()])),
    operations: (query = {}) =>
      Effect.flatMap(TraceQuestions.filter(query, { open: false }), (filter) =>
        operations(ask, t, filter, TraceQuestions.clamped(query.limit, 1, 1_000, 100))),
    dependencies: (query = {}) =>
      Effect.flatMap(TraceQuestions.filter(query, { open: false }), (filter) =>
        dependencies(ask, t, filter, TraceQuestions.clamped(query.limit, 1, 1_000, 100))),
    latency: (query = {}) =>
      Effect.gen(function*() {
        const question = yield* TraceQuestions.latency(query)
        return yield* latency(ask, t, question, yield* searchable)
      }),
    whatDiffers: (query) =>
      Effect.gen(function*() {
        const question = yield* TraceQuestions.differs(query)
        return yield* differences(ask, t, question, yield* searchable)
      }),
    deleteTraces: (what) => Effect.flatMap(TraceQuestions.deletion(what), (deletion) => deleteTraces(options.writer, options.names, deletion))
  }
}

// --------------------------------------------------------------------------------------------------------------------- recent

interface Recent {
  readonly limit: number
  readonly serviceName: string | undefined
  readonly status: "OK" | "ERROR" | undefined
}

/** How far back to look, in seconds, step by step until there are enough; the last takes everything. */
const windows = [60, 3_600, 86_400, 30 * 86_400, undefined] as const
/** Parts of traces looked at in one statement. */
const mostCandidates = 400_000

const recent = (ask: Ask, t: Sql, question: Recent): Effect.Effect<ReadonlyArray<TraceSummary>, HistoryError> =>
  Effect.gen(function*() {
    let candidates = Math.max(200, question.limit * 4)
    for (const seconds of windows) {
      while (true) {
        const rows = yield* ask(recentSql(t), [
          int4(seconds ?? null),
          int4(question.limit),
          text(question.serviceName === undefined ? null : clean(question.serviceName, 255)),
          text(question.status ?? null),
          int4(candidates)
        ])
        const found = rows.filter((row) => row["id"] !== null)
        const cut = Number(rows[0]!["candidates"]) >= candidates
        if (found.length >= question.limit || (cut && candidates >= mostCandidates)) return found.map(summaryOf)
        if (!cut) {
          if (seconds === undefined) return found.map(summaryOf)
          break
        }
        candidates = Math.min(mostCandidates, candidates * 8)
      }
    }
    return []
  })

/**
 * `$1` seconds to look back or null, `$2` limit, `$3` service or null, `$4` status or null, `$5` the most parts looked at, newest
 * first. A trace counts by its first start, so traces that begin before the oldest part looked at are left for a wider look. All
 * spans of a part are of one service.
 */
const recentSql = (t: Sql): string =>
  `with range as materialized (select coalesce(now() - make_interval(secs => $1::int4), '-infinity') as begins),
  candidate as materialized (
    select trace_id, ts from (
      (select trace_id, ts from ${t.hot_part} where ts >= (select begins from range) order by ts desc limit $5::int4)
      union all
      (select trace_id, ts from ${t.cold_part}
        where day >= (select begins - interval '1 day' from range) and ts >= (select begins from range) order by ts desc limit $5::int4)
    ) c order by ts desc limit $5::int4
  ),
  seen as materialized (
    select count(*)::int4 as candidates, case when count(*) >= $5::int4 then min(ts) else (select begins from range) end as begins from candidate
  ),
  wanted as materialized (select distinct trace_id from candidate),
  part as (
    select p.* from wanted w join ${t.hot_part} p on replace(p.trace_id::text, '-', '') = replace(w.trace_id::text, '-', '')
    union all
    select null, p.ts, p.day, p.id, p.trace_id, p.start_ns, p.end_ns, p.lane, p.root_operation, p.root, p.span_count, p.error_count
    from ${t.cold_part} p
    where p.trace_id in (select trace_id from wanted) and p.day >= (select begins - interval '2 days' from seen)
  ),
  whole as (
    select p.trace_id, min(p.start_ns) as start_ns, max(p.end_ns) as end_ns, sum(p.span_count)::int4 as span_count,
      sum(p.error_count)::int4 as error_count, min(p.ts) as ts, (array_agg(p.root_operation order by p.root desc, p.start_ns))[1] as operation,
      bool_or(o.service = $3::text) as of_service
    from part p join ${t.operation} o on o.id = p.root_operation
    group by p.trace_id
  ),
  answer as (
    select replace(w.trace_id::text, '-', '') as id, w.start_ns, w.end_ns, w.span_count, w.error_count, o.name, o.service
    from whole w join ${t.operation} o on o.id = w.operation
    where w.ts >= (select begins from seen) and ($3::text is null or w.of_service)
      and ($4::text is null or (w.error_count > 0) = ($4::text = 'ERROR'))
    order by w.start_ns desc limit $2::int4
  )
  select s.candidates, a.* from seen s left join answer a on true order by a.start_ns desc`

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

// --------------------------------------------------------------------------------------------------------------------- search

/** How far before the end of the range to look, in seconds, when only the newest are wanted; then everywhere. */
const steps = [600n, 6n * 3_600n, 2n * 86_400n] as const

const search = (
  ask: Ask,
  t: Sql,
  question: TraceQuestions.Search,
  searchable: Searchable
): Effect.Effect<{ readonly traces: ReadonlyArray<TraceSummary>; readonly cursor: string | undefined }, HistoryError> =>
  Effect.gen(function*() {
    const { after, filter, limit, order } = question
    const now = BigInt(yield* Clock.currentTimeMillis) * 1_000_000n
    // The traces after the cursor have no newer span than it; without one, nothing is newer than now (or clocks are wrong).
    const end = after?.key ?? (filter.to < now ? filter.to : now)
    // What an index finds it finds everywhere at once.
    const indexed = filter.attributes.some(([key]) => searchable.has(key))
    const begins = order === "newest" && !indexed ? [...steps.map((seconds) => end - seconds * 1_000_000_000n).filter((from) => from > filter.from), filter.from] : [filter.from]
    let found: ReadonlyArray<Row> = []
    for (const from of begins) {
      const parameters = new Parameters()
      const sql = searchSql(t, parameters, { ...question, filter: { ...filter, from } }, searchable)
      found = yield* ask(sql, parameters.values)
      if (found.length > limit) break
    }
    const page = found.slice(0, limit)
    if (page.length === 0) return { traces: [], cursor: undefined }
    const ids = page.map((row) => String(row["id"]))
    const summaries = yield* summariesOf(ask, t, ids)
    const last = page.at(-1)!
    return {
      // A trace deleted or expired in between is left out.
      traces: ids.flatMap((id) => summaries.get(id) ?? []),
      cursor: found.length > limit ? TraceQuestions.cursor(order, last["key"] as bigint, String(last["id"])) : undefined
    }
  })

const searchSql = (t: Sql, parameters: Parameters, { after, filter, limit, order }: TraceQuestions.Search, searchable: Searchable): string => {
  const [key, direction] = order === "newest"
    ? ["max(start_ns)", "desc"]
    : order === "oldest"
    ? ["min(start_ns)", "asc"]
    : ["max(duration)", "desc"]
  const spans = passing(t, parameters, filter, searchable, order === "slowest" ? "x.trace_id, x.duration" : "x.trace_id, x.start_ns")
  const next = after === undefined ? "true" : (() => {
    const at = parameters.nanos(after.key)
    return `(key ${direction === "desc" ? "<" : ">"} ${at} or (key = ${at} and trace_id > ${parameters.add(text(after.traceId), "text")}::uuid))`
  })()
  return `select replace(trace_id::text, '-', '') as id, key
    from (select trace_id, ${key} as key from ${spans} s group by trace_id) k
    where ${next} order by key ${direction}, trace_id limit ${parameters.add(int4(limit + 1), "int4")}`
}

const summariesOf = (ask: Ask, t: Sql, ids: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, TraceSummary>, HistoryError> =>
  Effect.map(ask(summariesSql(t), [texts(ids), uuids(ids)]), (rows) => new Map(rows.map((row) => [String(row["id"]), summaryOf(row)])))

/** `$1` ids as text, `$2` the same as uuids: the index of hot rows is on the text. Packed rows are not unpacked: entries are taken out. */
const summariesSql = (t: Sql): string =>
  `select replace(p.trace_id::text, '-', '') as id, p.start_ns, p.end_ns, p.span_count, p.error_count, o.name, o.service
  from (
    select trace_id, min(start_ns) as start_ns, max(end_ns) as end_ns, sum(span_count)::int4 as span_count, sum(error_count)::int4 as error_count,
      (array_agg(root_operation order by root desc, start_ns))[1] as operation
    from (
      select trace_id, start_ns, end_ns, span_count, error_count, root_operation, root from ${t.hot_part}
      where replace(trace_id::text, '-', '') = any ($1::text[])
      union all
      select w.id, p.base_ns + p.starts[k], p.base_ns + p.starts[k] + p.lengths[k], p.ends[k] - coalesce(p.ends[k - 1], 0), p.errors[k],
        p.operations[k], p.roots[k]
      from ${t.trace_pack} p
      cross join lateral (select p.trace_ids || '{}' as ids offset 0) d
      cross join unnest($2::uuid[]) as w(id)
      cross join lateral unnest(array_positions(d.ids, w.id)) as k
      where ${t.hashes}(p.trace_ids) && ${t.hashes}($2::uuid[])) a
    group by trace_id) p
  join ${t.operation} o on o.id = p.operation`
