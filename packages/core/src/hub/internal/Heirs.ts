import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as BatchProcessor from "../../pipe/BatchProcessor.ts"
import type { Signal } from "../Telemetry.ts"
import { Succession } from "./Succession.ts"

type Ties = Required<Pick<BatchProcessor.Options, "inherit" | "onSuccession">>

/**
 * Which queue is at work for a backend's signal. When it takes the place of one whose last attempt failed, it gets what that one has never tried, before its own;
 * what a former one could not deliver within its drain, and has certainly not, goes to it then.
 */
export class Heirs {
  private readonly estates = new Map<string, BatchProcessor.Estate>()

  /** What a queue is to be made with; asked for before, so that it ends after it. */
  readonly enter = (backend: string, signal: Signal): Effect.Effect<Ties, never, Scope.Scope> =>
    Effect.gen({ self: this }, function*() {
      const { estates } = this
      const handover = yield* Succession
      const key = `${signal} ${backend}`
      let own: BatchProcessor.Estate | undefined
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (estates.get(key) === own) estates.delete(key)
          own = undefined
        })
      )
      return {
        onSuccession: (estate) => {
          own = estate
          const begin = () => {
            if (own === undefined) return
            const former = estates.get(key)
            estates.set(key, estate)
            // It would wait for a sink that does not answer, for as long as it may, and lose what is left then.
            if (former?.failing() === true) former.leave(estate.take)
          }
          if (handover === undefined) begin()
          else handover.defer(begin)
        },
        inherit: (items) => {
          const heir = estates.get(key)
          return heir !== undefined && heir !== own && heir.take(items)
        }
      }
    })
}
