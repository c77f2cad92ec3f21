import { RuntimeMetrics } from "@effect-observability/instrument/node"
import { Memory, MetricDefinition, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { Prometheus } from "@effect-observability/prometheus"
import { Exposition } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { getHeapSpaceStatistics } from "node:v8"
import * as PerfHooks from "node:perf_hooks"

const names = (store: Telemetry["Service"]["store"], pattern: RegExp) =>
  store.families().filter((family) => family.series.length > 0 && pattern.test(family.definition.name)).map((family) => family.definition.name)

const hub = (conventions: "standard" | "otel" | "both", options: RuntimeMetrics.RuntimeMetricsOptions = {}) =>
  RuntimeMetrics.layerWith(options).pipe(
    Layer.provideMerge(Memory.layer()),
    Layer.provide(ObservabilityConfig.layer({ metrics: { conventions } }))
  )

const standard = [
  "process_cpu_user_seconds_total", "process_cpu_system_seconds_total", "process_cpu_seconds_total", "process_start_time_seconds",
  "process_resident_memory_bytes", "process_uptime_seconds", "nodejs_heap_size_total_bytes", "nodejs_heap_size_used_bytes",
  "nodejs_heap_size_limit_bytes", "nodejs_external_memory_bytes", "nodejs_heap_space_size_total_bytes", "nodejs_version_info",
  "nodejs_active_resources", "nodejs_gc_duration_seconds", "nodejs_eventloop_lag_seconds", "nodejs_eventloop_lag_p99_seconds",
  "nodejs_eventloop_lag_max_seconds", "nodejs_eventloop_utilization_ratio"
]
const otel = [
  "process_cpu_time_seconds_total", "process_memory_usage_bytes", "process_uptime_seconds", "v8js_gc_duration_seconds", "v8js_memory_heap_used_bytes",
  "nodejs_eventloop_delay_p99_seconds", "nodejs_eventloop_time_seconds_total", "nodejs_eventloop_utilization_ratio"
]

/** Lets the event loop turn, blocks it once, and collects garbage. */
const busy = Effect.gen(function*() {
  yield* Effect.sleep("50 millis")
  const end = performance.now() + 60
  const kept: Array<unknown> = []
  while (performance.now() < end) kept.push(new Array(1000).fill(1))
  for (let i = 0; i < 40; i++) {
    new Array(500_000).fill(i)
    yield* Effect.sleep("2 millis")
  }
  return kept.length
})

describe("the runtime's metrics", () => {
  it.live("under prom-client's names", () =>
    Effect.gen(function*() {
      const { store } = yield* Telemetry
      yield* busy
      store.refresh()
      const found = names(store, /^(process|nodejs|v8js)_/)
      for (const name of standard) assert.include(found, name)
      assert.deepStrictEqual(found.filter((name) => /^v8js_|_time_seconds_total$|_delay_/.test(name)), [])
      const value = (name: string, i = 0) => store.family(name)!.value(store.family(name)!.series[i]!)
      const { rss } = process.memoryUsage()
      assert.isAbove(value("process_resident_memory_bytes"), rss / 4)
      assert.isBelow(value("process_resident_memory_bytes"), rss * 4)
      assert.closeTo(value("process_start_time_seconds"), Date.now() / 1000 - process.uptime(), 2)
      assert.isAbove(value("process_cpu_seconds_total"), 0.01)
      assert.closeTo(value("process_cpu_seconds_total"), value("process_cpu_user_seconds_total") + value("process_cpu_system_seconds_total"), 1e-6)
      assert.isAtLeast(value("nodejs_eventloop_lag_max_seconds"), 0.03)
      assert.isAtLeast(value("nodejs_eventloop_lag_max_seconds"), value("nodejs_eventloop_lag_p99_seconds") * 0.99)
      assert.isTrue(value("nodejs_eventloop_utilization_ratio") > 0 && value("nodejs_eventloop_utilization_ratio") <= 1)
      assert.strictEqual(store.family("nodejs_heap_space_size_used_bytes")!.series.length, getHeapSpaceStatistics().length)
      const gc = store.family("nodejs_gc_duration_seconds")!
      assert.isAbove(gc.series.reduce((sum, series) => sum + gc.count(series), 0), 0)
      assert.deepStrictEqual(store.family("nodejs_version_info")!.series[0]!.labelValues[0], process.version)
      assert.deepStrictEqual(store.refusals(), {})
      // CPU time goes on where it was, however often it is read.
      const before = value("process_cpu_seconds_total")
      yield* busy
      store.refresh()
      store.refresh()
      const { system, user } = process.cpuUsage()
      assert.isAbove(value("process_cpu_seconds_total"), before)
      assert.isAtMost(value("process_cpu_seconds_total"), (user + system) / 1e6 + 0.001)
    }).pipe(Effect.provide(hub("standard"))))

  it.live("under OpenTelemetry's, or both", () =>
    Effect.gen(function*() {
      const read = (conventions: "otel" | "both") =>
        Effect.gen(function*() {
          const { store } = yield* Telemetry
          yield* busy
          store.refresh()
          return { found: names(store, /^(process|nodejs|v8js)_/), refusals: store.refusals() }
        }).pipe(Effect.provide(hub(conventions)))
      const alone = yield* read("otel")
      for (const name of otel) assert.include(alone.found, name)
      assert.deepStrictEqual(alone.found.filter((name) => /_lag_|process_cpu_user|nodejs_heap/.test(name)), [])
      const both = yield* read("both")
      for (const name of [...standard, ...otel]) assert.include(both.found, name)
      assert.deepStrictEqual([alone.refusals, both.refusals], [{}, {}])
    }))

  it.live("stop with the scope: no observer, timer or reading is left", () =>
    Effect.gen(function*() {
      const { store } = yield* Telemetry
      const disabled: Array<string> = []
      const { monitorEventLoopDelay } = PerfHooks
      const monitor = Object.getPrototypeOf(monitorEventLoopDelay()).constructor.prototype
      const { disable } = monitor
      monitor.disable = function(this: unknown) {
        disabled.push("monitor")
        return disable.call(this)
      }
      const { disconnect } = PerfHooks.PerformanceObserver.prototype
      PerfHooks.PerformanceObserver.prototype.disconnect = function() {
        disabled.push("observer")
        return disconnect.call(this)
      }
      try {
        yield* Effect.scoped(Layer.build(RuntimeMetrics.layer))
      } finally {
        monitor.disable = disable
        PerfHooks.PerformanceObserver.prototype.disconnect = disconnect
      }
      assert.deepStrictEqual(disabled.toSorted(), ["monitor", "observer"])
      store.refresh()
      assert.deepStrictEqual(names(store, /^process_/), [])
    }).pipe(Effect.provide(Memory.layer())))

  it.live("count the program's fibers by how they end", () =>
    Effect.gen(function*() {
      const { store } = yield* Telemetry
      const value = (name: string, outcome?: string) => {
        const family = store.family(name)!
        return family.series.filter((series) => outcome === undefined || series.labelValues[0] === outcome).reduce((sum, series) => sum + family.value(series), 0)
      }
      store.refresh()
      const before = { active: value("effect_fibers_active"), started: value("effect_fibers_started_total") }
      const forever = yield* Effect.forkChild(Effect.never)
      yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.void, { startImmediately: true }))
      yield* Effect.forkChild(Effect.fail("x"), { startImmediately: true })
      yield* Effect.forkChild(Effect.die("x"), { startImmediately: true })
      yield* Effect.sleep("5 millis")
      store.refresh()
      assert.strictEqual(value("effect_fibers_started_total") - before.started, 6)
      assert.strictEqual(value("effect_fibers_active") - before.active, 1)
      assert.deepStrictEqual(["failure", "defect"].map((outcome) => value("effect_fibers_ended_total", outcome)), [1, 1])
      forever.interruptUnsafe()
      yield* Effect.sleep("5 millis")
      store.refresh()
      assert.strictEqual(value("effect_fibers_active"), before.active)
      assert.strictEqual(value("effect_fibers_ended_total", "interrupted"), 1)
    }).pipe(Effect.provide(hub("standard"))))

  it.live("leave Effect's own counting of fibers in place", () =>
    Effect.gen(function*() {
      const { store } = yield* Telemetry
      yield* Effect.forkChild(Effect.void, { startImmediately: true })
      yield* Effect.sleep("5 millis")
      store.refresh()
      const names = store.families().filter((family) => family.series.length > 0).map((family) => family.definition.name)
      assert.include(names, "effect_fibers_started_total")
      assert.include(names, "child_fibers_started_total")
    }).pipe(
      Effect.provide(hub("standard").pipe(Layer.provide(Metric.enableRuntimeMetricsLayer))),
      Effect.provideService(Metric.MetricRegistry, new Map())
    ))

  it.live("beside prom-client's own process metrics leave the page valid", () =>
    Effect.gen(function*() {
      yield* busy
      const { body } = yield* (yield* Exposition).page
      const types = body.split("\n").flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? [])
      assert.deepStrictEqual(types.length, new Set(types).size)
      assert.include(types, "process_resident_memory_bytes")
      assert.include(types, "nodejs_eventloop_utilization_ratio")
      // What only prom-client has is still there.
      assert.include(types, "nodejs_active_handles")
    }).pipe(Effect.provide(RuntimeMetrics.layer.pipe(Layer.provideMerge(Prometheus.layer({ processMetrics: true }))))))

  it.live("do nothing where metrics are switched off", () =>
    Effect.gen(function*() {
      const { store } = yield* Telemetry
      store.refresh()
      assert.deepStrictEqual(names(store, /./), [])
    }).pipe(Effect.provide(RuntimeMetrics.layer.pipe(
      Layer.provideMerge(Memory.layer()),
      Layer.provide(ObservabilityConfig.layer({ metrics: { enabled: false } }))
    ))))

  it("keep to good names", () =>
    Effect.runPromise(
      Effect.gen(function*() {
        const { store } = yield* Telemetry
        yield* busy
        store.refresh()
        const lint = store.families().filter((family) => family.series.length > 0).flatMap((family) => MetricDefinition.lint(family.definition))
        assert.deepStrictEqual(lint, [])
      }).pipe(Effect.provide(hub("both")))
    ))
})
