import { type ConfigurationError, MetricsRecorder } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { Calling } from "../internal/Calling.ts"
import { checkedName } from "./internal/names.ts"
import { RedisCommands } from "./internal/redisCommands.ts"
import { type Operation, RemoteCache, RemoteCall } from "./internal/RemoteCache.ts"
import type { RedisOptions } from "./RedisInstrumentation.ts"

/** What is used of a client of the `redis` package, version 5 or 6 (`createClient`). */
export interface RedisClient {
  sendCommand(args: ReadonlyArray<any>, ...options: Array<any>): Promise<any>
}

type Method = (...args: Array<any>) => Promise<unknown>

/**
 * Observes a client of the `redis` package until the scope closes, and gives it back: every command is a client span and measured, reads count as hits and misses;
 * `multi` and pipelines are one span each. The client itself is changed (its commands call its own `sendCommand`) and is restored at the end. Of a client's `duplicate()`,
 * of pools and clusters nothing is seen: observe each client. Spans belong to the fiber that calls, as with `PgPoolInstrumentation`.
 *
 * @example
 * ```ts
 * const client = yield* RedisClientInstrumentation.observe(createClient({ url }), { name: "sessions" })
 * const session = yield* Effect.tryPromise(() => client.get(id))
 * ```
 */
export const observe = <C extends RedisClient>(client: C, options: RedisOptions = {}): Effect.Effect<C, ConfigurationError, MetricsRecorder | Scope.Scope> =>
  Effect.gen(function*() {
    const name = yield* checkedName(options.name ?? "redis")
    const cache = new RemoteCache(yield* MetricsRecorder, name, options.spans ?? true)
    const calling = yield* Calling.make
    // `createClient` gives a view of the client proper, whose methods call each other.
    const self = ((client as { readonly _self?: unknown })._self ?? client) as Record<string, unknown>
    if (observed.has(self)) return client
    const commands = new RedisCommands([...addressOf(client), ...Object.entries(options.attributes ?? {})])
    const replace = (method: string, operation: (args: Array<any>) => Operation) => {
      const inner = self[method] as Method | undefined
      if (typeof inner !== "function") return
      const own = Object.hasOwn(self, method)
      const ours = function(this: unknown, ...args: Array<any>): Promise<unknown> {
        return measured(cache, calling, operation(args), () => inner.apply(this, args))
      }
      self[method] = ours
      undo.push(() => {
        // Somebody else may have put something over it since.
        if (self[method] !== ours) return
        if (own) self[method] = inner
        else delete self[method]
      })
    }
    const undo: Array<() => void> = []
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        observed.add(self)
        replace("sendCommand", ([args]) => commands.of(Array.isArray(args) ? args[0] : "_"))
        replace("_executeMulti", ([batch]) => commands.batch("MULTI", namesOf(batch)))
        replace("_executePipeline", ([batch]) => commands.batch("PIPELINE", namesOf(batch)))
      }),
      () =>
        Effect.sync(() => {
          observed.delete(self)
          for (const one of undo) one()
        })
    )
    return client
  })

const observed = new WeakSet<object>()

const measured = (cache: RemoteCache, calling: Calling, operation: Operation, send: () => Promise<unknown>): Promise<unknown> => {
  const call = calling.within((fiber) => {
    const call = new RemoteCall(cache, operation, fiber)
    call.open(fiber)
    return call
  })
  let answer: Promise<unknown>
  try {
    answer = send()
  } catch (error) {
    call.end(Exit.fail(error))
    throw error
  }
  return answer.then(
    (value) => {
      call.end(Exit.succeed(value))
      return value
    },
    (error: unknown) => {
      call.end(Exit.fail(error))
      throw error
    }
  )
}

const namesOf = (batch: unknown): ReadonlyArray<unknown> =>
  Array.isArray(batch) ? batch.map((one) => (one as { readonly args?: ReadonlyArray<unknown> } | undefined)?.args?.[0]) : []

/** Where the client connects to, without anything secret. */
const addressOf = (client: unknown): Operation["attributes"] => {
  const { options } = client as { readonly options?: { readonly database?: unknown; readonly socket?: { readonly host?: unknown; readonly port?: unknown } } }
  const host = options?.socket?.host
  const port = options?.socket?.port
  const database = options?.database
  return [
    ...(typeof host === "string" ? [["server.address", host] as const] : []),
    ...(typeof port === "number" ? [["server.port", port] as const] : []),
    ...(typeof database === "number" ? [["db.namespace", String(database)] as const] : [])
  ]
}
