import {
  type CompositionError, ConfigurationError, layerNoop, ObservabilityConfig, type ObservabilityInput, type ObservabilitySettings, quietly,
  type ReloadReport, Telemetry
} from "@effect-observability/core"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { BackendMissing } from "./internal/BackendMissing.ts"
import { backends, loaders } from "./internal/backends.ts"
import { Reloads } from "./internal/Reloads.ts"
import { read, type Sources } from "./internal/sources.ts"
import { Supervisor } from "./internal/Supervisor.ts"
import { type Known, watching, type WatchOptions } from "./internal/watching.ts"

export { BackendMissing } from "./internal/BackendMissing.ts"
export type { WatchOptions } from "./internal/watching.ts"

type Hub = Layer.Success<typeof Telemetry.layer>
type Wrong = ConfigurationError | CompositionError | BackendMissing | Schema.SchemaError | Error

/** Brings other settings into force while the program runs; there with `layerConfig` and `layerFile`. */
export class Reloader extends Context.Service<Reloader, {
  /**
   * Reads the sources anew (code, file, mounted secrets, environment), with `input` in place of what the code gave, checks them, and puts them in force:
   * all of it or nothing. Fails with what is wrong; the former settings then stay, `Diagnostics` says why, and `obs_config_reload_failures_total` counts
   * it. One reload at a time, in the order of the calls; those without `input` that come while another such waits share it. Goes on when the caller is
   * interrupted. Does not wait for backends that leave.
   */
  readonly reload: (input?: ObservabilityInput) => Effect.Effect<ReloadReport, Wrong>
}>()("effect-observability/Reloader") {}

/**
 * The backends a configuration names, side by side, with the environment over it (the document's factories). Prometheus takes part
 * whenever its package is installed and `metrics.enabled` holds; OpenTelemetry and Sentry when they have an address; the others when their `enabled`
 * holds.
 *
 * Packages are loaded when they are named: what is not used need not be installed. Histories and the page are there when their
 * backend is; ask for them with `Effect.serviceOption`. Mounted secrets (`POSTGRES_CONNECTION_FILE`, …) need a `FileSystem` around it.
 *
 * @example
 * ```ts
 * const observability = Observability.layerConfig({ tracing: { serviceName: "shop" }, postgres: { enabled: true } })
 * ```
 */
export const layerConfig = (input: ObservabilityInput = {}): Layer.Layer<Hub | Reloader, Wrong> => layerOf({ input, file: undefined }, undefined, loaders)

/**
 * As `layerConfig`, with a YAML, JSON or TOML file over `input` and below the environment. The file is watched unless `watch` is `false`: when it or a
 * mounted secret changes, what it says comes into force; when it is wrong, the former settings stay.
 *
 * @example
 * ```ts
 * const observability = Observability.layerFile("observability.yaml").pipe(Layer.provide(NodeServices.layer))
 * ```
 */
export const layerFile = (
  path: string,
  { input = {}, watch = {} }: { readonly input?: ObservabilityInput; readonly watch?: WatchOptions | false } = {}
): Layer.Layer<Hub | Reloader, Wrong, FileSystem.FileSystem> => layerOf({ input, file: path }, watch === false ? undefined : watch, loaders)

/** As the two above, with packages from elsewhere. */
export const layerOf = (sources: Sources, watch: WatchOptions | undefined, from: typeof loaders): Layer.Layer<Hub | Reloader, Wrong> =>
  Layer.unwrap(Effect.gen(function*() {
    // The environment and the file system of the start serve reloads too, whoever asks for them.
    const provider = yield* ConfigProvider.ConfigProvider
    const fs = yield* Effect.serviceOption(FileSystem.FileSystem)
    const here = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.provideService(Option.isSome(fs) ? Effect.provideService(self, FileSystem.FileSystem, fs.value) : self, ConfigProvider.ConfigProvider, provider)
    const found = yield* read(sources)
    const settings = yield* Effect.fromResult(found.settings)
    const backendsLayer = Layer.effectContext(quietly(Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const supervisor = yield* Supervisor.make(backends(from))
      yield* supervisor.start
      const known: Known = { files: found.files, signature: found.signature }
      let given = sources.input
      const reloads = new Reloads<Wrong>(yield* Effect.scope, (input = given) =>
        here(Effect.gen(function*() {
          const { files, settings, signature } = yield* read({ ...sources, input })
          known.files = files
          known.signature = signature
          const report = yield* supervisor.apply(yield* Effect.fromResult(settings))
          given = input
          return report
        })).pipe(Effect.tapError((error) => Effect.andThen(
          telemetry.reloadFailed(error.message),
          Effect.logWarning(`the new configuration is not used, the former one stays in force: ${error.message}`)
        ))))
      const { reload } = reloads
      if (watch !== undefined && sources.file !== undefined) {
        yield* Effect.forkScoped(quietly(here(watching(sources.file, known, Effect.asVoid(Effect.ignore(reload(undefined))), watch))))
      }
      return Context.add(supervisor.given, Reloader, { reload: (input) => reload(input) })
    })))
    return backendsLayer.pipe(Layer.provideMerge(Telemetry.layer), Layer.provide(layerSettings(settings)))
  }))

const layerSettings = (settings: ObservabilitySettings): Layer.Layer<never> => Layer.succeed(ObservabilityConfig, settings)

/** As `Reloader.reload`, for the composition at hand. */
export const reload = (input?: ObservabilityInput): Effect.Effect<ReloadReport, Wrong, Reloader> => Effect.flatMap(Reloader, (reloader) => reloader.reload(input))

/** Brings everything recorded so far to every backend and waits for them; add `Effect.timeout` where waiting has a limit. */
export const flush: Effect.Effect<void, never, Telemetry> = Effect.flatMap(Telemetry, (telemetry) => telemetry.flush)

export { layerNoop }
