import { type ConfigurationError, MetricsRecorder, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Calling } from "../internal/Calling.ts"
import { Observer } from "./internal/Observer.ts"
import { ObservedPg } from "./internal/ObservedPg.ts"
import { watchPool } from "./internal/PoolWatch.ts"
import { resolve, type SqlOptions } from "./SqlOptions.ts"

/** What is used of `pg`'s `Pool`, version 8. */
export interface PgPool {
  query(...args: Array<any>): any
  connect(...args: Array<any>): any
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
}

/**
 * An observed view of a `pg` pool, for programs that use it without an Effect `SqlClient`: `query` (text or config object, promise or callback, cursors and
 * query streams) and clients from `connect` are spans and metrics as those of `SqlInstrumentation`; all else is the pool's own. The pool itself stays
 * as it is. Spans belong to the fiber that calls; behind an `await` of a plain async function no fiber can be told, and they begin traces of their own.
 * The pool's state is shown until the scope closes; closing the pool is the program's.
 *
 * @example
 * ```ts
 * const pool = yield* PgPoolInstrumentation.wrap(new Pool({ connectionString }), { poolName: "orders" })
 * const { rows } = yield* Effect.tryPromise(() => pool.query("select * from orders where id = $1", [id]))
 * ```
 */
export const wrap = <P extends PgPool>(
  pool: P,
  options: SqlOptions = {}
): Effect.Effect<P, ConfigurationError, Telemetry | MetricsRecorder | Scope.Scope> =>
  Effect.gen(function*() {
    if (ObservedPg.isObserved(pool)) return pool
    const resolved = yield* resolve(options)
    const telemetry = yield* Telemetry
    const recorder = yield* MetricsRecorder
    const attributes = attributesOf(pool)
    const poolName = resolved.poolName ?? nameOf(attributes) ?? "pg"
    const observer = new Observer(telemetry, recorder, { ...resolved, poolName, client: attributes, dialect: "pg" })
    yield* watchPool(recorder, telemetry.settings().metrics.conventions, poolName, () => ({
      used: pool.totalCount - pool.idleCount,
      idle: pool.idleCount,
      pending: pool.waitingCount,
      max: maxOf(pool)
    }))
    return new ObservedPg(observer, yield* Calling.make).pool(pool)
  })

const optionsOf = (pool: PgPool): Readonly<Record<string, unknown>> => {
  const { options } = pool as { readonly options?: unknown }
  return typeof options === "object" && options !== null ? options as Readonly<Record<string, unknown>> : {}
}

const maxOf = (pool: PgPool): number | undefined => {
  const { max } = optionsOf(pool)
  return typeof max === "number" ? max : undefined
}

/** Where the pool connects to, without anything secret. */
const attributesOf = (pool: PgPool): ReadonlyArray<readonly [string, unknown]> => {
  const { connectionString, database, host, port } = optionsOf(pool)
  const found = new Map<string, unknown>([["db.system.name", "postgresql"]])
  const set = (name: string, value: unknown): void => {
    if ((typeof value === "string" && value !== "") || typeof value === "number") found.set(name, value)
  }
  set("server.address", host)
  set("server.port", port)
  set("db.namespace", database)
  if (typeof connectionString === "string") {
    try {
      const url = new URL(connectionString)
      set("server.address", url.hostname)
      set("server.port", url.port === "" ? undefined : Number(url.port))
      set("db.namespace", decodeURIComponent(url.pathname.slice(1)))
    } catch {
      // What is wrong with it is for `pg` to say.
    }
  }
  return [...found]
}

const nameOf = (attributes: ReadonlyArray<readonly [string, unknown]>): string | undefined => {
  const all = new Map(attributes)
  const name = all.get("db.namespace") ?? all.get("server.address")
  return typeof name === "string" ? name : undefined
}
