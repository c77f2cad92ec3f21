import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { MetricDefinition, MetricsRecorder, type SpanData, Telemetry } from "../../src/index.ts"
import { merge, type SeriesExemplar } from "../../src/metrics/MetricFrame.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"
import * as Recorder from "../../src/metrics/MetricsRecorder.ts"

const Latency = MetricDefinition.histogram("latency_seconds", { help: "x", labelNames: ["route"], buckets: [0.1, 1] })
const Quiet = MetricDefinition.histogram("quiet_seconds", { help: "x", buckets: [0.1, 1], exemplars: false })
const Orders = MetricDefinition.counter("orders_total", { help: "x", exemplars: true })
const Plain = MetricDefinition.counter("plain_total", { help: "x" })

const fresh = () => {
  let now = 1000
  const store = MetricStore.make({ maxSeriesPerMetric: 20_000, maxSeries: 100_000, maxMetrics: 100, buckets: {} }, () => now++)
  return { store, metrics: Recorder.make(store) }
}

const ids = (span: Tracer.Span) => ({ traceId: span.traceId, spanId: span.spanId })
const short = ({ bucket, spanId, traceId, value }: SeriesExemplar) => ({ bucket, spanId, traceId, value })

/** A span that says of itself what it is told to. */
const spanOf = (fields: Partial<Tracer.Span>): Tracer.Span =>
  Object.defineProperties({ _tag: "Span", sampled: true }, Object.getOwnPropertyDescriptors(fields)) as Tracer.Span

describe("exemplars", () => {
  it.effect("are taken from the fiber's span by every kind of call, and by no other", () =>
    Effect.gen(function*() {
      const { metrics, store } = fresh()
      metrics.observeHistogramUnsafe(Latency, 0.05, { route: "/" })
      yield* metrics.observeHistogram(Latency, 0.05, { route: "/" })
      const family = store.family("latency_seconds")!
      const series = family.series[0]!
      assert.isUndefined(family.exemplar(series, 0))
      const span = yield* Effect.gen(function*() {
        yield* metrics.observeHistogram(Latency, 0.02, { route: "/" })
        metrics.observeHistogramUnsafe(Latency, 0.5, { route: "/" })
        metrics.bind(Latency, { route: "/" }).observeUnsafe(5)
        yield* metrics.observeHistogram(Quiet, 5)
        yield* metrics.incrementCounter(Orders, 2)
        yield* metrics.incrementCounter(Plain)
        return yield* Effect.currentSpan
      }).pipe(Effect.withSpan("op"))
      assert.deepStrictEqual([0, 1, 2].map((i) => family.exemplar(series, i)?.value), [0.02, 0.5, 5])
      assert.deepInclude(family.exemplar(series, 0), ids(span))
      assert.isUndefined(store.family("quiet_seconds")!.exemplar(store.family("quiet_seconds")!.series[0]!, 2))
      const orders = store.family("orders_total")!
      assert.deepInclude(orders.exemplar(orders.series[0]!), { value: 2, ...ids(span) })
      assert.isUndefined(store.family("plain_total")!.exemplar(store.family("plain_total")!.series[0]!))
    }))

  it.effect("come from sampled spans alone, with ids that are ids", () =>
    Effect.gen(function*() {
      const { metrics, store } = fresh()
      const traceId = "0123456789abcdef0123456789abcdef"
      const spanId = "0123456789abcdef"
      const within = (span: Tracer.AnySpan) =>
        metrics.observeHistogram(Latency, 0.05, { route: "/" }).pipe(Effect.provideService(Tracer.ParentSpan, span))
      const refused: ReadonlyArray<Tracer.AnySpan> = [
        spanOf({ traceId, spanId, sampled: false }),
        spanOf({ traceId: "noop", spanId: "noop" }),
        spanOf({ traceId: "0".repeat(32), spanId }),
        spanOf({ traceId: traceId.toUpperCase(), spanId }),
        spanOf({ traceId: undefined as never, spanId: Symbol("s") as never }),
        spanOf({ get sampled(): boolean { throw new Error("trap") } }),
        spanOf({ traceId, get spanId(): string { throw new Error("trap") } }),
        Tracer.externalSpan({ traceId, spanId, sampled: true, annotations: Context.empty() })
      ]
      for (const span of refused) yield* within(span)
      const family = store.family("latency_seconds")!
      assert.strictEqual(family.count(family.series[0]!), refused.length)
      assert.isUndefined(family.exemplar(family.series[0]!, 0))
      yield* within(spanOf({ traceId, spanId }))
      assert.deepStrictEqual(family.exemplar(family.series[0]!, 0), {
        series: family.series[0]!,
        bucket: 0,
        traceId,
        spanId,
        value: 0.05,
        time: 1002
      } as object)
    }))

  it.effect("one per series, bucket and window; each reader gets each of them once", () =>
    Effect.gen(function*() {
      const { metrics, store } = fresh()
      const a = store.frames()
      const b = store.frames()
      const observe = (value: number) => Effect.withSpan(metrics.observeHistogram(Latency, value, { route: "/" }), "op")
      yield* observe(0.01)
      yield* observe(0.02)
      const first = a.take(0, 1)
      assert.deepStrictEqual(first.exemplars.map(({ value }) => value), [0.01])
      assert.deepStrictEqual(a.take(1, 2).exemplars, [])
      yield* observe(0.03)
      yield* observe(0.5)
      const second = a.take(2, 3)
      assert.deepStrictEqual(second.exemplars.map(({ value }) => value), [0.5])
      store.openExemplarWindow()
      yield* observe(0.04)
      const third = a.take(3, 4)
      assert.deepStrictEqual(third.exemplars.map(({ value }) => value), [0.04])
      assert.deepStrictEqual(b.take(0, 4).exemplars.map(short), [first, second, third].reduce(merge).exemplars.map(short))
    }))

  it.effect("take a bounded number of places; those of series that got none for longest give way", () =>
    Effect.gen(function*() {
      const { metrics, store } = fresh()
      const reader = store.frames()
      yield* Effect.gen(function*() {
        for (let i = 0; i < 15_000; i++) yield* metrics.observeHistogram(Latency, 0.05, { route: `/${i}` })
      }).pipe(Effect.withSpan("op"))
      const family = store.family("latency_seconds")!
      assert.strictEqual(family.series.length, 15_000)
      const held = family.series.filter((series) => family.exemplar(series, 0) !== undefined).length
      assert.isAtLeast(held, 10_000)
      assert.isAtMost(held, 12_500)
      assert.isUndefined(family.exemplar(family.series[0]!, 0))
      assert.isDefined(family.exemplar(family.series.at(-1)!, 0))
      assert.strictEqual(reader.take(0, 1).exemplars.length, held)
    }))

  it.effect("point at recorded spans of the hub, anew every fifteen seconds", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const metrics = yield* MetricsRecorder
      const ended: Array<SpanData> = []
      yield* telemetry.register({
        name: "test",
        kind: "test",
        onSpan: (span) => ended.push(span),
        report: () => ({ name: "test", kind: "test", status: "up", reason: undefined, signals: [] })
      })
      const observe = Effect.withSpan(metrics.observeHistogram(Latency, 0.05, { route: "/" }), "op")
      const family = () => telemetry.store.family("latency_seconds")!
      const newest = () => family().exemplar(family().series[0]!, 0)
      yield* observe
      yield* observe
      assert.strictEqual(newest()?.spanId, ended[0]!.spanId)
      yield* TestClock.adjust("15 seconds")
      yield* observe
      assert.strictEqual(newest()?.spanId, ended[2]!.spanId)
      assert.strictEqual(newest()?.traceId, ended[2]!.traceId)
      assert.strictEqual(newest()?.time, 15_000)
    }).pipe(Effect.provide(Telemetry.layer)))
})
