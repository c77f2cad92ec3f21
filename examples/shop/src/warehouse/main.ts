import { Logs, Observe, SqlInstrumentation } from "@effect-observability/instrument"
import { ObservabilityConfig } from "@effect-observability/core"
import { Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import { layerServer } from "@effect-observability/prometheus/node"
import { NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Cause, Config, Effect, Exit, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { logFile } from "../logFile.ts"
import { type Shipment, Shipments } from "../shipping/Shipments.ts"

// The warehouse: a process of its own that packs what the shop sold. Started by the shop, ended by SIGTERM.

const pack = Observe.fn("warehouse.pack")(function*({ order, product, quantity }: Shipment) {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.sleep("3 millis")
  yield* sql`update shop.orders set packed_at = now() where id = ${order}`
  yield* Effect.logInfo("order packed").pipe(Effect.annotateLogs({ order, product, quantity }))
})

const work = Effect.gen(function*() {
  const shipments = yield* Shipments
  const next = shipments.next(pack).pipe(Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.sleep("200 millis")))
  yield* Effect.logInfo("the warehouse is open")
  yield* Effect.all(Array.from({ length: 4 }, () => Effect.forever(next)), { concurrency: "unbounded", discard: true })
})

const program = Effect.gen(function*() {
  const url = yield* Config.Redacted("DATABASE_URL")
  const settings = ObservabilityConfig.layer({ tracing: { serviceName: "warehouse" }, cluster: "demo", flushInterval: 1, postgres: { flushInterval: 1 } })
  const page = layerServer({ port: yield* Config.Port("WAREHOUSE_PORT") }).pipe(Layer.provideMerge(Prometheus.layer()))
  const observability = Layer.mergeAll(Postgres.layer({ connection: url, history: false, packing: false }), Logs.layer(yield* logFile), page).pipe(Layer.provide(settings))
  const services = Layer.merge(
    SqlInstrumentation.layerFor(PgClient.PgClient).pipe(Layer.provide(PgClient.layer({ url, maxConnections: 4, applicationName: "warehouse" }))),
    Shipments.layer(url)
  )
  yield* work.pipe(Effect.provide(services), Effect.provide(observability))
})

NodeRuntime.runMain(program, { teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Exit.hasInterrupts(exit) ? 0 : 1) })
