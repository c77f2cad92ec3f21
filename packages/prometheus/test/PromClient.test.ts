import { Exposition, MetricDefinition, MetricsRecorder, ObservabilityConfig, StandardMetrics, Telemetry } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as prom from "prom-client"
import { Prometheus } from "../src/index.ts"
import { type OpenMetricsPage, parseOpenMetrics } from "./support/parseOpenMetrics.ts"
import { type ParsedPage, parseText } from "./support/parseText.ts"

const labels = { method: "GET", path: "/", status: "200" }

const page = Effect.gen(function*() {
  const exposition = yield* Exposition
  return parseText((yield* exposition.page).body)
})
const openMetrics = Effect.gen(function*() {
  const { body } = yield* (yield* Exposition).render("application/openmetrics-text")
  return parseOpenMetrics(yield* Stream.mkString(Stream.decodeText(body)), { foreign: true })
})
const value = (page: ParsedPage | OpenMetricsPage, name: string, wanted: Readonly<Record<string, string>> = {}): number | undefined =>
  page.samples.find((sample) => sample.name === name && Object.keys(wanted).every((key) => sample.labels[key] === wanted[key]))?.value

const openMetricsRegistry = (): prom.Registry => {
  const registry: prom.Registry<any> = new prom.Registry()
  registry.setContentType(prom.Registry.OPENMETRICS_CONTENT_TYPE)
  return registry
}

const reason = Effect.map(Telemetry, (telemetry) => telemetry.reports().find((one) => one.name === "prometheus")?.reason)

const Turnover = MetricDefinition.histogram("turnover_euros", { help: "Turnover", unit: "euros", labelNames: ["shop"], buckets: [1, 10] })

const recordSome = Effect.gen(function*() {
  const metrics = yield* MetricsRecorder
  yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 2, labels)
  yield* metrics.incrementCounter("declared_later_total", 5, { kind: "new \"one\"\\\n" })
  yield* metrics.incrementCounter("odd_count", 1)
  yield* metrics.observeHistogram(Turnover, 5, { shop: "a" })
  yield* metrics.observeSummary("size_bytes", 5)
  yield* metrics.setGauge("queue_depth", 9)
})

describe("the program's registry on our page", () => {
  const registry = new prom.Registry()
  registry.setDefaultLabels({ app: "shop", region: "eu" })
  new prom.Counter({ name: "theirs_total", help: "Theirs", labelNames: ["a"], registers: [registry] }).inc({ a: "x\"\\\n" }, 4)
  new prom.Gauge({ name: "queue_depth", help: "Same name as ours", registers: [registry] }).set(1)
  new prom.Gauge({ name: "own_region", help: "Has a default label of its own", labelNames: ["region"], registers: [registry] }).set({ region: "us" }, 1)
  new prom.Histogram({ name: "theirs_seconds", help: "Theirs", buckets: [1, 2], registers: [registry] }).observe(1.5)
  new prom.Summary({ name: "their_sizes", help: "Theirs", percentiles: [0.5], registers: [registry] }).observe(3)
  const broken = new prom.Gauge({ name: "broken", help: "Throws", registers: [registry], collect: () => Promise.reject(new Error("no database")) })
  broken.set(1)

  it.effect("shows everything of both, and says what it could not show", () =>
    Effect.gen(function*() {
      yield* recordSome
      for (const body of [yield* page, yield* openMetrics]) {
        assert.strictEqual(value(body, "theirs_total", { a: "x\"\\\n", app: "shop", region: "eu" }), 4)
        assert.strictEqual(value(body, "queue_depth"), 9)
        assert.strictEqual(value(body, "own_region", { region: "us", app: "shop" }), 1)
        assert.strictEqual(value(body, "theirs_seconds_count"), 1)
        assert.strictEqual(value(body, "their_sizes", { quantile: "0.5" }), 3)
        assert.strictEqual(value(body, "declared_later_total", { kind: "new \"one\"\\\n" }), 5)
        assert.isUndefined(value(body, "broken"))
      }
      assert.match((yield* reason)!, /queue_depth.*broken \(Error: no database\)/)
    }).pipe(Effect.provide(Prometheus.layer({ registry }))))

  it.effect("takes a registry of OpenMetrics, exemplars and all", () => {
    const open = openMetricsRegistry()
    const counter = new prom.Counter({ name: "jobs_total", help: "Jobs", registers: [open], enableExemplars: true })
    counter.inc({ value: 2, exemplarLabels: { trace_id: "0af7651916cd43dd8448eb211c80319c" } } as never)
    // prom-client checks the length itself; metrics that other code registers may not.
    const exemplar = { labelSet: { why: "x".repeat(126) }, value: 1, timestamp: NaN }
    open.registerMetric({ name: "long_total", type: "counter", get: async () => ({ name: "long", help: "", type: "counter", values: [{ value: 1, labels: {}, exemplar }] }) } as never)
    return Effect.gen(function*() {
      for (let i = 0; i < 2; i++) {
        assert.strictEqual(value(yield* page, "jobs_total"), 2)
        const body = yield* openMetrics
        const jobs = body.samples.find(({ name }) => name === "jobs_total")
        assert.deepStrictEqual({ ...jobs?.exemplar?.labels }, { trace_id: "0af7651916cd43dd8448eb211c80319c" })
        assert.isUndefined(body.samples.find(({ name }) => name === "long_total")?.exemplar)
        // Its own rendering takes `_total` off the name it registered under.
        yield* Effect.promise(() => open.metrics())
      }
    }).pipe(Effect.provide(Prometheus.layer({ registry: open })))
  })

  it.effect("leaves out what would spoil the page", () => {
    const registry = new prom.Registry()
    const values = (labels: object, value: unknown = 1, metricName?: string) => ({ labels, value, metricName })
    const hostile = { "a b": [values({})], "c\u001b[2J\nd": [values({})], __: [values({})], fine: [values({ __name__: "x" }), values({ "a.b": "x" }), values({ ok: "1" }, "1"), values({ ok: "2" }, 2, "other"), undefined, null, 7, { value: 1, labels: { get x() { throw new Error("x") } } }, values({ ok: "3" }, 3)] }
    for (const [name, values] of Object.entries(hostile)) {
      registry.registerMetric({ name, type: "gauge", get: async () => ({ name, help: "a\nb\n# TYPE evil counter\n", type: "gauge", values }) } as never)
    }
    registry.registerMetric({ name: "nonsense", type: "gauge", get: async () => 7 } as never)
    return Effect.gen(function*() {
      for (const body of [yield* page, yield* openMetrics]) {
        const theirs = body.samples.filter(({ name }) => !name.startsWith("obs_"))
        assert.deepStrictEqual(theirs.map(({ labels, name, value }) => [name, { ...labels }, value]), [["fine", { ok: "3" }, 3]])
      }
      assert.match((yield* reason)!, /^[ -~]*a b, c \[2J.*__.*fine[ -~]*$/)
    }).pipe(Effect.provide(Prometheus.layer({ registry, targetInfo: false })))
  })

  it.effect("brings the process metrics", () =>
    Effect.gen(function*() {
      assert.isAbove(value(yield* page, "process_resident_memory_bytes")!, 1e6)
      assert.isAbove(value(yield* openMetrics, "process_cpu_seconds_total")!, 0)
    }).pipe(Effect.provide(Prometheus.layer({ processMetrics: true }))))

  it.effect("does not mind the same process metrics twice", () => {
    const theirs = new prom.Registry()
    prom.collectDefaultMetrics({ register: theirs })
    return Effect.gen(function*() {
      assert.isAbove(value(yield* page, "process_resident_memory_bytes")!, 1e6)
      assert.isUndefined(yield* reason)
    }).pipe(Effect.provide(Prometheus.layer({ registry: theirs, processMetrics: true })))
  })
})

describe("our metrics in the program's registry", () => {
  for (const type of ["text", "OpenMetrics"] as const) {
    it.effect(`are read as ${type}, and leave with the scope`, () => {
      const registry = type === "text" ? new prom.Registry() : openMetricsRegistry()
      new prom.Gauge({ name: "queue_depth", help: "Same name as ours", registers: [registry] }).set(1)
      // prom-client puts empty lines between families, which OpenMetrics does not allow and Prometheus overlooks.
      const read = Effect.map(
        Effect.promise(() => registry.metrics()),
        (text) => type === "text" ? parseText(text) : parseOpenMetrics(text.replaceAll("\n\n", "\n"))
      )
      return Effect.gen(function*() {
        yield* recordSome
        for (let i = 0; i < 2; i++) {
          const body = yield* read
          assert.strictEqual(value(body, "http_requests_total", labels), 2)
          assert.strictEqual(value(body, "declared_later_total", { kind: "new \"one\"\\\n" }), 5)
          assert.strictEqual(value(body, "odd_count"), 1)
          assert.strictEqual(value(body, "turnover_euros_bucket", { le: "10.0" }), 1)
          assert.strictEqual(value(body, "turnover_euros_bucket", { le: "+Inf" }), 1)
          assert.strictEqual(value(body, "turnover_euros_sum"), 5)
          assert.strictEqual(value(body, "size_bytes_count"), 1)
          assert.strictEqual(value(body, "queue_depth"), 1)
        }
        const ours = yield* page
        assert.strictEqual(value(ours, "queue_depth"), 9)
        assert.match((yield* reason)!, /queue_depth/)
      }).pipe(
        Effect.provide(Prometheus.layer({ registry, register: true })),
        Effect.andThen(read),
        Effect.map((after) => assert.deepStrictEqual(after.samples.map(({ name }) => name), ["queue_depth"]))
      )
    })
  }

  it.effect("follow prefix and default labels", () => {
    const registry = new prom.Registry()
    return Effect.gen(function*() {
      yield* recordSome
      const body = parseText(yield* Effect.promise(() => registry.metrics()))
      assert.strictEqual(value(body, "app_queue_depth", { team: "x" }), 9)
    }).pipe(
      Effect.provide(Prometheus.layer({ registry, register: true })),
      Effect.provide(ObservabilityConfig.layer({ metrics: { prefix: "app", defaultLabels: { team: "x" } } }))
    )
  })

  it.effect("are added up by prom-client's own cluster page", () => {
    const worker = () => {
      const registry = new prom.Registry()
      new prom.Gauge({ name: "queue_depth", help: "Hides ours", registers: [registry] }).set(1)
      return Effect.andThen(recordSome, Effect.promise(() => registry.getMetricsAsJSON())).pipe(
        Effect.provide(Layer.fresh(Prometheus.layer({ registry, register: true })))
      )
    }
    return Effect.gen(function*() {
      const answers = [yield* worker(), yield* worker()]
      // As over the IPC channel of a cluster.
      const merged = prom.AggregatorRegistry.aggregate(JSON.parse(JSON.stringify(answers)))
      const body = parseText(yield* Effect.promise(() => merged.metrics()))
      assert.strictEqual(value(body, "http_requests_total", labels), 4)
      assert.strictEqual(value(body, "turnover_euros_bucket", { le: "10.0" }), 2)
      assert.strictEqual(value(body, "turnover_euros_count"), 2)
      assert.strictEqual(value(body, "queue_depth"), 2)
      assert.isFalse(body.types.has("obs_left_out_queue_depth"))
    })
  })
})
