import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry } from "../../src/index.ts"
import { matches } from "../../src/metrics/internal/views.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"
import * as Recorder from "../../src/metrics/MetricsRecorder.ts"

const Requests = MetricDefinition.counter("http_requests_total", {
  help: "x",
  labelNames: ["method", "route", "user"],
  labelValues: { method: ["GET", "PUT"] }
})
const Latency = MetricDefinition.histogram("latency_seconds", { help: "x", labelNames: ["route"], buckets: [1, 2] })

type Settings = Parameters<typeof MetricStore.make>[0]
const fresh = (settings: Partial<Settings> = {}) => {
  const store = MetricStore.make({ maxSeriesPerMetric: 1000, maxSeries: 100_000, maxMetrics: 100, buckets: {}, ...settings }, () => 1000)
  return { store, metrics: Recorder.make(store) }
}
const view = (name: string, fields: Partial<NonNullable<Settings["views"]>[number]>) => fresh({ views: [{ name, ...fields }] })
const shown = (store: MetricStore.MetricStore, name: string) => {
  const family = store.family(name)!
  return family.series.map((series) => [Object.fromEntries(family.definition.labelNames.map((label, i) => [label, series.labelValues[i]])), family.value(series)])
}

describe("patterns", () => {
  it.each([
    ["a_total", "a_total", true], ["a_total", "a_total2", false], ["a_*", "a_total", true], ["a_*", "b_a_total", false],
    ["*_total", "a_total", true], ["*_total", "a_totals", false], ["*a*", "xay", true], ["*a*", "xyz", false], ["*", "anything", true]
  ])("%s over %s: %s", (pattern, name, expected) => assert.strictEqual(matches(pattern, name), expected))
})

describe("allowed", () => {
  it("metrics only are kept, by definition and by name; what is refused is counted, the toolkit's own always stay", () => {
    const { metrics, store } = fresh({ allow: { metrics: ["http_*", "*_seconds"], labels: undefined } })
    const Other = MetricDefinition.counter("other_total", { help: "x" })
    const Own = MetricDefinition.counter("obs_own_total", { help: "x" })
    assert.isUndefined(store.declare(Other))
    metrics.incrementCounterUnsafe(Other)
    metrics.incrementCounterUnsafe(Other)
    metrics.incrementCounterUnsafe("another_total")
    metrics.bind(Other).incrementUnsafe()
    metrics.incrementCounterUnsafe(Own)
    metrics.incrementCounterUnsafe("http_things_total")
    metrics.observeHistogramUnsafe(Latency, 1, { route: "/" })
    assert.deepStrictEqual(store.families().map((family) => family.definition.name), ["obs_own_total", "http_things_total", "latency_seconds"])
    assert.deepStrictEqual(store.refusals(), { allowlist: 4 })
    assert.deepStrictEqual(store.problems(), [])
  })

  it("labels only tell series apart; over the others totals stay exact", () => {
    const { metrics, store } = fresh({ allow: { metrics: undefined, labels: ["method", "rou*"] }, maxSeriesPerMetric: 4 })
    for (let i = 0; i < 1000; i++) metrics.incrementCounterUnsafe(Requests, 2, { method: i % 2 === 0 ? "GET" : "PUT", route: "/", user: `u${i}` })
    metrics.incrementCounterUnsafe("http_requests_total", 1, { user: "x", route: "/", method: "GET" })
    assert.deepStrictEqual(shown(store, "http_requests_total"), [
      [{ method: "GET", route: "/" }, 1001],
      [{ method: "PUT", route: "/" }, 1000]
    ])
    assert.deepStrictEqual(store.refusals(), {})
  })
})

describe("a view", () => {
  it("drops a metric", () => {
    const { metrics, store } = view("http_*", { drop: true })
    metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", route: "/", user: "a" })
    assert.deepStrictEqual(store.families(), [])
    assert.deepStrictEqual(store.refusals(), { allowlist: 1 })
  })

  it("renames: recorders keep the old name, readers have the new one", () => {
    const { metrics, store } = view("http_requests_total", { rename: "requests_total", labels: { route: "path", user: false } })
    metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", route: "/", user: "a" })
    metrics.incrementCounterUnsafe("http_requests_total", 2, { method: "GET", route: "/", user: "b" })
    metrics.incrementCounterUnsafe(Requests, 1, { method: "ODD" as never, route: "/", user: "a" })
    assert.deepStrictEqual(shown(store, "requests_total"), [[{ method: "GET", path: "/" }, 3], [{ method: "_OTHER", path: "/" }, 1]])
    assert.strictEqual(store.family("http_requests_total"), store.family("requests_total"))
    assert.deepStrictEqual(store.family("requests_total")!.definition.labelValues, { method: ["GET", "PUT"] })
    const frame = store.frames().take(0, 1)
    assert.deepStrictEqual(frame.counters.series.map((series) => series.definition.name), ["requests_total", "requests_total"])
  })

  it("gives labels one value, and adds up the series that become one by it", () => {
    const { metrics, store } = view("*", { constantLabels: { region: "eu", user: "all" } })
    const handle = metrics.bind(Requests, { method: "GET", route: "/", user: "a" })
    handle.incrementUnsafe()
    metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", route: "/", user: "b" })
    store.remove(Requests, { method: "GET", route: "/", user: "whoever" })
    handle.incrementUnsafe()
    assert.deepStrictEqual(shown(store, "http_requests_total"), [[{ method: "GET", route: "/", region: "eu", user: "all" }, 3]])
  })

  it("adds up all labels", () => {
    const { metrics, store } = view("http_requests_total", { labels: { method: false, route: false, user: false } })
    for (const user of ["a", "b"]) metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", route: "/", user })
    metrics.incrementCounterUnsafe(Requests, 1, { user: "c", route: "/", method: "PUT" })
    assert.deepStrictEqual(shown(store, "http_requests_total"), [[{}, 3]])
  })

  it("has the last word on buckets", () => {
    const { metrics, store } = fresh({ views: [{ name: "latency_*", buckets: [10, 20, 30] }], buckets: { latency_seconds: [5] } })
    metrics.observeHistogramUnsafe(Latency, 15, { route: "/" })
    const family = store.family("latency_seconds")!
    assert.deepStrictEqual(family.definition.buckets, [10, 20, 30])
    assert.deepStrictEqual([0, 1, 2, 3].map((i) => family.bucket(family.series[0]!, i)), [0, 1, 0, 0])
  })

  it.each([
    ["two metrics of one name", [{ name: "http_requests_total", rename: "same_total" }, { name: "other_total", rename: "same_total" }], /other_total.*same_total.*http_requests_total/],
    ["a name that is taken", [{ name: "other_total", rename: "http_requests_total" }], /other_total.*called already/],
    ["a label twice", [{ name: "other_total", labels: { a: "b" } }], /other_total.*label "b" twice/]
  ])("that makes %s is refused in words, and harms no other metric", (_, views, message) => {
    const { metrics, store } = fresh({ views: views as NonNullable<Settings["views"]> })
    const Other = MetricDefinition.counter("other_total", { help: "x", labelNames: ["a", "b"] })
    metrics.incrementCounterUnsafe(Requests, 1, { method: "GET", route: "/", user: "a" })
    assert.match(store.declare(Other)!.message, message)
    metrics.incrementCounterUnsafe(Other, 1, { a: "1", b: "2" })
    assert.deepStrictEqual(store.refusals(), { conflict: 1 })
    assert.strictEqual(store.families().length, 1)
    assert.match(store.problems()[0]!, message)
  })

  it.effect("comes from the configuration", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const { store } = yield* Telemetry
      yield* metrics.incrementCounter(Requests, 1, { method: "GET", route: "/", user: "a" })
      yield* metrics.incrementCounter("elsewhere_total")
      assert.deepStrictEqual(shown(store, "web_requests_total"), [[{ method: "GET" }, 1]])
      assert.strictEqual(store.refusals()["allowlist"], 1)
    }).pipe(Effect.provide(Layer.provide(
      Telemetry.layer,
      ObservabilityConfig.layer({
        metrics: { allow: { metrics: ["http_*"], labels: ["method"] }, views: [{ name: "http_requests_total", rename: "web_requests_total" }] }
      })
    ))))
})
