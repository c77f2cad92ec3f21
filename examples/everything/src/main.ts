import { ClickHouse } from "@effect-observability/clickhouse"
import { Datadog } from "@effect-observability/datadog"
import {
  Diagnostics, Exposition, Health, Memory, MemoryBackend, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry
} from "@effect-observability/core"
import { OpenTelemetry } from "@effect-observability/opentelemetry"
import { Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import { Sentry } from "@effect-observability/sentry"
import { Config, Console, Data, Effect, Layer, Logger } from "effect"

// Seven backends side by side, and a program that knows none of them. Where they are comes from the environment:
//
//   POSTGRES_URL OTLP_URL SENTRY_DSN STATSD_URL AGENT_URL CLICKHOUSE_URL node --conditions=source examples/everything/src/main.ts
//
// One that is away changes nothing for the others: what is meant for it waits, and the report says so.

const Orders = MetricDefinition.counter("orders_total", { help: "Orders taken", labelNames: ["channel"] })
const Took = MetricDefinition.histogram("order_duration_seconds", { help: "Time to take an order", unit: "seconds" })

class OutOfStock extends Data.TaggedError("OutOfStock")<{ readonly message: string }> {}

/** How many orders are taken, and which one of ten fails. */
const orders = 100

const take = Effect.fn("take order")(function*(n: number) {
  const metrics = yield* MetricsRecorder
  yield* metrics.incrementCounter(Orders, 1, { channel: n % 2 === 0 ? "web" : "shop" })
  if (n % 10 === 9) return yield* new OutOfStock({ message: `nothing left of product ${n}` })
})

const program = Effect.gen(function*() {
  const metrics = yield* MetricsRecorder
  yield* Effect.forEach(
    Array.from({ length: orders }, (_, n) => n),
    (n) => metrics.timed(Took, take(n)).pipe(Effect.withErrorReporting, Effect.exit),
    { concurrency: 8, discard: true }
  )
})

const backends = Effect.gen(function*() {
  const postgres = yield* Config.Redacted("POSTGRES_URL")
  const otlp = yield* Config.String("OTLP_URL")
  const dsn = yield* Config.Redacted("SENTRY_DSN")
  const statsd = yield* Config.String("STATSD_URL")
  const agent = yield* Config.String("AGENT_URL")
  const clickhouse = yield* Config.Redacted("CLICKHOUSE_URL")
  return Layer.mergeAll(
    Prometheus.layer(),
    Postgres.layer({ connection: postgres }),
    OpenTelemetry.layer({ endpoint: otlp }),
    Sentry.layer({ dsn }),
    Datadog.layer({ dogstatsd: statsd, traces: agent }),
    // One keeps the history: here PostgreSQL.
    ClickHouse.layer({ connection: clickhouse, history: false }),
    Memory.layer()
  ).pipe(Layer.provide(ObservabilityConfig.layer({ tracing: { serviceName: "everything" }, flushInterval: 1, requestTimeout: 2, shutdownTimeout: 2 })))
})

/** What became of it, for people and for the test: one line of JSON. */
const report = Effect.gen(function*() {
  const { components, imbalances } = yield* (yield* Diagnostics).report
  const page = yield* (yield* Exposition).page
  const memory = yield* MemoryBackend
  return {
    health: Object.fromEntries((yield* (yield* Health).check).components.map(({ name, status }) => [name, status])),
    books: Object.fromEntries(components.flatMap(({ name, signals }) =>
      signals.map(({ ledger, signal }) => [`${name} ${signal}`, { accepted: ledger.accepted, exported: ledger.exported, queued: ledger.queued + ledger.inFlight }])
    )),
    imbalances,
    page: page.body.split("\n").filter((line) => line.startsWith("orders_total")),
    memory: { spans: (yield* memory.spans).length, errors: (yield* memory.errors).length, orders: yield* memory.getCounterValue("orders_total", { channel: "web" }) }
  }
})

await Effect.runPromise(
  Effect.gen(function*() {
    yield* program
    // Whoever is away would be waited for as long as the queue holds.
    yield* Effect.timeoutOption((yield* Telemetry).flush, "8 seconds")
    yield* Console.log(JSON.stringify(yield* report))
  }).pipe(Effect.provide(Layer.unwrap(backends)), Effect.provide(Logger.layer([])))
)
