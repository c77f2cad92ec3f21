import { EmbeddedServer } from "@effect-observability/postgres"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import { Diagnostics, type Ledger, MetricDefinition, MetricsRecorder, Observability, type ObservabilityInput, Telemetry } from "effect-observability"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { collector } from "../../packages/opentelemetry/test/support/collector.ts"
import { ask, targetOf } from "../../packages/postgres/test/support/database.ts"

// A backend that cannot deliver is given the right password or address: what waited goes to where it now goes.

const noEnv = Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({}))
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-inherit-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)
const Jobs = MetricDefinition.counter("jobs_total", { help: "Jobs", labelNames: [] })

const record = (from: number, to: number) =>
  Effect.gen(function*() {
    const recorder = yield* MetricsRecorder
    for (let i = from; i < to; i++) {
      yield* Effect.void.pipe(Effect.withSpan(`job ${i}`))
      yield* recorder.incrementCounter(Jobs, 1, {})
      if (i % 20 === 0) yield* Effect.sleep(5)
    }
  })

const until = (done: Effect.Effect<boolean, never, Telemetry>, millis = 15_000) =>
  Effect.gen(function*() {
    const end = performance.now() + millis
    while (!(yield* done) && performance.now() < end) yield* Effect.sleep(10)
    assert.isTrue(yield* done)
  })

const booksOf = (backend: string, signal: string) =>
  Effect.map(Telemetry, (telemetry) => telemetry.reports().find(({ name }) => name === backend)?.signals.find((one) => one.signal === signal)?.ledger)

const failing = (backend: string, signal: string) =>
  Effect.map(Telemetry, (telemetry) => telemetry.queues().some((queue) => queue.backend === backend && queue.signal === signal && queue.failures > 0))

/** A port where nobody listens. */
const closedPort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** All of it is delivered, and offered once. */
const settled = (backend: string, signal: string) =>
  Effect.gen(function*() {
    yield* until(Effect.map(booksOf(backend, signal), (books) => books !== undefined && books.queued + books.inFlight === 0))
    const { dropped, exported, offered, rejected, unconfirmed } = (yield* booksOf(backend, signal)) as Ledger.LedgerSnapshot
    assert.deepStrictEqual([dropped, rejected, unconfirmed, offered], [{}, {}, 0, exported])
    return exported
  })

describe("what a backend could not deliver", () => {
  it.live("PostgreSQL with a wrong password: with the right one everything is there, once", () =>
    Effect.gen(function*() {
      const server = yield* EmbeddedServer.start({ dir: join(yield* folder, "data"), durable: false })
      const wrong = new URL(Redacted.value(server.url))
      wrong.username = "nobody_here"
      const settings = (connection: string): ObservabilityInput => ({
        tracing: { spanMetrics: "off" },
        postgres: { enabled: true, common: { connection, batchSize: 50 }, flushInterval: 0.1 },
        shutdownTimeout: 1,
        requestTimeout: 2
      })
      yield* Effect.gen(function*() {
        yield* record(0, 1_000)
        yield* until(failing("postgres", "spans"))
        yield* until(failing("postgres", "metrics"))
        yield* Observability.reload(settings(Redacted.value(server.url)))
        yield* record(1_000, 1_500)
        // The batch that the former had in hand follows when its drain is over.
        yield* until(Effect.map(booksOf("postgres", "spans"), (books) => books?.exported === 1_500))
        assert.strictEqual(yield* settled("postgres", "spans"), 1_500)
        yield* settled("postgres", "metrics")
        yield* Observability.flush
        assert.deepStrictEqual((yield* (yield* Diagnostics).report).imbalances, [])
      }).pipe(Effect.provide(Observability.layerConfig(settings(wrong.href))), noEnv)
      const target = targetOf(server.url)
      const [spans] = yield* ask(target, "select count(*)::int as n, count(distinct name)::int as names from observability.observability_spans where name like 'job %'")
      assert.deepStrictEqual({ ...spans }, { n: 1_500, names: 1_500 })
      const [total] = yield* ask(target, "select sum(value)::int as total from observability.observability_metrics where name = 'jobs_total'")
      assert.strictEqual(total!["total"], 1_500)
    }), 60_000)

  for (const temporality of ["delta", "cumulative"] as const) {
    it.live(`OpenTelemetry with a wrong address (${temporality}): with the right one everything is there, once`, () =>
      Effect.gen(function*() {
        const right = yield* collector()
        const settings = (endpoint: string): ObservabilityInput => ({
          tracing: { spanMetrics: "off" },
          flushInterval: 0.1,
          opentelemetry: { endpoint, temporality, batchSize: 50, flushInterval: 0.1 },
          shutdownTimeout: 0.5,
          requestTimeout: 2
        })
        const closed = yield* closedPort
        yield* Effect.gen(function*() {
          yield* record(0, 1_000)
          yield* until(failing("opentelemetry", "spans"))
          yield* until(failing("opentelemetry", "metrics"))
          yield* Observability.reload(settings(right.url))
          yield* record(1_000, 1_500)
          yield* until(Effect.map(booksOf("opentelemetry", "spans"), (books) => books?.exported === 1_500))
          assert.strictEqual(yield* settled("opentelemetry", "spans"), 1_500)
          yield* settled("opentelemetry", "metrics")
        }).pipe(Effect.provide(Observability.layerConfig(settings(`http://127.0.0.1:${closed}`))), noEnv)
        assert.deepStrictEqual(right.problems, [])
        const names = right.spans().map(({ name }) => name as string).filter((name) => name.startsWith("job "))
        assert.deepStrictEqual([names.length, new Set(names).size], [1_500, 1_500])
        const points = right.metrics().filter(({ name }) => name === "jobs_total").flatMap(({ sum }) => sum.dataPoints).map(({ asDouble, asInt }) => Number(asInt ?? asDouble))
        assert.strictEqual(temporality === "delta" ? points.reduce((sum, one) => sum + one, 0) : points.at(-1), 1_500)
      }), 60_000)
  }

  it.live("a queue that is made larger and smaller while it is full: what gives way is counted, the rest arrives once", () =>
    Effect.gen(function*() {
      const right = yield* collector()
      const closed = yield* closedPort
      const settings = (maxQueueSize: number, endpoint = `http://127.0.0.1:${closed}`): ObservabilityInput => ({
        tracing: { spanMetrics: "off" },
        flushInterval: 0.1,
        opentelemetry: { endpoint, maxQueueSize, metrics: false, logs: false, batchSize: 50, flushInterval: 0.1 },
        shutdownTimeout: 0.3,
        requestTimeout: 2
      })
      const held = Effect.map(Telemetry, (telemetry) => telemetry.reports().find(({ name }) => name === "opentelemetry")!.signals.find(({ signal }) => signal === "spans")!.ledger)
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const waiting = Effect.map(held, ({ inFlight, queued }) => inFlight + queued)
        yield* record(0, 500)
        yield* until(failing("opentelemetry", "spans"))
        assert.strictEqual(yield* waiting, 200)
        yield* Observability.reload(settings(400))
        yield* record(500, 1_000)
        yield* until(Effect.map(waiting, (count) => count === 400))
        for (const size of [300, 100, 350, 60]) {
          yield* until(failing("opentelemetry", "spans"))
          yield* Observability.reload(settings(size))
          yield* record(1_000, 1_001)
          // The former one drains, in vain, and leaves what it had in hand.
          yield* until(Effect.map(waiting, (count) => count <= size))
        }
        yield* Observability.reload(settings(1_000, right.url))
        yield* until(Effect.map(waiting, (count) => count === 0))
        const { dropped, exported, offered, unconfirmed } = yield* held
        assert.deepStrictEqual([offered, unconfirmed, Object.keys(dropped)], [1_004, 0, ["queue_full_oldest"]])
        assert.strictEqual(exported + dropped["queue_full_oldest"]!, 1_004)
        assert.strictEqual(right.spans().length, exported)
        assert.strictEqual(new Set(right.spans().map(({ spanId }) => spanId)).size, exported)
        assert.isAtLeast(exported, 50)
        assert.deepStrictEqual(telemetry.removed(), [])
      }).pipe(Effect.provide(Observability.layerConfig(settings(200))), noEnv)
    }), 60_000)
})
