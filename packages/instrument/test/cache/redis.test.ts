import { NodeRedis } from "@effect/platform-node"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Fiber from "effect/Fiber"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Persistable from "effect/persistence/Persistable"
import * as Persistence from "effect/persistence/Persistence"
import * as Redis from "effect/persistence/Redis"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { createClient } from "redis"
import {
  CacheInstrumentation, KeyValueStoreInstrumentation, PersistenceInstrumentation, RedisClientInstrumentation, RedisInstrumentation
} from "../../src/index.ts"
import { makeObserved } from "../support/observed.ts"
import { startValkey } from "./support.ts"

let url: string
let port: number
const scope = Scope.makeUnsafe()
beforeAll(() => Effect.runPromise(Effect.map(startValkey, (server) => {
  url = server.url
  port = server.port
}).pipe(Scope.provide(scope))), 60_000)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const hits = (observed: ReturnType<typeof makeObserved>, name: string) => [observed.metric("cache_hits_total")[name] ?? 0, observed.metric("cache_misses_total")[name] ?? 0]

describe("Effect's Redis", () => {
  const observing = <A, E>(program: (redis: Redis.Redis["Service"]) => Effect.Effect<A, E, Redis.Redis | Scope.Scope>) => {
    const observed = makeObserved()
    const Cache = RedisInstrumentation.layer({ attributes: { "server.port": port } }).pipe(Layer.provide(NodeRedis.layer({ url })))
    return Effect.map(Effect.flatMap(Redis.Redis, program).pipe(Effect.scoped, Effect.provide(Cache.pipe(Layer.provideMerge(observed.layer)))), (result) => ({ result, observed }))
  }

  it.live("is a client span for each command; reads are hits and misses, keys and values stay out", () =>
    Effect.gen(function*() {
      const script = Redis.script((key: string) => [key], { lua: "return redis.call('GET', KEYS[1])", numberOfKeys: 1 }).withReturnType<string | null>()
      const { observed, result } = yield* observing((redis) =>
        Effect.gen(function*() {
          yield* redis.send("SET", "secretkey", "secretvalue")
          const read = [yield* redis.send("GET", "secretkey"), yield* redis.send("get", "nothing"), yield* redis.send("MGET", "secretkey", "a", "b"), yield* redis.eval(script)("secretkey")]
          const error = yield* Effect.flip(redis.send("LPUSH", "secretkey", "x"))
          const reserved = yield* redis.reserve
          yield* reserved.send("GET", "secretkey")
          yield* Effect.ignore(redis.send("made up by a caller"))
          return { read, error: error._tag }
        }).pipe(Effect.withSpan("outer")))
      assert.deepStrictEqual(result, { read: ["secretvalue", null, ["secretvalue", null, null], "secretvalue"], error: "RedisError" })
      assert.deepStrictEqual(hits(observed, "redis"), [3, 3])
      const outer = observed.spans.at(-1)!
      assert.deepStrictEqual(observed.spans.slice(0, -1).map(({ attributes, kind, name, parentSpanId }) => [kind, name, parentSpanId === outer.spanId, attributes.get("cache.hit")]), [
        ["client", "SET", true, undefined], ["client", "GET", true, true], ["client", "GET", true, false], ["client", "MGET", true, undefined], ["client", "EVALSHA", true, undefined],
        ["client", "LPUSH", true, undefined], ["client", "GET", true, true], ["client", "_OTHER", true, undefined]
      ])
      assert.deepStrictEqual(Object.fromEntries(observed.spans[1]!.attributes), {
        "db.system.name": "redis", "db.operation.name": "GET", "server.port": port, "cache.name": "redis", "cache.hit": true
      })
      const failed = observed.spans[5]!
      assert.deepStrictEqual([failed.status, failed.attributes.get("error.type"), failed.attributes.get("db.response.status_code")], ["error", "WRONGTYPE", "WRONGTYPE"])
      assert.deepStrictEqual(observed.metric("cache_errors_total"), { "redis lpush WRONGTYPE": 1, "redis _OTHER ERR": 1 })
      assert.deepStrictEqual(observed.metric("cache_operation_duration_seconds"), { set: 1, get: 3, mget: 1, evalsha: 1, lpush: 1, _OTHER: 1 })
      assert.notMatch(observed.all(), /secret|made up/)
    }))

  it.live("that is interrupted is no error", () =>
    Effect.gen(function*() {
      const { observed } = yield* observing((redis) =>
        Effect.gen(function*() {
          const reserved = yield* redis.reserve
          const fiber = yield* Effect.forkChild(reserved.send("BLPOP", "empty", "5"))
          yield* Effect.sleep("50 millis")
          yield* Fiber.interrupt(fiber)
        }))
      assert.deepStrictEqual([observed.metric("cache_errors_total"), observed.spans.map(({ name, status }) => [name, status])], [{}, [["BLPOP", "unset"]]])
    }))

  class User extends Persistable.Class<{ payload: { readonly id: number } }>()("User", { primaryKey: ({ id }) => `user-${id}`, success: Schema.String }) {}

  it.live("is below a persisted cache: its spans are inside those of the store", () =>
    Effect.gen(function*() {
      const { observed } = yield* observing(() =>
        Effect.gen(function*() {
          const make = () => CacheInstrumentation.makePersisted((user: User) => Effect.succeed(`name ${user.id}`), { storeId: "users", timeToLive: () => "1 hour" })
          assert.strictEqual(yield* (yield* make()).get(new User({ id: 1 })), "name 1")
          // Another process would find it there.
          assert.strictEqual(yield* Effect.flatMap(make(), (cache) => cache.get(new User({ id: 1 }))), "name 1")
        }).pipe(Effect.provide(Persistence.layerRedis)) as never)
      assert.deepStrictEqual(hits(observed, "users"), [1, 1])
      const byId = new Map(observed.spans.map((span) => [span.spanId, span.name]))
      const commands = observed.spans.filter(({ attributes }) => attributes.get("db.system.name") === "redis")
      assert.isAtLeast(commands.length, 3)
      assert.deepStrictEqual([...new Set(commands.map(({ parentSpanId }) => byId.get(parentSpanId ?? "")))], ["cache get", "cache set"])
      assert.notInclude(observed.all(), "user-1")
    }))
})

const newClient = () => createClient({ url })

describe("a client of the redis package", () => {
  const observing = <A>(program: (client: ReturnType<typeof newClient>, observed: ReturnType<typeof makeObserved>) => Effect.Effect<A, unknown>) => {
    const observed = makeObserved()
    return Effect.gen(function*() {
      const client = yield* Effect.acquireRelease(Effect.promise(async () => {
        const client = newClient()
        client.on("error", () => {})
        await client.connect()
        return client
      }), (client) => Effect.sync(() => client.destroy()))
      const result = yield* Effect.scoped(Effect.gen(function*() {
        const same = yield* RedisClientInstrumentation.observe(client, { name: "sessions" })
        assert.strictEqual(same, client)
        assert.strictEqual(yield* RedisClientInstrumentation.observe(client), client)
        return yield* program(client, observed).pipe(Effect.withSpan("outer"))
      }))
      return { result, observed, after: yield* Effect.promise(() => client.get("k")) }
    }).pipe(Effect.scoped, Effect.provide(observed.layer))
  }

  it.live("is observed in all its commands, until the scope closes", () =>
    Effect.gen(function*() {
      const { after, observed, result } = yield* observing((client) =>
        Effect.gen(function*() {
          const call = <A>(f: () => Promise<A>) => Effect.tryPromise(f)
          yield* call(() => client.set("k", "secretvalue"))
          yield* call(() => client.hSet("h", { a: "1" }))
          const read = [
            yield* call(() => client.get("k")), yield* call(() => client.get("missing")), yield* call(() => client.mGet(["k", "x"])), yield* call(() => client.hGetAll("h")),
            { ...yield* call(() => client.hGetAll("missing")) }, yield* call(() => client.sendCommand(["GET", "k"])),
            yield* call(() => client.multi().get("k").get("missing").set("y", "1").exec()), yield* call(() => client.multi().get("k").execAsPipeline())
          ]
          const error = yield* Effect.flip(call(() => client.lPush("k", "x")))
          return { read: JSON.parse(JSON.stringify(read)), error: error._tag }
        }))
      assert.deepStrictEqual(result, { read: ["secretvalue", null, ["secretvalue", null], { a: "1" }, {}, "secretvalue", ["secretvalue", null, "OK"], ["secretvalue"]], error: "UnknownError" })
      assert.strictEqual(after, "secretvalue")
      assert.deepStrictEqual(hits(observed, "sessions"), [6, 4])
      const outer = observed.spans.at(-1)!
      assert.deepStrictEqual(observed.spans.slice(0, -1).map(({ name, parentSpanId }) => [name, parentSpanId === outer.spanId]), [
        "SET", "HSET", "GET", "GET", "MGET", "HGETALL", "HGETALL", "GET", "MULTI", "PIPELINE", "LPUSH"
      ].map((name) => [name, true]))
      assert.deepStrictEqual(Object.fromEntries(observed.spans[2]!.attributes), {
        "db.system.name": "redis", "db.operation.name": "GET", "server.address": "127.0.0.1", "server.port": port, "cache.name": "sessions", "cache.hit": true
      })
      assert.strictEqual(observed.spans[8]!.attributes.get("db.operation.batch.size"), 3)
      assert.deepStrictEqual(observed.metric("cache_errors_total"), { "sessions lpush WRONGTYPE": 1 })
      assert.notInclude(observed.all(), "secretvalue")
    }))

  it.live("that is closed says so", () =>
    Effect.gen(function*() {
      const observed = makeObserved()
      yield* Effect.gen(function*() {
        const client = yield* RedisClientInstrumentation.observe(newClient())
        const { cause } = yield* Effect.flip(Effect.tryPromise(() => client.get("k")))
        assert.strictEqual((cause as object).constructor.name, "ClientClosedError")
      }).pipe(Effect.scoped, Effect.provide(observed.layer))
      assert.deepStrictEqual(observed.metric("cache_errors_total"), { "redis get ConnectionError": 1 })
    }))
})

describe("a key-value store", () => {
  it.live("counts hits, misses and errors, without keys", () =>
    Effect.gen(function*() {
      const observed = makeObserved()
      const broken = Layer.effect(KeyValueStore.KeyValueStore, Effect.map(KeyValueStore.KeyValueStore, (store) => ({
        ...store,
        get: (key: string) => key === "bad" ? Effect.fail(new KeyValueStore.KeyValueStoreError({ method: "get", key, message: `no secretkey ${key}`, cause: Object.assign(new Error("x"), { code: "EIO" }) })) : store.get(key)
      }))).pipe(Layer.provide(KeyValueStore.layerMemory))
      yield* Effect.gen(function*() {
        const store = yield* KeyValueStore.KeyValueStore
        yield* store.set("secretkey", "a")
        assert.deepStrictEqual([yield* store.get("secretkey"), yield* store.get("x"), yield* store.has("secretkey"), yield* store.size], ["a", undefined, true, 1])
        assert.strictEqual(yield* store.modify("secretkey", (value) => `${value}b`), "ab")
        yield* Effect.flip(store.get("bad"))
        yield* KeyValueStore.prefix(store, "p").set("y", "z")
        yield* store.remove("secretkey")
        yield* store.clear
      }).pipe(Effect.provide(KeyValueStoreInstrumentation.layer({ name: "kv" }).pipe(Layer.provide(broken), Layer.provideMerge(observed.layer))))
      assert.deepStrictEqual(hits(observed, "kv"), [3, 1])
      assert.deepStrictEqual(observed.metric("cache_errors_total"), { "kv get ConnectionError": 1 })
      assert.deepStrictEqual(observed.metric("cache_operation_duration_seconds"), { set: 2, get: 3, has: 1, size: 1, modify: 1, remove: 1, clear: 1 })
      assert.strictEqual(observed.spans.length, 10)
      assert.notInclude(observed.all(), "secretkey")
      const quiet = makeObserved()
      yield* Effect.flatMap(KeyValueStore.KeyValueStore, (store) => store.get("x")).pipe(
        Effect.provide(KeyValueStoreInstrumentation.layer({ name: "kv", spans: false }).pipe(Layer.provide(KeyValueStore.layerMemory), Layer.provideMerge(quiet.layer)))
      )
      assert.deepStrictEqual([quiet.spans.length, hits(quiet, "kv")], [0, [0, 1]])
    }))

  it.live("and a Persistence are observed as services", () =>
    Effect.gen(function*() {
      const observed = makeObserved()
      class Key extends Persistable.Class<{ payload: { readonly id: number } }>()("Key", { primaryKey: ({ id }) => `key-${id}`, success: Schema.Number }) {}
      yield* Effect.gen(function*() {
        const store = yield* (yield* Persistence.Persistence).make({ storeId: "numbers" })
        yield* store.setMany([[new Key({ id: 1 }), Exit.succeed(1)], [new Key({ id: 2 }), Exit.succeed(2)]])
        assert.deepStrictEqual(yield* store.getMany([new Key({ id: 1 }), new Key({ id: 3 })]), [Exit.succeed(1), undefined])
      }).pipe(Effect.scoped, Effect.provide(PersistenceInstrumentation.layer({ spans: false }).pipe(Layer.provide(Persistence.layerMemory), Layer.provideMerge(observed.layer))))
      assert.deepStrictEqual([hits(observed, "numbers"), observed.metric("cache_operation_duration_seconds"), observed.spans.length], [[1, 1], { set_many: 1, get_many: 1 }, 0])
    }))
})
