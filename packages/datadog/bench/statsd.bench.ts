import { MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { ManagedRuntime } from "effect"
import { StatsD } from "hot-shots"
import type { Bench } from "../../../test/bench/Bench.ts"
import { Datadog, Dogstatsd } from "../src/index.ts"
import { openSink, type Sink } from "./support/sink.ts"

// A9 of the budgets: one counter with three tags, to a receiver in another thread. hot-shots packs datagrams of 1,432 bytes, as we do.

const Orders = MetricDefinition.counter("orders_total", { help: "x", labelNames: ["channel", "shop", "kind"] })
const kinds = ["a", "b", "c", "d", "e", "f", "g", "h"]
const ops = 2_000

export default (bench: Bench): void => {
  let sink: Sink | undefined
  let runtime: ManagedRuntime.ManagedRuntime<Dogstatsd | MetricsRecorder | Telemetry, unknown>
  let metrics!: MetricsRecorder["Service"]
  let dogstatsd!: Dogstatsd["Service"]
  let flush!: () => Promise<void>
  let hot!: StatsD
  let adding!: StatsD
  const setup = async (): Promise<void> => {
    if (sink !== undefined) return
    sink = await openSink()
    runtime = ManagedRuntime.make(Datadog.layer({ dogstatsd: `udp://127.0.0.1:${sink.statsdPort}`, traces: false, flushInterval: "1 second", containerId: false, env: "dev", service: "shop", version: "" }))
    metrics = await runtime.runPromise(MetricsRecorder)
    dogstatsd = await runtime.runPromise(Dogstatsd)
    const telemetry = await runtime.runPromise(Telemetry)
    flush = () => runtime.runPromise(telemetry.flush)
    const options = { host: "127.0.0.1", port: sink.statsdPort, maxBufferSize: 1432, globalTags: { env: "dev", service: "shop" } }
    hot = new StatsD(options)
    adding = new StatsD({ ...options, aggregation: true } as never)
  }
  const teardown = async (): Promise<void> => {
    if (sink === undefined) return
    const open = sink
    sink = undefined
    hot.close(() => {})
    adding.close(() => {})
    await runtime.dispose()
    open.close()
  }
  const tagsOf = (i: number) => ({ channel: "web", shop: "berlin", kind: kinds[i & 7]! })
  const hotSent = {
    name: "hot-shots increment, with its sends",
    ops,
    run: async () => {
      for (let i = 0; i < ops; i++) hot.increment("orders_total", 1, tagsOf(i))
      await new Promise<void>((done) => hot.flush(() => done()))
    }
  }
  bench.compare({
    name: "A9", unit: "ns/op", must: 0.3, moonshot: 0.1, setup, teardown, baseline: hotSent,
    subject: {
      name: "incrementCounterUnsafe, added up, with a flush",
      ops,
      run: async () => {
        for (let i = 0; i < ops; i++) metrics.incrementCounterUnsafe(Orders, 1, tagsOf(i) as never)
        await flush()
      }
    }
  })
  bench.compare({
    name: "A9.aggregated", unit: "ns/op", must: 0.3, moonshot: 0.1, setup,
    baseline: {
      name: "hot-shots increment, added up by it",
      ops,
      run: async () => {
        for (let i = 0; i < ops; i++) adding.increment("orders_total", 1, tagsOf(i))
        await new Promise<void>((done) => adding.flush(() => done()))
      }
    },
    subject: {
      name: "incrementCounterUnsafe, added up, with a flush",
      ops,
      run: async () => {
        for (let i = 0; i < ops; i++) metrics.incrementCounterUnsafe(Orders, 1, tagsOf(i) as never)
        await flush()
      }
    }
  })
  bench.compare({
    name: "A9.unaggregated", unit: "ns/op", must: 0.5, moonshot: 0.25, setup, baseline: hotSent,
    subject: {
      name: "Dogstatsd sendUnsafe, with its sends",
      ops,
      run: async () => {
        for (let i = 0; i < ops; i++) dogstatsd.sendUnsafe("c", "orders_total", 1, { tags: tagsOf(i) })
        await flush()
      }
    }
  })
}
