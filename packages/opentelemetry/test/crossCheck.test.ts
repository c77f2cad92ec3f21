import { assert, describe, it } from "@effect/vitest"
import { MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc"
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http"
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto"
import { ProtobufMetricsSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import { AggregationTemporality, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics"
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace-base"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { OpenTelemetry } from "../src/index.ts"
import type { SpanExporterLike } from "../src/OpenTelemetry.ts"
import { allExported, books } from "./support/books.ts"
import { collector, itemsOf } from "./support/collector.ts"
import { mockServer } from "./support/mockServer.ts"
import { attributesOf } from "./support/reading.ts"
import { readLenientProtobuf, withoutDefaults } from "./support/strict.ts"

// The exporters of OpenTelemetry and of Effect send the same spans to the same strict receiver: what they say must be what we say.

const program = Effect.gen(function*() {
  const span = yield* Effect.currentSpan
  span.event("halfway", 1_700_000_000_123_456_000n, { step: "two", n: 2 })
  span.addLinks([{ span, attributes: { why: "itself" } }])
  yield* Effect.fail(new TypeError("no funds")).pipe(Effect.withSpan("charge", { kind: "client" }), Effect.ignore)
  yield* Effect.interrupt.pipe(Effect.withSpan("stopped"), Effect.exit)
}).pipe(
  Effect.withSpan("root", { kind: "server", attributes: { text: "请求", whole: 7, negative: -7, real: 0.5, flag: false, list: ["a", "b"], numbers: [1, 2], large: 2 ** 40 } })
)

/** Spans by name without what nobody here can know (flags tell whether a parent was remote), and without a status of nothing. */
const shown = (spans: ReadonlyArray<any>) =>
  spans.map(({ flags: _, status, ...span }) => ({
    ...span,
    ...status?.code === undefined ? {} : { status },
    ...span.links === undefined ? {} : { links: span.links.map(({ flags: _, ...link }: any) => link) },
    ...span.attributes === undefined ? {} : { attributes: attributesOf(span.attributes) }
  })).toSorted((a, b) => a.name < b.name ? -1 : 1)

describe("OpenTelemetry's exporters as backends", () => {
  for (
    const [name, make] of [
      ["exporter-trace-otlp-http", (url: string) => new JsonExporter({ url: `${url}/v1/traces` })],
      ["exporter-trace-otlp-proto", (url: string) => new ProtoExporter({ url: `${url}/v1/traces` })]
    ] as const satisfies ReadonlyArray<readonly [string, (url: string) => SpanExporterLike]>
  ) {
    it.live(`${name} sends what we send`, () =>
      Effect.gen(function*() {
        const ours = yield* collector()
        const theirs = yield* collector({ lenient: true })
        yield* Effect.gen(function*() {
          yield* Effect.ignore(program)
          yield* (yield* Telemetry).flush
          yield* allExported("opentelemetry")
          yield* allExported("theirs")
        }).pipe(Effect.provide(Layer.mergeAll(
          OpenTelemetry.layer({ endpoint: ours.url, resource: { team: "a" } }),
          OpenTelemetry.fromSpanExporter(make(theirs.url), { name: "theirs", resource: { team: "a" } })
        )))
        assert.deepEqual(theirs.problems, [])
        assert.strictEqual(ours.spans().length, 3)
        assert.deepEqual(shown(theirs.spans()), shown(withoutDefaults(ours.spans())))
        const resource = ({ received }: typeof ours) => attributesOf(received.find(({ signal }) => signal === "traces")!.message["resourceSpans"][0].resource.attributes)
        assert.deepEqual(resource(theirs), resource(ours))
      }).pipe(Effect.scoped))
  }

  it.live("exporter-trace-otlp-grpc works as one", () =>
    Effect.gen(function*() {
      const server = yield* mockServer
      yield* Effect.gen(function*() {
        yield* Effect.ignore(program)
        yield* (yield* Telemetry).flush
        yield* allExported("span-exporter")
      }).pipe(Effect.provide(OpenTelemetry.fromSpanExporter(new GrpcExporter({ url: server.grpc }))))
      yield* Effect.sleep("50 millis")
      assert.deepEqual(
        server.requests.flatMap(({ message }) => itemsOf(message, "resourceSpans", "scopeSpans", "spans")).map(({ name }) => name),
        ["charge", "stopped", "root"]
      )
    }).pipe(Effect.scoped))

  it.live("its failures are retried or counted, and it is shut down with the scope", () =>
    Effect.gen(function*() {
      const memory = new InMemorySpanExporter()
      let shutdowns = 0
      let calls = 0
      const failing: SpanExporterLike = {
        export: (spans, done) => {
          calls++
          if (calls === 1) return done({ code: 1, error: new Error("away") })
          if (calls === 2) return done({ code: 1, error: Object.assign(new Error("no"), { code: 403 }) })
          if (calls === 3) throw new Error("broken")
          memory.export([...spans], done)
        },
        shutdown: async () => void shutdowns++
      }
      yield* Effect.gen(function*() {
        const { flush } = yield* Telemetry
        yield* Effect.withSpan(Effect.void, "refused")
        yield* flush
        assert.deepEqual((yield* books("span-exporter")).spans.dropped, { "rejected:403": 1 })
        yield* Effect.withSpan(Effect.void, "kept")
        yield* flush
        assert.strictEqual((yield* books("span-exporter")).spans.exported, 1)
        assert.deepEqual(memory.getFinishedSpans().map(({ name }) => name), ["kept"])
        assert.strictEqual(shutdowns, 0)
      }).pipe(Effect.provide(OpenTelemetry.fromSpanExporter(failing)))
      assert.strictEqual(shutdowns, 1)
    }))
})

describe("Effect's own exporter", () => {
  it.live("says the same of the same program", () =>
    Effect.gen(function*() {
      const ours = yield* collector()
      const theirs = yield* collector({ lenient: true })
      yield* Effect.ignore(program).pipe(Effect.provide(OpenTelemetry.layer({ endpoint: ours.url })))
      yield* Effect.ignore(program).pipe(
        Effect.provide(OtlpTracer.layer({ url: `${theirs.url}/v1/traces` , resource: { serviceName: "x" } }).pipe(Layer.provide(Layer.merge(FetchHttpClient.layer, OtlpSerialization.layerProtobuf))))
      )
      assert.deepEqual(theirs.problems, [])
      const view = (spans: ReadonlyArray<any>) => {
        const names = new Map(spans.map(({ name, spanId }) => [spanId, name]))
        return spans.map(({ attributes, events, kind, links, name, parentSpanId, traceId }) => ({
          name,
          kind,
          parent: names.get(parentSpanId),
          oneTrace: traceId === spans[0].traceId,
          // What Effect adds on its own, and what only we add.
          attributes: Object.fromEntries(Object.entries(attributesOf(attributes)).filter(([key]) => !["code.stacktrace", "error.type", "status.interrupted", "span.label"].includes(key))),
          links: links?.map((link: any) => [names.get(link.spanId), attributesOf(link.attributes)]),
          halfway: events?.filter((event: any) => event.name === "halfway").map((event: any) => [event.timeUnixNano, attributesOf(event.attributes)])
        })).toSorted((a, b) => a.name < b.name ? -1 : 1)
      }
      // Its lists of events and links are there when empty.
      const bare = (value: unknown) => JSON.parse(JSON.stringify(value, (_, one) => Array.isArray(one) && one.length === 0 ? undefined : one))
      assert.deepEqual(bare(view(theirs.spans())), bare(view(ours.spans())))
    }).pipe(Effect.scoped))
})

class ManualReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

describe("OpenTelemetry's metrics SDK", () => {
  it.live("says the same of the same measurements", () =>
    Effect.gen(function*() {
      const ours = yield* collector()
      const Orders = MetricDefinition.counter("orders_total", { help: "Orders", labelNames: ["channel"] })
      const Open = MetricDefinition.upDownCounter("open_sockets", { help: "Sockets" })
      const Depth = MetricDefinition.gauge("queue_depth", { help: "Depth" })
      const Latency = MetricDefinition.histogram("latency_seconds", { help: "Latency", unit: "seconds", buckets: [0.1, 1] })
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* metrics.incrementCounter(Orders, 2, { channel: "web" })
        yield* metrics.incrementCounter(Orders, 3.5, { channel: "shop" })
        yield* metrics.incrementCounter(Open, 3)
        yield* metrics.incrementCounter(Open, -1)
        yield* metrics.setGauge(Depth, 5)
        for (const value of [0.05, 0.1, 0.5, 7]) yield* metrics.observeHistogram(Latency, value)
        yield* (yield* Telemetry).flush
        yield* allExported()
      }).pipe(Effect.provide(OpenTelemetry.layer({ endpoint: ours.url })))

      const reader = new ManualReader({ aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE })
      const meter = new MeterProvider({ resource: resourceFromAttributes({}), readers: [reader] }).getMeter("m")
      const orders = meter.createCounter("orders_total", { description: "Orders" })
      orders.add(2, { channel: "web" })
      orders.add(3.5, { channel: "shop" })
      const open = meter.createUpDownCounter("open_sockets", { description: "Sockets" })
      open.add(3)
      open.add(-1)
      meter.createGauge("queue_depth", { description: "Depth" }).record(5)
      const latency = meter.createHistogram("latency_seconds", { description: "Latency", unit: "s", advice: { explicitBucketBoundaries: [0.1, 1] } })
      for (const value of [0.05, 0.1, 0.5, 7]) latency.record(value)
      const { resourceMetrics } = yield* Effect.promise(() => reader.collect())
      const theirs = itemsOf(readLenientProtobuf("metrics", ProtobufMetricsSerializer.serializeRequest(resourceMetrics)!), "resourceMetrics", "scopeMetrics", "metrics")

      const timeless = (metric: any) => JSON.parse(JSON.stringify(withoutDefaults(metric), (key, value) => /TimeUnixNano$|^timeUnixNano$/.test(key) ? undefined : value))
      const byName = (metrics: ReadonlyArray<any>) => Object.fromEntries(theirs.map(({ name }) => [name, timeless(metrics.find((one) => one.name === name))]))
      assert.deepEqual(Object.keys(byName(theirs)).toSorted(), ["latency_seconds", "open_sockets", "orders_total", "queue_depth"])
      assert.deepEqual(byName(ours.metrics().toReversed()), byName(theirs))
    }).pipe(Effect.scoped))
})
