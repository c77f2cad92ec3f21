import { expectLedgerBalanced } from "@effect-observability/testkit"
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { MetricDefinition, MetricsRecorder, Observability, Telemetry } from "effect-observability"

// One process of a fleet. It counts, says what the backends have taken, and ends after ROUNDS rounds. Who it is says the environment.

const Work = MetricDefinition.counter("identity_work_total", { help: "Work done", labelNames: ["env"] })
const Load = MetricDefinition.gauge("identity_load", { help: "Work at hand" })
const rounds = Number(process.env["ROUNDS"])
const step = Number(process.env["STEP"])

const program = Effect.gen(function*() {
  const metrics = yield* MetricsRecorder
  const { flush } = yield* Telemetry
  for (let round = 1; round <= rounds; round++) {
    // A label named like a part of the identity, on purpose.
    yield* metrics.incrementCounter(Work, step, { env: "label" }).pipe(Effect.withSpan("work", { root: true }))
    yield* metrics.setGauge(Load, step, {})
    console.log(`counted ${round * step}`)
    yield* flush
    console.log(`stored ${round * step}`)
    yield* Effect.sleep("30 millis")
  }
  yield* Effect.fail(new Error("the work is done")).pipe(Effect.withErrorReporting, Effect.ignore)
  yield* flush
  yield* expectLedgerBalanced
  console.log("balanced")
})

NodeRuntime.runMain(program.pipe(Effect.provide(Observability.layerConfig({ postgres: { enabled: true } }))))
