import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import process from "node:process"
import { Reloader } from "../Observability.ts"

/**
 * Reads the configuration anew when the process gets the signal, by default SIGHUP. Without it SIGHUP ends a Node program.
 *
 * @example
 * ```ts
 * const observability = reloadOnSignal().pipe(Layer.provideMerge(Observability.layerFile("observability.yaml")))
 * ```
 */
export const reloadOnSignal = (signal: "SIGHUP" | "SIGUSR2" = "SIGHUP"): Layer.Layer<never, never, Reloader> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { reload } = yield* Reloader
    const run = Effect.runForkWith(yield* Effect.context())
    // What goes wrong is in the log, in Diagnostics and in obs_config_reload_failures_total.
    const onSignal = () => void run(Effect.ignore(reload()))
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on(signal, onSignal)),
      () => Effect.sync(() => process.off(signal, onSignal))
    )
  }))
