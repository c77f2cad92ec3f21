import { MetricsHistory, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { Postgres } from "../src/index.ts"
import { Database, freshNames } from "./support/database.ts"

layer(Database.layer, { excludeTestServices: true })("Effect's own metrics in PostgreSQL", (it) => {
  it.effect("are there once, also when a metric gets more labels while it runs", () =>
    Effect.gen(function*() {
      const { url } = yield* Database
      const { schema } = freshNames()
      const backend = Postgres.layer({ connection: url, schema }).pipe(
        Layer.provide(ObservabilityConfig.layer({ requestTimeout: 2, shutdownTimeout: 2 }))
      )
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const history = yield* MetricsHistory
        const total = (name: string, labels: Record<string, string>) =>
          Effect.map(history.getMetricsHistory({ name, labels, startTime: Date.now() - 600_000, endTime: Date.now() + 600_000, limit: 1_000 }), (points) => ({
            sum: points.reduce((sum, point) => sum + (point.histogram?.count ?? point.value), 0),
            labels: [...new Set(points.map((point) => JSON.stringify(point.labels)))].toSorted()
          }))
        const errors = Metric.counter("errors", { incremental: true })
        const timer = Metric.timer("work", { boundaries: [1, 1000] })
        yield* Metric.update(errors, 1)
        yield* Effect.trackDuration(Effect.void, timer)
        yield* telemetry.flush
        yield* Metric.update(Metric.withAttributes(errors, { type: "timeout" }), 2)
        yield* Metric.update(errors, 4)
        yield* telemetry.flush
        yield* telemetry.flush
        assert.deepStrictEqual(yield* total("errors_total", {}), { sum: 7, labels: ["{\"type\":\"timeout\"}", "{}"] })
        assert.strictEqual((yield* total("errors_total", { type: "timeout" })).sum, 2)
        assert.deepStrictEqual((yield* total("work_seconds", {})).sum, 1)
      }).pipe(Effect.provide(backend), Effect.provideService(Metric.MetricRegistry, new Map()))
    }))
})
