import { MetricDefinition, MetricsRecorder } from "@effect-observability/core"
import { Effect, Layer, ManagedRuntime } from "effect"
import { parentPort } from "node:worker_threads"
import { Workers } from "../../src/node.ts"

// A worker, process or thread, that does as it is told: `{ count }` records so often, `{ stop }` ends properly, `{ hang }` stands still.

const Work = MetricDefinition.counter("work_total", { help: "Work", labelNames: ["kind"] })
const Duration = MetricDefinition.histogram("work_seconds", { help: "Work", buckets: [1, 2] })
const Busy = MetricDefinition.upDownCounter("busy", { help: "Busy" })
const Level = MetricDefinition.gauge("level", { help: "Level" })
const Size = MetricDefinition.summary("size_bytes", { help: "Size", objectives: { "0.5": 0.05 } })

export interface Order {
  readonly count?: number
  readonly level?: number
  readonly stop?: true
  readonly hang?: number
}

const say = (message: object) => parentPort === null ? process.send!(message) : parentPort.postMessage(message, [])
const hear = (listener: (order: Order) => void) => parentPort === null ? process.on("message", listener) : parentPort.on("message", listener)

const runtime = ManagedRuntime.make(Layer.suspend(() => parentPort === null ? Workers.layerCluster() : Workers.layerThread()))
const metrics = await runtime.runPromise(Effect.map(MetricsRecorder, (metrics) => metrics))

hear(({ count = 0, hang = 0, level, stop }) => {
  for (let i = 0; i < count; i++) {
    metrics.incrementCounterUnsafe(Work, 1, { kind: `k${i % 3}` })
    metrics.observeHistogramUnsafe(Duration, i % 4)
    metrics.observeSummaryUnsafe(Size, 10)
  }
  if (count > 0) {
    metrics.incrementCounterUnsafe(Busy, 1)
    say({ counted: count })
  }
  if (level !== undefined) {
    metrics.setGaugeUnsafe(Level, level)
    say({ counted: 0 })
  }
  if (hang > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, hang)
  if (stop === true) void runtime.dispose().then(() => process.exit(0))
})
say({ counted: 0 })
