import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { lockName } from "../migrations/index.ts"
import type { Names } from "../PostgresConfig.ts"
import { sqlState } from "./errors.ts"
import { type Partitioned, partitioned, partitionedBy, sqlNames } from "./names.ts"
import { int4, int4s, text, texts } from "./parameters.ts"
import { type Session, together } from "./session.ts"

/** A day in UTC, `YYYYMMDD`. */
type Day = string

export const dayOf = (millis: number): Day => DateTime.formatIsoDateUtc(DateTime.makeUnsafe(millis)).replaceAll("-", "")

/** How much of a day's digits name the partition that holds it. */
const digits = { day: 8, month: 6, year: 4 } as const

const periodOf = (table: Partitioned, day: Day): string => day.slice(0, day.length - 8 + digits[partitionedBy[table]])

/** Rows of these are compressed however short they are; a partition does not take this from its table. */
const storage: Partial<Record<Partitioned, string>> = {
  trace_pack: " with (toast_tuple_target = 128)",
  span_pack: " with (toast_tuple_target = 128)"
}

/** The first days of the period and of the one after it. */
const boundsOf = (table: Partitioned, day: Day): { readonly from: string; readonly to: string } => {
  const period = partitionedBy[table]
  const from = DateTime.startOf(DateTime.makeUnsafe(`${day.slice(0, -4)}-${day.slice(-4, -2)}-${day.slice(-2)}T00:00:00Z`), period)
  return { from: DateTime.formatIsoDateUtc(from), to: DateTime.formatIsoDateUtc(DateTime.add(from, { [`${period}s`]: 1 })) }
}

const partition = (table: Partitioned, day: Day) => `obs_${table}_p${periodOf(table, day)}`

/**
 * Makes the partitions of these days that are missing. A new table is filled with nothing and then attached: attaching stops neither writers
 * nor readers, creating it in place would.
 */
export const ensure = (session: Session, names: Names, wanted: ReadonlyMap<Partitioned, ReadonlySet<Day>>): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const pairs = [...wanted].flatMap(([table, days]) =>
      [...new Map([...days].map((day) => [partition(table, day), day]))].map(([name, day]) => ({ table, day, name }))
    )
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
        const statements = (yield* missing()).flatMap(({ day, name, table }) => {
          const qualified = `${t.schema}."${name}"`
          const { from, to } = boundsOf(table, day)
          return [
            `create table ${qualified} (like ${t[table]} including defaults including storage including compression)${storage[table] ?? ""}`,
            `alter table ${t[table]} attach partition ${qualified} for values from ('${from} 00:00:00+00') to ('${to} 00:00:00+00')`
          ]
        })
        if (statements.length > 0) yield* session.execute(together(statements))
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

/** How many days the rows of each table are kept. */
export type Retention = (table: Partitioned) => number

/**
 * Drops the partitions that ended longer ago than their retention, by the server's clock: a wrong clock here deletes nothing.
 * Returns the names of those that stay for the next pass because somebody was reading; what belongs to another role is that
 * role's to drop.
 */
export const dropExpired = (session: Session, names: Names, retention: Retention): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  Effect.gen(function*() {
    const t = sqlNames(names)
    const left: Array<string> = []
    for (const partition of yield* expired(session, names, retention)) {
      if (partition.own && !(yield* drop(session, names, partition))) left.push(partition.name)
    }
    // Rows written by hand are few, and of any time.
    yield* session.query(`delete from ${t.metric_row} where ts < now() - make_interval(days => $1::int4 + 1)`, [int4(retention("metric_pack_day"))])
    const longest = Math.max(...partitioned.map(retention))
    yield* session.query(`delete from ${t.lane} where seen_at < now() - make_interval(days => $1::int4 + 1)`, [int4(longest)])
    return left
  })

/** Partitions of other roles that those should have dropped two days ago: nobody seems to do it. */
export const overdue = (session: Session, names: Names, retention: Retention): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  Effect.map(expired(session, names, (table) => retention(table) + 2), (found) => found.flatMap(({ name, own }) => (own ? [] : [name])))

interface Partition {
  readonly parent: string
  readonly name: string
  /** This session may drop it. */
  readonly own: boolean
}

/** Drops the days of the hot tables that are over and whose rows have all been packed. */
export const dropEmptied = (session: Session, names: Names, tables: ReadonlyArray<Partitioned>): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const { schema } = sqlNames(names)
    // The day before yesterday and older; a clock that is a day behind would only make its partition anew.
    for (const partition of yield* expired(session, names, (table) => (tables.includes(table) ? 1 : 1_000_000))) {
      if (!partition.own) continue
      const empty = Effect.map(session.query(`select from ${schema}."${partition.name}" limit 1`), (rows) => rows.length === 0)
      if (yield* empty) yield* drop(session, names, partition, empty)
    }
  })

const expired = (session: Session, names: Names, retention: Retention): Effect.Effect<ReadonlyArray<Partition>, SqlError> =>
  Effect.map(
    session.query(
      `select p.relname::text as parent, c.relname::text as name, pg_has_role(c.relowner, 'USAGE') as own
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        join pg_class p on p.oid = i.inhparent
        join pg_namespace n on n.oid = p.relnamespace
        join unnest($2::text[], $3::int4[], $4::int4[]) as r(parent, days, digits) on r.parent = p.relname
        where n.nspname = $1 and c.relname ~ ('_p[0-9]{' || r.digits || '}$')
          and right(c.relname, r.digits) < left(to_char((now() at time zone 'UTC')::date - r.days, 'YYYYMMDD'), r.digits)
        order by c.relname`,
      [
        text(names.schema),
        texts(partitioned.map((table) => `obs_${table}`)),
        int4s(Int32Array.from(partitioned, retention)),
        int4s(Int32Array.from(partitioned, (table) => digits[partitionedBy[table]]))
      ]
    ),
    (rows) => rows.map((row) => ({ parent: String(row["parent"]), name: String(row["name"]), own: row["own"] === true }))
  )

/** `false`: it is not ours, another process works on the schema, or somebody reads; nothing happened. `only` may call it off when all is locked. */
const drop = (
  session: Session,
  names: Names,
  { name, own, parent }: Partition,
  only: Effect.Effect<boolean, SqlError> = Effect.succeed(true)
): Effect.Effect<boolean, SqlError> => {
  const { schema } = sqlNames(names)
  if (!own) return Effect.succeed(false)
  return transaction(
    session,
    Effect.gen(function*() {
      yield* session.execute(`set local lock_timeout = '${patience}'`)
      const mine = yield* session.query("select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as mine", [text(lockName(names))])
      if (mine[0]?.["mine"] !== true) return false
      // In the order in which an insert takes them.
      yield* session.execute(`lock table only ${schema}."${parent}", only ${schema}."${name}" in access exclusive mode`)
      if (!(yield* only)) return false
      yield* session.execute(`alter table ${schema}."${parent}" detach partition ${schema}."${name}"`)
      yield* session.execute(`drop table ${schema}."${name}"`)
      return true
    })
  ).pipe(
    // Lock timeout, or another process dropped it first.
    Effect.catch((error) => (["55P03", "42P01", "40P01"].includes(sqlState(error) ?? "") ? Effect.succeed(false) : Effect.fail(error)))
  )
}

export const transaction = <A>(session: Session, body: Effect.Effect<A, SqlError>, mode = ""): Effect.Effect<A, SqlError> =>
  session.execute(`begin ${mode}`).pipe(
    Effect.andThen(body),
    Effect.tap(() => session.execute("commit")),
    Effect.tapError((error) => (sqlState(error) === undefined ? Effect.void : session.execute("rollback")))
  )
