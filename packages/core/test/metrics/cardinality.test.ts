import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { Diagnostics, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry } from "../../src/index.ts"
import { DistinctCount, HeavyHitters } from "../../src/metrics/internal/HeavyHitters.ts"
import { quoted } from "../../src/metrics/internal/text.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"
import * as Recorder from "../../src/metrics/MetricsRecorder.ts"

const Requests = MetricDefinition.counter("requests_total", { help: "x", labelNames: ["method", "user", "status"] })

const fresh = (settings: Partial<Parameters<typeof MetricStore.make>[0]> = {}) => {
  const store = MetricStore.make({ maxSeriesPerMetric: 1000, maxSeries: 100_000, maxMetrics: 100, buckets: {}, ...settings }, () => 1000)
  return { store, metrics: Recorder.make(store) }
}

v8.setFlagsFromString("--expose-gc")
const collect = vm.runInNewContext("gc") as () => void
/** Bytes in use once all that can be is collected. */
const heap = (): number => {
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

describe("a handle past the budget", () => {
  it("is counted with every record, and has a series of its own once there is room", () => {
    const { metrics, store } = fresh({ maxSeriesPerMetric: 2 })
    const labels = (user: string) => ({ method: "GET", user, status: "200" })
    metrics.incrementCounterUnsafe(Requests, 1, labels("a"))
    metrics.incrementCounterUnsafe(Requests, 1, labels("b"))
    const handle = metrics.bind(Requests, labels("c"))
    for (let i = 0; i < 100; i++) handle.incrementUnsafe()
    const before = store.refusals()["cardinality"]!
    assert.isAtLeast(before, 100)
    for (const user of ["a", "b"]) store.remove(Requests, labels(user))
    handle.incrementUnsafe(5)
    const family = store.family("requests_total")!
    const own = family.series.find((series) => series.labelValues[1] === "c")!
    assert.strictEqual(family.value(own), 5)
    assert.strictEqual(store.refusals()["cardinality"], before)
    assert.strictEqual(family.series.reduce((sum, series) => sum + family.value(series), 0), 105)
  })
})

describe("a million label sets", () => {
  it("take no more series than the budget, keep the sum exact and the heap bounded, and the right label is named", () => {
    const { metrics, store } = fresh({ maxSeriesPerMetric: 2000 })
    const reader = store.frames()
    const before = heap()
    for (let i = 0; i < 1_000_000; i++) {
      metrics.incrementCounterUnsafe(Requests, 1, { method: i % 2 === 0 ? "GET" : "PUT", user: i > 100_000 && i % 50 === 0 ? "u-busy" : `u-${i}`, status: `${200 + i % 5}` })
    }
    const grown = heap() - before
    const family = store.family("requests_total")!
    assert.isAtMost(family.series.length, 2001)
    assert.strictEqual(family.series.reduce((sum, series) => sum + family.value(series), 0), 1_000_000)
    assert.strictEqual(reader.take(0, 1).counters.values.reduce((a, b) => a + b, 0), 1_000_000)
    assert.isBelow(grown, 8 * 1024 * 1024)
    const [report] = store.cardinality()
    assert.deepInclude(report!, { metric: "requests_total", budget: 2000, label: "user" })
    assert.strictEqual(report!.overflowed, store.refusals()["cardinality"])
    assert.isAbove(report!.distinct, 800_000)
    assert.isBelow(report!.distinct, 1_200_000)
    assert.strictEqual(report!.top[0]!.value, "u-busy")
    assert.isAbove(report!.top[0]!.count, 17_999 - 1_000_000 / 65)
    assert.isAtMost(report!.top[0]!.count, 17_999)
  })

  it("and a hundred thousand names: the metrics are bounded, the rest is counted", () => {
    const { metrics, store } = fresh({ maxMetrics: 500 })
    const before = heap()
    for (let i = 0; i < 100_000; i++) metrics.incrementCounterUnsafe(`name_${i}_total`, 1)
    assert.strictEqual(store.families().length, 500)
    assert.deepStrictEqual(store.refusals(), { too_many_metrics: 99_500 })
    // A definition per call, as some programs do it.
    for (let i = 0; i < 20_000; i++) metrics.incrementCounterUnsafe(MetricDefinition.counter("name_1_total", { help: "x" }))
    for (let i = 0; i < 2_000; i++) metrics.incrementCounterUnsafe(MetricDefinition.counter(`late_${i}_total`, { help: "x" }))
    assert.strictEqual(store.family("name_1_total")!.value(store.family("name_1_total")!.series[0]!), 20_001)
    assert.deepStrictEqual(store.refusals(), { too_many_metrics: 101_500 })
    assert.isBelow(heap() - before, 8 * 1024 * 1024)
  })

  it("of values ten megabytes long hold on to a thousand characters each", () => {
    const { metrics, store } = fresh({ maxSeriesPerMetric: 10 })
    const before = heap()
    const huge = (i: number) => {
      const value = `${i}${"x".repeat(10_000_000)}`
      metrics.incrementCounterUnsafe(Requests, 1, { method: value, user: value, status: "200" })
    }
    for (let i = 0; i < 30; i++) huge(i)
    assert.isBelow(heap() - before, 4 * 1024 * 1024)
    assert.strictEqual(store.refusals()["long_label"], 60)
    const report = store.cardinality()[0]!
    assert.isAtMost(report.top[0]!.value.length, 128)
    // Parts of a long text, as a path is of a request.
    const again = fresh()
    const part = (i: number) => {
      const body = `${i}${"y".repeat(5_000_000)}`
      again.metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", user: body.slice(0, 40), status: "200" })
    }
    for (let i = 0; i < 30; i++) part(i)
    assert.isBelow(heap() - before, 8 * 1024 * 1024)
    assert.strictEqual(again.store.family("requests_total")!.series.length, 30)
  })
})

describe("the report", () => {
  it.effect("is one escaped line a minute, a self-metric and an entry of the diagnostics", () => {
    const lines: Array<string> = []
    const logger = Logger.layer([Logger.make(({ message }) => {
      lines.push(String(message))
    })])
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const telemetry = yield* Telemetry
      const record = (from: number, to: number) => {
        for (let i = from; i < to; i++) metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", user: `u${i % 90}\r\n\u001b[2J\u202e`, status: "200" })
      }
      record(0, 600)
      yield* TestClock.adjust("45 seconds")
      assert.deepStrictEqual(lines, [])
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0]!, /metric requests_total: 5\d\d records .* at most 10 label sets .* Label "user" had about \d\d values, most often "u/)
      assert.match(lines[0]!, /^[\x20-\x7e]*$/)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(lines.length, 1)
      record(0, 100)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(lines.length, 2)

      const { metrics: { cardinality } } = yield* (yield* Diagnostics).report
      assert.strictEqual(cardinality.length, 1)
      assert.deepInclude(cardinality[0]!, { metric: "requests_total", budget: 10, label: "user" })
      telemetry.refreshSelfMetrics()
      const own = telemetry.store.family("obs_cardinality_overflow_total")!
      assert.deepStrictEqual(own.series.map((series) => [series.labelValues, own.value(series)]), [[["requests_total"], cardinality[0]!.overflowed]])
    }).pipe(Effect.provide(Layer.provide(Telemetry.layer, ObservabilityConfig.layer({ metrics: { maxSeriesPerMetric: 10 } }))), Effect.provide(logger))
  })

  it("is bounded by metrics and labels too", () => {
    const { metrics, store } = fresh({ maxSeriesPerMetric: 1, maxMetrics: 1000 })
    const labels = (i: number) => Object.fromEntries(Array.from({ length: 40 }, (_, k) => [`label${k}`, `v${i % (k + 1)}`]))
    for (let m = 0; m < 200; m++) for (let i = 0; i < 20; i++) metrics.incrementCounterUnsafe(`metric_${m}_total`, 1, labels(i))
    assert.strictEqual(store.cardinality().length, 200)
    assert.strictEqual(store.cardinality().filter(({ label }) => label !== "").length, 20)
    assert.strictEqual(store.refusals()["cardinality"], 200 * 19)
  })

  it("says so although the process has no series left", () => {
    const { metrics, store } = fresh({ maxSeries: 5 })
    for (let i = 0; i < 20; i++) metrics.incrementCounterUnsafe(Requests, 1, { method: `m${i}`, user: "u", status: "s" })
    metrics.incrementCounterUnsafe("obs_something_total", 1, { metric: "requests_total" })
    assert.deepStrictEqual(store.family("obs_something_total")!.series[0]!.labelValues, ["requests_total"])
    assert.strictEqual(store.cardinality()[0]!.label, "method")
    assert.strictEqual(store.cardinality()[0]!.overflowed, 15)
  })
})

describe("sketches", () => {
  it.each([0, 1, 10, 100, 1_000, 20_000])("tell %i different values within a tenth", (n) => {
    const distinct = new DistinctCount()
    for (let round = 0; round < 2; round++) for (let i = 0; i < n; i++) distinct.add(`value ${i}`)
    assert.isAtMost(Math.abs(distinct.estimate() - n), n / 10)
  })

  it("keep every value that makes up more than its share, never counted too high", () => {
    const hitters = new HeavyHitters(10)
    for (let i = 0; i < 10_000; i++) {
      hitters.add(`rare ${i}`)
      if (i % 3 === 0) hitters.add("often")
      if (i % 4 === 0) hitters.add("at times")
    }
    const top = hitters.top(2)
    assert.deepStrictEqual(top.map(({ value }) => value), ["often", "at times"])
    assert.isAtMost(top[0]!.count, 3334)
    assert.isAtLeast(top[0]!.count, 3334 - 15_834 / 11)
  })

  it("foreign text is one printable line", () => {
    assert.strictEqual(quoted("a\r\n\"b\"\u001b[31m\u2028\u202e\ufeff\u0085\ud800"), String.raw`"a\r\n\"b\"\u001b[31m\u2028\u202e\ufeff\u0085\ud800"`)
    assert.strictEqual(quoted("x".repeat(1e6), 5), "\"xxxxx…\"")
  })
})
