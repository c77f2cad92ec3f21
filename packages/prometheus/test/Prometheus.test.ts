import { Exposition, MetricDefinition, MetricsRecorder, ObservabilityConfig, StandardMetrics, Telemetry } from "@effect-observability/core"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter } from "effect/http"
import * as fc from "fast-check"
import { createServer } from "node:net"
import * as prom from "prom-client"
import { Prometheus } from "../src/index.ts"
import { layerServer } from "../src/node.ts"
import { parseText } from "./support/parseText.ts"

const labels = { method: "GET", path: "/", status: "200" }

const page = Effect.gen(function*() {
  const exposition = yield* Exposition
  return (yield* exposition.page).body
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

  it.effect("survives whatever names, labels, helps and values arrive, and keeps every value", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              name: fc.oneof(fc.stringMatching(/^[a-z_]{1,6}$/), fc.string({ maxLength: 12 }), fc.constantFrom("__proto__", "constructor", "a.b", "a\n# TYPE evil counter\nevil 1", "请求")),
              help: fc.string({ unit: "binary" }),
              label: fc.oneof(fc.stringMatching(/^[a-z_]{1,4}$/), fc.string({ maxLength: 6 }), fc.constantFrom("le", "quantile", "__name__", "__proto__")),
              value: fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.constantFrom("\ud800", "\u0000", "\u2028", "\"} 1\nevil_total 999\nx{y=\"")),
              amount: fc.oneof(fc.nat(1e6), fc.double())
            }),
            { minLength: 1, maxLength: 12 }
          ),
          (records) =>
            Effect.runPromise(
              Effect.gen(function*() {
                const metrics = yield* MetricsRecorder
                const { store } = yield* Telemetry
                for (const { amount, label, name, value } of records) {
                  metrics.incrementCounterUnsafe(name, amount, { [label]: value })
                  metrics.setGaugeUnsafe(`g_${name}`, amount, { [label]: value })
                  metrics.observeHistogramUnsafe(`h_${name}`, amount, { [label]: value })
                }
                for (const { help, label, name } of records) {
                  try {
                    const Defined = MetricDefinition.counter(`d_${name}`, { help, labelNames: [label] })
                    metrics.incrementCounterUnsafe(Defined, 1, { [label]: help })
                  } catch (error) {
                    assert.instanceOf(error, MetricDefinition.MetricDefinitionError)
                  }
                }
                const { samples, types } = parseText(yield* page)
                assert.isFalse(types.has("evil"))
                for (const family of store.families()) {
                  if (!["counter", "gauge"].includes(family.definition.type) || family.definition.name.startsWith("obs_")) continue
                  const names = samples.filter((sample) => sample.name === family.definition.name)
                  // A family whose name another one owns is left out as a whole, and reported.
                  if (names.length === 0) continue
                  for (const series of family.series) {
                    const found = names.find((sample) =>
                      family.definition.labelNames.every((name, i) => (sample.labels[name] ?? "") === series.labelValues[i]!.toWellFormed()))
                    assert.strictEqual(found?.value, family.value(series) + 0)
                  }
                }
              }).pipe(Effect.provide(Prometheus.layer()), Effect.scoped)
            )
        ),
        { numRuns: 250 }
      )
    ), 60_000)
})

describe("prom-client", () => {
  it.effect("the program's own registry joins our page, and ours joins its", () => {
    const registry = new prom.Registry()
    const theirs = new prom.Counter({ name: "theirs_total", help: "Theirs", labelNames: ["a"], registers: [registry] })
    new prom.Gauge({ name: "queue_depth", help: "Same name as ours", registers: [registry] }).set(1)
    theirs.inc({ a: "x" }, 4)
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 2, labels)
      yield* metrics.incrementCounter("declared_later_total", 5, { kind: "new" })
      yield* metrics.observeHistogram(StandardMetrics.HttpRequestDuration, 0.2, { method: "GET", path: "/" })
      yield* metrics.setGauge("queue_depth", 9)
      const body = yield* page
      assert.strictEqual(value(body, "theirs_total", { a: "x" }), 4)
      assert.strictEqual(value(body, "queue_depth"), 9)
      const other = yield* Effect.promise(() => registry.metrics())
      const sample = (name: string, wanted: string) => other.split("\n").find((line) => line.startsWith(`${name}{`) && line.includes(wanted))
      assert.strictEqual(sample("http_requests_total", "status=\"200\""), "http_requests_total{method=\"GET\",path=\"/\",status=\"200\"} 2")
      assert.strictEqual(sample("declared_later_total", "new"), "declared_later_total{kind=\"new\"} 5")
      assert.isDefined(sample("http_request_duration_seconds_bucket", "le=\"+Inf\""))
      const report = (yield* Telemetry).reports().find((one) => one.name === "prometheus")
      assert.strictEqual(report?.status, "degraded")
      assert.match(report!.reason!, /queue_depth/)
    }).pipe(
      Effect.provide(Prometheus.layer({ registry, register: true })),
      Effect.tap(() =>
        Effect.promise(async () => {
          assert.notInclude(await registry.metrics(), "http_requests_total")
        })
      )
    )
  })

  it.effect("brings the process metrics", () =>
    Effect.gen(function*() {
      assert.isAbove(value(yield* page, "process_resident_memory_bytes")!, 1e6)
    }).pipe(Effect.provide(Prometheus.layer({ processMetrics: true }))))
})

describe("over HTTP", () => {
  const serve = (route: Layer.Layer<never, never, HttpRouter.HttpRouter | Exposition>) =>
    HttpRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layerTest),
      Layer.provideMerge(Prometheus.layer())
    )

  it.live("serves GET and HEAD, not cached", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 2, labels)
      const response = yield* HttpClient.get("/metrics")
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      assert.strictEqual(response.headers["cache-control"], "no-store")
      assert.strictEqual(value(yield* response.text, "http_requests_total", labels), 2)
      assert.strictEqual((yield* HttpClient.head("/metrics")).status, 200)
    }).pipe(Effect.provide(serve(Prometheus.layerRoute()))))

  it.live("asks for the token", () =>
    Effect.gen(function*() {
      const ask = (authorization: string | undefined) =>
        Effect.map(
          HttpClient.execute(HttpClientRequest.get("/m", { headers: authorization === undefined ? {} : { authorization } })),
          (response) => response.status
        )
      for (const wrong of [undefined, "", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret"]) {
        assert.strictEqual(yield* ask(wrong), 401)
      }
      assert.strictEqual(yield* ask("Bearer s3cret"), 200)
    }).pipe(Effect.provide(serve(Prometheus.layerRoute({ path: "/m", token: Redacted.make("s3cret") })))))

  it.live("an empty token lets nobody in", () =>
    Effect.gen(function*() {
      const response = yield* HttpClient.execute(HttpClientRequest.get("/metrics", { headers: { authorization: "Bearer " } }))
      assert.strictEqual(response.status, 401)
    }).pipe(Effect.provide(serve(Prometheus.layerRoute({ token: Redacted.make("") })))))

  it.live("names the port that is taken, the setting and the fix", () =>
    Effect.gen(function*() {
      const blocker = createServer()
      yield* Effect.addFinalizer(() => Effect.sync(() => blocker.close()))
      const port = yield* Effect.callback<number>((resume) => {
        blocker.listen(0, "127.0.0.1", () => resume(Effect.succeed((blocker.address() as { port: number }).port)))
      })
      const exit = yield* Layer.build(layerServer({ port }).pipe(Layer.provide(Prometheus.layer()))).pipe(Effect.exit)
      assert.isTrue(Exit.isFailure(exit))
      assert.match(String(exit), new RegExp(`127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\).*metrics\\.prometheusPort`))
    }))
})
