import { assert, describe, it } from "@effect/vitest"
import * as Cache from "effect/Cache"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Persistable from "effect/persistence/Persistable"
import * as Persistence from "effect/persistence/Persistence"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as ScopedCache from "effect/ScopedCache"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import { CacheInstrumentation } from "../../src/index.ts"
import { makeObserved } from "../support/observed.ts"

type Observed = ReturnType<typeof makeObserved>
const observing = <A, E, R>(program: (observed: Observed) => Effect.Effect<A, E, R>) => {
  const observed = makeObserved()
  return Effect.map(program(observed).pipe(Effect.scoped, Effect.provide(observed.layer)), (result) => ({ result, observed }))
}

const counts = (observed: Observed, name = "c") => {
  const entries = observed.metric("cache_entries")[name]
  return { hits: observed.metric("cache_hits_total")[name] ?? 0, misses: observed.metric("cache_misses_total")[name] ?? 0, entries }
}

class Key extends Data.Class<{ readonly n: number }> {}
const keys = { simple: (n: number) => n, structural: (n: number) => new Key({ n }) }

describe("a cache", () => {
  it.effect("counts hits, misses, lookups, evictions and entries, by whatever function it is asked", () =>
    Effect.gen(function*() {
      const { observed } = yield* observing((observed) =>
        Effect.gen(function*() {
          const cache = yield* CacheInstrumentation.make({ name: "c", capacity: 2, timeToLive: "1 minute", lookup: (key: string) => Effect.succeed(key.length) })
          assert.deepStrictEqual(yield* Effect.forEach(["a", "bb", "a", "a"], (key) => Cache.get(cache, key)), [1, 2, 1, 1])
          assert.deepStrictEqual(counts(observed), { hits: 2, misses: 2, entries: 2 })
          yield* Cache.get(cache, "ccc")
          assert.deepStrictEqual(observed.metric("cache_evictions_total"), { "c capacity": 1 })
          yield* TestClock.adjust("2 minutes")
          yield* Cache.get(cache, "a")
          assert.deepStrictEqual(observed.metric("cache_evictions_total"), { "c capacity": 1, "c expired": 1 })
          assert.deepStrictEqual(counts(observed), { hits: 2, misses: 4, entries: 2 })
          yield* Cache.invalidateAll(cache)
          assert.deepStrictEqual(counts(observed), { hits: 2, misses: 4, entries: 0 })
        }))
      assert.deepStrictEqual(observed.metric("cache_operation_duration_seconds"), { lookup: 4 })
      // The series of its size ends with the scope; no span was made.
      assert.deepStrictEqual([counts(observed).entries, observed.spans.length], [undefined, 0])
    }))

  it.effect("says how lookups fail, and that concurrent questions share one", () =>
    Effect.gen(function*() {
      const { observed } = yield* observing((observed) =>
        Effect.gen(function*() {
          const cache = yield* CacheInstrumentation.make({
            name: "c",
            capacity: 10,
            lookup: (key: string) => key === "bad" ? Effect.fail({ _tag: "NotFound" as const }) : key === "worse" ? Effect.die(new TypeError("hunter2")) : Effect.delay(Effect.succeed(1), "1 second")
          })
          yield* Effect.exit(Cache.get(cache, "bad"))
          yield* Effect.exit(Cache.get(cache, "bad"))
          yield* Effect.exit(Cache.get(cache, "worse"))
          const fiber = yield* Effect.forkChild(Effect.all([1, 2, 3].map(() => Cache.get(cache, "slow")), { concurrency: "unbounded" }))
          yield* TestClock.adjust("1 second")
          yield* Effect.exit(Effect.flatMap(Effect.sync(() => fiber), (fiber) => Effect.sync(() => fiber.pollUnsafe())))
          assert.deepStrictEqual(counts(observed), { hits: 3, misses: 3, entries: 3 })
        }))
      assert.deepStrictEqual(observed.metric("cache_errors_total"), { "c lookup NotFound": 1, "c lookup TypeError": 1 })
      assert.isAtLeast(observed.sum("cache_operation_duration_seconds"), 1)
      assert.notInclude(observed.all(), "hunter2")
    }))

  it.effect("that was there before is wrapped with what is in it, once", () =>
    Effect.gen(function*() {
      yield* observing((observed) =>
        Effect.gen(function*() {
          const cache = yield* Cache.make({ capacity: 10, lookup: (key: number) => Effect.succeed(key) })
          yield* Cache.get(cache, 1)
          assert.strictEqual(yield* CacheInstrumentation.wrap(cache, { name: "c" }), cache)
          assert.strictEqual(yield* CacheInstrumentation.wrap(cache, { name: "other" }), cache)
          yield* Cache.get(cache, 1)
          yield* Cache.get(cache, 2)
          assert.deepStrictEqual(counts(observed), { hits: 1, misses: 1, entries: 2 })
          assert.deepStrictEqual(Array.from(yield* Cache.keys(cache)), [1, 2])
        }))
    }))

  it.effect("needs a name", () =>
    Effect.gen(function*() {
      const error = yield* observing(() => CacheInstrumentation.make({ name: " ", capacity: 1, lookup: Effect.succeed })).pipe(Effect.flip)
      assert.include((error as Error).message, "cache.name")
    }))
})

/** What callers do, in any order. */
const operations = ["get", "getOption", "getSuccess", "has", "set", "refresh", "invalidate", "wait"] as const
const steps = fc.array(fc.tuple(fc.constantFrom(...operations), fc.integer({ min: 0, max: 4 })), { minLength: 1, maxLength: 40 })

describe("any sequence of calls", () => {
  for (const [kind, keyOf] of Object.entries(keys)) {
    it(`of a Cache with ${kind} keys is counted as it was answered`, () =>
      fc.assert(fc.asyncProperty(steps, fc.constantFrom("sync", "async", "zero"), (steps, how) =>
        Effect.runPromise(observing((observed) =>
          Effect.gen(function*() {
            const lookup = (key: unknown) => how === "async" ? Effect.as(Effect.yieldNow, String(key)) : Effect.succeed(String(key))
            const options = { capacity: 3, timeToLive: () => how === "zero" ? Duration.zero : Duration.seconds(10) }
            const cache = yield* CacheInstrumentation.makeWith<unknown, string>(lookup, { ...options, name: "c" })
            // The same steps on a cache that nobody watches say what there was.
            const plain = yield* Cache.makeWith<unknown, string>(lookup, options)
            let hits = 0, misses = 0
            for (const [operation, n] of steps) {
              const reads = operation === "get" || operation === "getOption" || operation === "getSuccess" || operation === "has"
              if (reads) {
                if (yield* Cache.has(plain, keyOf(n))) hits++
                else misses++
              }
              for (const one of [plain, cache]) {
                // Somebody looks now and then; what was asked is settled then.
                if (operation === "wait") yield* one === plain ? Effect.andThen(Effect.sync(() => counts(observed)), TestClock.adjust("3 seconds")) : Effect.void
                else if (operation === "set") yield* Cache.set(one, keyOf(n), "set")
                else yield* (Cache[operation] as unknown as (cache: typeof one, key: unknown) => Effect.Effect<unknown>)(one, keyOf(n))
              }
              assert.strictEqual(yield* Cache.size(cache), yield* Cache.size(plain))
            }
            const { entries: _, ...counted } = counts(observed)
            assert.deepStrictEqual(counted, { hits, misses })
          })).pipe(Effect.asVoid, Effect.provide(TestClock.layer())))), { numRuns: 200 }))

    it(`of a ScopedCache with ${kind} keys is counted as it was answered`, () =>
      fc.assert(fc.asyncProperty(steps, fc.constantFrom("sync", "async"), (steps, how) =>
        Effect.runPromise(observing((observed) =>
          Effect.gen(function*() {
            let open = 0
            const lookup = (key: unknown) =>
              Effect.as(
                how === "async" ? Effect.yieldNow : Effect.void,
                String(key)
              ).pipe(Effect.tap(() => Effect.acquireRelease(Effect.sync(() => open++), () => Effect.sync(() => open--))))
            const options = { lookup, capacity: 3, timeToLive: "10 seconds" as const }
            const cache = yield* CacheInstrumentation.makeScoped<unknown, string, never, Scope.Scope>({ ...options, name: "c" })
            const plain = yield* ScopedCache.make<unknown, string, never, Scope.Scope>(options)
            let hits = 0, misses = 0
            for (const [operation, n] of steps) {
              const reads = operation === "get" || operation === "getOption" || operation === "getSuccess" || operation === "has"
              if (reads) {
                if (yield* ScopedCache.has(plain, keyOf(n))) hits++
                else misses++
              }
              // A refresh of what is not there is a `get`, and whoever takes out what is not there has asked for it.
              if (operation === "refresh" && !(plain.state._tag === "Open" && [...plain.state.map].some(([key]) => JSON.stringify(key) === JSON.stringify(keyOf(n))))) misses += 2
              if (operation === "invalidate" && !(yield* ScopedCache.has(plain, keyOf(n)))) misses++
              for (const one of [plain, cache]) {
                // Somebody looks now and then; what was asked is settled then.
                if (operation === "wait") yield* one === plain ? Effect.andThen(Effect.sync(() => counts(observed)), TestClock.adjust("3 seconds")) : Effect.void
                else if (operation === "set") yield* ScopedCache.set(one, keyOf(n), "set")
                else yield* (ScopedCache[operation] as unknown as (cache: typeof one, key: unknown) => Effect.Effect<unknown>)(one, keyOf(n))
              }
            }
            const { entries: _, ...counted } = counts(observed)
            assert.deepStrictEqual(counted, { hits, misses })
            yield* ScopedCache.invalidateAll(cache)
            yield* ScopedCache.invalidateAll(plain)
            assert.strictEqual(open, 0)
          })).pipe(Effect.asVoid, Effect.provide(TestClock.layer())))), { numRuns: 200 }))
  }
})

class User extends Persistable.Class<{ payload: { readonly id: number } }>()("User", { primaryKey: ({ id }) => `user-${id}`, success: Schema.String, error: Schema.String }) {}

describe("a persisted cache", () => {
  it.effect("is observed in memory and in its store", () =>
    Effect.gen(function*() {
      const { observed } = yield* observing((observed) =>
        Effect.gen(function*() {
          const cache = yield* CacheInstrumentation.makePersisted((user: User) => Effect.succeed(`name of ${user.id}`), {
            storeId: "users",
            timeToLive: () => "1 hour",
            inMemoryTTL: () => "1 minute"
          })
          assert.strictEqual(yield* cache.get(new User({ id: 1 })), "name of 1")
          yield* cache.get(new User({ id: 1 }))
          yield* TestClock.adjust("2 minutes")
          yield* cache.get(new User({ id: 1 })).pipe(Effect.withSpan("again"))
          yield* cache.invalidate(new User({ id: 1 }))
          assert.deepStrictEqual(counts(observed, "users.memory"), { hits: 1, misses: 2, entries: 0 })
          assert.deepStrictEqual(counts(observed, "users"), { hits: 1, misses: 1, entries: undefined })
        }).pipe(Effect.provide(Persistence.layerMemory)))
      assert.deepStrictEqual(observed.metric("cache_operation_duration_seconds"), { lookup: 2, get: 2, set: 1, remove: 1 })
      assert.deepStrictEqual(observed.spans.map(({ attributes, kind, name }) => [kind, name, attributes.get("cache.name"), attributes.get("cache.hit")]), [
        ["client", "cache get", "users", false], ["client", "cache set", "users", undefined], ["client", "cache get", "users", true], ["internal", "again", undefined, undefined], ["client", "cache remove", "users", undefined]
      ])
      assert.strictEqual(observed.spans[2]!.parentSpanId, observed.spans[3]!.spanId)
      // Keys may be personal.
      assert.notInclude(observed.all(), "user-1")
    }))
})

it.effect("a scoped cache that is closed is left alone", () =>
  observing(() =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const cache = yield* ScopedCache.make({ capacity: 1, lookup: (key: number) => Effect.succeed(key) }).pipe(Scope.provide(scope))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* CacheInstrumentation.wrap(cache, { name: "c" }), cache)
    })))

