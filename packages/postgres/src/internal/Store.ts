import { Exporter } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { migrate, SchemaConflict } from "../migrations/index.ts"
import type { PostgresConfig } from "../PostgresConfig.ts"
import { backoff } from "./backoff.ts"
import { describe } from "./errors.ts"
import { partitioned } from "./names.ts"
import * as Packing from "./packing/service.ts"
import * as Partitions from "./partitions.ts"
import * as Session from "./session.ts"

/**
 * The database behind a backend: migrated in the background, kept within its retention, and closed with the scope. Nothing
 * here waits for the server or fails when it is away.
 */
export interface Store {
  readonly config: PostgresConfig
  /** The deadline of one statement, in milliseconds, here and on the server. */
  readonly timeout: number
  readonly state: () => { readonly ready: boolean; readonly problem: string | undefined }
  /** Fails until the schema is there. */
  readonly gate: Effect.Effect<void, Exporter.ExportError>
  /** The schema turned out to be missing: look again, and make it. */
  readonly recheck: () => void
  /** Runs `use` on a connection of its own. */
  readonly withSession: <A, E>(use: (session: Session.Session) => Effect.Effect<A, E>) => Effect.Effect<A, E | SqlError>
}

/** A whole migration, waiting for another process's included. */
const migrationTimeout = 60_000
/** Behind a pooler the role has its own limits for statements. */
const poolerTimeout = 600_000
const maintenanceInterval = Duration.hours(1)
/** After a pass that could not drop everything. */
const shortInterval = Duration.minutes(1)

export const make = (config: PostgresConfig, timeout: number): Effect.Effect<Store, never, Scope.Scope> =>
  Effect.gen(function*() {
    let ready = false
    let problem: string | undefined
    let packing: string | undefined
    const stale = yield* Latch.make(true)

    const withSession: Store["withSession"] = (use) =>
      Effect.acquireUseRelease(
        Session.open(config.target, migrationTimeout),
        (session) => use(Session.guarded(session, config.target.prepare ? migrationTimeout + 10_000 : poolerTimeout)),
        (session) => session.close
      )

    const prepare = withSession((session) =>
      Effect.andThen(migrate(session, config.names), Partitions.ensureComing(session, config.names))
    ).pipe(
      Effect.timeoutOrElse({
        duration: migrationTimeout,
        orElse: () => Effect.fail(new SchemaConflict("preparing the schema took longer than a minute"))
      }),
      Effect.tap(() =>
        Effect.sync(() => {
          ready = true
          problem = undefined
        })
      ),
      Effect.tapCause((cause) => Effect.sync(() => {
        problem = problemOf(cause)
      }))
    )

    const maintain = Effect.suspend(() =>
      withSession((session) =>
        Effect.gen(function*() {
          yield* Partitions.ensureComing(session, config.names)
          const retention = config.retention()
          // A reload may bring anything; no number of days that was not checked deletes data.
          if (!partitioned.every((table) => Number.isInteger(retention(table)) && retention(table) >= 1)) return { left: [], overdue: [] }
          return {
            left: yield* Partitions.dropExpired(session, config.names, retention),
            overdue: yield* Partitions.overdue(session, config.names, retention)
          }
        })
      )
    ).pipe(
      // A connection lost in the middle is no reason to report a problem for half a minute.
      Effect.retry({ schedule: backoff, times: 8 }),
      Effect.timeoutOrElse({
        duration: migrationTimeout,
        orElse: () => Effect.fail(new SchemaConflict("maintenance took longer than a minute"))
      }),
      Effect.map(({ left, overdue }) => {
        problem = overdue.length === 0
          ? undefined
          : `maintenance: ${overdue.length} expired partitions belong to another role (${overdue[0]}): run a process as their owner, or drop them there`
        return left.length === 0 ? maintenanceInterval : shortInterval
      }),
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause((cause) => {
        problem = `maintenance: ${problemOf(cause)}`
        return Effect.succeed(shortInterval)
      })
    )

    const life = Effect.gen(function*() {
      yield* stale.close
      yield* Effect.retry(prepare, { schedule: backoff })
      const pass: Effect.Effect<void> = Effect.flatMap(maintain, (pause) => Effect.raceFirst(Effect.sleep(pause), stale.await))
      yield* Effect.repeat(pass, { until: () => !ready })
    }).pipe(
      Effect.catchCause((cause) => {
        problem = problemOf(cause)
        return Effect.sleep(shortInterval)
      }),
      Effect.forever
    )
    yield* Effect.forkScoped(life)
    if (config.packing) {
      yield* Effect.forkScoped(Packing.run({
        names: config.names,
        withSession,
        isReady: () => ready,
        onProblem: (cause) => {
          packing = cause === undefined ? undefined : `packing: ${problemOf(cause)}`
        }
      }))
    }

    return {
      config,
      timeout,
      state: () => ({ ready, problem: problem ?? packing }),
      gate: Effect.suspend(() => (ready ? Effect.void : Effect.fail(Exporter.unavailable(problem ?? "not connected yet")))),
      recheck: () => {
        if (!ready) return
        ready = false
        stale.openUnsafe()
      },
      withSession
    }
  })

const problemOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (error instanceof SchemaConflict) return error.message
  return typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError"
    ? describe(error as SqlError)
    : `unexpected: ${String(error)}`
}
