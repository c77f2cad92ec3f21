import { Exporter, MetricDefinition, MetricsRecorder, Telemetry, Tracer } from "@effect-observability/core"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Bench } from "../../../test/bench/Bench.ts"
import { loaders } from "../src/internal/backends.ts"
import * as Observability from "../src/Observability.ts"

// What recording costs while settings change a hundred times a second: spans and counts per second beside those of the same program left alone. `reload.recording`
// changes what is read where it is used (sampler, limits, redaction, bounds of the store, queue policy), `reload.exchange` the only backend each time.

const Jobs = MetricDefinition.counter("jobs_total", { help: "Jobs", labelNames: ["kind"] })
const perSecond = 100
const millis = 1_000

const sink = Layer.effectDiscard(Effect.gen(function*() {
  const telemetry = yield* Telemetry
  const exporter = { export: () => Effect.succeed(Exporter.complete) }
  const frames = yield* telemetry.exportFrames({ name: "sentry", interval: 1_000, exporter })
  const spans = yield* telemetry.exportSpans({ name: "sentry", exporter })
  yield* telemetry.register({
    name: "sentry",
    kind: "sentry",
    onSpan: (span) => void spans.offerUnsafe(span),
    flush: Effect.andThen(frames.flush, spans.flush),
    report: () => ({ name: "sentry", kind: "sentry", status: "up", reason: undefined, signals: [] })
  })
}))

const settings = (round: number, exchange: boolean) => ({
  sentry: { enabled: true, dsn: "https://key@127.0.0.1/1", release: exchange ? `r${round}` : "r" },
  batchSize: 100 + round % 2,
  // A ratio would cost spans something by itself.
  tracing: { sampler: round % 2 === 0 ? "parentbased_always_on" as const : "always_on" as const, limits: { attributeCount: 100 + round % 2 } },
  redaction: { names: [`colour${round % 2}`] },
  metrics: { maxSeriesPerMetric: 1_000 + round % 2 }
})

/** Spans and counts in a second, with as many reloads in it; fails when they did not all come to pass. */
const recorded = (reloads: number, exchange = false): Promise<number> =>
  Effect.runPromise(Effect.gen(function*() {
    const recorder = yield* MetricsRecorder
    const telemetry = yield* Telemetry
    let going = true
    let count = 0
    const one = Effect.andThen(
      Effect.void.pipe(Tracer.withSpan("job")),
      Effect.suspend(() => {
        count++
        return recorder.incrementCounter(Jobs, 1, { kind: "a" })
      })
    )
    const work = Effect.gen(function*() {
      while (going) {
        for (let i = 0; i < 50; i++) yield* one
        yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      }
    })
    const worker = yield* Effect.forkChild(work)
    const end = performance.now() + millis
    for (let round = 1; round <= reloads; round++) {
      yield* Observability.reload(settings(round, exchange))
      const wait = end - millis + round * millis / reloads - performance.now()
      if (wait > 0) yield* Effect.sleep(wait)
    }
    if (performance.now() < end) yield* Effect.sleep(end - performance.now())
    const took = performance.now() - end + millis
    going = false
    const total = count
    yield* Effect.andThen(Effect.sync(() => worker.pollUnsafe()), Effect.sleep(1))
    if (telemetry.configuration().version !== reloads + 1) return yield* Effect.die(new Error("a reload is missing"))
    return total / took * 1000
  }).pipe(
    Effect.provide(Observability.layerOf({ input: settings(0, exchange), file: undefined }, undefined, {
      ...loaders,
      sentry: () => Promise.resolve({ Sentry: { layerBackend: () => sink } } as never)
    })),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({}))
  ))

export default ({ measure }: Bench): void => {
  const alone = { name: "the same without a reload", run: () => recorded(0) }
  measure({ name: "reload.recording", unit: "records/s", better: "higher", must: 0.8, moonshot: 0.95, budget: "ratio", baseline: alone, samples: 3, run: () => recorded(perSecond) })
  measure({ name: "reload.exchange", unit: "records/s", better: "higher", must: 0.7, moonshot: 0.9, budget: "ratio", baseline: alone, samples: 3, run: () => recorded(perSecond, true) })
}
