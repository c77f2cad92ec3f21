import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { lockName } from "../migrations/index.ts"
import type { Names } from "../PostgresConfig.ts"
import { encodeRecord } from "./json.ts"
import { type Sql, sqlNames } from "./names.ts"
import { int4, int4s, text } from "./parameters.ts"
import { packHour, waiting } from "./packing/hours.ts"
import * as Partitions from "./partitions.ts"
import type { Session } from "./session.ts"

interface Deleted {
  readonly rows: number
  readonly series: number
}

const frames = (t: Sql) => [t.metric_frame, t.histogram_frame, t.summary_frame]
const rollups = (t: Sql) => [t.rollup_minute, t.rollup_hour, t.rollup_day]

/** In one transaction with one snapshot, alone with the packing worker's lock. Fails with 40001 when a frame came in between. */
export const metrics = (
  session: Session,
  names: Names,
  of: { readonly service: string } | { readonly labels: Readonly<Record<string, string>> }
): Effect.Effect<Deleted, SqlError> =>
  Effect.gen(function*() {
    const t = sqlNames(names)
    // Every frame's place among the packed rows is there before the snapshot is taken.
    yield* Partitions.ensure(session, names, new Map([
      ["metric_segment", new Set((yield* waiting(session, t, farFuture)).map(({ start }) => Partitions.dayOf(start)))],
      ["metric_pack_hour", new Set((yield* waiting(session, t, farFuture)).map(({ start }) => Partitions.dayOf(start)))]
    ]))
    return yield* Partitions.transaction(
      session,
      Effect.gen(function*() {
        yield* session.execute("set local lock_timeout = '30s'")
        yield* session.query("select pg_advisory_xact_lock(hashtextextended($1, 1))", [text(lockName(names))])
        return "service" in of ? yield* service(session, t, of.service) : yield* labels(session, t, of.labels)
      }),
      "isolation level repeatable read"
    )
  })

const farFuture = 253_402_300_799_000

const ids = (rows: ReadonlyArray<Readonly<Record<string, unknown>>>, name = "id") => Int32Array.from(rows, (row) => row[name] as number)

const remove = (session: Session, sql: string, parameters: ReadonlyArray<unknown>): Effect.Effect<number, SqlError> =>
  Effect.map(session.query(`with gone as (delete from ${sql} returning 1) select count(*)::int4 as n from gone`, parameters), (rows) => rows[0]!["n"] as number)

const service = (session: Session, t: Sql, name: string): Effect.Effect<Deleted, SqlError> =>
  Effect.gen(function*() {
    const resources = int4s(ids(yield* session.query(`select id from ${t.resource} where service = $1::text`, [text(name)])))
    // Locked: a process that still writes waits for us, and then finds that it has to join again.
    const lanes = int4s(ids(yield* session.query(`select id from ${t.lane} where resource = any($1::int4[]) and signal = 'metrics' for update`, [resources])))
    const series = ids(yield* session.query(`select distinct unnest(series) as id from ${t.lane_series} where lane = any($1::int4[])`, [lanes]))
    let rows = 0
    for (const table of [...frames(t), t.exemplar, t.exponential, t.exponential_pack]) rows += yield* remove(session, `${table} where lane = any($1::int4[])`, [lanes])
    rows += yield* remove(session, `${t.metric_pack} where segment in (select id from ${t.metric_segment} where lane = any($1::int4[]))`, [lanes])
    yield* remove(session, `${t.metric_segment} where lane = any($1::int4[])`, [lanes])
    for (const table of rollups(t)) rows += yield* remove(session, `${table} where resource = any($1::int4[])`, [resources])
    yield* remove(session, `${t.lane} where id = any($1::int4[])`, [lanes])
    yield* remove(session, `${t.resource} r where id = any($1::int4[]) and not exists (select from ${t.lane} l where l.resource = r.id)`, [resources])
    return { rows, series: yield* forget(session, t, series) }
  })

const labels = (session: Session, t: Sql, wanted: Readonly<Record<string, string>>): Effect.Effect<Deleted, SqlError> =>
  Effect.gen(function*() {
    const series = ids(yield* session.query(`select id from ${t.series} where labels @> $1::text::jsonb`, [text(encodeRecord(wanted))]))
    const some = int4s(series)
    // All lanes of their processes: one has a lane for each generation of its lists, and joins again only when its first is gone.
    const lanes = ids(yield* session.query(
      `select id from ${t.lane} where signal = 'metrics' and resource in (
          select l.resource from ${t.lane} l join ${t.lane_series} s on s.lane = l.id where s.series && $1::int4[]) for update`,
      [some]
    ))
    // A frame holds all series of its lane: packed, each can go by itself.
    for (const hour of yield* waiting(session, t, farFuture)) if (lanes.includes(hour.lane)) yield* packHour(session, t, hour)
    let rows = yield* remove(session, `${t.exemplar} where series = any($1::int4[])`, [some])
    for (const table of [t.metric_pack, t.exponential, t.exponential_pack, ...rollups(t)]) rows += yield* remove(session, `${table} where series = any($1::int4[])`, [some])
    for (const lane of lanes) yield* retire(session, t, lane)
    return { rows, series: yield* forget(session, t, series) }
  })

/** Gives what a lane has packed to a stand-in and removes the lane: its process, if it lives, joins again with series that exist. */
const retire = (session: Session, t: Sql, lane: number): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const [made] = yield* session.query(
      `insert into ${t.lane} (producer, signal, epoch, seq, resource, created_at, seen_at)
        select gen_random_uuid(), signal, epoch, seq, resource, created_at, seen_at from ${t.lane} where id = $1::int4 returning id`,
      [int4(lane)]
    )
    const both = [int4(lane), int4(made!["id"] as number)]
    yield* session.query(`update ${t.metric_segment} set lane = $2::int4 where lane = $1::int4`, both)
    for (const table of [t.exemplar, t.exponential, t.exponential_pack]) yield* session.query(`update ${table} set lane = $2::int4 where lane = $1::int4`, both)
    yield* session.query(`delete from ${t.lane} where id = $1::int4`, [int4(lane)])
  })

/** Series that nothing refers to any more: their labels may be what had to go. */
const forget = (session: Session, t: Sql, series: Int32Array): Effect.Effect<number, SqlError> =>
  remove(
    session,
    `${t.series} s where id = any($1::int4[]) and not exists (select from ${t.lane_series} l where l.series @> array[s.id])
      ${[t.metric_pack, t.exponential, t.exponential_pack, ...rollups(t)].map((table) => `and not exists (select from ${table} p where p.series = s.id)`).join(" ")}`,
    [int4s(series)]
  )
