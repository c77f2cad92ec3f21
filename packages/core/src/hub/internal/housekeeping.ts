import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { maintenanceInterval, type Registry } from "../../metrics/internal/Registry.ts"
import { quietly } from "../quietly.ts"

/** What the store needs done now and then; runs as long as the hub. */
export const housekeeping = (store: Registry): Effect.Effect<never> =>
  Effect.sleep(maintenanceInterval).pipe(
    Effect.andThen(Effect.sync(() => store.maintain())),
    Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.void),
    Effect.forever,
    quietly
  )
