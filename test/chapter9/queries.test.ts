import { Exposition, MetricsHistory, MetricsRecorder, ObservabilityConfig, TraceHistory, Tracer } from "@effect-observability/core"
import { Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Server, settled, work } from "./support.ts"

const settings = Layer.provide(ObservabilityConfig.layer({ metrics: { prefix: "app" }, tracing: { serviceName: "api-service" } }))
const day = 86_400_000

layer(Server.layer, { excludeTestServices: true })("9.1.5 and 9.1.6", (it) => {
  it.effect("the history of a metric, and the mean of its values", () =>
    Effect.gen(function*() {
      const { url } = yield* Server
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        for (const n of [1, 2, 6]) {
          yield* metrics.incrementCounter("http_requests_total", n, { method: "POST" })
          yield* metrics.incrementCounter("http_requests_total", 100, { method: "GET" })
          yield* settled
        }
        const now = Date.now()
        const history = yield* MetricsHistory
        const httpRequests = yield* history.getMetricsHistory({
          name: "http_requests_total",
          startTime: new Date(now - day),
          endTime: new Date(now + day),
          labels: { method: "POST" },
          limit: 1000
        })
        const values = httpRequests.map((metric) => metric.value)
        const avgValue = values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : 0
        // A frame taken by the clock in between holds a 0, so how many there are is not ours to say.
        assert.isAtLeast(values.length, 3)
        assert.strictEqual(avgValue, 9 / values.length)
        assert.deepStrictEqual(values.filter((value) => value > 0), [6, 2, 1])
        // The same question put to the store: what a whole day counted.
        const { series } = yield* history.queryRange({
          metric: "http_requests_total", function: "increase", groupBy: ["method"], start: now + day, end: now + day, step: "2 days"
        })
        assert.deepStrictEqual(series, [{ labels: { method: "GET" }, values: [300] }, { labels: { method: "POST" }, values: [9] }])
      }).pipe(Effect.provide(Postgres.layer({ connection: url, schema: "history" }).pipe(settings)))
    }))

  it.effect("one trace by its id, and the recent traces that failed", () =>
    Effect.gen(function*() {
      const { url } = yield* Server
      yield* Effect.gen(function*() {
        yield* work
        const traceId = yield* Effect.gen(function*() {
          const span = yield* Effect.currentSpan
          yield* Effect.void.pipe(Effect.withSpan("inner"))
          return span.traceId
        }).pipe(Effect.withSpan("outer"))
        yield* settled
        const history = yield* TraceHistory
        const traceData = yield* history.getTrace(traceId)
        assert.deepStrictEqual(traceData?.spans.map(({ name }) => name), ["outer", "inner"])
        const recentTraces = yield* history.getRecentTraces({ limit: 20, serviceName: "api-service", status: "ERROR" })
        assert.deepStrictEqual(recentTraces.map(({ name, status }) => [name, status]), [["POST /orders", "ERROR"]])
        assert.lengthOf(yield* history.getRecentTraces({ limit: 20, serviceName: "api-service" }), 4)
        // The document's tracer hands out the id as well.
        assert.isDefined(yield* Tracer)
      }).pipe(Effect.provide(Postgres.layer({ connection: url, schema: "traces" }).pipe(settings)))
    }))

  it.effect("Prometheus and PostgreSQL side by side: one record reaches both", () =>
    Effect.gen(function*() {
      const { ask, url } = yield* Server
      const composite = Layer.mergeAll(Prometheus.layer(), Postgres.layer({ connection: url, schema: "composite" })).pipe(settings)
      const page = yield* Effect.gen(function*() {
        yield* work
        yield* settled
        return (yield* (yield* Exposition).page).body
      }).pipe(Effect.provide(composite))
      assert.include(page, "app_http_requests_total{method=\"POST\"} 2")
      // The history takes names without the prefix.
      assert.deepStrictEqual(
        yield* ask("select sum(value) as total from composite.observability_metrics where name = 'http_requests_total' and labels->>'method' = 'POST'"),
        [{ total: 2 }]
      )
    }))
})
