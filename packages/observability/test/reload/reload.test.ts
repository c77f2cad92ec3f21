import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { Diagnostics, MetricDefinition, MetricsRecorder, Observability, type ObservabilityInput, Telemetry } from "effect-observability"
import { loaders } from "../../src/internal/backends.ts"
import { Sink } from "./Sink.ts"

const noEnv = Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({}))
const Jobs = MetricDefinition.counter("jobs_total", { help: "Jobs", labelNames: [] })

const composition = (sink: Sink, input: ObservabilityInput) =>
  Observability.layerOf({ input, file: undefined }, undefined, {
    ...loaders,
    sentry: () => Promise.resolve({ Sentry: { layerBackend: () => sink.layer(3) } } as never)
  })

const sentry = (release: string): ObservabilityInput => ({ sentry: { enabled: true, dsn: "https://key@127.0.0.1/1", release }, shutdownTimeout: 5 })

describe("reload", () => {
  it.live("a thousand exchanges under load: nothing lost, nothing doubled, nothing left", () =>
    Effect.gen(function*() {
      const sink = new Sink("sentry")
      let sent = 0
      let counted = 0
      yield* Effect.gen(function*() {
        const recorder = yield* MetricsRecorder
        let going = true
        const work = Effect.gen(function*() {
          while (going) {
            for (let i = 0; i < 3; i++) {
              yield* Effect.void.pipe(Effect.withSpan(`job ${sent++}`))
              yield* recorder.incrementCounter(Jobs, 1, {})
              counted++
            }
            yield* Effect.sleep(1)
          }
        })
        const worker = yield* Effect.forkChild(work)
        for (let i = 0; i < 1_000; i++) {
          const { changed } = yield* Observability.reload(sentry(`r${i}`))
          assert.deepStrictEqual(changed, ["sentry.release"])
        }
        going = false
        yield* Effect.sleep(20)
        yield* Observability.flush
        const telemetry = yield* Telemetry
        // All books together: those of a thousand closed queues, of those that drain, and of the one at work.
        const books = () => telemetry.reports().find(({ name }) => name === "sentry")!.signals.find(({ signal }) => signal === "spans")!.ledger
        for (let i = 0; i < 400 && books().exported < sent; i++) yield* Effect.sleep(10)
        const { accepted, dropped, exported, offered, rejected, unconfirmed } = books()
        assert.deepStrictEqual([offered, accepted, exported, unconfirmed, rejected, dropped], [sent, sent, sent, 0, {}, {}])
        telemetry.refreshSelfMetrics()
        const family = telemetry.store.family("obs_exported_total")!
        const series = family.series.find(({ labelValues }) => labelValues.includes("sentry") && labelValues.includes("spans"))!
        assert.strictEqual(family.value(series), sent)
        assert.strictEqual((yield* (yield* Diagnostics).report).configuration.version, 1_001)
        assert.strictEqual(worker.pollUnsafe() !== undefined, true)
      }).pipe(Effect.provide(composition(sink, sentry("first"))), noEnv)
      assert.isAbove(sent, 300)
      assert.strictEqual(sink.spans.size, sent)
      assert.deepStrictEqual([...sink.spans].filter(([, times]) => times !== 1), [])
      assert.strictEqual(sink.jobs, counted)
      assert.strictEqual(sink.opened, 1_001)
      assert.strictEqual(sink.closed, 1_001)
      sink.assertBooks()
    }), 120_000)

  it.live("goes off and on; spans of the time between are nobody's", () =>
    Effect.gen(function*() {
      const sink = new Sink("sentry")
      yield* Effect.gen(function*() {
        yield* Effect.void.pipe(Effect.withSpan("before"))
        yield* Observability.reload({ ...sentry("a"), sentry: { enabled: false } })
        assert.notInclude((yield* Telemetry).reports().map(({ name }) => name), "sentry")
        yield* Effect.void.pipe(Effect.withSpan("between"))
        // What it did stays on record.
        const { removed } = yield* (yield* Diagnostics).report
        assert.deepStrictEqual(removed.map(({ backend, signal }) => `${backend} ${signal}`).sort(), ["sentry metrics", "sentry spans"])
        assert.strictEqual(removed.find(({ signal }) => signal === "spans")!.ledger.accepted, 1)
        yield* Observability.reload(sentry("b"))
        yield* Effect.void.pipe(Effect.withSpan("after"))
      }).pipe(Effect.provide(composition(sink, sentry("a"))), noEnv)
      assert.deepStrictEqual([...sink.spans], [["before", 1], ["after", 1]])
      sink.assertBooks()
    }))

  it.live("invalid settings keep the former ones, and say so", () =>
    Effect.gen(function*() {
      const sink = new Sink("sentry")
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(Observability.reload({ batchSize: 0, tracing: { sampleRate: 2 }, postgres: { common: { connection: "canary-secret" } } }))
        assert.match(error.message, /3 problems/)
        assert.notInclude(error.message, "canary-secret")
        const { configuration } = yield* (yield* Diagnostics).report
        assert.strictEqual(configuration.version, 1)
        assert.strictEqual(configuration.failures, 1)
        assert.match(configuration.problem!.message, /tracing\.sampleRate/)
        const telemetry = yield* Telemetry
        assert.strictEqual(telemetry.settings().batchSize, 100)
        assert.strictEqual(valueOf(telemetry, "obs_config_reload_failures_total"), 1)
        yield* Observability.reload({ ...sentry("a"), batchSize: 7 })
        assert.strictEqual(telemetry.settings().batchSize, 7)
        assert.strictEqual((yield* (yield* Diagnostics).report).configuration.problem, undefined)
        assert.strictEqual(valueOf(telemetry, "obs_config_reloads_total"), 1)
      }).pipe(Effect.provide(composition(sink, sentry("a"))), noEnv)
      sink.assertBooks()
    }))

  it.live("a package that is missing keeps everything as it was, with the line that installs it", () =>
    Effect.gen(function*() {
      const sink = new Sink("sentry")
      const absent = Observability.layerOf({ input: sentry("a"), file: undefined }, undefined, {
        ...loaders,
        sentry: () => Promise.resolve({ Sentry: { layerBackend: () => sink.layer(1) } } as never),
        datadog: () => import("@effect-observability/nowhere" as string)
      })
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(Observability.reload({ ...sentry("b"), datadog: { enabled: true } }))
        assert.match(error.message, /npm install @effect-observability\/datadog/)
        assert.strictEqual((yield* Telemetry).settings().datadog.enabled, false)
        yield* Effect.void.pipe(Effect.withSpan("still"))
      }).pipe(Effect.provide(absent), noEnv)
      assert.deepStrictEqual([...sink.spans], [["still", 1]])
      sink.assertBooks()
    }))

  it.live("each setting that changes at once", () =>
    Effect.gen(function*() {
      const sink = new Sink("sentry")
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const recorder = yield* MetricsRecorder
        const base = sentry("a")
        yield* Observability.reload({ ...base, tracing: { sampleRate: 0 } })
        yield* Effect.void.pipe(Effect.withSpan("sampled out"))
        yield* Observability.reload({ ...base, tracing: { sampleRate: 1, limits: { attributeCount: 1 } }, redaction: { names: ["colour"] } })
        yield* Effect.void.pipe(Effect.withSpan("kept"))
        yield* recorder.incrementCounter(Jobs, 1, {})
        yield* Observability.reload({ ...base, metrics: { allow: { metrics: ["other_*"] } } })
        yield* recorder.incrementCounter(Jobs, 5, {})
        assert.strictEqual(valueOf(telemetry, "jobs_total"), 1)
        yield* Observability.reload(base)
        yield* recorder.incrementCounter(Jobs, 2, {})
        assert.strictEqual(valueOf(telemetry, "jobs_total"), 3)
        const report = yield* Observability.reload({ ...base, env: "prod", metrics: { buckets: { a: [1] }, maxSeries: 5 }, alerting: { rules: [{ name: "A", metric: "jobs_total", last: true, above: 1 }] } })
        assert.deepStrictEqual(report.needsRestart.toSorted(), ["env", "metrics.buckets"])
        assert.deepStrictEqual(report.changed.toSorted(), ["alerting.enabled", "alerting.rules", "metrics.maxSeries"])
        assert.strictEqual(telemetry.settings().env, "dev")
        assert.strictEqual(telemetry.settings().alerting.rules[0]?.name, "A")
      }).pipe(Effect.provide(composition(sink, sentry("a"))), noEnv)
      assert.deepStrictEqual([...sink.spans.keys()], ["kept"])
      sink.assertBooks()
    }))
})

const valueOf = (telemetry: Telemetry["Service"], name: string): number | undefined => {
  const family = telemetry.store.family(name)
  const series = family?.series[0]
  return family === undefined || series === undefined ? undefined : family.value(series)
}
