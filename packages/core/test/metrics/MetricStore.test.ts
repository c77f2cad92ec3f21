import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import * as MetricDefinition from "../../src/metrics/MetricDefinition.ts"
import { merge, weigh } from "../../src/metrics/MetricFrame.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"
import * as MetricsRecorder from "../../src/metrics/MetricsRecorder.ts"

const Requests = MetricDefinition.counter("requests_total", { help: "Requests", labelNames: ["method", "status"] })
const Depth = MetricDefinition.gauge("queue_depth", { help: "Depth" })
const InFlight = MetricDefinition.upDownCounter("in_flight", { help: "In flight" })
const Latency = MetricDefinition.histogram("latency_seconds", { help: "Latency", labelNames: ["route"], buckets: [0.1, 0.5, 1] })
const Size = MetricDefinition.summary("size_bytes", { help: "Size" })

const fresh = (settings: Partial<Parameters<typeof MetricStore.make>[0]> = {}) => {
  const store = MetricStore.make({ maxSeriesPerMetric: 1000, maxSeries: 100_000, maxMetrics: 100, buckets: {}, ...settings }, () => 1000)
  return { store, metrics: MetricsRecorder.make(store) }
}

const valueOf = (store: MetricStore.MetricStore, name: string, ...labelValues: ReadonlyArray<string>): number => {
  const family = store.family(name)!
  const series = family.series.find((one) => labelValues.every((value, i) => one.labelValues[i] === value))
  return series === undefined ? NaN : family.value(series)
}

describe("recording", () => {
  it("keeps label sets apart, whatever the order of the keys", () => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", status: "200" })
    metrics.incrementCounterUnsafe(Requests, 2, { status: "200", method: "GET" })
    metrics.incrementCounterUnsafe(Requests, 5, { method: "GET", status: "500" })
    assert.strictEqual(valueOf(store, "requests_total", "GET", "200"), 3)
    assert.strictEqual(valueOf(store, "requests_total", "GET", "500"), 5)
  })

  it.effect("is the same by definition, by name, by handle, as an Effect and unsafe", () =>
    Effect.gen(function*() {
      const { metrics, store } = fresh()
      const labels = { method: "GET", status: "200" }
      yield* metrics.incrementCounter(Requests, 1, labels)
      yield* metrics.incrementCounter("requests_total", 1, labels)
      metrics.incrementCounterUnsafe("requests_total", 1, labels)
      const handle = metrics.bind(Requests, labels)
      yield* handle.increment()
      yield* handle.increment(2)
      handle.incrementUnsafe()
      assert.strictEqual(valueOf(store, "requests_total", "GET", "200"), 7)
      yield* metrics.setGauge(Depth, 3)
      metrics.bind(Depth).setUnsafe(-4)
      assert.strictEqual(valueOf(store, "queue_depth"), -4)
      yield* metrics.incrementCounter(InFlight, 3)
      yield* metrics.incrementCounter(InFlight, -1)
      assert.strictEqual(valueOf(store, "in_flight"), 2)
      assert.deepStrictEqual(store.refusals(), {})
    }))

  it("puts a value on a bound into that bucket", () => {
    const { metrics, store } = fresh()
    for (const value of [0.05, 0.1, 0.100001, 1, 1.5]) metrics.observeHistogramUnsafe(Latency, value, { route: "/" })
    const family = store.family("latency_seconds")!
    const [series] = family.series
    assert.deepStrictEqual([0, 1, 2, 3].map((i) => family.bucket(series!, i)), [2, 1, 1, 1])
    assert.strictEqual(family.count(series!), 5)
    assert.closeTo(family.sum(series!), 2.750001, 1e-9)
  })

  it("keeps quantiles within one percent", () => {
    const { metrics, store } = fresh()
    for (let i = 1; i <= 10_000; i++) metrics.observeSummaryUnsafe(Size, i)
    const family = store.family("size_bytes")!
    const series = family.series[0]!
    for (const q of [0.01, 0.5, 0.9, 0.99]) {
      assert.isBelow(Math.abs(family.quantile(series, q) / (q * 10_000) - 1), 0.0101)
    }
    assert.strictEqual(family.count(series), 10_000)
  })
})

describe("bad input is counted and harms nothing", () => {
  it("refuses values that are not finite, and counters that would go down", () => {
    const { metrics, store } = fresh()
    const labels = { method: "GET", status: "200" }
    metrics.incrementCounterUnsafe(Requests, 1, labels)
    for (const value of [NaN, Infinity, -Infinity, "1", 1n, {}, null]) {
      metrics.incrementCounterUnsafe(Requests, value as number, labels)
      metrics.setGaugeUnsafe(Depth, value as number)
      metrics.observeHistogramUnsafe(Latency, value as number, { route: "/" })
      metrics.observeSummaryUnsafe(Size, value as number)
    }
    metrics.incrementCounterUnsafe(Requests, -1, labels)
    assert.strictEqual(valueOf(store, "requests_total", "GET", "200"), 1)
    assert.strictEqual(store.family("latency_seconds")!.count(store.family("latency_seconds")!.series[0]!), 0)
    assert.deepStrictEqual(store.refusals(), { invalid_value: 28, negative_increment: 1 })
  })

  it("records a missing label as absent and leaves an unknown one out", () => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe("requests_total", 1)
    metrics.incrementCounterUnsafe(Requests, 1, { method: "GET" } as never)
    metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", status: "200", color: "red" } as never)
    metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", status: "200", color: "red" } as never)
    // The first call declared the name without labels: the definition conflicts with it and is refused as a whole.
    assert.strictEqual(store.refusals()["conflict"], 3)
    const again = fresh()
    again.metrics.incrementCounterUnsafe(Requests, 1, { method: "GET" } as never)
    again.metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", status: "200", color: "red" } as never)
    again.metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", status: "200", color: "red" } as never)
    assert.strictEqual(valueOf(again.store, "requests_total", "GET", ""), 1)
    assert.strictEqual(valueOf(again.store, "requests_total", "GET", "200"), 2)
    assert.deepStrictEqual(again.store.refusals(), { missing_label: 1, unknown_label: 2 })
  })

  it("says which field of which metric conflicts, and leaves the first one alone", () => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", status: "200" })
    const other = MetricDefinition.gauge("requests_total", { help: "x", labelNames: ["method", "status"] })
    const wrong = store.declare(other)
    assert.strictEqual(wrong?.field, "type")
    assert.match(wrong!.message, /requests_total.*type is gauge.*declared before with counter/)
    metrics.setGaugeUnsafe(other, 9, { method: "GET", status: "200" })
    metrics.setGaugeUnsafe("requests_total", 9, { method: "GET", status: "200" })
    assert.strictEqual(valueOf(store, "requests_total", "GET", "200"), 1)
    assert.deepStrictEqual(store.refusals(), { conflict: 1, wrong_type: 1 })
  })

  it("takes any name, label and value from untyped code without throwing", () => {
    const { metrics, store } = fresh()
    const hostile = new Proxy({}, { get: () => { throw new Error("trap") }, ownKeys: () => ["method"], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) })
    const inputs: ReadonlyArray<any> = ["", "_", "9a", "a b", "请求", "a\n# TYPE", "__name__", "__proto__", "x".repeat(1e6), null, undefined, 5, {}, Symbol("s"), () => 1]
    for (const name of inputs) {
      metrics.incrementCounterUnsafe(name, 1, {})
      metrics.incrementCounterUnsafe(Requests, 1, { method: name, status: name })
      metrics.incrementCounterUnsafe("by_name_total", 1, { [typeof name === "string" ? name.slice(0, 50) : "k"]: "v" })
    }
    metrics.incrementCounterUnsafe(Requests, 1, hostile as never)
    metrics.incrementCounterUnsafe(Requests, 1, { __proto__: { method: "inherited" }, status: "1" } as never)
    for (const family of store.families()) assert.match(family.definition.name, /^[a-zA-Z_][a-zA-Z0-9_]*$/)
    assert.strictEqual(({} as Record<string, unknown>)["method"], undefined)
    assert.isAbove(store.refusals()["invalid_name"]!, 5)
  })

  it("holds the budget, keeps the total exact and says so", () => {
    const { metrics, store } = fresh({ maxSeriesPerMetric: 50 })
    for (let i = 0; i < 1000; i++) metrics.incrementCounterUnsafe(Requests, 1, { method: `m${i}`, status: "200" })
    const family = store.family("requests_total")!
    assert.strictEqual(family.series.length, 51)
    assert.strictEqual(family.series.reduce((sum, series) => sum + family.value(series), 0), 1000)
    assert.strictEqual(valueOf(store, "requests_total", "_overflow", "_overflow"), 950)
    assert.strictEqual(store.refusals()["cardinality"], 950)
  })

  it("records a value outside the literals as _OTHER", () => {
    const { metrics, store } = fresh()
    const Orders = MetricDefinition.counter("orders_total", { help: "x", labelNames: ["channel"], labelValues: { channel: ["web"] } })
    metrics.incrementCounterUnsafe(Orders, 1, { channel: "web" })
    metrics.incrementCounterUnsafe(Orders, 1, { channel: "fax" } as never)
    assert.strictEqual(valueOf(store, "orders_total", "web"), 1)
    assert.strictEqual(valueOf(store, "orders_total", "_OTHER"), 1)
  })

  it.each([
    ["9a", {}, "name"],
    ["a-b", {}, "name"],
    ["ok_total", { labelNames: ["le"] }, "labelNames"],
    ["ok_total", { labelNames: ["a", "a"] }, "labelNames"],
    ["ok_total", { labelNames: ["a b"] }, "labelNames"],
    ["ok_total", { labelNames: ["a"], labelValues: { b: ["x"] } }, "labelValues"]
  ])("a definition %s %j is refused by field %s", (name, options, field) => {
    try {
      MetricDefinition.counter(name, { help: "x", ...(options as {}) })
      assert.fail("accepted")
    } catch (error) {
      assert.instanceOf(error, MetricDefinition.MetricDefinitionError)
      assert.strictEqual((error as MetricDefinition.MetricDefinitionError).field, field)
    }
  })
})

describe("frames", () => {
  it("each reader gets exactly what happened since its last frame", () => {
    const { metrics, store } = fresh()
    const a = store.frames()
    metrics.incrementCounterUnsafe(Requests, 3, { method: "GET", status: "200" })
    metrics.observeHistogramUnsafe(Latency, 0.2, { route: "/" })
    const b = store.frames()
    const first = a.take(0, 1)
    assert.deepStrictEqual([...first.counters.values], [3])
    metrics.incrementCounterUnsafe(Requests, 4, { method: "GET", status: "200" })
    metrics.incrementCounterUnsafe(Requests, 1, { method: "PUT", status: "200" })
    metrics.observeHistogramUnsafe(Latency, 0.7, { route: "/" })
    assert.deepStrictEqual([...a.take(1, 2).counters.values], [4, 1])
    const all = b.take(0, 2)
    assert.deepStrictEqual([...all.counters.values], [7, 1])
    assert.deepStrictEqual([...all.histograms.buckets], [0, 1, 1, 0])
    assert.deepStrictEqual([...all.histograms.mins, ...all.histograms.maxs], [0.2, 0.7])
    assert.deepStrictEqual([...a.take(2, 3).counters.values], [0, 0])
  })

  it("lose nothing however they are taken and merged", () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant("count" as const), series: fc.nat(20), value: fc.nat(1000) }),
      fc.record({ op: fc.constant("observe" as const), series: fc.nat(20), value: fc.double({ min: 0, max: 2, noNaN: true }) }),
      fc.constant({ op: "take" as const, series: 0, value: 0 }),
      fc.constant({ op: "merge" as const, series: 0, value: 0 })
    )
    fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { metrics, store } = fresh()
      const reader = store.frames()
      let frames: Array<ReturnType<typeof reader.take>> = []
      let count = 0
      let observed = 0
      let least = Infinity
      for (const { op, series, value } of steps) {
        if (op === "count") {
          metrics.incrementCounterUnsafe(Requests, value, { method: `m${series}`, status: "1" })
          count += value
        } else if (op === "observe") {
          metrics.observeHistogramUnsafe(Latency, value, { route: `r${series}` })
          observed++
          least = Math.min(least, value)
        } else if (op === "take") frames.push(reader.take(0, 1))
        else if (frames.length >= 2) frames = [...frames.slice(0, -2), merge(frames.at(-2)!, frames.at(-1)!)]
      }
      frames.push(reader.take(0, 1))
      const sum = (values: Float64Array) => values.reduce((a, b) => a + b, 0)
      assert.strictEqual(frames.reduce((total, frame) => total + sum(frame.counters.values), 0), count)
      assert.strictEqual(frames.reduce((total, frame) => total + sum(frame.histograms.counts), 0), observed)
      assert.strictEqual(frames.reduce((total, frame) => total + sum(frame.histograms.buckets), 0), observed)
      const mins = frames.flatMap((frame) => [...frame.histograms.mins]).filter((min) => !Number.isNaN(min))
      if (observed > 0) assert.strictEqual(Math.min(...mins), least)
      for (const frame of frames) assert.isAbove(weigh(frame), 0)
    }), { numRuns: 300 })
  })

  it("a tap of some types is not asked about the others", () => {
    const { store } = fresh()
    let asked = 0
    const matches = () => {
      asked++
      return true
    }
    const observations = store.tap({ capacity: 9, types: ["histogram"], matches })
    const counters = store.tap({ capacity: 9, types: ["counter"] })
    const all = store.tap({ capacity: 9 })
    store.increment("hits_total", 1, undefined)
    store.setGauge("level", 2, undefined)
    assert.strictEqual(asked, 0)
    store.observe("seconds", "histogram", 3, undefined)
    store.observe("bytes", "summary", 4, undefined)
    assert.deepStrictEqual([observations, counters, all].map((tap) => tap.take().map(({ value }) => value)), [[3], [1], [1, 2, 3, 4]])
    for (const tap of [observations, counters, all]) tap.close()
    store.observe("seconds", "histogram", 3, undefined)
    assert.deepStrictEqual(all.take(), [])
  })

  it("a tap hands over single values, bounded and counted", () => {
    const { metrics, store } = fresh()
    const tap = store.tap({ capacity: 2, matches: (definition) => definition.type === "histogram" })
    for (const value of [0.1, 0.2, 0.3]) metrics.observeHistogramUnsafe(Latency, value, { route: "/" })
    metrics.setGaugeUnsafe(Depth, 1)
    assert.deepStrictEqual(tap.take().map((one) => one.value), [0.1, 0.2])
    assert.strictEqual(tap.lost(), 1)
    tap.close()
    metrics.observeHistogramUnsafe(Latency, 1, { route: "/" })
    assert.deepStrictEqual(tap.take(), [])
  })
})
