import { type ConfigurationError, MetricsRecorder, type Redaction, Telemetry } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"
import { ObservedConnection } from "./internal/ObservedConnection.ts"
import { accessOf, ObservedStatement, type Wiring } from "./internal/ObservedStatement.ts"
import { Observer } from "./internal/Observer.ts"
import { watchPool } from "./internal/PoolWatch.ts"
import { transaction } from "./internal/transaction.ts"
import { resolve, type SqlOptions } from "./SqlOptions.ts"

export type { SqlOptions }

type Client = SqlClient.SqlClient
type Needs = Telemetry | MetricsRecorder

/**
 * The program's `SqlClient`, observed: every statement is one client span, named after its summary, and measured; streams to their last row.
 * Give the client below it, the backends around the program. Fails when an option is wrong; all problems are named at once.
 *
 * @example
 * ```ts
 * const Sql = SqlInstrumentation.layer().pipe(Layer.provide(PgClient.layer({ url })))
 * ```
 */
export const layer = (options: SqlOptions = {}): Layer.Layer<Client, ConfigurationError, Client | Needs> =>
  Layer.effect(SqlClient.SqlClient, Effect.flatMap(SqlClient.SqlClient, (client) => wrap(client, options)))

/**
 * As `layer`, for a program that also uses the service of its driver: both give the same observed client.
 *
 * @example
 * ```ts
 * const Sql = SqlInstrumentation.layerFor(PgClient.PgClient).pipe(Layer.provide(PgClient.layer({ url })))
 * ```
 */
export const layerFor = <I, C extends Client>(service: Context.Key<I, C>, options: SqlOptions = {}): Layer.Layer<I | Client, ConfigurationError, I | Needs> =>
  Layer.effectContext(Effect.map(
    Effect.flatMap(service, (client: C) => wrap(client, options)),
    (client) => Context.make(service, client).pipe(Context.add(SqlClient.SqlClient, client as Client))
  )) as Layer.Layer<I | Client, ConfigurationError, I | Needs>

/** An observed copy of a client, of any driver; a client that is observed already comes back as it is. The pool is shown until the scope closes. */
export const wrap = <C extends Client>(client: C, options: SqlOptions = {}): Effect.Effect<C, ConfigurationError, Needs | Scope.Scope> =>
  Effect.gen(function*() {
    if (observed.has(client)) return client
    const resolved = yield* resolve(options)
    const telemetry = yield* Telemetry
    const recorder = yield* MetricsRecorder
    const attributes = attributesOf(client)
    const poolName = resolved.poolName ?? Statement.spanTarget([...attributes, ...resolved.attributes]) ?? client.driver
    const observer = new Observer(telemetry, recorder, { ...resolved, poolName, client: attributes, dialect: dialectOf(client) })
    const max = configOf(client)?.maxConnections
    yield* watchPool(recorder, telemetry.settings().metrics.conventions, poolName, () => ({
      used: observer.pool.used,
      idle: undefined,
      pending: observer.pool.pending,
      max: typeof max === "number" ? max : undefined
    }))
    return copy(client, observer)
  })

const observed = new WeakSet<Client>()

/** The same client in all that it has, but for what runs statements. */
const copy = <C extends Client>(client: C, observer: Observer): C => {
  const wiring: Wiring = { client, observer, self: () => self, access: accessOf(client.unsafe("select 1")) }
  const own = ((strings: string | TemplateStringsArray, ...args: Array<never>) => {
    const made = (client as unknown as (strings: string | TemplateStringsArray, ...args: Array<never>) => unknown)(strings, ...args)
    return typeof strings === "string" ? made : new ObservedStatement(made as Statement.Statement<unknown>, wiring)
  }) as unknown as C
  let plain: C | undefined
  const self: C = Object.assign(own, client, {
    unsafe: (sql: string, params?: ReadonlyArray<unknown>) => new ObservedStatement(client.unsafe(sql, params), wiring),
    reserve: Effect.map(lease(observer, client.reserve), (connection) => new ObservedConnection(ObservedConnection.innermost(connection), observer)),
    withTransaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => transaction(observer, client, effect),
    withoutTransforms: () => {
      const bare = client.withoutTransforms()
      return bare === client ? self : plain ??= copy(bare, observer)
    }
  })
  Object.assign(self, { safe: self })
  observed.add(self)
  return self
}

/** A connection that the program keeps until its scope closes. */
const lease = (observer: Observer, reserve: Client["reserve"]): Client["reserve"] => {
  const { pool } = observer
  return Effect.suspend(() => {
    let asked = false
    return Effect.onExitPrimitive(
      Effect.suspend(() => {
        asked = true
        pool.pending++
        return reserve
      }),
      (exit) => {
        if (asked) pool.pending--
        if (exit._tag === "Failure") return undefined
        pool.used++
        return Effect.addFinalizer(() => Effect.sync(() => pool.used--))
      }
    ) as Client["reserve"]
  })
}

const dialectOf = (client: Client): Redaction.SqlDialect | undefined => {
  const is = (dialect: Redaction.SqlDialect) => () => dialect
  return client.onDialectOrElse<Redaction.SqlDialect | undefined, never, never, never, never, never>({
    orElse: () => undefined,
    pg: is("pg") as () => never,
    mysql: is("mysql") as () => never,
    sqlite: is("sqlite") as () => never,
    mssql: is("mssql") as () => never,
    clickhouse: is("clickhouse") as () => never
  })
}

interface DriverConfig {
  readonly url?: unknown
  readonly maxConnections?: unknown
}

const configOf = (client: Client): DriverConfig | undefined => {
  const { config } = client as { readonly config?: unknown }
  return typeof config === "object" && config !== null ? config : undefined
}

/** What a client says of its server. Drivers leave out what stands in a URL only; of that the secrets stay there. */
const attributesOf = (client: Client): ReadonlyArray<readonly [string, unknown]> => {
  const { spanAttributes } = client.unsafe("select 1") as { readonly spanAttributes?: unknown }
  const given = Array.isArray(spanAttributes) ? spanAttributes as ReadonlyArray<readonly [string, unknown]> : []
  const found = new Map(given)
  const config = configOf(client) as Readonly<Record<string, unknown>> | undefined
  const url = config?.["url"]
  if (Redacted.isRedacted(url)) {
    try {
      const { hostname, pathname, port } = new URL(String(Redacted.value(url)))
      if (hostname !== "" && config?.["host"] === undefined) found.set("server.address", hostname)
      if (port !== "" && config?.["port"] === undefined) found.set("server.port", Number(port))
      if (pathname.length > 1 && config?.["database"] === undefined) found.set("db.namespace", decodeURIComponent(pathname.slice(1)))
    } catch {
      // What is wrong with it is for the driver to say.
    }
  }
  return [...found]
}
