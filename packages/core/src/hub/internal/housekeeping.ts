import * as Effect from "effect/Effect"
import { maintenanceInterval, type Registry } from "../../metrics/internal/Registry.ts"
import { quietly } from "../quietly.ts"

/** How many passes make a window of the cardinality report: it is logged at most once a minute. */
const passesPerReport = 4

/** What the store and others need done now and then; runs as long as the hub. */
export const housekeeping = (store: Registry, also: () => void): Effect.Effect<never> => {
  let passes = 0
  const report = Effect.suspend(() => {
    if (++passes % passesPerReport !== 0) return Effect.void
    const line = store.closeCardinalityWindow()
    return line === undefined ? Effect.void : Effect.logWarning(line)
  })
  /** The program runs between the turns of a pass. */
  const pass = Effect.suspend(() => {
    also()
    const turns = store.maintain()
    const turn: Effect.Effect<void> = Effect.suspend(() => turns.next().done === true ? Effect.void : Effect.andThen(Effect.yieldNow, turn))
    return Effect.andThen(turn, report)
  })
  return Effect.sleep(maintenanceInterval).pipe(
    Effect.andThen(pass),
    // An interruption of something in it too: when this fiber is interrupted, no handler runs.
    Effect.catchCause(() => Effect.void),
    Effect.forever,
    quietly
  )
}
