import { ClickHouse } from "@effect-observability/clickhouse"
import { Memory, MetricDefinition, MetricsRecorder, ObservabilityConfig } from "@effect-observability/core"
import { Datadog } from "@effect-observability/datadog"
import { OpenTelemetry } from "@effect-observability/opentelemetry"
import { Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import { Sentry } from "@effect-observability/sentry"
import { Effect, Layer, Logger, ManagedRuntime, Redacted } from "effect"
import type { Bench, Side } from "./Bench.ts"

// Budget A8 with the real thing: recording with seven backends beside recording with one. The receivers are away, so that what is measured is
// the program and not seven exports on the same two cores.

const Requests = MetricDefinition.counter("bench_requests_total", { help: "bench", labelNames: ["method", "route", "status"] })

const gone = "127.0.0.1:9"
const six = Layer.mergeAll(
  Prometheus.layer(),
  Postgres.layer({ connection: Redacted.make(`postgres://a:b@${gone}/none`) }),
  OpenTelemetry.layer({ endpoint: `http://${gone}` }),
  Sentry.layer({ dsn: `http://key@${gone}/1` }),
  Datadog.layer({ dogstatsd: `udp://${gone}`, traces: `http://${gone}` }),
  ClickHouse.layer({ connection: Redacted.make(`http://${gone}/obs`), history: false })
)

type Recorder = MetricsRecorder["Service"]

const recorderOf = (backends: Layer.Layer<any, any>): Promise<Recorder> =>
  ManagedRuntime.make(
    backends.pipe(Layer.provide(ObservabilityConfig.layer({ flushInterval: 1 })), Layer.provideMerge(Logger.layer([]))) as Layer.Layer<MetricsRecorder, any>
  ).runPromise(Effect.map(MetricsRecorder, (recorder) => recorder))

const ops = 2_000

const recording = (name: string, recorder: () => Recorder): Side => ({
  name,
  ops,
  run: () =>
    Effect.runPromise(Effect.gen(function*() {
      const metrics = recorder()
      for (let i = 0; i < ops; i++) yield* metrics.incrementCounter(Requests, 1, { method: "GET", route: "/orders/:id", status: "200" })
    }))
})

export default (bench: Bench): void => {
  let one: Recorder
  let all: Recorder
  let withMemory: Recorder
  const against = recording("yield* incrementCounter, Prometheus alone", () => one)
  bench.compare({
    name: "A8.real",
    unit: "ns/op",
    must: 1.1,
    moonshot: 1.05,
    setup: async () => {
      one = await recorderOf(Prometheus.layer())
      all = await recorderOf(six)
      // Memory keeps every single value, for tests: here until it is full.
      withMemory = await recorderOf(Layer.mergeAll(six, Memory.layer({ maxValues: 1 })))
    },
    subject: recording("yield* incrementCounter, six backends", () => all),
    baseline: against
  })
  bench.compare({
    name: "A8.real.memory",
    unit: "ns/op",
    must: 1.5,
    moonshot: 1.05,
    subject: recording("yield* incrementCounter, six backends and memory", () => withMemory),
    baseline: against
  })
}
