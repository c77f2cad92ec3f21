import { type ConfigurationError, MetricsRecorder } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import { checkedName } from "./internal/names.ts"
import { RedisCommands } from "./internal/redisCommands.ts"
import { RemoteCache } from "./internal/RemoteCache.ts"

export interface RedisOptions {
  /** `cache_name` of the metrics. Default `"redis"`. */
  readonly name?: string
  /** Whether commands are spans. Default `true`. */
  readonly spans?: boolean
  /** More attributes of every span: `server.address`, `server.port`, `db.namespace` (the number of the database). */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
}

/**
 * The program's `Redis` (`effect/persistence`), observed: every command is a client span and measured; reads count as hits and misses. What is built on it
 * (`Persistence`, `PersistedQueue`, `RateLimiter`) is seen by its commands.
 *
 * @example
 * ```ts
 * const Cache = RedisInstrumentation.layer().pipe(Layer.provide(NodeRedis.layer({ url })))
 * ```
 */
export const layer = (options: RedisOptions = {}): Layer.Layer<Redis.Redis, ConfigurationError, Redis.Redis | MetricsRecorder> =>
  Layer.effect(Redis.Redis, Effect.flatMap(Redis.Redis, (redis) => wrap(redis, options)))

/** An observed copy of the service. */
export const wrap = (
  redis: Redis.Redis["Service"],
  options: RedisOptions = {}
): Effect.Effect<Redis.Redis["Service"], ConfigurationError, MetricsRecorder> =>
  Effect.gen(function*() {
    const cache = new RemoteCache(yield* MetricsRecorder, yield* checkedName(options.name ?? "redis"), options.spans ?? true)
    const commands = new RedisCommands(Object.entries(options.attributes ?? {}))
    const observed = (connection: Redis.Connection): Redis.Connection => ({
      send: (command, ...args) => cache.run(commands.of(command), connection.send(command, ...args)),
      eval: (script) => {
        const run = connection.eval(script)
        return (...params) => cache.run(commands.of("EVALSHA"), run(...params))
      }
    })
    return { ...redis, ...observed(redis), reserve: Effect.map(redis.reserve, observed) }
  })
