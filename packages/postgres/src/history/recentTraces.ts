import type { HistoryError, TraceSummary } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { clean } from "../internal/json.ts"
import type { Sql } from "../internal/names.ts"
import { int4, text } from "../internal/parameters.ts"
import type { Ask } from "./ask.ts"
import { foundOf } from "./traceSummaries.ts"

export interface Recent {
  readonly limit: number
  readonly serviceName: string | undefined
  readonly status: "OK" | "ERROR" | undefined
}

/** How far back to look, in seconds, step by step until there are enough; the last takes everything. */
const windows = [60, 3_600, 86_400, 30 * 86_400, undefined] as const
/** Parts of traces looked at in one statement. */
const mostCandidates = 400_000

/**
 * The newest traces. Candidates are the newest parts that a trace of the answer must have one of: a part with an error when failures
 * are wanted, one of the service's when it is named. Their traces are summed up whole, and judged then.
 */
export const recentTraces = (ask: Ask, t: Sql, question: Recent): Effect.Effect<ReadonlyArray<TraceSummary>, HistoryError> =>
  Effect.gen(function*() {
    const { limit, status } = question
    const service = question.serviceName === undefined ? undefined : clean(question.serviceName, 255)
    let count = Math.max(60, limit * 2)
    for (const seconds of windows) {
      while (true) {
        const rows = yield* ask(candidatesSql(t, status === "ERROR", service !== undefined), [
          int4(seconds ?? null),
          int4(count),
          ...(service === undefined ? [] : [text(service)])
        ])
        // Of what begins before it not all was seen: left for a wider look.
        const from = rows[0]!["begins"] as bigint
        const cut = rows[0]!["cut"] === true
        const ids = rows.flatMap((row) => (row["id"] === null ? [] : [String(row["id"])]))
        const found = (yield* foundOf(ask, t, ids, { service, from: from === ever ? undefined : from }))
          .filter(({ begins, ofService, summary }) =>
            begins >= from && (service === undefined || ofService) && (status === undefined || summary.status === status))
          .map(({ summary }) => summary)
          .sort((a, b) => (a.startTime > b.startTime ? -1 : a.startTime < b.startTime ? 1 : 0))
        if (found.length >= limit || (cut && count >= mostCandidates) || (!cut && seconds === undefined)) return found.slice(0, limit)
        if (!cut) break
        count = Math.min(mostCandidates, count * 8)
      }
    }
    return []
  })

/** The microsecond before everything: none of a timestamp is as old. */
const ever = -4_000_000_000_000_000_000n

/**
 * `$1` seconds to look back or null, `$2` the most parts, newest first, `$3` the service. Of a packed row the newest part and how many of its
 * parts are wanted is read first, and only as many rows are opened as it takes. `begins`: everything from this microsecond on was seen.
 */
const candidatesSql = (t: Sql, failed: boolean, ofService: boolean): string => {
  const conditions = (error: string, operation: string) =>
    [...(failed ? [`${error} > 0`] : []), ...(ofService ? [`${operation} = any (array(select id from ${t.operation} where service = $3::text))`] : [])]
  const and = (all: ReadonlyArray<string>) => all.map((one) => ` and ${one}`).join("")
  // A trace's failed part may be of another service: then only the error decides here.
  const part = failed ? conditions("error", "operation").slice(0, 1) : conditions("error", "operation")
  const hot = failed ? ["error_count > 0"] : conditions("error_count", "root_operation")
  const rows = failed
    ? ["0 < any (p.errors)"]
    : ofService ? [`p.operations && array(select id from ${t.operation} where service = $3::text)`] : []
  const counted = part.length === 0
    ? "cardinality(p.ids)"
    : `(select count(*) from unnest(p.errors, p.operations) as u(error, operation) where ${part.join(" and ")})`
  return `with range as materialized (
    select coalesce(now() - make_interval(secs => $1::int4), '-infinity') as begins,
      case when $1::int4 is null then '${ever}'::int8 else (extract(epoch from now() - make_interval(secs => $1::int4)) * 1000000)::int8 end as time
  ),
  directory as materialized (
    select day, chunk, first, newest, sum(n) over (order by newest desc, chunk, first rows unbounded preceding) - n as before
    from (
      select p.ts as day, p.chunk, p.first, ${counted} as n,
        case when p.times is null then (p.base_ns + p.starts[cardinality(p.starts)]) / 1000 else (select max(time) from unnest(p.times) as time) end as newest
      from ${t.trace_pack} p where p.ts >= (select begins - interval '1 day' from range)${and(rows)}) d
    where n > 0 and newest >= (select time from range)
  ),
  candidate as materialized (
    select trace_id, time from (
      (select trace_id, (extract(epoch from ts) * 1000000)::int8 as time from ${t.hot_part}
        where ts >= (select begins from range)${and(hot)} order by ts desc limit $2::int4)
      union all
      (select trace_id, time from (
        select u.trace_id, coalesce(u.time, (p.base_ns + u.start) / 1000) as time
        from (select * from directory where before < $2::int4) d
        join ${t.trace_pack} p on p.chunk = d.chunk and p.ts = d.day and p.first = d.first
        cross join lateral unnest(p.trace_ids, p.starts, p.errors, p.operations, p.times) as u(trace_id, start, error, operation, time)
        where true${and(part)}) c
      where time >= (select time from range))
    ) c order by time desc limit $2::int4
  ),
  seen as materialized (
    select c.n >= $2::int4 or d.newest is not null as cut,
      greatest((select time from range), case when c.n >= $2::int4 then c.oldest + 1 end, d.newest + 1) as begins
    from (select count(*) as n, min(time) as oldest from candidate) c,
      (select max(newest) as newest from directory where before >= $2::int4) d
  )
  select s.cut, s.begins, replace(c.trace_id::text, '-', '') as id
  from seen s left join (select distinct trace_id from candidate) c on true`
}
