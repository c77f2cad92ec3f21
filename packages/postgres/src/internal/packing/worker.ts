import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { lockName } from "../../migrations/index.ts"
import type { Names } from "../../PostgresConfig.ts"
import { sqlState } from "../errors.ts"
import { type Partitioned, sqlNames } from "../names.ts"
import { text } from "../parameters.ts"
import * as Partitions from "../partitions.ts"
import type { Session } from "../session.ts"
import { day, loose, packDay } from "./days.ts"
import { packExponentials, waitingExponentials } from "./exponentials.ts"
import { hour, packHour, waiting } from "./hours.ts"

/** Whose rows move on to another table. */
const passing = ["metric_frame", "histogram_frame", "summary_frame", "metric_pack_hour", "exponential"] as const

export interface Pass {
  readonly hours: number
  readonly days: number
  /** Somebody else is at work: what is left is theirs. */
  readonly yielded: boolean
}

/**
 * Packs what is finished at `now` (milliseconds; the server's clock): hours that ended `grace` ago, then days that ended an hour
 * ago. Every lane's hour and every instance's day is one transaction that holds the worker's lock: a crash leaves it as it was,
 * and of several processes one works. The lock ends with the transaction, so that a transaction pooler keeps it too.
 */
export const pass = (session: Session, names: Names, options: { readonly now?: number } = {}): Effect.Effect<Pass, SqlError> =>
  Effect.gen(function*() {
    const t = sqlNames(names)
    const now = options.now ?? (yield* serverTime(session))
    const done = { hours: 0, days: 0 }
    let problem: string | undefined
    const hours = yield* waiting(session, t, floor(now - (grace), hour))
    yield* Partitions.ensure(session, names, partitionsOf(["metric_segment", "metric_pack_hour"], hours))
    for (const one of hours) {
      if (!(yield* alone(session, names, packHour(session, t, one)))) return { ...done, yielded: true }
      done.hours++
    }
    const distributions = yield* waitingExponentials(session, t, floor(now - grace, hour))
    yield* Partitions.ensure(session, names, partitionsOf(["exponential_pack"], distributions.map((start) => ({ start }))))
    for (const start of distributions) {
      const work = Effect.map(packExponentials(session, t, start), (found) => {
        problem ??= found
      })
      if (!(yield* alone(session, names, work))) return { ...done, yielded: true }
    }
    const days = yield* loose(session, t, floor(now - hour, day))
    yield* Partitions.ensure(session, names, partitionsOf(["metric_segment", "metric_pack_day", "rollup_minute", "rollup_hour", "rollup_day"], days))
    for (const one of days) {
      if (!(yield* alone(session, names, packDay(session, t, one)))) return { ...done, yielded: true }
      done.days++
    }
    yield* Partitions.dropEmptied(session, names, passing)
    // After everything else was done: there is a bug in this toolkit, and all the data is there.
    if (problem !== undefined) return yield* Effect.die(new Error(problem))
    return { ...done, yielded: false }
  })

/** Frames of an hour may still be on their way for this long; those that come later are packed by themselves. */
export const grace = 120_000

const floor = (time: number, step: number): number => Math.floor(time / step) * step

const serverTime = (session: Session): Effect.Effect<number, SqlError> =>
  Effect.map(session.query("select (extract(epoch from now()) * 1000)::int8 as now"), (rows) => Number(rows[0]!["now"]))

const partitionsOf = (tables: ReadonlyArray<Partitioned>, starts: ReadonlyArray<{ readonly start: number }>) => {
  const days = new Set(starts.map(({ start }) => Partitions.dayOf(start)))
  return new Map(tables.map((table) => [table, days]))
}

/**
 * One snapshot for reading and deleting. `false` when another process holds the lock, or has done the same work between our
 * snapshot and our lock: the server then refuses to delete twice.
 */
const alone = (session: Session, names: Names, work: Effect.Effect<void, SqlError>): Effect.Effect<boolean, SqlError> =>
  Partitions.transaction(
    session,
    Effect.gen(function*() {
      const mine = yield* session.query("select pg_try_advisory_xact_lock(hashtextextended($1, 1)) as mine", [text(lockName(names))])
      if (mine[0]?.["mine"] !== true) return false
      yield* work
      return true
    }),
    "isolation level repeatable read"
  ).pipe(Effect.catch((error) => (sqlState(error) === "40001" ? Effect.succeed(false) : Effect.fail(error))))
