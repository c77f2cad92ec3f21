import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer, Option } from "effect"
import { Diagnostics, Exposition, MetricsHistory, MetricsRecorder, Observability, StandardMetrics, Telemetry } from "effect-observability"
import { EmbeddedServer } from "@effect-observability/postgres"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const labels = { method: "GET", path: "/", status: "200" }
const noEnv = Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({}))
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-umbrella-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

describe("layerConfig", () => {
  it.live("chooses Prometheus by default", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 2, labels)
      const exposition = Option.getOrThrow(yield* Effect.serviceOption(Exposition))
      const { body } = yield* exposition.page
      assert.include(body, "app_http_requests_total{method=\"GET\",path=\"/\",status=\"200\"} 2")
      assert.isTrue(Option.isNone(yield* Effect.serviceOption(MetricsHistory)))
    }).pipe(Effect.provide(Observability.layerConfig({ metrics: { prefix: "app" } })), noEnv))

  it.live("adds PostgreSQL when it is enabled, from the environment too", () =>
    Effect.gen(function*() {
      const server = yield* EmbeddedServer.start({ dir: join(yield* folder, "data"), durable: false })
      const env = ConfigProvider.fromEnvRecord({ POSTGRES_ENABLED: "true", POSTGRES_SCHEMA: "umbrella" })
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 3, labels)
        yield* Observability.flush
        const history = Option.getOrThrow(yield* Effect.serviceOption(MetricsHistory))
        const points = yield* history.getMetricsHistory({ name: "http_requests_total", startTime: 0, endTime: Date.now() + 10_000 })
        assert.strictEqual(points.reduce((sum, point) => sum + point.value, 0), 3)
        const { components, imbalances } = yield* (yield* Diagnostics).report
        assert.deepStrictEqual(components.map((component) => component.name).sort(), ["postgres", "prometheus"])
        assert.deepStrictEqual(imbalances, [])
      }).pipe(
        Effect.provide(Observability.layerConfig({ postgres: { common: { connection: server.url } } })),
        Effect.provideService(ConfigProvider.ConfigProvider, env)
      )
    }), 60_000)

  it.live("starts no backend when it is switched off", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 1, labels)
      const telemetry = yield* Telemetry
      assert.deepStrictEqual(telemetry.reports(), [])
      assert.strictEqual(telemetry.store.family("http_requests_total")!.series.length, 0)
    }).pipe(Effect.provide(Observability.layerConfig({ enabled: false })), noEnv))

  it.live("fails with every problem of the configuration", () =>
    Effect.gen(function*() {
      const exit = yield* Layer.build(Observability.layerConfig({ batchSize: 0, tracing: { sampleRate: 2 } })).pipe(Effect.scoped, Effect.exit, noEnv)
      assert.isTrue(Exit.isFailure(exit))
      assert.match(String(exit), /2 problems/)
    }))

  it.effect("layerNoop records nothing and needs nothing", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 1, labels)
      yield* metrics.bind(StandardMetrics.CacheHits, { cache_name: "x" }).increment()
    }).pipe(Effect.provide(Observability.layerNoop)))
})
