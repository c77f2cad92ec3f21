import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { lockName } from "../migrations/index.ts"
import type { Names } from "../PostgresConfig.ts"
import { sqlState } from "./errors.ts"
import { type Partitioned, partitioned, sqlNames } from "./names.ts"
import { int4, text, texts } from "./parameters.ts"
import type { Session } from "./session.ts"

/** A day in UTC, `YYYYMMDD`. */
type Day = string

export const dayOf = (millis: number): Day => DateTime.formatIsoDateUtc(DateTime.makeUnsafe(millis)).replaceAll("-", "")

const partition = (table: Partitioned, day: Day) => `obs_${table}_p${day}`

/**
 * Makes the partitions that are missing. A new table is filled with nothing and then attached: attaching stops neither writers
 * nor readers, creating it in place would.
 */
export const ensure = (session: Session, names: Names, wanted: ReadonlyMap<Partitioned, ReadonlySet<Day>>): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const pairs = [...wanted].flatMap(([table, days]) => [...days].map((day) => ({ table, day, name: partition(table, day) })))
    const missing = () =>
      Effect.map(
        session.query(
          `select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = $1 and c.relispartition and c.relname = any($2::text[])`,
          [text(names.schema), texts(pairs.map((pair) => pair.name))]
        ),
        (rows) => {
          const present = new Set(rows.map((row) => row["name"]))
          return pairs.filter((pair) => !present.has(pair.name))
        }
      )
    if ((yield* missing()).length === 0) return
    yield* transaction(
      session,
      Effect.gen(function*() {
        yield* session.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [text(lockName(names))])
        const t = sqlNames(names)
        for (const { day, name, table } of yield* missing()) {
          const qualified = `${t.schema}."${name}"`
          const bounds = (yield* session.query(
            "select to_char($1::date, 'YYYY-MM-DD') as from, to_char($1::date + 1, 'YYYY-MM-DD') as to",
            [text(`${day.slice(0, -4)}-${day.slice(-4, -2)}-${day.slice(-2)}`)]
          ))[0]!
          yield* session.execute(`create table ${qualified} (like ${t[table]} including defaults including storage including compression)`)
          yield* session.execute(
            `alter table ${t[table]} attach partition ${qualified} for values from ('${bounds["from"]} 00:00:00+00') to ('${bounds["to"]} 00:00:00+00')`
          )
        }
      })
    )
  })

/** Makes the partitions of today and the two days after it, by the server's clock. */
export const ensureComing = (session: Session, names: Names): Effect.Effect<void, SqlError> =>
  Effect.flatMap(
    session.query("select to_char((now() at time zone 'UTC')::date + d, 'YYYYMMDD') as day from generate_series(0, 2) as d"),
    (rows) => {
      const days = new Set(rows.map((row) => String(row["day"])))
      return ensure(session, names, new Map(partitioned.map((table) => [table, days])))
    }
  )

/** How long a drop may keep writers waiting before it steps back. */
const patience = "500ms"

/**
 * Drops the days that ended more than `retentionDays` ago, by the server's clock: a wrong clock here deletes nothing. Returns
 * the names of those that stay for the next pass because somebody was reading.
 */
export const dropExpired = (session: Session, names: Names, retentionDays: number): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  Effect.gen(function*() {
    const t = sqlNames(names)
    const rows = yield* session.query(
      `select p.relname::text as parent, c.relname::text as name
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        join pg_class p on p.oid = i.inhparent
        join pg_namespace n on n.oid = p.relnamespace
        where n.nspname = $1 and p.relname = any($2::text[])
          and c.relname ~ '_p[0-9]{8}$'
          and right(c.relname, 8) < to_char((now() at time zone 'UTC')::date - $3::int4, 'YYYYMMDD')
        order by c.relname`,
      [text(names.schema), texts(partitioned.map((table) => `obs_${table}`)), int4(retentionDays)]
    )
    const left: Array<string> = []
    for (const row of rows) {
      const name = String(row["name"])
      const parent = `${t.schema}."${row["parent"]}"`
      const dropped = yield* transaction(
        session,
        Effect.gen(function*() {
          yield* session.execute(`set local lock_timeout = '${patience}'`)
          const mine = yield* session.query("select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as mine", [text(lockName(names))])
          if (mine[0]?.["mine"] !== true) return false
          yield* session.execute(`alter table ${parent} detach partition ${t.schema}."${name}"`)
          yield* session.execute(`drop table ${t.schema}."${name}"`)
          return true
        })
      ).pipe(
        // Lock timeout, or another process dropped it first.
        Effect.catch((error) => (["55P03", "42P01", "40P01"].includes(sqlState(error) ?? "") ? Effect.succeed(false) : Effect.fail(error)))
      )
      if (!dropped) left.push(name)
    }
    yield* session.query(`delete from ${t.lane} where seen_at < now() - make_interval(days => $1::int4 + 1)`, [int4(retentionDays)])
    return left
  })

const transaction = <A>(session: Session, body: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  session.execute("begin").pipe(
    Effect.andThen(body),
    Effect.tap(() => session.execute("commit")),
    Effect.tapError((error) => (sqlState(error) === undefined ? Effect.void : session.execute("rollback")))
  )
