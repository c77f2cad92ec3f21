import { Diagnostics, Exposition, MetricDefinition, MetricsHistory, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const Visits = MetricDefinition.counter("visits_total", { help: "Visits", labelNames: ["method", "visitor"] })
const records = 1_000_000

it.live("a million values of one label: the sum is exact on the page and in PostgreSQL, and the report names the label", () => {
  const dir = mkdtempSync(join(tmpdir(), "obs-cardinality-"))
  return Effect.gen(function*() {
    const metrics = yield* MetricsRecorder
    const { flush } = yield* Telemetry
    const start = Date.now() - 1_000
    for (let i = 0; i < records; i++) {
      metrics.incrementCounterUnsafe(Visits, 1, { method: i % 3 === 0 ? "POST" : "GET", visitor: `v${i}` })
      // Several frames, so that some of them have nothing but the overflow.
      if (i % 250_000 === 0) yield* flush
    }
    yield* flush
    const { body } = yield* (yield* Exposition).page
    const shown = body.split("\n").filter((line) => line.startsWith("visits_total{")).map((line) => Number(line.slice(line.lastIndexOf(" "))))
    assert.strictEqual(shown.reduce((sum, value) => sum + value, 0), records)
    const points = yield* (yield* MetricsHistory).getMetricsHistory({ name: Visits.name, startTime: start, endTime: Date.now() + 60_000, limit: 100_000 })
    assert.strictEqual(points.reduce((sum, { value }) => sum + value, 0), records)
    assert.isAtMost(new Set(points.map(({ labels }) => JSON.stringify(labels))).size, 2_001)
    const { metrics: { cardinality, series } } = yield* (yield* Diagnostics).report
    assert.isAtMost(series, 2_200)
    assert.deepStrictEqual(cardinality.map(({ budget, label, metric }) => [metric, label, budget]), [[Visits.name, "visitor", 2_000]])
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.mergeAll(Prometheus.layer(), Postgres.layerEmbedded({ dir }))),
    Effect.ensuring(Effect.sync(() => rmSync(dir, { recursive: true, force: true })))
  )
}, 120_000)
