import { Telemetry } from "@effect-observability/core"
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type Bench, median } from "../../../test/bench/Bench.ts"
import * as CacheInstrumentation from "../src/cache/CacheInstrumentation.ts"

// cache.hit: what observing adds to a hit of an Effect `Cache` (string keys, a time to live), against the same cache unobserved in the same process. cache.structural: the same
// with keys that are compared by value. cache.miss: a lookup that answers at once, its duration included.

const ops = 5_000

interface Sides {
  readonly bare: () => void
  readonly observed: () => void
  readonly close: () => Promise<void>
}

const setUp = async (keys: ReadonlyArray<unknown>, miss: boolean): Promise<Sides> => {
  const runtime = ManagedRuntime.make(Telemetry.layer)
  const scope = Scope.makeUnsafe()
  const options = { capacity: 1_000, timeToLive: "1 hour" as const, lookup: (key: unknown) => Effect.succeed(key) }
  const bare = await runtime.runPromise(Cache.make(options))
  const observed = await runtime.runPromise(CacheInstrumentation.make({ ...options, name: "bench" }).pipe(Scope.provide(scope)))
  const asks = (cache: Cache.Cache<unknown, unknown>) =>
    Effect.gen(function*() {
      for (let i = 0; i < ops; i++) {
        if (miss) yield* Cache.invalidate(cache, keys[i % keys.length])
        yield* Cache.get(cache, keys[i % keys.length])
      }
    })
  const context = await runtime.runPromise(Effect.context<never>())
  return {
    bare: () => Effect.runSyncWith(context)(asks(bare)),
    observed: () => Effect.runSyncWith(context)(asks(observed)),
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await runtime.dispose()
    }
  }
}

const timed = (run: () => void): number => {
  const began = performance.now()
  run()
  return (performance.now() - began) * 1e6 / ops
}

const declare = (bench: Bench, name: string, budget: { readonly must?: number; readonly moonshot?: number }, keys: ReadonlyArray<unknown>, miss = false): void => {
  let sides: Sides
  bench.measure({
    name,
    unit: "ns/op",
    budget: "value",
    ...budget,
    setup: async () => {
      sides = await setUp(keys, miss)
      for (let i = 0; i < 50; i++) {
        sides.bare()
        sides.observed()
      }
    },
    teardown: () => sides.close(),
    run: () => {
      // In turn, so that noise hits both; the median of the differences.
      const differences: Array<number> = []
      for (let i = 0; i < 9; i++) {
        const without = timed(sides.bare)
        differences.push(timed(sides.observed) - without)
      }
      return median(differences)
    }
  })
}

export default (bench: Bench): void => {
  const strings = Array.from({ length: 100 }, (_, i) => `user-${i}`)
  const objects = Array.from({ length: 100 }, (_, i) => ({ tenant: "acme", user: i }))
  declare(bench, "cache.hit", { must: 300, moonshot: 150 }, strings)
  declare(bench, "cache.structural", {}, objects)
  declare(bench, "cache.miss", {}, strings, true)
}
