import * as Effect from "effect/Effect"

/** Runs steps to their end; the event loop runs between them. */
export const paced = <A>(steps: Generator<void, A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const step = steps.next()
    return step.done === true ? Effect.succeed(step.value) : Effect.andThen(Effect.yieldNow, paced(steps))
  })
