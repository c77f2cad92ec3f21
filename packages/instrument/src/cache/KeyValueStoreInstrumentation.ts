import { type ConfigurationError, MetricsRecorder } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import { checkedName } from "./internal/names.ts"
import { type Found, type Operation, RemoteCache } from "./internal/RemoteCache.ts"

export interface KeyValueStoreOptions {
  /** `cache_name` of the metrics. */
  readonly name: string
  /** Whether operations are spans. Default `true`; say `false` for a store in memory. */
  readonly spans?: boolean
}

/**
 * The program's `KeyValueStore`, observed: hits, misses, errors, and how long each operation takes. The number of entries is not shown, because asking for it may be dear.
 *
 * @example
 * ```ts
 * const Store = KeyValueStoreInstrumentation.layer({ name: "sessions" }).pipe(Layer.provide(KeyValueStore.layerFileSystem("sessions")))
 * ```
 */
export const layer = (
  options: KeyValueStoreOptions
): Layer.Layer<KeyValueStore.KeyValueStore, ConfigurationError, KeyValueStore.KeyValueStore | MetricsRecorder> =>
  Layer.effect(KeyValueStore.KeyValueStore, Effect.flatMap(KeyValueStore.KeyValueStore, (store) => wrap(store, options)))

/** An observed copy of a store. */
export const wrap = (
  store: KeyValueStore.KeyValueStore,
  options: KeyValueStoreOptions
): Effect.Effect<KeyValueStore.KeyValueStore, ConfigurationError, MetricsRecorder> =>
  Effect.gen(function*() {
    const cache = new RemoteCache(yield* MetricsRecorder, yield* checkedName(options?.name), options.spans ?? true)
    return {
      ...store,
      get: (key) => cache.run(get, store.get(key)),
      getUint8Array: (key) => cache.run(get, store.getUint8Array(key)),
      set: (key, value) => cache.run(set, store.set(key, value)),
      remove: (key) => cache.run(remove, store.remove(key)),
      clear: cache.run(clear, store.clear),
      clearPrefix: (prefix) => cache.run(clear, store.clearPrefix(prefix)),
      modify: (key, f) => cache.run(modify, store.modify(key, f)),
      modifyUint8Array: (key, f) => cache.run(modify, store.modifyUint8Array(key, f)),
      has: (key) => cache.run(has, store.has(key)),
      size: cache.run(size, store.size),
      keys: cache.run(keys, store.keys),
      isEmpty: cache.run(size, store.isEmpty)
    } satisfies KeyValueStore.KeyValueStore
  })

const there = (here: boolean): Found => here ? { hits: 1, misses: 0 } : { hits: 0, misses: 1 }
const operation = (label: string, found?: Operation["found"]): Operation => ({ label, spanName: `cache ${label}`, attributes: [["cache.operation", label]], found })
const get = operation("get", (answer) => there(answer !== undefined))
const modify = operation("modify", (answer) => there(answer !== undefined))
const has = operation("has", (answer) => there(answer === true))
const set = operation("set")
const remove = operation("remove")
const clear = operation("clear")
const size = operation("size")
const keys = operation("keys")
