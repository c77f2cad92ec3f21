import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { ConsumerStopped } from "../errors.ts"

/** Handlers that run, and the reason why no more will come. */
export interface Consuming<R> {
  readonly run: (handling: Effect.Effect<void, never, R>) => void
  readonly stop: (why: ConsumerStopped) => void
}

/**
 * A consumer for as long as its broker lets it: `begin` starts it with something to run handlers with, its scope is closed to stop it. On
 * interruption handlers that run may finish within `drain`; after that they are interrupted, which gives their messages back.
 */
export const consuming = <R, R2>(
  begin: (consuming: Consuming<R>) => Effect.Effect<void, ConsumerStopped, R2 | Scope.Scope>,
  drain: Duration.Input
): Effect.Effect<never, ConsumerStopped, R | Exclude<R2, Scope.Scope>> =>
  Effect.scoped(Effect.gen(function*() {
    const fibers = yield* FiberSet.make<void, never>()
    const run = yield* FiberSet.runtime(fibers)<R>()
    const stopped = yield* Deferred.make<never, ConsumerStopped>()
    yield* Effect.addFinalizer(() => FiberSet.awaitEmpty(fibers).pipe(Effect.timeoutOption(drain)))
    yield* begin({
      run: (handling) => void run(handling),
      stop: (why) => void Deferred.doneUnsafe(stopped, Effect.fail(why))
    })
    return yield* Deferred.await(stopped)
  })) as Effect.Effect<never, ConsumerStopped, R | Exclude<R2, Scope.Scope>>
