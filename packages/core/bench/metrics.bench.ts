import { Exporter, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Prom from "prom-client"
import type { Bench, Side } from "../../../test/bench/Bench.ts"

// Budgets A1 to A8: recording one metric, against prom-client in a plain loop (it runs without Effect). Every call builds its
// labels anew, as programs do. "Through Effect" is `yield*` in one `Effect.gen` loop, so that the fiber's cost is included.

const three = ["method", "route", "status"] as const
const five = ["method", "route", "status", "tenant", "region"] as const
const help = "bench"

const Requests = MetricDefinition.counter("bench_requests_total", { help, labelNames: three, maxSeries: 2_000 })
const Visits = MetricDefinition.counter("bench_visits_total", { help, labelNames: five })
const Depth = MetricDefinition.gauge("bench_depth", { help, labelNames: three })
const Duration = MetricDefinition.histogram("bench_duration_seconds", { help, unit: "seconds", labelNames: three })
const Wide = MetricDefinition.counter("bench_wide_total", { help, labelNames: three, maxSeries: 200_000 })
const named = "bench_named_total"

/** One hub with that many push listeners, each taking a frame a second, as backends do. */
const recorderWith = async (listeners: number): Promise<MetricsRecorder["Service"]> => {
  const backends = Array.from({ length: listeners }, (_, i) => listener(`bench-${i}`))
  const settings = ObservabilityConfig.layer({ metrics: { maxSeries: 1_000_000 } })
  return ManagedRuntime.make(Layer.provide(Layer.mergeAll(Telemetry.layer, ...backends), settings)).runPromise(
    Effect.map(MetricsRecorder, (recorder) => recorder)
  )
}

const listener = (name: string) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const exporter = { export: () => Effect.succeed(Exporter.complete) }
    const { flush } = yield* telemetry.exportFrames({ name, exporter, interval: 1_000 })
    yield* telemetry.register({ name, kind: "bench", flush, report: () => ({ name, kind: "bench", status: "up", reason: undefined, signals: [] }) })
  })).pipe(Layer.provideMerge(Telemetry.layer))

const ops = 10_000

const throughEffect = (name: string, step: (i: number) => Effect.Effect<void>): Side => ({
  name,
  ops,
  run: () =>
    Effect.runPromise(Effect.gen(function*() {
      for (let i = 0; i < ops; i++) yield* step(i)
    }))
})

const plain = (name: string, step: (i: number) => void): Side => ({
  name,
  ops,
  run: () => {
    for (let i = 0; i < ops; i++) step(i)
  }
})

const digits = (prefix: string) => Array.from({ length: 10 }, (_, i) => `${prefix}${i}`)
const methods = digits("M")
const routes = digits("/orders/:id/")
const statuses = digits("20")
/** One of 1,000 label sets, another for each of 1,000 consecutive calls. */
const manyLabels = (i: number) => ({
  method: methods[i % 10]!,
  route: routes[((i / 10) | 0) % 10]!,
  status: statuses[((i / 100) | 0) % 10]!
})
const hundreds = (prefix: string) => Array.from({ length: 100 }, (_, i) => `${prefix}${i}`)
const manyRoutes = hundreds("/orders/:id/")
const manyStatuses = hundreds("code-")
let turn = 0
/** One of 100,000 label sets, another for each of 100,000 consecutive calls. */
const wideLabels = () => {
  turn = turn === 99_999 ? 0 : turn + 1
  return { method: methods[turn % 10]!, route: manyRoutes[((turn / 10) | 0) % 100]!, status: manyStatuses[((turn / 1_000) | 0) % 100]! }
}
/** Strings that did not exist before the call, as a router or a parser makes them: they still have to be hashed and compared. */
const madeLabels = (i: number) => ({ method: "GET", route: `/orders/${i % 100}`, status: `${200 + i % 5}` })
const threeLabels = () => ({ method: "GET", route: "/orders/:id", status: "200" })
const fiveLabels = () => ({ method: "GET", route: "/orders/:id", status: "200", tenant: "acme", region: "eu" })
/** Durations over all buckets, most of them short. */
const seconds = Float64Array.from({ length: 1_024 }, (_, i) => 0.001 * 1.0095 ** i)

export default async (bench: Bench): Promise<void> => {
  const recorder = await recorderWith(1)
  const registers: [] = []
  const promRequests = new Prom.Counter({ name: "requests_total", help, labelNames: three, registers })
  const promWide = new Prom.Counter({ name: "wide_total", help, labelNames: three, registers })
  const promVisits = new Prom.Counter({ name: "visits_total", help, labelNames: five, registers })
  const promDepth = new Prom.Gauge({ name: "depth", help, labelNames: three, registers })
  const promDuration = new Prom.Histogram({
    name: "duration_seconds",
    help,
    labelNames: three,
    buckets: [...MetricDefinition.defaultBuckets],
    registers
  })

  bench.compare({
    name: "A1",
    unit: "ns/op",
    subject: throughEffect("yield* incrementCounter(definition, 1, 3 labels)", () => recorder.incrementCounter(Requests, 1, threeLabels())),
    baseline: plain("prom-client inc(labels)", () => promRequests.inc(threeLabels())),
    must: 1,
    moonshot: 0.65
  })
  bench.compare({
    name: "A1.name",
    unit: "ns/op",
    subject: throughEffect("yield* incrementCounter(name, 1, 3 labels)", () => recorder.incrementCounter(named, 1, threeLabels())),
    baseline: plain("prom-client inc(labels)", () => promRequests.inc(threeLabels())),
    must: 1,
    moonshot: 0.65
  })
  bench.compare({
    name: "A1.gauge",
    unit: "ns/op",
    subject: throughEffect("yield* setGauge(definition, value, 3 labels)", (i) => recorder.setGauge(Depth, i, threeLabels())),
    baseline: plain("prom-client set(labels, value)", (i) => promDepth.set(threeLabels(), i)),
    must: 1,
    moonshot: 0.65
  })
  bench.compare({
    name: "A1.histogram",
    unit: "ns/op",
    subject: throughEffect("yield* observeHistogram(definition, value, 3 labels)", (i) =>
      recorder.observeHistogram(Duration, seconds[i & 1_023]!, threeLabels())),
    baseline: plain("prom-client observe(labels, value)", (i) => promDuration.observe(threeLabels(), seconds[i & 1_023]!)),
    must: 1,
    moonshot: 0.65
  })
  bench.compare({
    name: "A1.s1000",
    unit: "ns/op",
    subject: throughEffect("yield* incrementCounter(definition, 1, 3 labels), 1,000 series", (i) =>
      recorder.incrementCounter(Requests, 1, manyLabels(i))),
    baseline: plain("prom-client inc(labels), 1,000 series", (i) => promRequests.inc(manyLabels(i))),
    must: 1,
    moonshot: 0.65
  })

  bench.compare({
    name: "A1.s100000",
    unit: "ns/op",
    subject: throughEffect("yield* incrementCounter(definition, 1, 3 labels), 100,000 series", () => recorder.incrementCounter(Wide, 1, wideLabels())),
    baseline: plain("prom-client inc(labels), 100,000 series", () => promWide.inc(wideLabels())),
    must: 1,
    moonshot: 0.65
  })
  bench.compare({
    name: "A1.dynamic",
    unit: "ns/op",
    subject: throughEffect("yield* incrementCounter(definition, 1, 3 labels), strings made per call", (i) =>
      recorder.incrementCounter(Requests, 1, madeLabels(i))),
    baseline: plain("prom-client inc(labels), strings made per call", (i) => promRequests.inc(madeLabels(i))),
    must: 1,
    moonshot: 0.65
  })

  bench.compare({
    name: "A2",
    unit: "ns/op",
    subject: throughEffect("yield* incrementCounter(definition, 1, 5 labels)", () => recorder.incrementCounter(Visits, 1, fiveLabels())),
    baseline: plain("prom-client inc(labels), 5 labels", () => promVisits.inc(fiveLabels())),
    must: 0.8,
    moonshot: 0.5
  })

  const handle = recorder.bind(Requests, threeLabels())
  const cell = new Float64Array(1)
  const prebuilt = Effect.sync(() => {
    cell[0]! += 1
  })
  bench.compare({
    name: "A3",
    unit: "ns/op",
    subject: throughEffect("yield* handle.increment()", () => handle.increment()),
    baseline: throughEffect("yield* prebuilt Effect.sync(cell++)", () => prebuilt),
    must: 1.5,
    moonshot: 1.1
  })

  const promChild = promRequests.labels(threeLabels())
  bench.compare({
    name: "A4",
    unit: "ns/op",
    subject: plain("handle.incrementUnsafe()", () => handle.incrementUnsafe()),
    baseline: plain("prom-client child.inc()", () => promChild.inc()),
    budget: "value",
    must: 15,
    moonshot: 5
  })

  bench.compare({
    name: "A5",
    unit: "ns/op",
    subject: plain("incrementCounterUnsafe(definition, 1, 3 labels)", () => recorder.incrementCounterUnsafe(Requests, 1, threeLabels())),
    baseline: plain("prom-client inc(labels)", () => promRequests.inc(threeLabels())),
    must: 0.5,
    moonshot: 0.2
  })
  bench.compare({
    name: "A5.name",
    unit: "ns/op",
    subject: plain("incrementCounterUnsafe(name, 1, 3 labels)", () => recorder.incrementCounterUnsafe(named, 1, threeLabels())),
    baseline: plain("prom-client inc(labels)", () => promRequests.inc(threeLabels())),
    must: 0.5,
    moonshot: 0.2
  })

  bench.compare({
    name: "A6",
    unit: "ns/op",
    subject: throughEffect("yield* observeHistogram(definition, value, 3 labels), 11 buckets", (i) =>
      recorder.observeHistogram(Duration, seconds[i & 1_023]!, threeLabels())),
    baseline: plain("prom-client observe(labels, value), 11 buckets", (i) => promDuration.observe(threeLabels(), seconds[i & 1_023]!)),
    must: 0.8,
    moonshot: 0.4
  })

  bench.compare({
    name: "A7",
    unit: "ns/op",
    subject: throughEffect("yield* incrementCounter, 1,000 series", (i) => recorder.incrementCounter(Requests, 1, manyLabels(i))),
    baseline: throughEffect("yield* incrementCounter, one hot series", () => recorder.incrementCounter(Requests, 1, threeLabels())),
    must: 2,
    moonshot: 1.4
  })

  for (const listeners of [2, 3, 5]) {
    const shared = await recorderWith(listeners)
    bench.compare({
      name: `A8.${listeners}`,
      unit: "ns/op",
      subject: throughEffect(`yield* incrementCounter, ${listeners} listeners`, () => shared.incrementCounter(Requests, 1, threeLabels())),
      baseline: throughEffect("yield* incrementCounter, one listener", () => recorder.incrementCounter(Requests, 1, threeLabels())),
      must: 1.1,
      moonshot: 1.05
    })
  }
}
