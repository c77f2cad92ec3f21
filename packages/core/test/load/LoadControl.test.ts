import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Diagnostics, type ErrorData, Exporter, Ledger, LoadControl, Memory, type SpanData, Telemetry } from "../../src/index.ts"

const used = { now: 0 }
const control = (options: Partial<LoadControl.LoadControlOptions> = {}) =>
  LoadControl.layer({ memory: () => [{ name: "heap", used: used.now, softLimit: 1000 }], ...options })

const away = { yes: true }
const kept: Array<SpanData> = []
const errors: Array<ErrorData> = []

/** A backend that is away, with a queue of spans and one of errors. */
const backend = Layer.effectDiscard(Effect.gen(function*() {
  const telemetry = yield* Telemetry
  const to = <A>(list: Array<A>): Exporter.Exporter<A> => ({
    export: (batch) => Effect.suspend(() => away.yes ? Effect.fail(Exporter.unavailable("away")) : Effect.sync(() => (list.push(...batch), Exporter.complete)))
  })
  const spans = yield* telemetry.exportSpans({ name: "sink", exporter: to(kept), policy: { maxItems: 1000, batchSize: 1 } })
  const reports = yield* telemetry.exportErrors({ name: "sink", exporter: to(errors) })
  yield* telemetry.register({
    name: "sink",
    kind: "test",
    onSpan: (span) => void spans.offerUnsafe(span),
    onError: (error) => void reports.offerUnsafe(error),
    flush: Effect.all([spans.flush, reports.flush], { discard: true }),
    report: () => ({
      name: "sink", kind: "test", status: "up", reason: undefined,
      signals: ([["spans", spans], ["errors", reports]] as const).map(([signal, pipe]) => ({ signal, ledger: pipe.ledger(), queuedItems: 0, queuedBytes: 0, oldestAgeMillis: 0, lastError: undefined }))
    })
  })
}))

const program = (options: Partial<LoadControl.LoadControlOptions> = {}) => control(options).pipe(Layer.provideMerge(backend), Layer.provideMerge(Telemetry.layer))

/** A trace of a server span with an internal step; `fails` says whether the step does. */
const trace = (fails = false) =>
  (fails ? Effect.fail("no") : Effect.void).pipe(Effect.withSpan("step"), Effect.exit, Effect.withSpan("GET /", { kind: "server" }))

const books = Effect.map(Effect.flatMap(Diagnostics, (one) => one.report), (report) => {
  assert.deepStrictEqual(report.imbalances, [])
  return Object.fromEntries(report.components[0]!.signals.map(({ ledger, signal }) => {
    assert.isUndefined(Ledger.imbalance(ledger))
    return [signal, ledger]
  }))
})

/** So that the queues can drain at the end of a test. */
const back = Effect.andThen(Effect.sync(() => void (away.yes = false)), TestClock.adjust("1 minute"))

const at = (memory: number) => {
  used.now = memory
  return TestClock.adjust("2 seconds")
}

describe("load control", () => {
  it.effect("gives up details first, then spans, then failed ones, errors last; takes all up again; counts everything", () =>
    Effect.gen(function*() {
      away.yes = true
      const telemetry = yield* Telemetry
      yield* at(100)
      for (let i = 0; i < 10; i++) yield* trace()
      assert.strictEqual(telemetry.load()!.level, 0)
      // The steps that wait go, but the one being sent.
      yield* at(1010)
      assert.strictEqual(telemetry.load()!.level, 1)
      yield* trace(true)
      yield* trace()
      assert.deepInclude(telemetry.load()!.shed, { debug_spans: 10 })
      yield* at(1060)
      assert.strictEqual(telemetry.load()!.level, 2)
      yield* trace(true)
      yield* at(1110)
      assert.strictEqual(telemetry.load()!.level, 3)
      yield* trace(true)
      yield* Effect.fail("kept").pipe(Effect.withErrorReporting, Effect.exit)
      assert.strictEqual((yield* books)["errors"]!.accepted, 1)
      yield* at(1300)
      yield* Effect.fail("gone").pipe(Effect.withErrorReporting, Effect.exit)
      const { errors: errorBooks, spans: spanBooks } = yield* books
      assert.strictEqual(errorBooks!.rejected["load_shed"], 1)
      assert.isAbove(spanBooks!.rejected["load_shed"]!, 0)
      assert.isAbove(spanBooks!.dropped["load_shed"]!, 0)
      const total = (of: typeof spanBooks) => (of!.rejected["load_shed"] ?? 0) + (of!.dropped["load_shed"] ?? 0)
      const { shed } = telemetry.load()!
      assert.strictEqual(Object.values(shed).reduce((sum, n) => sum + n, 0), total(spanBooks) + total(errorBooks))
      telemetry.refreshSelfMetrics()
      const family = telemetry.store.family("obs_shed_total")!
      assert.strictEqual(family.series.reduce((sum, series) => sum + family.value(series), 0), total(spanBooks) + total(errorBooks))
      used.now = 100
      yield* TestClock.adjust("5 minutes")
      assert.deepInclude(telemetry.load()!, { level: 0, samplingRatio: 1 })
      const before = total((yield* books)["spans"])
      yield* trace(true)
      assert.strictEqual(total((yield* books)["spans"]), before)
      away.yes = false
      yield* TestClock.adjust("1 minute")
      yield* Effect.forkChild(telemetry.flush)
      yield* TestClock.adjust("1 minute")
      const end = yield* books
      assert.deepStrictEqual([end["spans"]!.queued, end["spans"]!.inFlight], [0, 0])
    }).pipe(Effect.ensuring(back), Effect.provide(program({ minSamplingRatio: 1 }))))

  it.effect("fewer traces are kept while the queue fills, and their weights say how many they stand for", () =>
    Effect.gen(function*() {
      away.yes = true
      used.now = 0
      kept.length = 0
      const telemetry = yield* Telemetry
      for (let i = 0; i < 1000; i++) yield* Effect.void.pipe(Effect.withSpan("job"))
      yield* TestClock.adjust("20 seconds")
      const { level, samplingRatio } = telemetry.load()!
      assert.strictEqual(level, 0)
      assert.isBelow(samplingRatio, 0.5)
      away.yes = false
      yield* TestClock.adjust("2 minutes")
      const before = kept.length
      used.now = 950
      for (let i = 0; i < 3; i++) yield* TestClock.adjust("2 seconds")
      const ratio = telemetry.load()!.samplingRatio
      for (let i = 0; i < 900; i++) yield* Effect.void.pipe(Effect.withSpan("job"))
      yield* TestClock.adjust("5 minutes")
      const weights = kept.slice(before).reduce((sum, span) => sum + span.weight, 0)
      assert.isBelow(kept.length - before, 900)
      assert.closeTo(weights, 900, 900 * 4 * Math.sqrt((1 / ratio - 1) / 900) + 1)
      yield* books
    }).pipe(Effect.ensuring(back), Effect.provide(program())))

  it.effect("a reader that throws is no pressure; wrong options and a second one are named", () =>
    Effect.gen(function*() {
      const load = yield* Effect.gen(function*() {
        yield* TestClock.adjust("10 seconds")
        return (yield* Telemetry).load()!
      }).pipe(Effect.provide(program({ memory: () => {
        throw new Error("no memory")
      } })))
      assert.strictEqual(load.level, 0)
      const wrong = yield* Effect.exit(Effect.scoped(Layer.build(program({ interval: 1, hold: "1 hour", minSamplingRatio: 0 }))))
      for (const path of ["load.interval", "load.hold", "load.minSamplingRatio"]) assert.include(Exit.isFailure(wrong) ? String(wrong.cause) : "", path)
      const two = yield* Effect.exit(Effect.scoped(Layer.build(Layer.mergeAll(control(), control({ interval: 500 })).pipe(Layer.provideMerge(Telemetry.layer)))))
      assert.include(Exit.isFailure(two) ? String(two.cause) : "", "keep one LoadControl.layer")
    }))

  it.effect("without it nothing is given up, whatever the memory", () =>
    Effect.gen(function*() {
      used.now = 1e9
      yield* TestClock.adjust("1 minute")
      for (let i = 0; i < 10; i++) yield* trace()
      assert.isUndefined((yield* Telemetry).load())
    }).pipe(Effect.provide(Memory.layer())))
})
