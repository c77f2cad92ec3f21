import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { SqlError } from "effect/sql/SqlError"
import type { Names } from "../../PostgresConfig.ts"
import { backoff } from "../backoff.ts"
import type { Session } from "../session.ts"
import { hour } from "./hours.ts"
import { grace, pass } from "./worker.ts"

/** A pass that got stuck: its connection is closed, what it had begun is undone. */
const limit = Duration.minutes(30)
/** After a failure, and after another process was found at work. */
const soon = Duration.minutes(1)
/** A program that starts has better to do, and one that ends at once never packs. */
const quiet = Duration.seconds(10)
/** Processes of one fleet do not all wake in the same second. */
const spread = 30_000

export interface PackingOptions {
  readonly names: Names
  readonly withSession: <A, E>(use: (session: Session) => Effect.Effect<A, E>) => Effect.Effect<A, E | SqlError>
  readonly isReady: () => boolean
  /** `undefined`: all is well again. */
  readonly onProblem: (cause: Cause.Cause<unknown> | undefined) => void
}

/** Packs what is finished soon after the start and then after every full hour, for ever. Never fails. */
export const run = (options: PackingOptions): Effect.Effect<never> => {
  const once = options.withSession((session) => pass(session, options.names)).pipe(
    // A connection lost in the middle is no reason to report a problem for a minute.
    Effect.retry({ schedule: backoff, times: 8 }),
    Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.die(new Error("packing took longer than half an hour")) }),
    Effect.flatMap(({ yielded }) => {
      options.onProblem(undefined)
      return yielded ? Effect.succeed(soon) : untilNextHour
    }),
    // An interruption of something in it too: when this fiber is interrupted, no handler runs.
    Effect.catchCause((cause) => {
      options.onProblem(cause)
      return Effect.succeed(soon)
    })
  )
  return Effect.suspend(() => (options.isReady() ? Effect.flatMap(once, Effect.sleep) : Effect.sleep("1 second"))).pipe(
    Effect.forever,
    Effect.delay(quiet)
  )
}

const untilNextHour = Effect.gen(function*() {
  const now = yield* Clock.currentTimeMillis
  const jitter = yield* Random.nextBetween(0, spread)
  return Duration.millis(hour - (now % hour) + grace + jitter)
})
