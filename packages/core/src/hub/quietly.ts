import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"

/** Runs the toolkit's own work unobserved: it makes no spans, and no trace headers leave with it. */
export const quietly = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  self.pipe(
    Effect.provideService(References.TracerEnabled, false),
    Effect.provideService(Tracer.DisablePropagation, true)
  )
