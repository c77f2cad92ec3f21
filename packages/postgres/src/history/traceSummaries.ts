import type { HistoryError, TraceSummary } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Sql } from "../internal/names.ts"
import { int8, text, texts, uuids } from "../internal/parameters.ts"
import type { Row } from "../internal/session.ts"
import type { Ask } from "./ask.ts"

/** A trace, and what questions choose by: the microsecond in which it begins for the store, and whether `service` has a part in it. */
export interface Found {
  readonly summary: TraceSummary
  readonly begins: bigint
  readonly ofService: boolean
}

export interface Which {
  /** Whether one of the trace's parts is of it. */
  readonly service?: string | undefined
  /** Packed days before the one of this microsecond are not looked at. */
  readonly from?: bigint | undefined
}

/** Sums up whole traces, hot and packed; those that are not there are left out. */
export const foundOf = (ask: Ask, t: Sql, ids: ReadonlyArray<string>, which: Which = {}): Effect.Effect<ReadonlyArray<Found>, HistoryError> =>
  ids.length === 0 ? Effect.succeed([]) : Effect.map(
    ask(summariesSql(t), [texts(ids), uuids(ids), text(which.service ?? null), which.from === undefined ? null : int8(which.from)]),
    (rows) => rows.map((row) => ({ summary: summaryOf(row), begins: row["begins"] as bigint, ofService: row["of_service"] === true }))
  )

export const summariesOf = (ask: Ask, t: Sql, ids: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, TraceSummary>, HistoryError> =>
  Effect.map(foundOf(ask, t, ids), (found) => new Map(found.map(({ summary }) => [summary.traceId, summary])))

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

/**
 * `$1` ids as text, `$2` the same as uuids: the index of hot rows is on the text. `$3` service or null, `$4` microseconds or null.
 * Rows of the directory are found by the index, and only those are opened. All spans of a part are of one service.
 */
const summariesSql = (t: Sql): string =>
  `with wanted as materialized (select distinct id from unnest($2::uuid[]) as id),
  part as (
    select trace_id, start_ns, end_ns, span_count, error_count, root_operation, root, (extract(epoch from ts) * 1000000)::int8 as time
    from ${t.hot_part} where replace(trace_id::text, '-', '') = any ($1::text[])
    union all
    select u.id, p.base_ns + u.start, p.base_ns + u.start + u.length, u.until - u.before, u.error, u.operation, u.root,
      coalesce(u.time, (p.base_ns + u.start) / 1000)
    from ${t.trace_pack} p
    cross join lateral (
      select id, start, length, until, lag(until, 1, 0) over (order by i) as before, error, operation, root, time
      from unnest(p.trace_ids, p.starts, p.lengths, p.ends, p.errors, p.operations, p.roots, p.times)
        with ordinality as u(id, start, length, until, error, operation, root, time, i)) u
    join wanted w on w.id = u.id
    where ${t.hashes}(p.trace_ids) && ${t.hashes}($2::uuid[])
      and p.ts >= coalesce(to_timestamp($4::int8 / 1e6::float8) - interval '2 days', '-infinity')
  )
  select replace(p.trace_id::text, '-', '') as id, p.start_ns, p.end_ns, p.span_count, p.error_count, o.name, o.service, p.begins, p.of_service
  from (
    select a.trace_id, min(start_ns) as start_ns, max(end_ns) as end_ns, sum(span_count)::int4 as span_count, sum(error_count)::int4 as error_count,
      (array_agg(root_operation order by root desc, start_ns))[1] as operation, min(time) as begins, coalesce(bool_or(s.service = $3::text), false) as of_service
    from part a join ${t.operation} s on s.id = a.root_operation
    group by a.trace_id) p
  join ${t.operation} o on o.id = p.operation`
