import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Exporter, Ledger, MetricDefinition, type MetricFrame, MetricsRecorder, ObservabilityConfig, Telemetry } from "../../src/index.ts"

const Visits = MetricDefinition.counter("visits_total", { help: "x", labelNames: ["user"] })
const Depth = MetricDefinition.gauge("depth", { help: "x", labelNames: ["queue"] })
const Open = MetricDefinition.upDownCounter("open", { help: "x", labelNames: ["pool"] })
const Starts = MetricDefinition.counter("starts_total", { help: "x" })
const Took = MetricDefinition.histogram("took_seconds", { help: "x", labelNames: ["user"], buckets: [1] })

const hub = (seriesTimeToLive?: string) =>
  Layer.provide(Telemetry.layer, ObservabilityConfig.layer({ metrics: { ...(seriesTimeToLive === undefined ? {} : { seriesTimeToLive }) as {}, maxSeriesPerMetric: 50 } }))

const shown = Effect.map(Telemetry, ({ store }) =>
  store.families().flatMap((family) => family.series.map((series) => `${family.definition.name} ${series.labelValues.join()}`)).filter((name) => !name.startsWith("obs_")))

describe("idle series", () => {
  it.effect("end after their time to live; what is written, counts nothing apart, or still counts, stays", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(Visits, 1, { user: "idle" })
      yield* metrics.incrementCounter(Visits, 1, { user: "busy" })
      yield* metrics.observeHistogram(Took, 0, { user: "idle" })
      yield* metrics.observeHistogram(Took, 0, { user: "busy" })
      yield* metrics.setGauge(Depth, 7, { queue: "idle" })
      yield* metrics.setGauge(Depth, 7, { queue: "busy" })
      yield* metrics.incrementCounter(Open, 1, { pool: "in use" })
      yield* metrics.incrementCounter(Open, 1, { pool: "free" })
      yield* metrics.incrementCounter(Open, -1, { pool: "free" })
      yield* metrics.incrementCounter(Starts)
      for (let minute = 0; minute < 12; minute++) {
        yield* TestClock.adjust("1 minute")
        yield* metrics.incrementCounter(Visits, 1, { user: "busy" })
        // Neither the sum nor the value changes.
        yield* metrics.observeHistogram(Took, 0, { user: "busy" })
        yield* metrics.setGauge(Depth, 7, { queue: "busy" })
        if (minute === 8) assert.strictEqual((yield* shown).length, 9)
      }
      assert.deepStrictEqual(yield* shown, ["visits_total busy", "took_seconds busy", "depth busy", "open in use", "starts_total "])
    }).pipe(Effect.provide(hub("10 minutes"))))

  it.effect("live on when nothing was said about it", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(Visits, 1, { user: "idle" })
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(yield* shown, ["visits_total idle"])
    }).pipe(Effect.provide(hub())))

  it.effect("are on the page once more before they end, unless nobody has asked for it for long", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const telemetry = yield* Telemetry
      const scrape = Effect.sync(() => telemetry.refreshSelfMetrics())
      yield* scrape
      yield* TestClock.adjust("1 minute")
      yield* metrics.incrementCounter(Visits, 1, { user: "a" })
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* shown, ["visits_total a"])
      yield* scrape
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* shown, [])
      yield* metrics.incrementCounter(Visits, 1, { user: "b" })
      yield* TestClock.adjust("49 minutes")
      assert.deepStrictEqual(yield* shown, ["visits_total b"])
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(yield* shown, [])
    }).pipe(Effect.provide(hub("5 minutes"))))

  it.effect("twenty thousand users who come and go: bounded, none past the budget, and every backend has every visit", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const telemetry = yield* Telemetry
      const told = new Map<string, number>()
      let most = 0
      const exporter: Exporter.Exporter<MetricFrame> = {
        export: (batch) =>
          Effect.sync(() => {
            for (const { counters } of batch) {
              most = Math.max(most, counters.series.length)
              counters.series.forEach((series, i) => {
                if (series.definition !== Visits || counters.values[i] === 0) return
                told.set(series.labelValues[0]!, (told.get(series.labelValues[0]!) ?? 0) + counters.values[i]!)
              })
            }
            return Exporter.complete
          })
      }
      const pipe = yield* telemetry.exportFrames({ name: "test", exporter, interval: 60_000 })
      for (let round = 0; round < 800; round++) {
        for (let i = 0; i < 40; i++) yield* metrics.incrementCounter(Visits, 2, { user: `u${(round * 40 + i) % 20_000}` })
        yield* TestClock.adjust("2 minutes")
      }
      yield* pipe.flush
      assert.isBelow(most, 500)
      assert.strictEqual(told.size, 20_000)
      assert.strictEqual([...told.values()].reduce((a, b) => a + b, 0), 64_000)
      assert.isUndefined(telemetry.store.refusals()["cardinality"])
      assert.isUndefined(Ledger.imbalance(pipe.ledger()))
    }).pipe(Effect.provide(hub("1 minute"))))
})
