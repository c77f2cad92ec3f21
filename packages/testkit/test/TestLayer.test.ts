import { MetricDefinition, MetricsHistory, MetricsRecorder, Telemetry, TraceHistory } from "@effect-observability/core"
import { expectCounter, expectGauge, expectHistogram, expectLedgerBalanced, expectNoSpans, expectSpan, TestLayer } from "@effect-observability/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Tracer as EffectTracer } from "effect"

const Orders = MetricDefinition.counter("orders_placed_total", { help: "Orders", labelNames: ["channel"] })
const Depth = MetricDefinition.gauge("depth", { help: "Depth" })
const Seconds = MetricDefinition.histogram("seconds", { help: "Seconds" })

const charge = Effect.fn("charge")(function*(cents: number) {
  yield* Effect.annotateCurrentSpan({ cents })
})
const checkout = Effect.fn("checkout")(function*(channel: string) {
  const metrics = yield* MetricsRecorder
  yield* metrics.incrementCounter(Orders, 1, { channel })
  yield* charge(500)
})

const message = (expectation: Effect.Effect<void, { readonly message: string }, any>) => Effect.map(Effect.flip(expectation), (error) => error.message)

describe("TestLayer", () => {
  it.effect("answers what was recorded", () =>
    Effect.gen(function*() {
      yield* expectNoSpans
      yield* checkout("web")
      yield* expectCounter(Orders, { channel: "web" }).toBe(1)
      yield* expectCounter("orders_placed_total").toBe(1)
      yield* expectSpan("checkout").hasChild("charge")
      yield* expectSpan("charge").hasAttribute("cents", 500)
      const metrics = yield* MetricsRecorder
      yield* metrics.setGauge(Depth, 3)
      yield* expectGauge(Depth).toBe(3)
      yield* metrics.observeHistogram(Seconds, 0.1)
      yield* metrics.observeHistogram(Seconds, 0.2)
      yield* expectHistogram(Seconds).toHaveValues([0.1, 0.2])
      yield* expectHistogram(Seconds).toHaveCount(2)
      yield* expectHistogram(Seconds).toHaveSum(0.3)
      yield* (yield* Telemetry).flush
      const history = yield* (yield* MetricsHistory).getMetricsHistory({ name: "orders_placed_total", startTime: 0, endTime: 1e15 })
      assert.strictEqual(history.reduce((sum, point) => sum + point.value, 0), 1)
      const [trace] = yield* (yield* TraceHistory).getRecentTraces()
      assert.strictEqual(trace?.name, "checkout")
      assert.strictEqual(trace?.spanCount, 2)
      yield* expectLedgerBalanced
    }).pipe(Effect.provide(TestLayer)))

  it.effect("starts empty for the next test", () => Effect.provide(Effect.andThen(expectNoSpans, expectCounter(Orders).toBe(0)), TestLayer))

  it.effect("says what was recorded instead", () =>
    Effect.gen(function*() {
      yield* checkout("web")
      yield* checkout("shop")
      assert.strictEqual(
        yield* message(expectCounter(Orders, { channel: "web" }).toBe(2)),
        `expected counter orders_placed_total{channel="web"} to be 2, got 1; recorded were:
  orders_placed_total{channel="web"} 1
  orders_placed_total{channel="shop"} 1`
      )
      assert.strictEqual(
        yield* message(expectGauge("nothing").toBe(1)),
        `expected gauge nothing to be 1, got nothing; recorded were:
  nothing was recorded under this name`
      )
      assert.strictEqual(
        yield* message(expectSpan("charge").hasChild("checkout")),
        `expected a span "charge" with a child "checkout", recorded were:
  checkout
    charge cents=500
  checkout
    charge cents=500`
      )
      assert.include(yield* message(expectNoSpans), "expected no spans")
    }).pipe(Effect.provide(TestLayer)))

  it.effect("knows order, kinds, links, events and messages of spans", () =>
    Effect.gen(function*() {
      const step = (name: string) => Effect.withSpan(Effect.void, name)
      const remote = EffectTracer.externalSpan({ traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: true })
      yield* Effect.gen(function*() {
        yield* step("validate")
        yield* step("reserve")
        const span = yield* Effect.currentSpan
        span.event("cache miss", 1n, { key: "a", size: 2 })
        yield* Effect.fail(new Error("card declined")).pipe(Effect.withSpan("charge", { kind: "client", links: [{ span: remote, attributes: {} }] }), Effect.ignore)
      }).pipe(Effect.withSpan("checkout", { kind: "server", attributes: { tags: ["a", "b"] } }))
      const checkout = expectSpan("checkout")
      yield* checkout.hasChildren(["validate", "reserve", "charge"])
      yield* checkout.isRoot
      yield* checkout.hasKind("server")
      yield* checkout.toHaveCount(1)
      yield* checkout.hasAttribute("tags", ["a", "b"])
      yield* checkout.hasEvent("cache miss", { key: "a" })
      yield* expectSpan("charge").hasParent("checkout")
      yield* expectSpan("charge").hasStatus("error", "declined")
      yield* expectSpan("charge").hasLink(remote.traceId, remote.spanId)
      yield* expectSpan("validate").isBefore("reserve")
      const wrong = yield* Effect.forEach([
        checkout.hasChildren(["reserve", "validate", "charge"]), checkout.hasChildren(["validate"]), checkout.hasKind("client"), checkout.toHaveCount(2), checkout.hasParent("x"),
        checkout.hasAttribute("tags", ["a"]), checkout.hasEvent("cache miss", { key: "b" }), checkout.hasEvent("other"), expectSpan("charge").isRoot,
        expectSpan("charge").hasStatus("error", "expired"), expectSpan("charge").hasLink("3".repeat(32)), expectSpan("reserve").isBefore("validate"), checkout.isBefore("charge")
      ], message)
      for (const one of wrong) assert.include(one, "recorded were:\n  checkout (server)")
      assert.strictEqual(
        wrong[0],
        `expected a span "checkout" with the children "reserve", "validate", "charge" in this order, recorded were:
  checkout (server) tags=["a","b"]
    · cache miss key="a" size=2
    validate
    reserve
    charge (client) ✗ Error: card declined error.type="Error"
      · exception exception.type="Error" exception.message="card declined" effect.cause="fail"
      → ${remote.traceId} ${remote.spanId}`
      )
    }).pipe(Effect.provide(TestLayer)))
})
