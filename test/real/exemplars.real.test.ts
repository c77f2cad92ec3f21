import { MetricDefinition, MetricsRecorder, Telemetry, TraceHistory } from "@effect-observability/core"
import { Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually, PrometheusServer } from "../tools/realServers.ts"

const Placed = MetricDefinition.counter("orders_placed_total", { help: "Orders", labelNames: ["channel"], exemplars: true })
const Duration = MetricDefinition.histogram("order_duration_seconds", { help: "Duration", unit: "seconds", labelNames: ["channel"], buckets: [0.1, 1, 10] })

const channels = ["web", "shop", "phone"]
/** One per bucket of every channel. */
const durations = [0.05, 0.5, 5, 50]

it.live("an exemplar that Prometheus scraped leads to its trace in PostgreSQL", () => {
  const dir = mkdtempSync(join(tmpdir(), "obs-exemplars-"))
  const backends = Layer.mergeAll(Prometheus.layer(), Postgres.layerEmbedded({ dir }))
  const app = HttpRouter.serve(Prometheus.layerRoute(), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })),
    Layer.provideMerge(backends)
  )
  return Effect.gen(function*() {
    const metrics = yield* MetricsRecorder
    const { address } = yield* HttpServer.HttpServer
    const prometheus = yield* Effect.acquireRelease(
      Effect.promise(() => PrometheusServer.start({ job: "shop", target: `127.0.0.1:${"port" in address ? address.port : 0}` })),
      (prometheus) => Effect.promise(() => prometheus.dispose())
    )
    const wanted = new Map<string, number>()
    for (const channel of channels) {
      for (const seconds of durations) {
        yield* Effect.withSpan(
          Effect.gen(function*() {
            wanted.set((yield* Effect.currentSpan).traceId, seconds)
            yield* metrics.incrementCounter(Placed, 1, { channel })
            yield* metrics.observeHistogram(Duration, seconds, { channel })
          }),
          "place order",
          { root: true }
        )
      }
    }
    yield* (yield* Telemetry).flush

    const found = yield* Effect.promise(() =>
      eventually("the exemplars", async () => {
        const [buckets, counters] = await Promise.all([prometheus.exemplars("order_duration_seconds_bucket"), prometheus.exemplars("orders_placed_total")])
        return buckets.flatMap(({ exemplars }) => exemplars).length >= wanted.size && counters.length === channels.length ? { buckets, counters } : undefined
      }))
    const history = yield* TraceHistory
    for (const { exemplars, seriesLabels } of [...found.buckets, ...found.counters]) {
      for (const { labels, value } of exemplars) {
        const traceId = labels["trace_id"]!
        const trace = yield* history.getTrace(traceId)
        assert.deepStrictEqual(trace?.spans.map(({ name, spanId }) => [name, spanId]), [["place order", labels["span_id"]]], traceId)
        if (seriesLabels["le"] !== undefined) assert.strictEqual(Number(value), wanted.get(traceId))
      }
    }
    assert.strictEqual(found.buckets.length, channels.length * durations.length)
  }).pipe(
    Effect.scoped,
    Effect.provide(app),
    Effect.ensuring(Effect.sync(() => rmSync(dir, { recursive: true, force: true })))
  )
})
