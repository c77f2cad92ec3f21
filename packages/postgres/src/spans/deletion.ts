import { type Deleted, HistoryError, type TraceQuestions } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { describe, isMissingSchema } from "../internal/errors.ts"
import { clean } from "../internal/json.ts"
import { type Sql, sqlNames } from "../internal/names.ts"
import { int4s, int8, text, texts, timestamptz } from "../internal/parameters.ts"
import { dayOf, ensure, transaction } from "../internal/partitions.ts"
import type { Session } from "../internal/session.ts"
import type { Names } from "../PostgresConfig.ts"
import { Parameters } from "../history/parameters.ts"
import { carries } from "../history/spanSql.ts"
import { attributeHash } from "./attributeHash.ts"
import { lockName } from "./SpanPacker.ts"

/** Runs `use` on a connection for writing. */
export type Deleter = <A, E>(use: (session: Session) => Effect.Effect<A, E>) => Effect.Effect<A, E | SqlError>

/** Traces deleted in one go. */
const idsAtOnce = 5_000

/**
 * Deletes whole rows of `obs_trace_part`. Of a packed chunk with something in it that goes, everything that stays becomes rows
 * of `obs_trace_part` again, in one transaction; the packer takes them when it comes by. Begun and not finished, it may be begun
 * again.
 */
export const deleteTraces = (writer: Deleter, names: Names, deletion: TraceQuestions.Deletion): Effect.Effect<Deleted, HistoryError> =>
  writer((session) => {
    const t = sqlNames(names)
    switch (deletion._tag) {
      case "Trace":
        return Effect.map(sweep(session, names, byIds(t, [deletion.traceId])), totalOf)
      case "Attribute":
        return Effect.gen(function*() {
          const total = { spans: 0, traces: 0 }
          while (true) {
            const parameters = new Parameters()
            const sql = carriersOf(t, parameters, deletion.key, deletion.value)
            const ids = (yield* session.query(sql, parameters.values)).map((row) => String(row["id"]))
            if (ids.length === 0) return total
            const { spans, traces } = totalOf(yield* sweep(session, names, byIds(t, ids)))
            total.spans += spans
            total.traces += traces
          }
        })
      case "Service":
        return Effect.gen(function*() {
          const operations = yield* session.query(`select id from ${t.operation} where service = $1::text`, [text(clean(deletion.serviceName, 255))])
          const { env, instance } = deletion
          const lanes = instance === undefined && env === undefined ? undefined : yield* session.query(
            `select l.id from ${t.lane} l join ${t.resource} r on r.id = l.resource
              where ($1::text is null or r.instance = $1::text) and ($2::text is null or r.env = $2::text)`,
            [text(instance === undefined ? null : clean(instance, 255)), text(env === undefined ? null : clean(env, 255))]
          )
          // Numbers of our own making: they may stand in the statement.
          const ofLanes = lanes === undefined ? "true" : `p.lane = any ('{${lanes.map((row) => row["id"]).join(",")}}'::int4[])`
          return totalOf(
            yield* sweep(session, names, {
              part: `p.root_operation = any ($1::int4[]) and ${ofLanes}`,
              pack: "d.operations && $1::int4[]",
              parameter: int4s(Int32Array.from(operations, (row) => row["id"] as number))
            })
          )
        })
    }
  }).pipe(
    Effect.catchTag("SqlError", (error: SqlError) =>
      Effect.fail(
        new HistoryError({
          reason: "unavailable",
          message: isMissingSchema(error) ? "the store is not set up yet" : `deleted in part at most, ask again: ${describe(error)}`
        })
      ))
  )

/** Which parts go: a condition on `p`, and one on rows `d` of the directory that may hold one; `$1` is theirs. */
interface Doomed {
  readonly part: string
  readonly pack: string
  readonly parameter: unknown
}

const byIds = (t: Sql, ids: ReadonlyArray<string>): Doomed => ({
  // The index of hot rows is on the text.
  part: "replace(p.trace_id::text, '-', '') = any ($1::text[])",
  pack: `${t.hashes}(d.trace_ids) && ${t.hashes}($1::text[]::uuid[]) and d.trace_ids && $1::text[]::uuid[]`,
  parameter: texts(ids)
})

/** Traces with a span that carries the attribute, some of them. */
const carriersOf = (t: Sql, parameters: Parameters, key: string, value: string): string => {
  const condition = carries(parameters, "attributes", key, value)
  const hash = parameters.add(int4s(Int32Array.of(attributeHash(clean(key), clean(value)))), "int4[]")
  return `select distinct replace(trace_id::text, '-', '') as id from (
    select trace_id from ${t.hot_span} where ${condition}
    union all
    select trace_id from ${t.cold_span} where ${condition}
      and (keys @> ${hash} or chunk < coalesce((select since from ${t.searchable} where key = ${parameters.text(key)}), 9223372036854775807))
  ) c limit ${idsAtOnce}`
}

/** Spans deleted by trace. */
type Gone = ReadonlyMap<string, number>

const totalOf = (gone: Gone): Deleted => ({ traces: gone.size, spans: [...gone.values()].reduce((sum, count) => sum + count, 0) })

const sweep = (session: Session, names: Names, doomed: Doomed): Effect.Effect<Gone, SqlError> =>
  Effect.gen(function*() {
    const t = sqlNames(names)
    const gone = new Map<string, number>()
    const count = (rows: ReadonlyArray<Readonly<Record<string, unknown>>>) => {
      for (const row of rows) gone.set(String(row["id"]), (gone.get(String(row["id"])) ?? 0) + Number(row["spans"]))
    }
    const chunks = yield* session.query(`select distinct d.ts, d.chunk from ${t.trace_pack} d where ${doomed.pack} order by 1, 2`, [doomed.parameter])
    for (const row of chunks) {
      const ts = row["ts"] as Date
      const chunk = [timestamptz(ts.getTime()), int8(row["chunk"] as bigint)]
      yield* ensure(session, names, new Map([["trace_part", new Set([dayOf(ts.getTime())])]] as const))
      yield* locked(session, names, Effect.gen(function*() {
        yield* session.query(unpack(t, doomed), [doomed.parameter, ...chunk])
        count(yield* session.query(
          `select replace(p.trace_id::text, '-', '') as id, sum(p.span_count)::int8 as spans from ${t.cold_part} p
            where p.day = $2::timestamptz and p.chunk = $3::int8 and ${doomed.part} group by 1`,
          [doomed.parameter, ...chunk]
        ))
        for (const table of [t.span_pack, t.trace_pack]) {
          yield* session.query(`delete from ${table} where ts = $1::timestamptz and chunk = $2::int8`, chunk)
        }
      }))
    }
    yield* locked(session, names, Effect.map(
      session.query(
        `with gone as (delete from ${t.trace_part} p where ${doomed.part} returning p.trace_id, p.span_count)
        select replace(trace_id::text, '-', '') as id, sum(span_count)::int8 as spans from gone group by 1`,
        [doomed.parameter]
      ),
      count
    ))
    return gone
  })

const locked = <A>(session: Session, names: Names, body: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  transaction(session, Effect.andThen(session.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [text(lockName(names))]), body))

/** `$2` day and `$3` chunk: the parts that stay, as the rows of `obs_trace_part` they were. */
const unpack = (t: Sql, doomed: Doomed): string =>
  `insert into ${t.trace_part} (ts, id, seq, start_ns, end_ns, trace_id, lane, root_operation, span_count, error_count, root, span_ids, parent_ids,
    operations, starts, durations, statuses, messages, attributes, events, links, weights, states, lost_attributes, lost_events, lost_links)
  select p.ts, p.id, 0, p.start_ns, p.end_ns, p.trace_id, p.lane, p.root_operation, p.span_count, p.error_count, p.root, p.span_ids, s.*
  from (select * from ${t.cold_part} p where p.day = $2::timestamptz and p.chunk = $3::int8 and (${doomed.part}) is not true) p
  join (
    select part_id, ${
    [
      "parent_id", "operation", "start_ns", "duration", "status", "message", "attributes", "events", "links", "weight", "state",
      "lost_attributes", "lost_events", "lost_links"
    ].map((column) => `array_agg(${column} order by place) as ${column}`).join(", ")
  }
    from ${t.cold_span} where day = $2::timestamptz and chunk = $3::int8 group by part_id) a on a.part_id = p.id
  cross join lateral (
    select a.parent_id, a.operation, (select array_agg(n - p.start_ns order by i) from unnest(a.start_ns) with ordinality as u(n, i)), a.duration, a.status,
      ${nothing("a.message")}, a.attributes, ${nothing("a.events")}, ${nothing("a.links")},
      case when 1 = all (a.weight) then null else a.weight end,
      case when '' = all (a.state) then null else (select array_agg(nullif(x, '') order by i) from unnest(a.state) with ordinality as u(x, i)) end,
      case when 0 = all (a.lost_attributes) then null else a.lost_attributes end,
      case when 0 = all (a.lost_events) then null else a.lost_events end,
      case when 0 = all (a.lost_links) then null else a.lost_links end) s`

/** NULL for an array of nothing but NULL. */
const nothing = (array: string): string => `case when cardinality(array_remove(${array}, null)) > 0 then ${array} end`
