import type { CapacityReport } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { describe } from "../internal/errors.ts"
import type { Store } from "../internal/Store.ts"
import { report } from "../Storage.ts"
import type { Look } from "./look.ts"

export interface CapacityWatch {
  /** The last estimate; `undefined` in the first minute, and while nothing is recorded. */
  readonly current: () => CapacityReport | undefined
  /** Why there is no newer one. */
  readonly problem: () => string | undefined
}

const often = Duration.minutes(1)
const seldom = Duration.minutes(10)
/** Looks a minute apart, while little is known. */
const early = 10
/** Looks between two counts of the last finished day: four hours. */
const recount = 24
/** A look that takes longer is broken off. */
const limit = Duration.minutes(1)

/** Looks at the store every minute at first, then every ten, as long as the scope is open. */
export const start = (store: Store, maxSeries: () => number): Effect.Effect<CapacityWatch, never, Scope.Scope> =>
  Effect.gen(function*() {
    let current: CapacityReport | undefined
    let problem: string | undefined
    let before: Look | undefined
    let looks = 0
    const counted = new Map<string, number>()
    const once = Effect.suspend(() =>
      store.withSession((session) =>
        report(session, store, {
          trial: true,
          before,
          counted,
          maxSeries: maxSeries(),
          onLook: (look) => {
            before = look
          }
        }))
    ).pipe(
      Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.die(new Error("a look at the store took longer than a minute")) }),
      Effect.map(({ estimate }) => {
        looks++
        // A day of each kind is asked for; what is older is not asked for again. Late spans are packed into it: counted anew now and then.
        if (looks % recount === 0) counted.clear()
        current = estimate ?? current
        problem = undefined
      }),
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause((cause) => Effect.sync(() => {
        problem = problemOf(cause)
      }))
    )
    yield* Effect.suspend(() => store.state().ready ? once : Effect.void).pipe(
      Effect.andThen(Effect.suspend(() => Effect.sleep(looks < early ? often : seldom))),
      Effect.forever,
      // After a minute there is something to look at.
      Effect.delay(often),
      Effect.forkScoped
    )
    return { current: () => current, problem: () => problem }
  })

const problemOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError" ? describe(error as SqlError) : String(error)
}
