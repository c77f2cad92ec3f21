import { NodeRedis } from "@effect/platform-node"
import { RedisInstrumentation } from "@effect-observability/instrument"
import { Config, Console, Effect, Layer, Option } from "effect"
import { fork } from "node:child_process"
import { once } from "node:events"
import { freePort } from "./port.ts"

/** `REDIS_URL`, or a server of the demo's own on a free port. */
const address = Effect.gen(function*() {
  const given = yield* Config.option(Config.String("REDIS_URL"))
  if (Option.isSome(given)) return given.value
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
  return `redis://127.0.0.1:${port}`
})

/** Redis as the shop uses it: every command is a span, and reads are hits or misses. */
export const redis = RedisInstrumentation.layer({ name: "prices" }).pipe(
  Layer.provide(Layer.unwrap(Effect.map(address, (url) => NodeRedis.layer({ url }))))
)
