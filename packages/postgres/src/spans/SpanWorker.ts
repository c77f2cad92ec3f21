import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { backoff } from "../internal/backoff.ts"
import { describe } from "../internal/errors.ts"
import { sqlNames } from "../internal/names.ts"
import * as Partitions from "../internal/partitions.ts"
import type { Session } from "../internal/session.ts"
import type { Store } from "../internal/Store.ts"
import type { Names } from "../PostgresConfig.ts"
import * as SpanPacker from "./SpanPacker.ts"

export interface SpanWorker {
  /** Why the last pass did not do its work; `undefined` when it did. */
  readonly problem: () => string | undefined
}

const interval = Duration.minutes(1)

/**
 * Packs spans once a minute while the scope is open, and drops the days whose rows have all been packed. Every process has one;
 * whoever holds the lock works, the others find nothing to do.
 */
export const start = (store: Store, searchable: ReadonlySet<string>): Effect.Effect<SpanWorker, never, Scope.Scope> =>
  Effect.gen(function*() {
    let problem: string | undefined
    const { names } = store.config
    const pass = store.withSession((session) =>
      Effect.tap(SpanPacker.pass(session, { names, searchable }), () =>
        Effect.andThen(Partitions.dropEmptied(session, names, ["trace_part"]), forgetTemplates(session, names)))
    ).pipe(
      // A connection lost in the middle is no reason to report a problem for a minute.
      Effect.retry({ schedule: backoff, times: 8 }),
      Effect.map(({ problems }) => problems[0]),
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause((cause) => Effect.succeed(problemOf(cause))),
      Effect.map((found) => {
        problem = found === undefined ? undefined : `packing spans: ${found}`
      })
    )
    yield* Effect.suspend(() => (store.state().ready ? pass : Effect.void)).pipe(Effect.delay(interval), Effect.forever, Effect.forkScoped)
    return { problem: () => problem }
  })

/**
 * Removes templates that nobody can still need: writers ask for theirs anew every day, and rows that were written with one are
 * packed by now. As long as older rows wait to be packed, none goes.
 */
export const forgetTemplates = (session: Session, names: Names): Effect.Effect<void, SqlError> => {
  const t = sqlNames(names)
  return Effect.asVoid(session.query(
    `delete from ${t.shape} where seen_at < now() - interval '5 days' and not exists (select from ${t.trace_part} where ts < now() - interval '2 days')`
  ))
}

const problemOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError"
    ? describe(error as SqlError)
    : `unexpected: ${String(error)}`
}
