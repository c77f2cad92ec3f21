import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Metric } from "effect"
import * as fc from "fast-check"
import { EffectMetrics } from "../../src/hub/internal/EffectMetrics.ts"
import { Diagnostics, Memory, MemoryBackend, MetricDefinition, MetricsRecorder, ObservabilityConfig, StandardMetrics, Telemetry } from "../../src/index.ts"
import type { Registry } from "../../src/metrics/internal/Registry.ts"
import type { MetricFrame } from "../../src/metrics/MetricFrame.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"

/** A store that mirrors a registry of its own. */
const fresh = (settings: Partial<Parameters<typeof MetricStore.make>[0]> = {}) => {
  const store: Registry = MetricStore.make({ maxSeriesPerMetric: 1000, maxSeries: 10_000, maxMetrics: 100, buckets: {}, ...settings }, () => 0)
  const registry: Metric.MetricRegistry = new Map()
  const context = Context.make(Metric.MetricRegistry, registry)
  const bridge = new EffectMetrics(store, context)
  store.onRead(() => bridge.refresh())
  const refresh = () => {
    store.refresh()
    return store.families().map((family) => ({
      name: family.definition.name,
      type: family.definition.type,
      unit: family.definition.unit,
      labels: family.definition.labelNames,
      series: Object.fromEntries(family.series.map((series) => [
        series.labelValues.join("|"),
        family.definition.type === "histogram" || family.definition.type === "summary" ? family.count(series) : family.value(series)
      ]))
    }))
  }
  const one = () => refresh()[0]!
  return { store, context, registry, refresh, one }
}

describe("each kind of metric", () => {
  it("a counter that only rises, and one that may fall", () => {
    const { context, refresh } = fresh()
    const rises = Metric.counter("orders", { description: "Orders", incremental: true })
    const falls = Metric.counter("open.orders")
    rises.updateUnsafe(3, context)
    falls.updateUnsafe(5, context)
    falls.updateUnsafe(-2, context)
    assert.deepStrictEqual(refresh(), [
      { name: "orders_total", type: "counter", unit: "", labels: [], series: { "": 3 } },
      { name: "open_orders", type: "upDownCounter", unit: "", labels: [], series: { "": 3 } }
    ])
    rises.updateUnsafe(4, context)
    falls.updateUnsafe(-5, context)
    assert.deepStrictEqual(refresh().map((family) => family.series[""]), [7, -2])
  })

  it("bigint counters and gauges", () => {
    const { context, refresh } = fresh()
    Metric.counter("big", { bigint: true, incremental: true }).updateUnsafe(2n ** 53n + 2n, context)
    Metric.gauge("level", { bigint: true }).updateUnsafe(-5n, context)
    assert.deepStrictEqual(refresh().map((family) => family.series[""]), [2 ** 53 + 2, -5])
  })

  it("a histogram, over the same bounds; Infinity is implied", () => {
    const { context, one, store } = fresh()
    const sizes = Metric.histogram("sizes", { boundaries: Metric.boundariesFromIterable([1, 2, 4]), attributes: { unit: "bytes" } })
    for (const value of [0.5, 1, 1.5, 3, 100]) sizes.updateUnsafe(value, context)
    assert.deepStrictEqual(one(), { name: "sizes_bytes", type: "histogram", unit: "bytes", labels: [], series: { "": 5 } })
    const family = store.family("sizes_bytes")!
    const series = family.series[0]!
    assert.deepStrictEqual(family.definition.buckets, [1, 2, 4])
    assert.deepStrictEqual([0, 1, 2, 3].map((i) => family.bucket(series, i)), [2, 1, 1, 1])
    assert.strictEqual(family.sum(series), 106)
    sizes.updateUnsafe(-200, context)
    store.refresh()
    assert.deepStrictEqual([family.count(series), family.sum(series), family.bucket(series, 0)], [6, -94, 3])
  })

  it("a histogram without bounds has count and sum", () => {
    const { context, one, store } = fresh()
    Metric.histogram("plain", { boundaries: [] }).updateUnsafe(7, context)
    assert.deepStrictEqual(one(), { name: "plain", type: "summary", unit: "", labels: [], series: { "": 1 } })
    assert.strictEqual(store.family("plain")!.sum(store.family("plain")!.series[0]!), 7)
  })

  it("a timer in seconds, whatever its name says", () => {
    const { context, refresh, store } = fresh()
    const timer = Metric.timer("request_latency", { boundaries: [0.5, 100, 1500] })
    timer.updateUnsafe(Duration.millis(120), context)
    timer.updateUnsafe(Duration.seconds(1), context)
    Metric.timer("job_ms", { boundaries: [1] }).updateUnsafe(Duration.millis(1), context)
    assert.deepStrictEqual(refresh().map(({ labels, name, unit }) => [name, unit, labels]), [
      ["request_latency_seconds", "seconds", []],
      ["job_seconds", "seconds", []]
    ])
    const family = store.family("request_latency_seconds")!
    const series = family.series[0]!
    assert.deepStrictEqual(family.definition.buckets, [0.0005, 0.1, 1.5])
    assert.deepStrictEqual([family.sum(series), family.bucket(series, 2)], [1.12, 2])
  })

  it("a summary with its own quantiles", () => {
    const { context, store } = fresh()
    const waits = Metric.summary("waits", { maxAge: "1 minute", maxSize: 100, quantiles: [0.9, 0.5], attributes: { time_unit: "ms" } })
    for (let i = 1; i <= 10; i++) waits.updateUnsafe(i * 1000, context)
    store.refresh()
    const family = store.family("waits_seconds")!
    const series = family.series[0]!
    assert.deepStrictEqual(Object.keys(family.definition.objectives!).toSorted(), ["0.5", "0.9"])
    assert.deepStrictEqual([family.count(series), family.sum(series), family.quantile(series, 0.5), family.quantile(series, 0.9)], [10, 55, 5, 9])
    assert.deepStrictEqual([...store.frames().take(0, 1).summaries.quantiles[0]!], [5, 9])
  })

  it("a frequency by word, within the budget and with its total exact", () => {
    const { context, one, store } = fresh({ maxSeriesPerMetric: 10 })
    const words = Metric.frequency("status", { attributes: { key: "mine" } })
    let total = 0
    for (let round = 1; round <= 3; round++) {
      for (let i = 0; i < 25 * round; i++) {
        words.updateUnsafe(`w${i}`, context)
        total++
      }
      const { labels, name, series, type } = one()
      assert.deepStrictEqual([name, type, labels], ["status_total", "counter", ["attribute_key", "key"]])
      assert.strictEqual(Object.values(series).reduce((a, b) => a + b, 0), total)
      assert.isAtMost(Object.keys(series).length, 11)
    }
    assert.isAbove(store.refusals()["cardinality"]!, 0)
  })
})

describe("names and attributes", () => {
  it("keep label sets apart, also when later ones have more attributes", () => {
    const { context, one, store } = fresh()
    const reader = store.frames()
    const errors = Metric.counter("errors", { incremental: true })
    errors.updateUnsafe(1, context)
    assert.deepStrictEqual(one().series, { "": 1 })
    const before = reader.take(0, 1)
    Metric.withAttributes(errors, { type: "timeout" }).updateUnsafe(2, context)
    Metric.withAttributes(errors, { zone: "eu", type: "timeout" }).updateUnsafe(4, context)
    errors.updateUnsafe(8, context)
    assert.deepStrictEqual(one().labels, ["type", "zone"])
    assert.deepStrictEqual(one().series, { "|": 9, "timeout|": 2, "timeout|eu": 4 })
    const after = reader.take(1, 2)
    assert.deepStrictEqual([...before.counters.values], [1])
    assert.deepStrictEqual([...after.counters.values], [8, 2, 4])
    for (const series of after.counters.series) assert.strictEqual(series.labelValues.length, series.definition.labelNames.length)
  })

  it("that become the same name are reported, never added up", () => {
    const { context, refresh, store } = fresh()
    Metric.gauge("queue.depth").updateUnsafe(1, context)
    Metric.gauge("queue_depth").updateUnsafe(2, context)
    Metric.counter("queue-depth").updateUnsafe(3, context)
    assert.deepStrictEqual(refresh().map(({ name, series }) => [name, series[""]]), [["queue_depth", 1]])
    assert.match(store.problems().join("\n"), /"queue_depth" would have the name "queue_depth", which another one \("gauge queue.depth"\) has/)
    assert.match(store.problems().join("\n"), /"queue-depth" would have the name/)
  })

  it("with two descriptions are reported, and the first one counts", () => {
    const { context, one, store } = fresh()
    Metric.counter("twice", { description: "one", incremental: true }).updateUnsafe(1, context)
    Metric.counter("twice", { description: "two", incremental: true }).updateUnsafe(10, context)
    assert.deepStrictEqual(one().series, { "": 1 })
    assert.match(store.problems().join("\n"), /"twice" is there twice with the same attributes/)
  })

  it("with other boundaries are reported", () => {
    const { context, one, store } = fresh()
    Metric.histogram("h", { boundaries: [1, 2], attributes: { a: "x" } }).updateUnsafe(1, context)
    Metric.histogram("h", { boundaries: [1, 3], attributes: { a: "y" } }).updateUnsafe(1, context)
    assert.deepStrictEqual(one().series, { x: 1 })
    assert.match(store.problems().join("\n"), /"h" is there with different boundaries/)
  })

  it("from hostile code harm nobody", () => {
    const { context, refresh, registry, store } = fresh()
    const names: ReadonlyArray<any> = ["", "_", "9a", "a b", "请求", "a\n# TYPE evil counter\nevil 1", "__name__", "__proto__", "x".repeat(1e6), null, 5]
    for (const name of names) Metric.gauge(name).updateUnsafe(1, context)
    const attributes: ReadonlyArray<any> = [
      { le: "1", quantile: "2", __name__: "3", "a.b": "4", a_b: "5", "": "6", "9": "7", __proto__: "8", constructor: "9" },
      JSON.parse("{\"__proto__\":\"x\"}"),
      { value: "y".repeat(100_000) },
      { user_id: "u1" },
      { user_id: "u2" }
    ]
    for (const one of attributes) Metric.counter("hostile", { incremental: true, attributes: one }).updateUnsafe(1, context)
    registry.set("throws", { id: "throws", type: "Gauge", description: undefined, attributes: {}, hooks: { get: () => { throw new Error("x") }, update() {}, modify() {} } })
    registry.set("numbers", { id: "numbers", type: "Gauge", description: undefined, attributes: { a: 5, b: Symbol("s"), c: { toString() { throw new Error("x") } } } as never, hooks: { get: () => ({ value: 1 }), update() {}, modify() {} } })
    registry.set("odd", { id: "odd", type: "Odd" as never, description: undefined, attributes: undefined, hooks: { get: () => ({}), update() {}, modify() {} } })
    const families = refresh()
    for (const { labels, name } of families) {
      assert.match(name, /^[a-zA-Z_][a-zA-Z0-9_]*$/)
      for (const label of labels) assert.match(label, /^(?!__)(?!le$|quantile$)[a-zA-Z_][a-zA-Z0-9_]*$/)
    }
    const hostile = families.find(({ name }) => name === "hostile_total")!
    assert.strictEqual(Object.values(hostile.series).reduce((a, b) => a + b, 0), 5)
    assert.notInclude(hostile.labels, "user_id")
    assert.include(Object.keys(hostile.series).join(), "4;5")
    assert.isTrue(families.some(({ name }) => name === "numbers"))
    assert.isAbove(store.refusals()["read_failed"]!, 0)
    assert.strictEqual(({} as Record<string, unknown>)["x"], undefined)
  })

  it("values that are not finite never stick, and are reported", () => {
    const { context, refresh, store } = fresh()
    const counter = Metric.counter("c", { incremental: true })
    const gauge = Metric.gauge("g")
    const histogram = Metric.histogram("h", { boundaries: [1] })
    counter.updateUnsafe(5, context)
    gauge.updateUnsafe(5, context)
    histogram.updateUnsafe(0.5, context)
    refresh()
    counter.updateUnsafe(Infinity, context)
    gauge.updateUnsafe(NaN, context)
    histogram.updateUnsafe(NaN, context)
    assert.deepStrictEqual(refresh().map(({ series }) => series[""]), [5, 5, 2])
    const family = store.family("h")!
    assert.strictEqual(family.sum(family.series[0]!), 0.5)
    gauge.updateUnsafe(6, context)
    assert.strictEqual(refresh()[1]!.series[""], 6)
    assert.strictEqual(store.problems().filter((line) => /holds (NaN|Infinity)/.test(line)).length, 3)
  })
})

describe("what goes and comes", () => {
  it("a removed counter starts anew: its total goes on, a sum over what is there falls", () => {
    const { context, refresh } = fresh()
    const rises = Metric.counter("rises", { incremental: true })
    const falls = Metric.counter("falls")
    rises.updateUnsafe(5, context)
    falls.updateUnsafe(5, context)
    refresh()
    Metric.removeUnsafe(rises, context)
    Metric.removeUnsafe(falls, context)
    assert.deepStrictEqual(refresh().map(({ series }) => series[""]), [5, undefined])
    rises.updateUnsafe(2, context)
    falls.updateUnsafe(2, context)
    assert.deepStrictEqual(refresh().map(({ series }) => series[""]), [7, 2])
  })

  it("series that ended for being idle come back with their next increase, and no total is lost", () => {
    const ttl = 60_000
    const { context, store } = fresh({ seriesTimeToLive: ttl })
    const counter = Metric.counter("c", { incremental: true, attributes: { a: "x" } })
    const histogram = Metric.histogram("h", { boundaries: [1], attributes: { a: "x" } })
    const gauge = Metric.gauge("g", { attributes: { a: "x" } })
    const reader = store.frames()
    const seen = { c_total: 0, h: 0 }
    const read = () => {
      store.refresh()
      const { counters, histograms } = reader.take(0, 1)
      counters.values.forEach((value) => { seen.c_total += value })
      histograms.counts.forEach((count) => { seen.h += count })
    }
    for (let round = 1; round <= 3; round++) {
      counter.updateUnsafe(1, context)
      histogram.updateUnsafe(1, context)
      gauge.updateUnsafe(round, context)
      read()
      assert.deepStrictEqual(["c_total", "h", "g"].map((name) => store.family(name)!.series.length), [1, 1, 1])
      const [total, count] = [store.family("c_total")!, store.family("h")!]
      assert.deepStrictEqual([total.value(total.series[0]!), count.count(count.series[0]!), seen.c_total, seen.h], [round, round, round, round])
      for (let sweep = 0; sweep < 10; sweep++) {
        read()
        for (const _ of store.maintain()) { /* all turns */ }
      }
      assert.deepStrictEqual(["c_total", "h", "g"].map((name) => store.family(name)!.series.length), [0, 0, 1])
    }
  })

  it("readers get each increase exactly once, whenever they read", () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant("count" as const), series: fc.nat(4), value: fc.nat(100) }),
      fc.record({ op: fc.constant("observe" as const), series: fc.nat(2), value: fc.nat(10) }),
      fc.record({ op: fc.constant("word" as const), series: fc.nat(6), value: fc.constant(1) }),
      fc.constant({ op: "a" as const, series: 0, value: 0 }),
      fc.constant({ op: "b" as const, series: 0, value: 0 })
    )
    fc.assert(fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const { context, store } = fresh({ maxSeriesPerMetric: 4 })
      const counter = [0, 1, 2, 3, 4].map((i) => Metric.counter("c", { incremental: true, attributes: i === 0 ? {} : { [`l${i % 2}`]: `v${i}` } }))
      const histogram = [0, 1, 2].map((i) => Metric.histogram("h", { boundaries: [2, 5], attributes: { i: `${i}` } }))
      const words = Metric.frequency("f")
      const readers = { a: store.frames(), b: store.frames() }
      const seen = { a: [0, 0, 0], b: [0, 0, 0] }
      const truth = [0, 0, 0]
      const take = (who: "a" | "b") => {
        store.refresh()
        const frame: MetricFrame = readers[who].take(0, 1)
        frame.counters.series.forEach((series, i) => { seen[who][series.definition.name === "c_total" ? 0 : 1]! += frame.counters.values[i]! })
        for (const count of frame.histograms.buckets) seen[who][2]! += count
      }
      for (const { op, series, value } of steps) {
        if (op === "a" || op === "b") take(op)
        else if (op === "count") {
          counter[series]!.updateUnsafe(value, context)
          truth[0]! += value
        } else if (op === "word") {
          words.updateUnsafe(`w${series}`, context)
          truth[1]! += 1
        } else {
          histogram[series]!.updateUnsafe(value, context)
          truth[2]! += 1
        }
      }
      take("a")
      take("b")
      assert.deepStrictEqual(seen, { a: truth, b: truth })
    }), { numRuns: 200 })
  })
})

describe("in the hub", () => {
  const isolated = <A, E>(self: Effect.Effect<A, E, Layer.Success<ReturnType<typeof Memory.layer>>>, input = {}) =>
    self.pipe(
      Effect.provide(Memory.layer().pipe(Layer.provide(ObservabilityConfig.layer(input)))),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )

  it.effect("backends see what the program records with Metric", () =>
    isolated(Effect.gen(function*() {
      const memory = yield* MemoryBackend
      yield* Metric.update(Metric.counter("logins", { incremental: true, attributes: { kind: "web" } }), 2)
      yield* Effect.trackDuration(Effect.void, Metric.timer("work"))
      assert.strictEqual(yield* memory.getCounterValue("logins_total", { kind: "web" }), 2)
      assert.strictEqual((yield* memory.describe("work_seconds"))[0]?.value, 1)
    })))

  it.effect("a name that the recorder has too is reported as a conflict, whoever came first", () =>
    isolated(Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const { store } = yield* Telemetry
      const Mine = MetricDefinition.counter("mine_total", { help: "x" })
      yield* metrics.incrementCounter(Mine, 1)
      yield* Metric.update(Metric.counter("mine", { incremental: true }), 10)
      yield* Metric.update(Metric.counter("theirs", { incremental: true }), 10)
      // A standard metric nobody recorded gives way.
      yield* Metric.update(Metric.counter("cache_hits_total", { incremental: true }), 10)
      assert.strictEqual(yield* memory.getCounterValue("mine_total"), 1)
      yield* metrics.incrementCounter("theirs_total", 1)
      yield* metrics.incrementCounter(MetricDefinition.counter("theirs_total", { help: "x" }), 1)
      yield* metrics.incrementCounter(StandardMetrics.CacheHits, 1, { cache_name: "a" })
      assert.strictEqual(yield* memory.getCounterValue("theirs_total"), 10)
      assert.strictEqual(yield* memory.getCounterValue("cache_hits_total"), 10)
      assert.strictEqual(store.refusals()["conflict"], 3)
      const { metrics: { problems } } = yield* (yield* Diagnostics).report
      assert.match(problems.join("\n"), /"mine_total": the program has two of this name/)
      assert.match(problems.join("\n"), /"theirs_total": the program has two of this name/)
    })))

  it.effect("may be switched off", () =>
    isolated(Effect.gen(function*() {
      const memory = yield* MemoryBackend
      yield* Metric.update(Metric.counter("logins", { incremental: true }), 2)
      assert.strictEqual(yield* memory.getCounterValue("logins_total"), 0)
    }), { metrics: { effectMetrics: false } }))

  it.effect("the registry around the hub is read; one that a part of the program has for itself is its own", () =>
    isolated(Effect.gen(function*() {
      const memory = yield* MemoryBackend
      const counter = Metric.counter("own", { incremental: true })
      yield* Metric.update(counter, 1).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      assert.strictEqual(yield* memory.getCounterValue("own_total"), 0)
      yield* Metric.update(counter, 2)
      assert.strictEqual(yield* memory.getCounterValue("own_total"), 2)
    })))
})
