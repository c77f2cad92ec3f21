import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import {
  type CapacityReport, Diagnostics, Exporter, Health, Memory, MetricDefinition, MetricsRecorder, ObservabilityConfig, Sampler, Telemetry
} from "../../src/index.ts"

const report = Effect.flatMap(Diagnostics, (one) => one.report)

describe("diagnostics", () => {
  it.effect("show the configuration in force without a secret in it, redaction on or off", () =>
    Effect.forEach([true, false], (enabled) =>
      Effect.gen(function*() {
        const text = JSON.stringify((yield* report).settings)
        for (const secret of ["canary"]) assert.notInclude(text, secret)
        for (const said of ["\"cluster\":\"eu-1\"", "http://collector.example:4318/v1", "ratio(0.25)", "{trace_id}", "\"retentionDays\":7", "[REDACTED]"]) assert.include(text, said)
      }).pipe(Effect.provide(Memory.layer().pipe(Layer.provide(ObservabilityConfig.layer({
        cluster: "eu-1",
        redaction: { enabled, rules: [(name, value) => name === "x" && value === "canary0"] },
        metrics: { defaultLabels: { api_key: "canary1canary1", region: "Bearer canary2canary2canary2" } },
        tracing: {
          sentryDsn: "https://canary3@sentry.example/1",
          otelEndpoint: "http://user:canary4@collector.example:4318/v1?api_key=canary5",
          traceUrl: "https://user:canary6@traces.example/t/{trace_id}",
          sampler: Sampler.ratio(0.25)
        },
        postgres: { common: { connection: Redacted.make("postgresql://app:canary7@db/x"), retentionDays: 7 } }
      })))))))

  it.effect("say when a queue is full if it goes on like this, and the last error of its backend", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const spans = yield* telemetry.exportSpans({ name: "sink", exporter: { export: () => Effect.fail(Exporter.unavailable("away")) }, policy: { maxItems: 1000, batchSize: 1, drainDeadline: 0 } })
      yield* telemetry.register({ name: "sink", kind: "test", onSpan: (span) => void spans.offerUnsafe(span), report: () => ({ name: "sink", kind: "test", status: "up", reason: undefined, signals: [] }) })
      for (let second = 0; second < 60; second++) {
        for (let i = 0; i < 10; i++) yield* Effect.void.pipe(Effect.withSpan("job"))
        yield* TestClock.adjust("1 second")
      }
      const [queue] = (yield* report).queues
      assert.deepInclude(queue, { backend: "sink", signal: "spans", items: 600, maxItems: 1000, lost: 0, balanced: true })
      // 400 more at ten a second.
      assert.closeTo(queue!.secondsToFull!, 40, 8)
      assert.strictEqual(queue!.lastError!.message, "away")
      assert.isAbove(queue!.failures, 0)
    }).pipe(Effect.scoped, Effect.provide(Telemetry.layer)))

  it.effect("name the metrics with most series and most records, and the widest label", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const wide = MetricDefinition.counter("wide_total", { help: "Wide", labelNames: ["kind", "user"] })
      const busy = MetricDefinition.histogram("busy_seconds", { help: "Busy", unit: "seconds", labelNames: [] })
      for (let i = 0; i < 50; i++) metrics.incrementCounterUnsafe(wide, 1, { kind: `k${i % 2}`, user: `u${i}` })
      for (let i = 0; i < 500; i++) yield* metrics.observeHistogram(busy, 0.1)
      const { topByRecords, topBySeries } = (yield* report).metrics
      assert.deepStrictEqual(topBySeries[0], { metric: "wide_total", series: 50, records: 50, widestLabel: { label: "user", values: 50 } })
      assert.deepStrictEqual(topByRecords[0], { metric: "busy_seconds", series: 1, records: 500, widestLabel: undefined })
      assert.isNull((yield* report).load)
    }).pipe(Effect.provide(Telemetry.layer)))

  it.effect("what stores say of their growth and upkeep stands in the report, their actions are counted, and a throw costs no report", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const upkeep = { dryRun: false, step: 2, since: 5, reason: "full", leads: true, retention: { raw: 7, spans: 7, minute: 30, hour: 365, day: 3_650 }, actions: [], counts: { pack_early: 1, shorten_retention: 2 } } as const
      const report = (name: string) => () => ({ name, kind: "test", status: "up" as const, reason: undefined, signals: [] })
      yield* telemetry.register({ name: "store", kind: "test", report: report("store"), capacity: () => ({ series: 3 }) as CapacityReport, upkeep: () => upkeep })
      yield* telemetry.register({ name: "dry", kind: "test", report: report("dry"), upkeep: () => ({ ...upkeep, dryRun: true }) })
      yield* telemetry.register({
        name: "broken", kind: "test", report: report("broken"), capacity: () => {
          throw new Error("broken")
        }, parts: () => {
          throw new Error("broken")
        }
      })
      const found = yield* (yield* Diagnostics).report
      assert.deepStrictEqual(found.capacity, [{ backend: "store", series: 3 } as (typeof found.capacity)[number]])
      assert.deepStrictEqual(found.upkeep.map(({ backend, step }) => [backend, step]), [["store", 2], ["dry", 2]])
      yield* (yield* Health).check
      for (let i = 0; i < 3; i++) telemetry.refreshSelfMetrics()
      const family = telemetry.store.family("obs_upkeep_actions_total")!
      assert.deepStrictEqual(family.series.map((one) => [...one.labelValues, family.value(one)].join(" ")).toSorted(), [
        "dry would_pack_early 1", "dry would_shorten_retention 2", "store pack_early 1", "store shorten_retention 2"
      ])
    }).pipe(Effect.scoped, Effect.provide(Telemetry.layer)))
})
