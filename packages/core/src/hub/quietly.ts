import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"

/** Whether a fiber does the toolkit's own work: what it logs goes to the program's loggers, but to no backend. */
export const OwnWork: Context.Reference<boolean> = Context.Reference("@effect-observability/core/OwnWork", { defaultValue: () => false })

/** Runs the toolkit's own work unobserved: it makes no spans, no backend hears of its logs and errors, and no trace headers leave with it. */
export const quietly = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  self.pipe(
    Effect.provideService(References.TracerEnabled, false),
    Effect.provideService(Tracer.DisablePropagation, true),
    Effect.provideService(OwnWork, true)
  )
