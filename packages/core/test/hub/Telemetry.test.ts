import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Diagnostics, Exporter, Health, Ledger, type Listener, MetricDefinition, type MetricFrame, MetricsRecorder, ObservabilityConfig, type SpanData, StandardMetrics, Telemetry } from "../../src/index.ts"

const labels = { method: "GET", path: "/", status: "200" }

/** A backend that keeps what it is sent. */
const backend = (name: string, sent: Array<MetricFrame>, spans: Array<SpanData>) =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const frames = yield* telemetry.exportFrames({
        name,
        interval: 1000,
        exporter: { export: (batch) => Effect.sync(() => (sent.push(...batch), Exporter.complete)) }
      })
      const processor = yield* telemetry.exportSpans({
        name,
        exporter: { export: (batch) => Effect.sync(() => (spans.push(...batch), Exporter.complete)) }
      })
      const signal = (of: "metrics" | "spans", pipe: typeof frames | typeof processor) => ({
        signal: of,
        ledger: pipe.ledger(),
        queuedItems: pipe.status().queuedItems,
        queuedBytes: pipe.status().queuedBytes,
        oldestAgeMillis: pipe.status().oldestAgeMillis,
        lastError: undefined
      })
      const listener: Listener = {
        name,
        kind: "test",
        onSpan: (span) => processor.offerUnsafe(span),
        flush: Effect.andThen(frames.flush, processor.flush),
        report: () => ({ name, kind: "test", status: "up", reason: undefined, signals: [signal("metrics", frames), signal("spans", processor)] })
      }
      yield* telemetry.register(listener)
    })
  ).pipe(Layer.provideMerge(Telemetry.layer))

const increase = (frames: ReadonlyArray<MetricFrame>, name: string): number =>
  frames.reduce((sum, { counters }) => sum + counters.series.reduce((inner, series, i) => series.definition.name === name ? inner + counters.values[i]! : inner, 0), 0)

describe("the hub", () => {
  it.effect("frames go on when the wall clock is set back by an hour", () => {
    const sent: Array<MetricFrame> = []
    return Effect.gen(function*() {
      const inner = yield* Clock.Clock
      let set = 7_200_000
      const clock: Clock.Clock = {
        currentTimeMillisUnsafe: () => inner.currentTimeMillisUnsafe() + set,
        currentTimeMillis: Effect.sync(() => inner.currentTimeMillisUnsafe() + set),
        currentTimeNanosUnsafe: () => inner.currentTimeNanosUnsafe() + BigInt(set) * 1_000_000n,
        currentTimeNanos: Effect.sync(() => inner.currentTimeNanosUnsafe() + BigInt(set) * 1_000_000n),
        monotonicTimeNanosUnsafe: () => inner.monotonicTimeNanosUnsafe(),
        monotonicTimeNanos: inner.monotonicTimeNanos,
        sleep: (duration) => inner.sleep(duration)
      }
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        for (let i = 0; i < 10; i++) {
          if (i === 3) set -= 3_600_000
          metrics.incrementCounterUnsafe(StandardMetrics.HttpRequestsTotal, 1, labels)
          yield* TestClock.adjust("1 second").pipe(Effect.provideService(Clock.Clock, inner))
        }
        assert.strictEqual(sent.length, 10)
        assert.strictEqual(increase(sent, "http_requests_total"), 10)
        assert.isTrue(sent.every(({ endTime, startTime }) => startTime <= endTime))
      }).pipe(Effect.provide(backend("a", sent, [])), Effect.provideService(Clock.Clock, clock))
    })
  })

  it.effect("two backends side by side share one store and get everything once", () => {
    const a: Array<MetricFrame> = []
    const b: Array<MetricFrame> = []
    const spans: Array<SpanData> = []
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const telemetry = yield* Telemetry
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 2, labels).pipe(Effect.withSpan("work"))
      yield* TestClock.adjust("1 second")
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 3, labels)
      yield* telemetry.flush
      assert.strictEqual(increase(a, "http_requests_total"), 5)
      assert.strictEqual(increase(b, "http_requests_total"), 5)
      assert.deepStrictEqual(spans.map((span) => span.name), ["work", "work"])
      assert.strictEqual(a[0]!.endTime % 1000, 0)
      const report = yield* (yield* Diagnostics).report
      assert.deepStrictEqual(report.components.map((component) => component.name), ["a", "b"])
      for (const component of report.components) {
        for (const { ledger } of component.signals) assert.strictEqual(Ledger.imbalance(ledger), undefined)
      }
      assert.strictEqual(report.status, "up")
    }).pipe(Effect.provide(Layer.mergeAll(backend("a", a, spans), backend("b", b, spans))))
  })

  it.effect("what was recorded last is delivered when the program ends", () => {
    const frames: Array<MetricFrame> = []
    const spans: Array<SpanData> = []
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 7, labels).pipe(Effect.withSpan("last"))
      }).pipe(Effect.provide(backend("a", frames, spans)))
      assert.strictEqual(increase(frames, "http_requests_total"), 7)
      assert.strictEqual(spans.length, 1)
    })
  })

  it.effect("a backend whose sink is away is not ready, and the program lives", () =>
    Effect.gen(function*() {
      const away = Layer.effectDiscard(Effect.gen(function*() {
        const telemetry = yield* Telemetry
        yield* telemetry.register({ name: "away", kind: "test", report: () => ({ name: "away", kind: "test", status: "down", reason: "refused", signals: [] }) })
        yield* telemetry.register({ name: "broken", kind: "test", report: () => { throw new Error("bug") } })
      })).pipe(Layer.provideMerge(Telemetry.layer))
      const health = yield* Effect.provide(Effect.flatMap(Health, (one) => one.check), away)
      assert.deepStrictEqual([health.status, health.live, health.ready], ["down", true, false])
      assert.deepStrictEqual(health.components.map((one) => [one.name, one.status, one.reason]), [["away", "down", "refused"], ["broken", "down", "its report threw"]])
      const alone = yield* Effect.provide(Effect.flatMap(Health, (one) => one.check), Telemetry.layer)
      assert.deepStrictEqual([alone.status, alone.ready], ["up", true])
    }))

  it.live("with its sink hung a backend closes within the shutdown timeout, all its queues together", () =>
    Effect.gen(function*() {
      const hung: Exporter.Exporter<unknown> = { export: () => Effect.uninterruptible(Effect.never), giveUp: () => Effect.uninterruptible(Effect.never) }
      const books: Array<() => ReturnType<typeof Ledger.imbalance>> = []
      const layer = Layer.effectDiscard(Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const frames = yield* telemetry.exportFrames({ name: "hung", interval: 60_000, exporter: hung })
        const spans = yield* telemetry.exportSpans({ name: "hung", exporter: hung })
        books.push(() => Ledger.imbalance(frames.ledger()), () => Ledger.imbalance(spans.ledger()))
        yield* telemetry.register({
          name: "hung",
          kind: "test",
          onSpan: (span) => spans.offerUnsafe(span),
          report: () => ({ name: "hung", kind: "test", status: "down", reason: "hung", signals: [] })
        })
      })).pipe(Layer.provideMerge(Telemetry.layer), Layer.provide(ObservabilityConfig.layer({ shutdownTimeout: 0.5 })))
      let before = 0
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 1, labels).pipe(Effect.withSpan("work"))
        before = performance.now()
      }).pipe(Effect.provide(layer))
      assert.isBelow(performance.now() - before, 600)
      for (const imbalance of books) assert.strictEqual(imbalance(), undefined)
    }))

  it.effect("an idle program makes no spans of its own over 100 flushes", () => {
    const spans: Array<SpanData> = []
    return Effect.gen(function*() {
      const telemetry = yield* Telemetry
      for (let i = 0; i < 100; i++) {
        yield* telemetry.flush
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(spans.length, 0)
    }).pipe(Effect.provide(backend("a", [], spans)))
  })

  it.effect("names two backends that are called the same", () =>
    Effect.gen(function*() {
      const exit = yield* Layer.build(Layer.mergeAll(backend("a", [], []), Layer.fresh(Layer.empty), Layer.suspend(() => backend("a", [], [])))).pipe(Effect.scoped, Effect.exit)
      assert.isTrue(Exit.isFailure(exit))
      assert.match(String(exit), /two backends are named "a"/)
    }))

  it.effect("refuses settings given to one backend only", () =>
    Effect.gen(function*() {
      const other = backend("b", [], []).pipe(Layer.provide(ObservabilityConfig.layer({ env: "prod" })))
      const exit = yield* Layer.build(Layer.mergeAll(backend("a", [], []), other)).pipe(Effect.scoped, Effect.exit)
      assert.match(String(exit), /given other settings than the hub/)
    }))

  it.effect("a standard name gives way to the program's own definition, until it is used", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const { store } = yield* Telemetry
      const Mine = MetricDefinition.counter("http_requests_total", { help: "Mine", labelNames: ["verb"] })
      yield* metrics.incrementCounter(Mine, 2, { verb: "GET" })
      const family = store.family("http_requests_total")!
      assert.deepStrictEqual(family.definition.labelNames, ["verb"])
      assert.strictEqual(family.value(family.series[0]!), 2)
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 1, labels)
      assert.deepStrictEqual(store.refusals(), { conflict: 1 })
      const { metrics: { problems } } = yield* (yield* Diagnostics).report
      assert.match(problems[0]!, /"http_requests_total": labelNames is \[method, path, status\], but it was declared before with \[verb\]/)
    }).pipe(Effect.provide(Telemetry.layer)))

  it.effect("declaring one name twice with different types fails where the Layer is built", () =>
    Effect.gen(function*() {
      const One = MetricDefinition.counter("twice", { help: "x" })
      const Two = MetricDefinition.gauge("twice", { help: "x" })
      const exit = yield* Layer.build(Telemetry.declare(One, Two).pipe(Layer.provideMerge(Telemetry.layer))).pipe(Effect.scoped, Effect.exit)
      assert.match(String(exit), /metric "twice": type is gauge, but it was declared before with counter/)
    }))

  it.effect("enabled: false records nothing", () => {
    const frames: Array<MetricFrame> = []
    const spans: Array<SpanData> = []
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const telemetry = yield* Telemetry
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 1, labels).pipe(Effect.withSpan("work"))
      yield* telemetry.flush
      assert.strictEqual(increase(frames, "http_requests_total"), 0)
      assert.strictEqual(spans.length, 0)
    }).pipe(Effect.provide(backend("a", frames, spans).pipe(Layer.provide(ObservabilityConfig.layer({ enabled: false })))))
  })
})
