import { Diagnostics, Ledger, Memory, MemoryBackend, type SpanData, StandardMetrics, Telemetry, Tracer } from "@effect-observability/core"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { HttpInstrumentation } from "../../src/index.ts"

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/orders/:id", Effect.as(Effect.withSpan(Effect.void, "load order"), HttpServerResponse.text("order"))),
  HttpRouter.add("GET", "/health", Effect.as(Effect.withSpan(Effect.void, "check"), HttpServerResponse.text("ok")))
)

const App = HttpRouter.serve(routes.pipe(Layer.provide(HttpInstrumentation.layer)), { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(HttpInstrumentation.serverSpanOff),
  Layer.provideMerge(NodeHttpServer.layerTest),
  Layer.provideMerge(Memory.layer())
)

const only = (spans: ReadonlyArray<SpanData>, name: string, kind: SpanData["kind"]): SpanData => {
  const found = spans.filter((span) => span.name === name && span.kind === kind)
  assert.strictEqual(found.length, 1, `spans ${name}`)
  return found[0]!
}

describe("a program with the hub, a server and a client", () => {
  it.live("sees one trace through both, one count, and a balanced ledger", () =>
    Effect.gen(function*() {
      const tracer = yield* Tracer
      const backend = yield* MemoryBackend
      const answer = yield* HttpClient.get("/orders/7").pipe(tracer.withSpan("checkout"))
      assert.strictEqual(yield* answer.text, "order")
      yield* (yield* Telemetry).flush

      const spans = yield* backend.spans
      assert.strictEqual(spans.length, 4)
      const checkout = only(spans, "checkout", "internal")
      const client = only(spans, "GET", "client")
      const server = only(spans, "GET /orders/:id", "server")
      const inner = only(spans, "load order", "internal")
      assert.strictEqual(new Set(spans.map((span) => span.traceId)).size, 1)
      assert.isUndefined(checkout.parentSpanId)
      assert.strictEqual(client.parentSpanId, checkout.spanId)
      assert.strictEqual(server.parentSpanId, client.spanId)
      assert.strictEqual(inner.parentSpanId, server.spanId)
      assert.strictEqual(answer.headers["traceresponse"], `00-${server.traceId}-${server.spanId}-01`)

      const labels = { method: "GET", path: "/orders/:id" }
      assert.strictEqual(yield* backend.getCounterValue(StandardMetrics.HttpRequestsTotal, { ...labels, status: "200" }), 1)
      assert.strictEqual((yield* backend.getHistogramValues(StandardMetrics.HttpRequestDuration, labels)).length, 1)
      assert.deepStrictEqual(yield* backend.getHistogramValues(StandardMetrics.HttpResponseSize, labels), [5])

      const report = yield* (yield* Diagnostics).report
      assert.deepStrictEqual(report.imbalances, [])
      for (const { signals } of report.components) {
        for (const { ledger } of signals) assert.isUndefined(Ledger.imbalance(ledger))
      }
    }).pipe(Effect.provide(App)))

  it.live("keeps quiet about ignored paths, whoever asks", () =>
    Effect.gen(function*() {
      const backend = yield* MemoryBackend
      for (let i = 0; i < 10; i++) yield* HttpClient.get("/health")
      const spans = yield* backend.spans
      assert.deepStrictEqual(spans.filter((span) => span.kind !== "client"), [])
      assert.deepStrictEqual(yield* backend.describe(StandardMetrics.HttpRequestsTotal), [])
    }).pipe(Effect.provide(App)))
})
