import { assert, describe, it } from "@effect/vitest"
import { MetricDefinition, MetricsRecorder, Telemetry, Tracer } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { OpenTelemetry } from "../src/index.ts"
import type { Protocol } from "../src/OpenTelemetryConfig.ts"
import { allExported } from "./support/books.ts"
import { collector, itemsOf } from "./support/collector.ts"
import { mockServer } from "./support/mockServer.ts"
import { attributesOf } from "./support/reading.ts"

const Orders = MetricDefinition.counter("orders_total", { help: "Orders", labelNames: ["channel"] })

const program = Effect.gen(function*() {
  const metrics = yield* MetricsRecorder
  yield* metrics.incrementCounter(Orders, 3, { channel: "web" })
  const ids = yield* Effect.map(Effect.orDie(Effect.currentSpan), (span) => ({ traceId: span.traceId, spanId: span.spanId })).pipe(
    Effect.tap(() => Effect.logWarning("stock is low")),
    Effect.withSpan("child", { attributes: { n: 1, text: "请求", real: 0.5 } }),
    Effect.withSpan("root", { kind: "server" })
  )
  yield* (yield* Telemetry).flush
  yield* allExported()
  return ids
})

/** Ids as hex, whichever way they came. */
const hex = (id: string | { readonly data: Array<number> }, length: number): string =>
  typeof id === "object" ? Buffer.from(id.data).toString("hex") : id.length === length ? id : Buffer.from(id, "base64").toString("hex")

describe("a receiver not written here", () => {
  for (const protocol of ["http/protobuf", "http/json", "grpc"] as const satisfies ReadonlyArray<Protocol>) {
    it.live(`takes spans and metrics over ${protocol}`, () =>
      Effect.gen(function*() {
        const server = yield* mockServer
        const ids = yield* Effect.provide(program, OpenTelemetry.layer({ endpoint: protocol === "grpc" ? server.grpc : server.http, protocol }))
        yield* Effect.sleep("50 millis")
        const spans = server.requests.flatMap(({ kind, message }) => kind === "traces" ? itemsOf(message, "resourceSpans", "scopeSpans", "spans") : [])
        assert.deepEqual(spans.map(({ name }) => name), ["child", "root"])
        const [child, root] = spans
        assert.deepEqual([hex(child.traceId, 32), hex(child.spanId, 16)], [ids.traceId, ids.spanId])
        assert.strictEqual(hex(child.parentSpanId, 16), hex(root.spanId, 16))
        assert.deepEqual(attributesOf(child.attributes), { n: 1, text: "请求", real: 0.5 })
        assert.isTrue(BigInt(root.startTimeUnixNano) <= BigInt(child.startTimeUnixNano) && BigInt(child.endTimeUnixNano) <= BigInt(root.endTimeUnixNano))
        const metrics = server.requests.flatMap(({ kind, message }) => kind === "metrics" ? itemsOf(message, "resourceMetrics", "scopeMetrics", "metrics") : [])
        const orders = metrics.filter(({ name }) => name === "orders_total").at(-1)
        assert.strictEqual(orders.sum.dataPoints[0].asDouble, 3)
        const logs = server.requests.flatMap(({ kind, message }) => kind === "logs" ? itemsOf(message, "resourceLogs", "scopeLogs", "logRecords") : [])
        assert.deepEqual(logs.map(({ body, severityText, traceId }) => [body.stringValue, severityText, hex(traceId, 32)]), [["stock is low", "WARN", ids.traceId]])
      }).pipe(Effect.scoped))
  }

  it.live("takes compressed gRPC messages", () =>
    Effect.gen(function*() {
      const server = yield* mockServer
      yield* Effect.provide(program, OpenTelemetry.layer({ endpoint: server.grpc, protocol: "grpc", compression: "gzip" }))
      yield* Effect.sleep("50 millis")
      assert.deepEqual(server.requests.flatMap(({ kind, message }) => kind === "traces" ? itemsOf(message, "resourceSpans", "scopeSpans", "spans") : []).map(({ name }) => name), ["child", "root"])
    }).pipe(Effect.scoped))
})

describe("exceptions", () => {
  for (const [exceptions, events, records] of [["logs", 0, 1], ["events", 1, 0], ["both", 1, 1]] as const) {
    for (const protocol of ["http/protobuf", "http/json"] as const) {
      it.live(`as ${exceptions} over ${protocol}`, () =>
        Effect.gen(function*() {
          const receiver = yield* collector()
          yield* Effect.gen(function*() {
            yield* Effect.fail(new TypeError("no funds")).pipe(Effect.withErrorReporting, Effect.withSpan("charge"), Effect.ignore)
            yield* (yield* Telemetry).flush
            yield* allExported()
          }).pipe(Effect.provide(OpenTelemetry.layer({ endpoint: receiver.url, protocol, exceptions })))
          assert.deepEqual(receiver.problems, [])
          const [span] = receiver.spans()
          assert.strictEqual((span.events ?? []).filter(({ name }: any) => name === "exception").length, events)
          assert.strictEqual(span.status.code, 2)
          const found = receiver.logs().map((one) => attributesOf(one.attributes)).filter((own) => own["event.name"] === "exception")
          assert.deepEqual(found.map((own) => [own["exception.type"], own["exception.message"]]), Array.from({ length: records }, () => ["TypeError", "no funds"]))
          for (const one of receiver.logs()) assert.deepEqual([one.traceId, one.spanId, one.flags], [span.traceId, span.spanId, 1])
        }).pipe(Effect.scoped))
    }
  }
})

describe("a strict receiver", () => {
  for (const protocol of ["http/protobuf", "http/json"] as const) {
    it.live(`takes what is compressed over ${protocol}`, () =>
      Effect.gen(function*() {
        const receiver = yield* collector()
        yield* Effect.provide(program, OpenTelemetry.layer({ endpoint: receiver.url, protocol, compression: "gzip", headers: { "x-tenant": "a" } }))
        assert.deepEqual(receiver.problems, [])
        assert.deepEqual(receiver.spans().map(({ name }) => name), ["child", "root"])
        const first = receiver.received.find(({ signal }) => signal === "traces")
        assert.strictEqual(first!.headers["content-encoding"], "gzip")
        assert.strictEqual(first!.headers["x-tenant"], "a")
        assert.match(first!.headers["user-agent"]!, /^effect-observability\//)
        const resource = attributesOf(first!.message["resourceSpans"][0].resource.attributes)
        assert.containsSubset(resource, {
          "service.name": "unknown_service",
          "deployment.environment.name": "dev",
          "telemetry.sdk.name": "effect-observability",
          "telemetry.sdk.language": "nodejs",
          "process.pid": process.pid,
          "process.runtime.name": "nodejs"
        })
        assert.match(String(resource["service.instance.id"]), /^.+$/)
      }).pipe(Effect.scoped))
  }

  it.live("sees each signal where it was told to go, and nothing of what was switched off", () =>
    Effect.gen(function*() {
      const one = yield* collector()
      const other = yield* collector()
      yield* Effect.provide(
        program,
        OpenTelemetry.layer({ endpoint: `${one.url}/prefix/`, traces: { endpoint: `${other.url}/intake/v1/traces?key=1`, headers: { a: "b" } }, metrics: { protocol: "http/json" } })
      )
      assert.deepEqual([...new Set(one.received.map(({ url }) => url))].toSorted(), ["/prefix/v1/logs", "/prefix/v1/metrics"])
      assert.deepEqual([...new Set(other.received.map(({ url }) => url))], ["/intake/v1/traces?key=1"])
      assert.strictEqual(other.received[0]!.headers["a"], "b")
      yield* Effect.provide(program, Layer.fresh(OpenTelemetry.layer({ endpoint: one.url, metrics: false, logs: false })))
      assert.deepEqual(one.received.filter(({ url }) => !url.startsWith("/prefix")).map(({ signal }) => signal), ["traces"])
    }).pipe(Effect.scoped))

  it.live("gets everything recorded before the scope closed, and the spans that were open", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      yield* Effect.gen(function*() {
        const tracer = yield* Tracer
        yield* tracer.withSpan(Effect.void, "done")
        yield* Effect.forkDetach(tracer.withSpan(Effect.never, "open"), { startImmediately: true })
      }).pipe(Effect.provide(OpenTelemetry.layer({ endpoint: receiver.url })))
      assert.deepEqual(receiver.spans().map(({ name }) => name), ["done", "open"])
      assert.strictEqual(attributesOf(receiver.spans()[1].attributes)["span.unfinished"], true)
      assert.isTrue(receiver.metrics().some(({ name }) => name === "span_duration_seconds"))
    }).pipe(Effect.scoped))
})
