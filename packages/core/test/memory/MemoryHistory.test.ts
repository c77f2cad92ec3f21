import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { MetricDefinition, MetricsHistory, MetricsRecorder, Telemetry } from "../../src/index.ts"
import * as MemoryHistory from "../../src/memory/MemoryHistory.ts"

const Orders = MetricDefinition.counter("orders_total", { help: "Orders", labelNames: ["channel"] })
const Depth = MetricDefinition.gauge("depth", { help: "Depth", labelNames: ["channel"] })
const Latency = MetricDefinition.histogram("latency_seconds", { help: "Latency", labelNames: ["channel"], buckets: [1, 10] })
const web = { channel: "web" }

describe("the history in memory", () => {
  it.effect("a series that ended and came back is one series over its whole time", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const { queryRange } = yield* MetricsHistory
      const { flush } = yield* Telemetry
      for (const value of [5, 2]) {
        metrics.incrementCounterUnsafe(Orders, value, web)
        metrics.setGaugeUnsafe(Depth, value, web)
        metrics.observeHistogramUnsafe(Latency, value, web)
        yield* TestClock.adjust("1 second")
        yield* flush
        for (const metric of [Orders, Depth, Latency]) assert.isTrue(yield* metrics.remove(metric, web))
      }
      const at = { start: 2_000, end: 2_000, step: 2_000 }
      const of = (metric: string, name: "increase" | "sum" | "min" | "max" | "count") =>
        Effect.map(queryRange({ metric, function: name, ...at }), ({ series }) => series.map(({ values }) => values[0]))
      assert.deepStrictEqual(yield* of("orders_total", "increase"), [7])
      assert.deepStrictEqual([yield* of("depth", "sum"), yield* of("depth", "max")], [[2], [5]])
      assert.deepStrictEqual([yield* of("latency_seconds", "sum"), yield* of("latency_seconds", "count")], [[7], [2]])
      assert.deepStrictEqual([yield* of("latency_seconds", "min"), yield* of("latency_seconds", "max")], [[2], [5]])
    }).pipe(Effect.provide(MemoryHistory.layerBackend().pipe(Layer.provideMerge(Telemetry.layer)))))
})
