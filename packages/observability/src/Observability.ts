import {
  type CompositionError,
  type ConfigurationError,
  layerNoop,
  ObservabilityConfig,
  type ObservabilityInput,
  type ObservabilitySettings,
  Telemetry
} from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

/** A backend is configured but cannot be loaded; the message says what to install. */
export class BackendMissing extends Schema.TaggedError<BackendMissing>()("BackendMissing", {
  backend: Schema.String,
  message: Schema.String
}) {}

type Hub = Layer.Success<typeof Telemetry.layer>

/**
 * The backends a configuration names, side by side, with the environment over it (the document's factories). Prometheus takes part
 * whenever its package is installed and `metrics.enabled` holds; PostgreSQL when `postgres.enabled` holds.
 *
 * Packages are loaded when they are named: what is not used need not be installed. Histories and the page are there when their
 * backend is; ask for them with `Effect.serviceOption`.
 *
 * @example
 * ```ts
 * const observability = Observability.layerConfig({ tracing: { serviceName: "shop" }, postgres: { enabled: true } })
 * ```
 */
export const layerConfig = (
  input: ObservabilityInput = {}
): Layer.Layer<Hub, ConfigurationError | CompositionError | BackendMissing | Schema.SchemaError | Error> => {
  const settings = ObservabilityConfig.layerFromEnv(input)
  const backends = Layer.unwrap(Effect.gen(function*() {
    const current = yield* ObservabilityConfig
    return current.enabled ? yield* backendsOf(current) : Telemetry.layer
  }))
  return backends.pipe(Layer.provide(settings)) as Layer.Layer<Hub, ConfigurationError | CompositionError | BackendMissing | Error>
}

const backendsOf = (settings: ObservabilitySettings): Effect.Effect<Layer.Layer<Hub, CompositionError | Error>, BackendMissing> =>
  Effect.gen(function*() {
    const layers: Array<Layer.Layer<Hub, CompositionError | Error>> = []
    if (settings.metrics.enabled) {
      const prometheus = yield* Effect.option(load("prometheus", () => import("@effect-observability/prometheus")))
      if (prometheus._tag === "Some") layers.push(prometheus.value.Prometheus.layer())
    }
    if (settings.postgres.enabled) {
      const { Postgres } = yield* load("postgres", () => import("@effect-observability/postgres"))
      layers.push(Postgres.layer())
    }
    return layers.length === 0 ? Telemetry.layer : layers.reduce((all, one) => Layer.merge(all, one))
  })

const load = <A>(backend: string, load: () => Promise<A>): Effect.Effect<A, BackendMissing> =>
  Effect.tryPromise({
    try: load,
    catch: (error) =>
      new BackendMissing({
        backend,
        message: `${backend}.enabled is set, but its package cannot be loaded: npm install @effect-observability/${backend}` +
          ` (${String(error).split("\n")[0]!.slice(0, 200)})`
      })
  })

/** Brings everything recorded so far to every backend and waits for them; add `Effect.timeout` where waiting has a limit. */
export const flush: Effect.Effect<void, never, Telemetry> = Effect.flatMap(Telemetry, (telemetry) => telemetry.flush)

export { layerNoop }
