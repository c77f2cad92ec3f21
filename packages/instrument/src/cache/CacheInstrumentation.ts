import { type ConfigurationError, MetricsRecorder, type Telemetry } from "@effect-observability/core"
import * as Cache from "effect/Cache"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as MutableHashMap from "effect/MutableHashMap"
import type * as Persistable from "effect/persistence/Persistable"
import * as PersistedCache from "effect/persistence/PersistedCache"
import * as Persistence from "effect/persistence/Persistence"
import * as ScopedCache from "effect/ScopedCache"
import type * as Scope from "effect/Scope"
import * as CacheMetrics from "./CacheMetrics.ts"
import { CacheSeries } from "./internal/CacheSeries.ts"
import { classify } from "./internal/classify.ts"
import { checkedName } from "./internal/names.ts"
import { ObservedMap } from "./internal/ObservedMap.ts"
import * as PersistenceInstrumentation from "./PersistenceInstrumentation.ts"

export interface CacheOptions {
  /** `cache_name` of the metrics. Give each cache its own. */
  readonly name: string
}

/** A `Cache` or a `ScopedCache`, of whatever keys and values. */
export interface AnyCache {
  readonly capacity: number
  readonly lookup: (key: any) => Effect.Effect<any, any, any>
  readonly timeToLive: (exit: never, key: never) => Duration.Duration
}

type Options<F> = F extends (options: infer O) => unknown ? O : never
type Observed<C> = Effect.Effect<C, ConfigurationError, MetricsRecorder | Scope.Scope>

/**
 * Counts what is asked of an Effect `Cache` or `ScopedCache`, by whichever of their functions: hits, misses, evictions, entries, and how long lookups take and how
 * they fail. The cache is the same afterwards, and is given back. Its size is shown until the scope closes. A cache that is observed already stays as it is.
 *
 * A question (`get`, `getOption`, `getSuccess`, `has`) is a hit when there is an entry, be it still loading or a failure, and a miss when there is none; `refresh`, `set` and
 * `invalidate` are neither. (`ScopedCache` asks before it refreshes or invalidates: of what is not there that is one more miss.)
 *
 * @example
 * ```ts
 * const users = yield* Cache.make({ lookup: findUser, capacity: 1000 }).pipe(Effect.flatMap((cache) => CacheInstrumentation.wrap(cache, { name: "users" })))
 * const user = yield* Cache.get(users, id)
 * ```
 */
export const wrap = <C extends AnyCache>(cache: C, options: CacheOptions): Observed<C> =>
  Effect.gen(function*() {
    const name = yield* checkedName(options?.name)
    const recorder = yield* MetricsRecorder
    const clock = yield* Clock.Clock
    const opened = opening(cache)
    if (opened === undefined || opened.map.backing instanceof ObservedMap) return cache
    const series = new CacheSeries(recorder, name)
    const observed = new ObservedMap(opened.map.backing, series, clock, cache.capacity, opened.scoped)
    opened.map.backing = observed
    const lookup = cache.lookup as (key: unknown) => Effect.Effect<unknown, unknown, unknown>
    ;(cache as { lookup: typeof lookup }).lookup = (key) => {
      observed.lookup(key)
      return measured(series, lookup(key), (interrupted) => observed.ended(key, interrupted))
    }
    const timeToLive = cache.timeToLive as (exit: any, key: any) => Duration.Duration
    ;(cache as { timeToLive: (exit: never, key: never) => Duration.Duration }).timeToLive = (exit, key) => {
      const duration = timeToLive(exit, key)
      observed.keeps(key, Duration.isZero(duration))
      return duration
    }
    yield* recorder.registerGauge(CacheMetrics.Entries, () => {
      observed.settle()
      return [[{ cache_name: name }, observed.size] as const]
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => observed.settle()))
    return cache
  })

interface Opened {
  readonly map: { backing: Map<unknown, { readonly expiresAt: number | undefined }> }
  readonly scoped: boolean
}

/** The map inside; `undefined` when the cache is closed. */
const opening = (cache: object): Opened | undefined => {
  const { map, state } = cache as { readonly map?: MutableHashMap.MutableHashMap<any, any>; readonly state?: ScopedCache.State<any, any, any> }
  if (map !== undefined) return { map, scoped: false }
  return state?._tag === "Open" ? { map: state.map, scoped: true } : undefined
}

/** A lookup is never a span of ours: what it asks elsewhere has its own. */
const measured = <A, E, R>(series: CacheSeries, self: Effect.Effect<A, E, R>, onEnd: (interrupted: boolean) => void): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const started = clock.monotonicTimeNanosUnsafe()
    return Effect.onExitPrimitive(self, (exit) => {
      series.duration("lookup", Number(clock.monotonicTimeNanosUnsafe() - started) / 1e9)
      const failure = classify(exit)
      if (failure !== undefined) series.error("lookup", failure.type)
      onEnd(Exit.hasInterrupts(exit))
      return undefined
    })
  })

/** `Cache.make`, observed. */
export const make = <Key, A, E = never, R = never, Mode extends "lookup" | "construction" = never>(
  options: Options<typeof Cache.make<Key, A, E, R, Mode>> & CacheOptions
): Effect.Effect<
  Cache.Cache<Key, A, E, "lookup" extends Mode ? R : never>,
  ConfigurationError,
  ("lookup" extends Mode ? never : R) | MetricsRecorder | Scope.Scope
> => Effect.flatMap(Cache.make<Key, A, E, R, Mode>(options), (cache) => wrap(cache, options))

/** `Cache.makeWith`, observed. */
export const makeWith = <Key, A, E = never, R = never, Mode extends "lookup" | "construction" = never>(
  lookup: (key: Key) => Effect.Effect<A, E, R>,
  options: Parameters<typeof Cache.makeWith<Key, A, E, R, Mode>>[1] & CacheOptions
): Effect.Effect<
  Cache.Cache<Key, A, E, "lookup" extends Mode ? R : never>,
  ConfigurationError,
  ("lookup" extends Mode ? never : R) | MetricsRecorder | Scope.Scope
> => Effect.flatMap(Cache.makeWith<Key, A, E, R, Mode>(lookup, options), (cache) => wrap(cache, options))

/** `ScopedCache.make`, observed. */
export const makeScoped = <Key, A, E = never, R = never, Mode extends "lookup" | "construction" = never>(
  options: Options<typeof ScopedCache.make<Key, A, E, R, Mode>> & CacheOptions
): Effect.Effect<
  ScopedCache.ScopedCache<Key, A, E, "lookup" extends Mode ? Exclude<R, Scope.Scope> : never>,
  ConfigurationError,
  ("lookup" extends Mode ? never : R) | MetricsRecorder | Scope.Scope
> => Effect.flatMap(ScopedCache.make<Key, A, E, R, Mode>(options), (cache) => wrap(cache, options))

/** `ScopedCache.makeWith`, observed. */
export const makeScopedWith = <Key, A, E = never, R = never, Mode extends "lookup" | "construction" = never>(
  options: Options<typeof ScopedCache.makeWith<Key, A, E, R, Mode>> & CacheOptions
): Effect.Effect<
  ScopedCache.ScopedCache<Key, A, E, "lookup" extends Mode ? Exclude<R, Scope.Scope> : never>,
  ConfigurationError,
  ("lookup" extends Mode ? never : R) | MetricsRecorder | Scope.Scope
> => Effect.flatMap(ScopedCache.makeWith<Key, A, E, R, Mode>(options), (cache) => wrap(cache, options))

/**
 * `PersistedCache.make`, observed in both of its tiers: the store as `{name}` with a span for each operation, what is kept in memory as `{name}.memory`. The name is the store's
 * (`storeId`) unless one is given.
 */
export const makePersisted = <K extends Persistable.Any, R = never, Mode extends "lookup" | "construction" = never>(
  lookup: (key: K) => Effect.Effect<Persistable.Success<K>, Persistable.Error<K>, R>,
  options: Parameters<typeof PersistedCache.make<K, R, Mode>>[1] & Partial<CacheOptions>
): Effect.Effect<
  PersistedCache.PersistedCache<K, "lookup" extends Mode ? R : never>,
  ConfigurationError,
  ("lookup" extends Mode ? never : R) | Persistence.Persistence | MetricsRecorder | Telemetry | Scope.Scope
> =>
  Effect.gen(function*() {
    const name = yield* checkedName(options.name ?? options.storeId)
    const store = yield* PersistenceInstrumentation.wrap(yield* Persistence.Persistence, { name: () => name })
    const cache = yield* PersistedCache.make<K, R, Mode>(lookup, options).pipe(Effect.provideService(Persistence.Persistence, store))
    yield* wrap(cache.inMemory, { name: `${name}.memory` })
    return cache
  }) as never
