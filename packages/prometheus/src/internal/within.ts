import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { printable } from "./printable.ts"

/**
 * Runs an effect for at most so many milliseconds and tells what went wrong, if anything, in a line. What outlives the deadline is
 * abandoned, not awaited: `Effect.timeout` would wait for its cleanup.
 */
export const within = <E, R>(effect: Effect.Effect<void, E, R>, millis: number, late: string): Effect.Effect<string | undefined, never, R> =>
  Effect.gen(function*() {
    const done = Deferred.makeUnsafe<Exit.Exit<void, E>>()
    const fiber = yield* Effect.forkDetach(Effect.onExit(effect, (exit) => Effect.sync(() => Deferred.doneUnsafe(done, Exit.succeed(exit)))))
    const exit = yield* Effect.timeoutOption(Deferred.await(done), millis)
    if (Option.isNone(exit)) {
      fiber.interruptUnsafe()
      return late
    }
    return Exit.isSuccess(exit.value) ? undefined : printable(String(Cause.squash(exit.value.cause)))
  })
