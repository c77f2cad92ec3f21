import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Diagnostics, MetricDefinition, MetricsRecorder, StandardMetrics, Telemetry } from "../../src/index.ts"

type Type = MetricDefinition.MetricType

describe("the lint", () => {
  const names: ReadonlyArray<readonly [name: string, type: Type, unit: string, better: string | undefined]> = [
    ["requests_total", "counter", "", undefined],
    ["requests", "counter", "", "requests_total"],
    ["requestsTotal", "counter", "", "requests_total"],
    ["depth_total", "gauge", "", "depth"],
    ["latency_ms", "histogram", "", "latency_seconds"],
    ["latency_ms", "histogram", "ms", "latency_seconds"],
    ["latency", "histogram", "seconds", "latency_seconds"],
    ["latency_seconds", "histogram", "seconds", undefined],
    ["requestLatencyMs", "histogram", "", "request_latency_seconds"],
    ["cpu_seconds_total", "counter", "seconds", undefined],
    ["cpu_ms_total", "counter", "seconds", "cpu_seconds_total"],
    ["heap_mb", "gauge", "", "heap_bytes"],
    ["sent_kib_total", "counter", "", "sent_bytes_total"],
    ["cache_hit_percent", "gauge", "", "cache_hit_ratio"],
    ["cpu_ratio", "gauge", "ratio", undefined],
    ["uptime_second", "gauge", "", "uptime_seconds"],
    ["queue_count", "gauge", "", "queue"],
    ["jobs_sum", "counter", "", "jobs_total"],
    ["build_info", "gauge", "", undefined],
    ["build_info", "counter", "", "build_total"],
    ["depth_gauge", "gauge", "", "depth"],
    ["total", "gauge", "", undefined],
    ["in__flight_", "gauge", "", "in_flight"],
    ["load_min", "gauge", "", undefined]
  ]
  it.each(names)("%s as %s with unit %j: %s", (name, type, unit, better) => {
    const found = MetricDefinition.lint({ name, type, unit, labelNames: [] }).find((one) => one.field === "name")
    assert.strictEqual(found?.better, better)
    if (found !== undefined) assert.include(found.message, `"${better}"`)
    // A better name is good enough: the advice does not go on for ever.
    if (better !== undefined) {
      const base = MetricDefinition.lint({ name, type, unit, labelNames: [] }).find((one) => one.field === "unit")?.better ?? unit
      assert.isUndefined(MetricDefinition.lint({ name: better, type, unit: base, labelNames: [] }).find((one) => one.field === "name"))
    }
  })

  it("names the base unit, the missing unit and the better label", () => {
    const found = MetricDefinition.lint({ name: "latency_seconds", type: "histogram", unit: "ms", labelNames: ["routeName", "ok"] })
    assert.deepStrictEqual(found.map((one) => [one.field, one.better]), [["unit", "seconds"], ["labelNames", "route_name"]])
    const silent = MetricDefinition.lint({ name: "sent_bytes_total", type: "counter", unit: "", labelNames: [] })
    assert.deepStrictEqual(silent.map((one) => [one.field, one.better]), [["unit", "bytes"]])
  })

  it("has nothing to say about the standard metrics", () => {
    assert.deepStrictEqual(StandardMetrics.all.flatMap(MetricDefinition.lint), [])
  })

  it.effect("shows in the diagnostics what the program declared", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const Slow = MetricDefinition.histogram("slowness_ms", { help: "x" })
      metrics.observeHistogramUnsafe(Slow, 3)
      metrics.incrementCounterUnsafe("hits")
      const { metrics: { lint } } = yield* (yield* Diagnostics).report
      assert.deepStrictEqual(lint.flatMap((line) => /"(\w+)" would be better/.exec(line)?.[1] ?? []), ["slowness_seconds", "hits_total"])
    }).pipe(Effect.provide(Telemetry.layer)))
})
