import { RuntimeMetrics } from "@effect-observability/instrument/node"
import { Exposition, ObservabilityConfig } from "@effect-observability/core"
import { Prometheus } from "@effect-observability/prometheus"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { spawnSync } from "node:child_process"

// Debian's promtool reads the page. `.ci/run` installs it; here it must be there.

const hostile: ReadonlyArray<string> = ["_", "9a", "a b", "请求", "a\n# TYPE evil counter\nevil 1", "__name__", "x".repeat(1000), "process_uptime_seconds"]

describe("a page with the runtime's and Effect's own metrics", () => {
  for (const processMetrics of [false, true]) {
    it.live(`is accepted by promtool${processMetrics ? ", with prom-client's process metrics too" : ""}`, () =>
      Effect.gen(function*() {
        for (const name of hostile) {
          yield* Metric.update(Metric.gauge(name, { attributes: { le: "1", "a.b": "\"x\"\n", a_b: "\\", __name__: "y" } }), 1)
          yield* Metric.update(Metric.counter(`${name}.total`), -1)
        }
        yield* Metric.update(Metric.frequency("words"), "\"} 1\nevil_total 999\nx{y=\"")
        yield* Effect.trackDuration(Effect.sleep("30 millis"), Metric.timer("work"))
        const { body } = yield* (yield* Exposition).page
        const { status, stderr, stdout } = spawnSync("promtool", ["check", "metrics"], { input: body, encoding: "utf8" })
        // 3 is lint: an opinion, not a parse error.
        assert.include([0, 3], status, stdout + stderr)
        assert.notMatch(body, /^evil/m)
        for (const name of ["process_cpu_seconds_total", "v8js_memory_heap_used_bytes", "work_seconds_count", "words_total"]) assert.include(body, `\n${name}`)
      }).pipe(
        Effect.provide(RuntimeMetrics.layer.pipe(
          Layer.provideMerge(Prometheus.layer({ processMetrics })),
          Layer.provide(ObservabilityConfig.layer({ metrics: { conventions: "both" } }))
        )),
        Effect.provideService(Metric.MetricRegistry, new Map())
      ))
  }
})
