import { NodeRedis } from "@effect/platform-node"
import { RedisInstrumentation } from "@effect-observability/instrument"
import { Config, Console, Effect, Layer, Option, Redacted } from "effect"
import { fork } from "node:child_process"
import { once } from "node:events"
import { freePort } from "./port.ts"
import { Refusal } from "./Refusal.ts"

/** `REDIS_URL`, if there is one that can be used. The URL may hold a password: what is said about it does not quote it. */
export const redisUrl = Effect.gen(function*() {
  const url = yield* Config.option(Config.Redacted("REDIS_URL"))
  if (Option.isSome(url) && !/^rediss?:$/.test(URL.parse(Redacted.value(url.value))?.protocol ?? "")) {
    return yield* new Refusal({ message: "REDIS_URL: expected redis://user:password@host:port/number, or rediss: for TLS" })
  }
  return Option.getOrUndefined(url)
})

/** A server of the demo's own on a free port. */
const ours = Effect.gen(function*() {
  const port = yield* freePort(0)
  yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const child = fork(new URL("valkeyServer.ts", import.meta.url), [String(port)], { execArgv: [], stdio: ["ignore", "ignore", "ignore", "ipc"] })
      await Promise.race([once(child, "message"), once(child, "exit").then(() => Promise.reject(new Error("the demo's Redis server did not start")))])
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  yield* Console.log(`Started a Redis server (Valkey) of the demo's own on port ${port} …`)
  return Redacted.make(`redis://127.0.0.1:${port}`)
})

/** While the server is away commands fail at once instead of waiting for it: the shop goes on without. */
const client = (url: Redacted.Redacted<string>) =>
  NodeRedis.layer({ url: Redacted.value(url), disableOfflineQueue: true }).pipe(
    Layer.catchTag("RedisError", ({ cause }) => {
      // Messages of servers may quote what they were sent; what the socket says is an address.
      const first = typeof cause === "object" && cause !== null && "originalError" in cause ? cause.originalError : cause
      const because = first instanceof Error && "code" in first ? ` (${String(first.code)})` : ""
      return Layer.effectContext(Effect.fail(new Refusal({ message: `the shop cannot reach Redis${because}; check REDIS_URL and that its server is up` })))
    })
  )

/** Redis as the shop uses it: every command is a span, and reads are hits or misses. */
export const redis = (url: Redacted.Redacted<string> | undefined) =>
  RedisInstrumentation.layer({ name: "prices" }).pipe(
    Layer.provide(url === undefined ? Layer.unwrap(Effect.map(ours, client)) : client(url))
  )
