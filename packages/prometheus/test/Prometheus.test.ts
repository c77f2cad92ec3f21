import { Exposition, MetricDefinition, MetricsRecorder, ObservabilityConfig, StandardMetrics, Telemetry } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Metric, Stream } from "effect"
import * as fc from "fast-check"
import { Prometheus } from "../src/index.ts"
import { differences, expectedSamples, hostileMetric, record, sampleKey } from "./support/hostile.ts"
import { parseOpenMetrics } from "./support/parseOpenMetrics.ts"
import { parseText } from "./support/parseText.ts"

const labels = { method: "GET", path: "/", status: "200" }

const page = Effect.gen(function*() {
  const exposition = yield* Exposition
  return (yield* exposition.page).body
})

const openMetrics = Effect.gen(function*() {
  const { body } = yield* (yield* Exposition).render("application/openmetrics-text")
  return yield* Stream.mkString(Stream.decodeText(body))
})

const value = (body: string, name: string, wanted: Readonly<Record<string, string>> = {}): number | undefined =>
  parseText(body).samples.find((sample) => sample.name === name && Object.keys(wanted).every((key) => sample.labels[key] === wanted[key]))?.value

describe("the page", () => {
  it.effect("shows counters, gauges, histograms and summaries", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const Size = MetricDefinition.summary("size_bytes", { help: "Size", objectives: { "0.5": 0.05 } })
      const InFlight = MetricDefinition.upDownCounter("in_flight", { help: "In flight" })
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 3, labels)
      yield* metrics.setGauge("queue_depth", -2.5)
      yield* metrics.observeHistogram(StandardMetrics.HttpRequestDuration, 0.05, { method: "GET", path: "/" })
      yield* metrics.observeHistogram(StandardMetrics.HttpRequestDuration, 99, { method: "GET", path: "/" })
      yield* metrics.observeSummary(Size, 10)
      yield* metrics.incrementCounter(InFlight, 2)
      const body = yield* page
      const { helps, types } = parseText(body)
      assert.strictEqual(value(body, "http_requests_total", labels), 3)
      assert.strictEqual(value(body, "queue_depth"), -2.5)
      assert.strictEqual(value(body, "http_request_duration_seconds_bucket", { le: "0.01" }), 0)
      assert.strictEqual(value(body, "http_request_duration_seconds_bucket", { le: "0.05" }), 1)
      assert.strictEqual(value(body, "http_request_duration_seconds_bucket", { le: "+Inf" }), 2)
      assert.strictEqual(value(body, "http_request_duration_seconds_sum"), 99.05)
      assert.strictEqual(value(body, "size_bytes_count"), 1)
      assert.isBelow(Math.abs(value(body, "size_bytes", { quantile: "0.5" })! - 10), 0.11)
      assert.strictEqual(types.get("in_flight"), "gauge")
      assert.strictEqual(types.get("http_request_duration_seconds"), "histogram")
      assert.strictEqual(helps.get("http_requests_total"), "Total number of HTTP requests")
    }).pipe(Effect.provide(Prometheus.layer())))

  it.effect("puts prefix and default labels on, but no prefix on obs_*", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 1, labels)
      const body = yield* page
      assert.strictEqual(value(body, "app_http_requests_total", { team: "a\"b\\c\nd", ...labels }), 1)
      assert.isDefined(value(body, "obs_series"))
    }).pipe(Effect.provide(
      Prometheus.layer().pipe(Layer.provide(ObservabilityConfig.layer({ metrics: { prefix: "app", defaultLabels: { team: "a\"b\\c\nd" } } })))
    )))

  it.effect("follows a metric of Effect that gets a label the whole page has already", () =>
    Effect.gen(function*() {
      const requests = Metric.counter("requests_total", { incremental: true })
      const read = Effect.map(page, (body) =>
        parseText(body).samples.filter(({ name }) => name === "requests_total").map(({ labels, value }) => [labels["env"], labels["path"], value]))
      yield* Metric.update(Metric.withAttributes(requests, { path: "/" }), 1)
      assert.deepStrictEqual(yield* read, [["prod", "/", 1]])
      yield* Metric.update(Metric.withAttributes(requests, { path: "/", env: "test" }), 1)
      // A metric's own label wins, an absent one is absent.
      assert.deepStrictEqual(yield* read, [[undefined, "/", 1], ["test", "/", 1]])
    }).pipe(
      Effect.provide(Prometheus.layer().pipe(Layer.provide(ObservabilityConfig.layer({ metrics: { defaultLabels: { env: "prod" } } })))),
      Effect.provideService(Metric.MetricRegistry, new Map())
    ))

  it.effect("survives whatever names, labels, helps and values arrive, and keeps every value in both formats", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.array(hostileMetric, { minLength: 1, maxLength: 20, size: "max" }), (hostile) =>
          Effect.runPromise(
            Effect.gen(function*() {
              const metrics = yield* MetricsRecorder
              const { store } = yield* Telemetry
              for (const one of hostile) record(metrics, one)
              const text = parseText(yield* page)
              const open = parseOpenMetrics(yield* openMetrics)
              const expected = expectedSamples(store)
              for (const { samples } of [text, open]) {
                const ours = samples.filter(({ name }) => !name.startsWith("obs_"))
                assert.deepStrictEqual(differences(expected, new Map(ours.map((sample) => [sampleKey(sample.name, sample.labels), sample.value]))), [])
              }
              assert.isFalse(text.types.has("evil"))
            }).pipe(Effect.provide(Prometheus.layer({ targetInfo: false })), Effect.scoped)
          )),
        { numRuns: 200 }
      )
    ), 60_000)

  it.effect("keeps the sum of a million label values exact, and knows which label it was", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const { store } = yield* Telemetry
      for (let i = 0; i < 1_000_000; i++) metrics.incrementCounterUnsafe("visits_total", 1, { method: i % 7 === 0 ? "POST" : "GET", visitor: `v${i}` })
      const { samples } = parseText(yield* page)
      const visits = samples.filter(({ name }) => name === "visits_total")
      assert.strictEqual(visits.reduce((sum, { value }) => sum + value, 0), 1_000_000)
      assert.isAtMost(visits.length, 2_001)
      assert.deepStrictEqual(store.cardinality().map(({ label, metric }) => [metric, label]), [["visits_total", "visitor"]])
    }).pipe(Effect.provide(Prometheus.layer())))

  it.live("never shows a counter falling, nor a histogram at odds with itself, while the program records", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const Work = MetricDefinition.histogram("work_seconds", { help: "Work", labelNames: ["n"] })
      let n = 0
      const burst = Effect.sync(() => {
        for (let i = 0; i < 500; i++, n++) {
          metrics.incrementCounterUnsafe("work_total", 1, { n: `${(n * 7919) % 1_900}` })
          metrics.observeHistogramUnsafe(Work, n % 12, { n: `${n % 300}` })
        }
      })
      const recording = yield* Effect.forkChild(Effect.forever(Effect.andThen(burst, Effect.yieldNow)))
      const last = new Map<string, number>()
      for (let scrape = 0; scrape < 15; scrape++) {
        // The strict parser checks that buckets rise and end in the count.
        for (const { labels, name, value } of parseOpenMetrics(yield* openMetrics).samples) {
          const key = sampleKey(name, labels)
          if (!/_(total|bucket|count|sum)$/.test(name)) continue
          assert.isAtLeast(value, last.get(key) ?? 0, key)
          last.set(key, value)
        }
      }
      yield* Fiber.interrupt(recording)
      assert.isAbove(n, 1_000)
    }).pipe(Effect.provide(Prometheus.layer())))
})
