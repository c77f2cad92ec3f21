import { expectLedgerBalanced } from "@effect-observability/testkit"
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { MetricDefinition, MetricsRecorder, Observability, Telemetry } from "effect-observability"

// One of several processes that watch the same. Lines on standard input say how deep its queue is; the receiver of alerts says the environment.

const Depth = MetricDefinition.gauge("queue_depth", { help: "Waiting" })

const lines = async function*() {
  for await (const chunk of process.stdin) yield* String(chunk).split("\n").filter((line) => line !== "")
}

const program = Effect.gen(function*() {
  const metrics = yield* MetricsRecorder
  console.log("ready")
  const input = lines()
  for (;;) {
    const { done, value } = yield* Effect.promise(() => input.next())
    if (done === true || value === "end") break
    yield* metrics.setGauge(Depth, Number(value))
  }
  yield* (yield* Telemetry).flush
  yield* expectLedgerBalanced
  console.log("balanced")
  process.stdin.destroy()
})

const alerting = {
  interval: "200 millis", groupInterval: "200 millis", log: false,
  rules: [{ name: "QueueDeep", metric: "queue_depth", last: true, above: 10 }]
} as const

NodeRuntime.runMain(program.pipe(Effect.provide(Observability.layerConfig({ env: "production", tracing: { serviceName: "fleet" }, postgres: { enabled: true }, alerting }))))
