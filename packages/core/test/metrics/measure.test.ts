import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Schema, Scheduler, Tracer as EffectTracer, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Label, Memory, MemoryBackend, MetricDefinition, MetricsRecorder, ObservabilityConfig, ObservabilityTracer, Telemetry, Tracer } from "../../src/index.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"
import * as Recorder from "../../src/metrics/MetricsRecorder.ts"

const Checkout = MetricDefinition.operation("checkout", { help: "Orders checked out", labelNames: ["channel"], errorType: true, buckets: [1, 10] })
const Duration = MetricDefinition.histogram("work_duration_seconds", { help: "x", unit: "seconds", labelNames: ["kind"] })
const Wait = MetricDefinition.summary("wait_seconds", { help: "x", unit: "seconds" })
const Ends = MetricDefinition.counter("ends_total", { help: "x", labelNames: ["kind", "outcome"] })
const Calls = MetricDefinition.counter("calls_total", { help: "x" })
const Import = MetricDefinition.longTask("import", { help: "Imports that run", labelNames: ["source"] })

class Declined extends Schema.TaggedError<Declined>()("Declined", {}) {}

const ways: ReadonlyArray<readonly [outcome: string, errorType: string, effect: Effect.Effect<unknown, unknown>]> = [
  ["success", "", Effect.succeed(1)],
  ["failure", "Declined", Effect.fail(new Declined())],
  ["failure", "TypeError", Effect.fail(new TypeError("x"))],
  ["failure", "string", Effect.fail("no funds")],
  ["failure", "_OTHER", Effect.fail({ _tag: "a b\n" })],
  ["failure", "_OTHER", Effect.fail({ get _tag() { throw new Error("trap") } })],
  ["failure", "_OTHER", Effect.fail(null)],
  ["defect", "RangeError", Effect.die(new RangeError("x"))],
  ["defect", "RangeError", Effect.failCause(Cause.fromReasons([...Cause.fail("x").reasons, ...Cause.die(new RangeError("x")).reasons]))],
  ["interrupted", "", Effect.interrupt]
]

describe("observe", () => {
  it.effect.each(ways)("tells %s %s", ([outcome, errorType, effect]) =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const exit = yield* Effect.exit(metrics.observe(Checkout, effect, { channel: "web" }))
      // The effect ends as it would without.
      assert.deepStrictEqual(Exit.isSuccess(exit), outcome === "success")
      assert.strictEqual(yield* memory.getCounterValue("checkout_total", { channel: "web", outcome, error_type: errorType }), 1)
      assert.strictEqual(yield* memory.getCounterValue("checkout_total"), 1)
      assert.strictEqual((yield* memory.getHistogramValues("checkout_duration_seconds", { channel: "web" })).length, 1)
      assert.deepStrictEqual((yield* memory.spans).map((span) => span.name), ["checkout"])
    }).pipe(Effect.provide(Memory.layer())))

  it.effect("measures with Effect's clock, inside the span", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const inner = Effect.andThen(Effect.sleep("3 seconds"), Effect.map(Effect.currentSpan, (span) => span.name))
      const fiber = yield* Effect.forkChild(metrics.observe(Checkout, inner, { channel: "web" }))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "checkout")
      assert.deepStrictEqual(yield* memory.getHistogramValues(Checkout.duration), [3])
    }).pipe(Effect.provide(Memory.layer())))

  it.effect("leaves the call's own span as exemplar of its duration", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const { store } = yield* Telemetry
      yield* metrics.observe(Checkout, Effect.void, { channel: "web" }).pipe(Effect.withSpan("request"))
      const span = (yield* (yield* MemoryBackend).spans).find((one) => one.name === "checkout")!
      const family = store.family("checkout_duration_seconds")!
      assert.strictEqual(family.exemplar(family.series[0]!, 0)?.spanId, span.spanId)
    }).pipe(Effect.provide(Memory.layer())))

  it("counts each effect that began exactly once, wherever it is interrupted", () => {
    let ends = 0
    for (let at = 1; at < 60; at++) {
      const store = MetricStore.make({ maxSeriesPerMetric: 10, maxSeries: 100, maxMetrics: 10, buckets: {} }, () => 0)
      const metrics = Recorder.make(store)
      let began = 0
      const body = Effect.andThen(Effect.sync(() => { began++ }), Effect.forEach([1, 2, 3], () => Effect.void))
      const fiber = Effect.runFork(metrics.longTask(Import, metrics.observe(Checkout, metrics.counted(Ends, body, { kind: "a" }), { channel: "web" }), { source: "s" }), {
        scheduler: interruptingAt(at)
      })
      assert.isDefined(fiber.pollUnsafe())
      const sum = (name: string) => (store.family(name)?.series ?? []).reduce((all, series) => all + store.family(name)!.value(series), 0)
      const count = (name: string) => (store.family(name)?.series ?? []).reduce((all, series) => all + store.family(name)!.count(series), 0)
      assert.strictEqual(count("checkout_duration_seconds"), sum("checkout_total"))
      assert.isAtLeast(sum("checkout_total"), began)
      assert.isAtLeast(sum("ends_total"), began)
      assert.isAtMost(sum("ends_total"), 1)
      assert.strictEqual(sum("import_active"), 0)
      ends += sum("checkout_total")
    }
    assert.isAbove(ends, 40)
  })

  it("ends every span it opened, wherever it is interrupted", () => {
    let opened = 0
    for (let at = 1; at < 60; at++) {
      let open = 0
      const tracer = ObservabilityTracer.make({ active: () => true, now: () => 0, onEnd: () => { open-- } })
      const span = tracer.span.bind(tracer)
      tracer.span = (options) => {
        open++
        opened++
        return span(options)
      }
      const store = MetricStore.make({ maxSeriesPerMetric: 10, maxSeries: 100, maxMetrics: 10, buckets: {} }, () => 0)
      const metrics = Recorder.make(store, (name) => Tracer.withSpan(name))
      const fiber = Effect.runForkWith(Context.make(EffectTracer.Tracer, tracer))(
        metrics.observe(Checkout, Effect.forEach([1, 2, 3], () => Effect.void), { channel: "web" }),
        { scheduler: interruptingAt(at) }
      )
      assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(open, 0)
    }
    assert.isAbove(opened, 40)
  })

  it.effect("makes the span also when metrics are switched off", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      assert.strictEqual(yield* metrics.observe(Checkout, Effect.succeed(5), { channel: "web" }), 5)
      assert.strictEqual(yield* metrics.timed(Duration, Effect.succeed(6), { kind: "a" }), 6)
      assert.strictEqual(yield* metrics.longTask(Import, Effect.succeed(7), { source: "a" }), 7)
      yield* Effect.scoped(metrics.registerGauge(Depth, () => 1))
      assert.deepStrictEqual((yield* memory.spans).map((span) => span.name), ["checkout"])
      assert.strictEqual(yield* memory.getCounterValue("checkout_total"), 0)
    }).pipe(Effect.provide(Memory.layer().pipe(Layer.provide(ObservabilityConfig.layer({ metrics: { enabled: false } }))))))

  it("refuses labels that it adds itself", () => {
    assert.throws(() => MetricDefinition.operation("a", { help: "x", labelNames: ["outcome"] }), /labelNames has "outcome", which the operation adds itself/)
    assert.throws(() => MetricDefinition.operation("a b", { help: "x" }), /name must match/)
  })
})

/** Interrupts the fiber before its n-th operation. */
const interruptingAt = (n: number): Scheduler.Scheduler => {
  const inner = new Scheduler.MixedScheduler("sync")
  let operations = 0
  return {
    executionMode: "sync",
    makeDispatcher: () => inner.makeDispatcher(),
    shouldYield: (fiber) => {
      if (++operations === n) fiber.interruptUnsafe()
      return false
    }
  }
}

describe("timed and counted", () => {
  it.effect("take any end, with labels by definition", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const work = Effect.sleep("2 seconds")
      const fiber = yield* Effect.forkChild(Effect.all([
        metrics.timed(Duration, work, { kind: "a" }),
        Effect.exit(metrics.timed(Duration, Effect.andThen(work, Effect.fail("x")), { kind: "b" })),
        metrics.timed(Wait, work),
        Effect.exit(metrics.counted(Ends, Effect.die("x"), { kind: "c" })),
        metrics.counted(Calls, Effect.void)
      ], { concurrency: "unbounded" }))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* memory.getHistogramValues(Duration), [2, 2])
      assert.deepStrictEqual((yield* memory.getSummaryValue(Wait)).count, 1)
      assert.strictEqual(yield* memory.getCounterValue(Ends, { kind: "c", outcome: "defect" }), 1)
      assert.strictEqual(yield* memory.getCounterValue(Calls), 1)
    }).pipe(Effect.provide(Memory.layer())))

  it.effect("from untyped code are counted and leave the effect alone", () =>
    Effect.gen(function*() {
      const metrics = (yield* MetricsRecorder) as unknown as {
        readonly [call in "timed" | "counted"]: (metric: unknown, self: Effect.Effect<number>, labels?: unknown) => Effect.Effect<number>
      }
      for (const metric of ["", null, undefined, 5, {}, "a b", Calls]) {
        assert.strictEqual(yield* metrics.timed(metric, Effect.succeed(1)), 1)
        assert.strictEqual(yield* metrics.counted(metric, Effect.succeed(2), null), 2)
      }
      const { store } = yield* Telemetry
      assert.isAbove(store.refusals()["invalid_name"]!, 5)
      assert.strictEqual(store.refusals()["wrong_type"], 1)
    }).pipe(Effect.provide(Memory.layer())))
})

describe("a long task", () => {
  it.effect("shows what runs, and for how long", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const gate = yield* Deferred.make<void>()
      const state = Effect.all([
        memory.getGaugeValue("import_active"),
        memory.getGaugeValue("import_duration_seconds"),
        memory.getGaugeValue("import_max_duration_seconds")
      ])
      const first = yield* Effect.forkChild(metrics.longTask(Import, Deferred.await(gate), { source: "s" }))
      yield* TestClock.adjust("10 seconds")
      const second = yield* Effect.forkChild(metrics.longTask(Import, Effect.never, { source: "s" }))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* state, [2, 20, 15])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      assert.deepStrictEqual(yield* state, [1, 5, 5])
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(yield* state, [0, 0, 0])
    }).pipe(Effect.provide(Memory.layer())))
})

const Depth = MetricDefinition.gauge("queue_depth", { help: "x" })
const Depths = MetricDefinition.gauge("queue_depths", { help: "x", labelNames: ["queue"] })

describe("registerGauge", () => {
  it.effect("reads when somebody looks, until its scope closes", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      let depth = 1
      const queues = ["a", "b"]
      yield* Effect.scoped(Effect.gen(function*() {
        yield* metrics.registerGauge(Depth, () => depth)
        yield* metrics.registerGauge(Depths, () => queues.map((queue, i) => [{ queue }, (i + 1) * depth]))
        assert.strictEqual(yield* memory.getGaugeValue(Depth), 1)
        depth = 5
        assert.strictEqual(yield* memory.getGaugeValue(Depth), 5)
        assert.strictEqual(yield* memory.getGaugeValue(Depths, { queue: "b" }), 10)
        queues.pop()
        assert.deepStrictEqual((yield* memory.describe(Depths)).map((one) => one.labels), [{ queue: "a" }])
      }))
      assert.strictEqual(yield* memory.getGaugeValue(Depth), undefined)
      assert.deepStrictEqual(yield* memory.describe(Depths), [])
    }).pipe(Effect.provide(Memory.layer())))

  it.effect("a read that throws or gives no number is counted, and the others go on", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const { store } = yield* Telemetry
      const untyped = metrics.registerGauge as unknown as (metric: unknown, read: () => unknown) => Effect.Effect<void, never, Scope.Scope>
      const endless = { *[Symbol.iterator]() { for (;;) yield [{ queue: "a" }, 1] } }
      for (const wrong of [() => { throw new Error("x") }, () => [["a"]], () => [null], () => endless]) yield* untyped(Depths, wrong)
      for (const wrong of [() => NaN, () => Infinity, () => "1", () => null, () => undefined, () => Promise.resolve(1)]) yield* untyped(Depth, wrong)
      yield* metrics.registerGauge(Depth, () => 3)
      assert.strictEqual(yield* memory.getGaugeValue(Depth), 3)
      const { invalid_value, read_failed } = store.refusals()
      assert.isAtLeast(invalid_value!, 5)
      assert.isAtLeast(read_failed!, 3)
    }).pipe(Effect.scoped, Effect.provide(Memory.layer())))

  it.effect("runs an Effect every so often; one that hangs or dies is counted", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const { store } = yield* Telemetry
      let asked = 0
      yield* metrics.registerGauge(Depth, Effect.sync(() => ++asked), { every: "1 minute" })
      yield* metrics.registerGauge(Depths, Effect.never, { every: "1 minute", timeout: "5 seconds" })
      yield* metrics.registerGauge(Depths, Effect.die("x"), { every: "1 minute" })
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* memory.getGaugeValue(Depth), 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* memory.getGaugeValue(Depth), 2)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(store.refusals()["read_failed"], 4)
    }).pipe(Effect.scoped, Effect.provide(Memory.layer())))

  it.effect("what a read said before it threw ends with the scope", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const broken = {
        *[Symbol.iterator](): Generator<readonly [{ readonly queue: string }, number]> {
          yield [{ queue: "a" }, 1]
          throw new Error("x")
        }
      }
      yield* Effect.scoped(Effect.gen(function*() {
        yield* metrics.registerGauge(Depths, () => broken)
        assert.strictEqual(yield* memory.getGaugeValue(Depths, { queue: "a" }), 1)
      }))
      assert.deepStrictEqual(yield* memory.describe(Depths), [])
    }).pipe(Effect.provide(Memory.layer())))

  it.effect("an Effect that was interrupted is asked again", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const { store } = yield* Telemetry
      let asked = 0
      yield* metrics.registerGauge(Depth, Effect.suspend(() => ++asked === 2 ? Effect.interrupt : Effect.succeed(asked)), { every: "1 minute" })
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* memory.getGaugeValue(Depth), 3)
      assert.strictEqual(store.refusals()["read_failed"], 1)
    }).pipe(Effect.scoped, Effect.provide(Memory.layer())))
})

describe("labels of a region", () => {
  const Tenant = MetricDefinition.counter("tenant_calls_total", { help: "x", labelNames: ["route", "tenant"] })
  const untyped = (metrics: MetricsRecorder["Service"], labels: {}) => metrics.incrementCounter(Tenant, 1, labels as never)

  it.effect("fill what a metric declares and a call leaves out: the innermost region, then the process", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const { store } = yield* Telemetry
      const read = (tenant: string) => memory.getCounterValue(Tenant, { tenant })
      const call = untyped(metrics, { route: "/" })
      yield* call
      yield* call.pipe(MetricsRecorder.withLabels({ tenant: "a", color: "red" }))
      yield* Effect.forEach([1, 2], () => call, { concurrency: 2 }).pipe(MetricsRecorder.withLabels({ tenant: "b" }), MetricsRecorder.withLabels({ tenant: "c" }))
      // What the call says counts.
      yield* untyped(metrics, { route: "/", tenant: "d" }).pipe(MetricsRecorder.withLabels({ tenant: "e" }))
      yield* metrics.observe(Op, Effect.void).pipe(MetricsRecorder.withLabels({ tenant: "f" }))
      assert.deepStrictEqual(yield* Effect.all(["house", "a", "b", "c", "d", "e"].map(read)), [1, 1, 2, 0, 1, 0])
      assert.strictEqual(yield* memory.getCounterValue(Op.total, { tenant: "f", outcome: "success" }), 1)
      assert.deepStrictEqual(store.refusals(), {})
    }).pipe(Effect.provide(Memory.layer().pipe(Layer.provide(ObservabilityConfig.layer({ metrics: { defaultLabels: { tenant: "house" } } }))))))

  const Op = MetricDefinition.operation("op", { help: "x", labelNames: [Label.ambient("tenant")] })

  it.effect("from untyped code do no harm", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const memory = yield* MemoryBackend
      const trap = new Proxy({}, { ownKeys: () => { throw new Error("trap") } })
      for (const labels of [null, undefined, 5, trap, { tenant: { toString: () => { throw new Error("x") } } }, { __proto__: { tenant: "x" } }]) {
        yield* untyped(metrics, { route: "/" }).pipe(MetricsRecorder.withLabels(labels as never))
      }
      assert.strictEqual(yield* memory.getCounterValue(Tenant, { tenant: "" }), 6)
    }).pipe(Effect.provide(Memory.layer())))
})
