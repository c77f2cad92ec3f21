import { NodeRedis } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import { createClient } from "redis"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { RedisClientInstrumentation, RedisInstrumentation } from "../../src/index.ts"
import { makeObserved } from "../support/observed.ts"
import { freePort } from "./support.ts"

/** Debian's Redis as a child of the test, which can be stopped and started again on its port. */
const startRedis = Effect.gen(function*() {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" })
  } catch {
    throw new Error("redis-server is not installed: apt-get install redis-server")
  }
  const port = yield* Effect.promise(freePort)
  let child: ChildProcess | undefined
  const start = Effect.promise(async () => {
    const own = child = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], { stdio: "ignore" })
    for (let i = 0; i < 100; i++) {
      const client = createClient({ url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: false } })
      client.on("error", () => {})
      try {
        await client.connect()
        const info = await client.info("server")
        // It is ours that answers.
        assert.include(info, `process_id:${own.pid}`)
        return
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50))
      } finally {
        if (client.isOpen) client.destroy()
      }
    }
    throw new Error("redis-server did not answer within 5 s")
  })
  const stop = Effect.promise(() =>
    new Promise<void>((resolve) => {
      const own = child
      child = undefined
      if (own === undefined || own.exitCode !== null) return resolve()
      own.once("close", () => resolve())
      own.kill("SIGKILL")
    }))
  yield* Effect.acquireRelease(start, () => stop)
  return { port, url: `redis://127.0.0.1:${port}`, start, stop }
})

const until = (what: string, done: Effect.Effect<boolean>) =>
  Effect.gen(function*() {
    for (let i = 0; i < 200; i++) {
      if (yield* done) return
      yield* Effect.sleep("50 millis")
    }
    throw new Error(`waited 10 s for ${what}`)
  })

describe("Redis itself", () => {
  it.live("stops in the middle and comes back: errors are counted, and what comes after is observed as before", () =>
    Effect.gen(function*() {
      const observed = makeObserved()
      yield* Effect.gen(function*() {
        const server = yield* startRedis
        const Cache = RedisInstrumentation.layer().pipe(Layer.provide(NodeRedis.layer({ url: server.url, disableOfflineQueue: true })))
        yield* Effect.gen(function*() {
          const redis = yield* Redis.Redis
          const client = yield* RedisClientInstrumentation.observe(createClient({ url: server.url, disableOfflineQueue: true, socket: { reconnectStrategy: 100 } }), { name: "direct" })
          client.on("error", () => {})
          yield* Effect.promise(() => client.connect())
          yield* redis.send("SET", "k", "v")
          assert.strictEqual(yield* Effect.promise(() => client.get("k")), "v")
          yield* server.stop
          yield* until("both to fail", Effect.gen(function*() {
            const one = yield* Effect.exit(redis.send("GET", "k"))
            const two = yield* Effect.exit(Effect.tryPromise(() => client.get("k")))
            return one._tag === "Failure" && two._tag === "Failure"
          }))
          yield* server.start
          yield* until("both to work again", Effect.gen(function*() {
            const one = yield* Effect.exit(redis.send("GET", "k"))
            const two = yield* Effect.exit(Effect.tryPromise(() => client.get("k")))
            return one._tag === "Success" && two._tag === "Success"
          }))
          // What was in memory is gone.
          const before = [observed.metric("cache_misses_total")["redis"]!, observed.metric("cache_misses_total")["direct"]!]
          assert.deepStrictEqual([yield* redis.send("GET", "k"), yield* Effect.promise(() => client.get("k"))], [null, null])
          assert.deepStrictEqual([observed.metric("cache_misses_total")["redis"], observed.metric("cache_misses_total")["direct"]], before.map((count) => count + 1))
          client.destroy()
        }).pipe(Effect.provide(Cache))
      }).pipe(Effect.scoped, Effect.provide(observed.layer))
      const errors = observed.metric("cache_errors_total")
      assert.deepStrictEqual(Object.keys(errors).sort(), ["direct get ConnectionError", "redis get ConnectionError"])
      // Every command has its span, failed ones with the kind of their error; none is left open.
      const spans = observed.spans.filter(({ attributes }) => attributes.get("db.system.name") === "redis")
      const failed = spans.filter(({ status }) => status === "error")
      assert.strictEqual(failed.length, Object.values(errors).reduce((sum, count) => sum + count, 0))
      assert.deepStrictEqual([...new Set(failed.map(({ attributes }) => attributes.get("error.type")))], ["ConnectionError"])
      const operations = observed.metric("cache_operation_duration_seconds")
      assert.strictEqual(spans.length, Object.values(operations).reduce((sum, count) => sum + count, 0))
    }), 60_000)
})
