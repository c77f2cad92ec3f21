import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as MetricDefinition from "../../src/metrics/MetricDefinition.ts"
import { merge, type MetricFrame, type Series } from "../../src/metrics/MetricFrame.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"
import * as Recorder from "../../src/metrics/MetricsRecorder.ts"

const Requests = MetricDefinition.counter("requests_total", { help: "x", labelNames: ["user"] })
const Depth = MetricDefinition.gauge("depth", { help: "x", labelNames: ["user"] })
const Latency = MetricDefinition.histogram("latency_seconds", { help: "x", labelNames: ["user"], buckets: [1, 2] })
const Size = MetricDefinition.summary("size_bytes", { help: "x", labelNames: ["user"] })

const fresh = (settings: Partial<Parameters<typeof MetricStore.make>[0]> = {}) => {
  let now = 1000
  const store = MetricStore.make({ maxSeriesPerMetric: 1000, maxSeries: 100_000, maxMetrics: 100, buckets: {}, ...settings }, () => now++)
  return { store, metrics: Recorder.make(store) }
}

const user = (i: number) => ({ user: `u${i}` })
const nameOf = (series: Series) => `${series.definition.name} ${series.labelValues.join()}`

/** All that frames say, by series: increases added up, the last of what is a last value. */
const told = (frames: ReadonlyArray<MetricFrame>): ReadonlyMap<string, number> => {
  const out = new Map<string, number>()
  const add = (series: Series, value: number) => out.set(nameOf(series), (out.get(nameOf(series)) ?? 0) + value)
  for (const { counters, gauges, histograms, summaries } of frames) {
    counters.series.forEach((series, i) => add(series, counters.values[i]!))
    gauges.series.forEach((series, i) => {
      if (!Number.isNaN(gauges.values[i]!)) out.set(nameOf(series), gauges.values[i]!)
    })
    histograms.series.forEach((series, i) => {
      const buckets = histograms.buckets.subarray(histograms.offsets[i]!, histograms.offsets[i]! + 3)
      assert.strictEqual(buckets.reduce((a, b) => a + b, 0), histograms.counts[i]!)
      add(series, histograms.counts[i]!)
    })
    summaries.series.forEach((series, i) => add(series, summaries.counts[i]!))
  }
  return out
}

describe("a series that ends", () => {
  it("leaves the page at once and every frame reader once", () => {
    const { metrics, store } = fresh()
    const a = store.frames()
    const b = store.frames()
    metrics.incrementCounterUnsafe(Requests, 5, user(1))
    metrics.setGaugeUnsafe(Depth, 7, user(1))
    a.take(0, 1)
    metrics.incrementCounterUnsafe(Requests, 2, user(1))
    assert.isTrue(store.remove(Requests, user(1)))
    assert.isTrue(store.remove("depth", user(1)))
    assert.isFalse(store.remove(Requests, user(1)))
    assert.isFalse(store.remove(Requests, user(2)))
    assert.isFalse(store.remove("nothing_total", {}))
    assert.deepStrictEqual(store.family("requests_total")!.series, [])
    store.compact()
    const last = a.take(1, 2)
    assert.deepStrictEqual([...last.counters.values, ...last.gauges.values], [2, 7])
    const after = a.take(2, 3)
    assert.deepStrictEqual([...after.counters.values, ...after.gauges.values], [0, NaN])
    store.compact()
    assert.strictEqual(store.size, 2)
    assert.deepStrictEqual([...told([b.take(0, 3)])], [["requests_total u1", 7], ["depth u1", 7]])
    store.compact()
    assert.strictEqual(store.size, 0)
    assert.strictEqual(a.take(3, 4).counters.values.length, 0)
    assert.notStrictEqual(a.take(4, 5).generation, after.generation)
  })

  it("goes on where it was when it comes back, for those who read totals; frames carry only what is new", () => {
    const { metrics, store } = fresh()
    const reader = store.frames()
    const handle = metrics.bind(Requests, user(1))
    handle.incrementUnsafe(5)
    for (const value of [0.5, 1.5, 1.7, 9]) metrics.observeHistogramUnsafe(Latency, value, user(1))
    for (const value of [10, 20]) metrics.observeSummaryUnsafe(Size, value, user(1))
    const createdAt = store.family("requests_total")!.series[0]!.createdAt
    reader.take(0, 1)
    for (const definition of [Requests, Latency, Size]) store.remove(definition, user(1))
    reader.take(1, 2)
    store.compact()
    handle.incrementUnsafe(1)
    metrics.observeHistogramUnsafe(Latency, 1.1, user(1))
    metrics.observeSummaryUnsafe(Size, 30, user(1))
    const [requests, latency, size] = ["requests_total", "latency_seconds", "size_bytes"].map((name) => store.family(name)!)
    assert.strictEqual(requests!.value(requests!.series[0]!), 6)
    assert.strictEqual(requests!.series[0]!.createdAt, createdAt)
    assert.deepStrictEqual([0, 1, 2].map((i) => latency!.bucket(latency!.series[0]!, i)), [1, 3, 1])
    assert.strictEqual(latency!.count(latency!.series[0]!), 5)
    assert.closeTo(latency!.sum(latency!.series[0]!), 13.8, 1e-9)
    assert.deepStrictEqual([size!.count(size!.series[0]!), size!.sum(size!.series[0]!)], [3, 60])
    const frame = reader.take(2, 3)
    assert.deepStrictEqual([...frame.counters.values, ...frame.histograms.counts, ...frame.summaries.counts], [1, 1, 1])
    // And once more, with what it had before the first end.
    store.remove(Requests, user(1))
    handle.incrementUnsafe(10)
    assert.strictEqual(requests!.value(requests!.series[0]!), 16)
  })

  it("is found as it was recorded: cut, outside its literals, with a label left out", () => {
    const { metrics, store } = fresh()
    const Orders = MetricDefinition.counter("orders_total", { help: "x", labelNames: ["channel", "shop"], labelValues: { channel: ["web"] } })
    const given = [{ channel: "web", shop: "x".repeat(5_000) }, { channel: "fax", shop: "a" }, { channel: "web" }]
    for (const labels of given) metrics.incrementCounterUnsafe(Orders, 1, labels as never)
    const refusals = store.refusals()
    for (const labels of given) assert.isTrue(store.remove(Orders, labels as never))
    assert.deepStrictEqual(store.family("orders_total")!.series, [])
    assert.deepStrictEqual(store.refusals(), refusals)
  })

  it("a reader that is closed holds nothing back", () => {
    const { metrics, store } = fresh()
    const idle = store.frames()
    metrics.incrementCounterUnsafe(Requests, 1, user(1))
    store.remove(Requests, user(1))
    store.compact()
    assert.strictEqual(store.size, 1)
    idle.close()
    store.compact()
    assert.strictEqual(store.size, 0)
  })

  it("is remembered within bounds: 100,000 that end leave no more than 10,000 totals", () => {
    const { metrics, store } = fresh()
    for (let i = 0; i < 100_000; i++) {
      metrics.incrementCounterUnsafe(Requests, 1, user(i))
      store.remove(Requests, user(i))
      if (i % 500 === 0) store.compact()
    }
    store.compact()
    assert.strictEqual(store.size, 0)
    metrics.incrementCounterUnsafe(Requests, 1, user(99_999))
    metrics.incrementCounterUnsafe(Requests, 1, user(0))
    const family = store.family("requests_total")!
    assert.deepStrictEqual(family.series.map((series) => family.value(series)), [2, 1])
    assert.deepStrictEqual(store.refusals(), {})
  })

  it("nothing is lost or doubled, however records, ends, frames, merges and compactions mix", () => {
    const step = fc.record({
      op: fc.constantFrom("count", "observe", "summary", "set", "remove", "take", "merge", "compact"),
      user: fc.nat(6),
      reader: fc.nat(1)
    })
    fc.assert(fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const { metrics, store } = fresh()
      const readers = [store.frames(), store.frames()]
      const frames: Array<Array<MetricFrame>> = [[], []]
      const truth = new Map<string, number>()
      const add = (name: string) => truth.set(name, (truth.get(name) ?? 0) + 1)
      steps.forEach(({ op, reader, user: u }, i) => {
        const mine = frames[reader]!
        switch (op) {
          case "count":
            metrics.incrementCounterUnsafe(Requests, 1, user(u))
            return add(`requests_total u${u}`)
          case "observe":
            metrics.observeHistogramUnsafe(Latency, u / 2, user(u))
            return add(`latency_seconds u${u}`)
          case "summary":
            metrics.observeSummaryUnsafe(Size, u, user(u))
            return add(`size_bytes u${u}`)
          case "set":
            metrics.setGaugeUnsafe(Depth, i, user(u))
            return truth.set(`depth u${u}`, i)
          case "remove":
            return [Requests, Latency, Size, Depth].map((definition) => store.remove(definition, user(u)))
          case "take":
            return mine.push(readers[reader]!.take(i, i + 1))
          case "merge":
            if (mine.length >= 2) mine.push(mine.splice(-2).reduce(merge))
            return
          default:
            return store.compact()
        }
      })
      readers.forEach((reader, i) => frames[i]!.push(reader.take(0, 1)))
      for (const mine of [...frames, frames.map((all) => all.reduce(merge))[0]!].map((one) => [one].flat())) {
        const heard = told(mine)
        for (const [name, value] of truth) assert.strictEqual(heard.get(name), value, name)
      }
      for (const family of store.families()) {
        for (const series of family.series) {
          const value = family.definition.type === "histogram" || family.definition.type === "summary" ? family.count(series) : family.value(series)
          assert.strictEqual(value, truth.get(nameOf(series)), `cumulative ${nameOf(series)}`)
        }
      }
    }), { numRuns: 400 })
  })
})
