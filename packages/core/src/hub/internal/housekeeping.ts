import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Registry } from "../../metrics/internal/Registry.ts"
import { quietly } from "../quietly.ts"

/** Milliseconds for which a series and bucket keeps its exemplar before the next one may take its place: one usual scrape. */
const exemplarWindow = 15_000

/** What the store needs done now and then; runs as long as the hub. */
export const housekeeping = (store: Registry): Effect.Effect<never> =>
  Effect.sleep(exemplarWindow).pipe(
    Effect.andThen(Effect.sync(() => store.openExemplarWindow())),
    Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.void),
    Effect.forever,
    quietly
  )
