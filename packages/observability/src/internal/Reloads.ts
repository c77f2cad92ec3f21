import { CompositionError, type ObservabilityInput, quietly, type ReloadReport } from "@effect-observability/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"

/**
 * Reloads one after the other, in the order in which they were asked for. One that gives no input reads what the sources say when its turn comes: whoever asks for
 * the same while it waits shares it, so that a storm of signals is two reloads. A reload goes on when those who asked for it are interrupted, and ends, with
 * nothing changed, when the program does.
 */
export class Reloads<E> {
  private readonly lock = Semaphore.makeUnsafe(1)
  private readonly scope: Scope.Scope
  private readonly once: (input: ObservabilityInput | undefined) => Effect.Effect<ReloadReport, E>
  private waiting: Deferred.Deferred<ReloadReport, E | CompositionError> | undefined

  constructor(scope: Scope.Scope, once: (input: ObservabilityInput | undefined) => Effect.Effect<ReloadReport, E>) {
    this.scope = scope
    this.once = once
  }

  readonly reload = (input: ObservabilityInput | undefined): Effect.Effect<ReloadReport, E | CompositionError> =>
    Effect.suspend(() => {
      if (input === undefined && this.waiting !== undefined) return Deferred.await(this.waiting)
      const answer = Deferred.makeUnsafe<ReloadReport, E | CompositionError>()
      if (input === undefined) this.waiting = answer
      const run = this.lock.withPermits(1)(Effect.suspend(() => {
        if (this.waiting === answer) this.waiting = undefined
        return this.once(input)
      }))
      const begun = Effect.map(Effect.forkIn(quietly(run), this.scope, { startImmediately: true }), (fiber) => {
        // Of one that never began, because the program has ended, too.
        fiber.addObserver((exit) => {
          if (this.waiting === answer) this.waiting = undefined
          Deferred.doneUnsafe(answer, Exit.hasInterrupts(exit) ? ended : exit)
        })
        return Deferred.await(answer)
      })
      return Effect.flatten(Effect.uninterruptible(begun))
    })
}

const ended = Exit.fail(new CompositionError({ message: "the program ends: its settings stay as they are" }))
