import { type ConfigurationError, MetricsRecorder } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { checkedName } from "./internal/names.ts"
import { type Found, type Operation, RemoteCache } from "./internal/RemoteCache.ts"

export interface PersistenceOptions {
  /** `cache_name` of a store, from its `storeId`. Default: the `storeId` itself, which must not be made from what callers send. */
  readonly name?: (storeId: string) => string
  /** Whether operations are spans. Default `true`; say `false` for stores in memory. */
  readonly spans?: boolean
}

/**
 * The program's `Persistence`, observed: every store made by it counts hits, misses and errors, and times its operations.
 *
 * @example
 * ```ts
 * const Store = PersistenceInstrumentation.layer().pipe(Layer.provide(Persistence.layerRedis))
 * ```
 */
export const layer = (options: PersistenceOptions = {}): Layer.Layer<Persistence.Persistence, never, Persistence.Persistence | MetricsRecorder> =>
  Layer.effect(Persistence.Persistence, Effect.flatMap(Persistence.Persistence, (persistence) => wrap(persistence, options)))

/** An observed copy of the service. */
export const wrap = (
  persistence: Persistence.Persistence["Service"],
  options: PersistenceOptions = {}
): Effect.Effect<Persistence.Persistence["Service"], never, MetricsRecorder> =>
  Effect.map(MetricsRecorder, (recorder) =>
    Persistence.Persistence.of({
      make: (made) =>
        Effect.flatMap(
          Effect.orDie(checkedName(options.name === undefined ? made.storeId : options.name(made.storeId)) as Effect.Effect<string, ConfigurationError>),
          (name) => Effect.map(persistence.make(made), (store) => observed(store, new RemoteCache(recorder, name, options.spans ?? true)))
        )
    }))

const observed = (store: Persistence.PersistenceStore, cache: RemoteCache): Persistence.PersistenceStore => ({
  get: (key) => cache.run(operations.get, store.get(key)),
  getMany: (keys) => cache.run(operations.getMany, store.getMany(keys)),
  set: (key, value) => cache.run(operations.set, store.set(key, value)),
  setMany: (entries) => cache.run(operations.setMany, store.setMany(entries)),
  remove: (key) => cache.run(operations.remove, store.remove(key)),
  clear: cache.run(operations.clear, store.clear)
})

const one = (answer: unknown): Found => answer === undefined ? { hits: 0, misses: 1 } : { hits: 1, misses: 0 }
const many = (answer: unknown): Found | undefined => {
  if (!Array.isArray(answer)) return undefined
  const hits = answer.filter((value) => value !== undefined).length
  return { hits, misses: answer.length - hits }
}

const operation = (label: string, found?: Operation["found"]): Operation => ({ label, spanName: `cache ${label}`, attributes: [["cache.operation", label]], found })
const operations = {
  get: operation("get", one),
  getMany: operation("get_many", many),
  set: operation("set"),
  setMany: operation("set_many"),
  remove: operation("remove"),
  clear: operation("clear")
}
