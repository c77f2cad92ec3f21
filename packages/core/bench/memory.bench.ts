import { Exposition, MetricDefinition, MetricsRecorder, ObservabilityConfig } from "@effect-observability/core"
import { Prometheus } from "@effect-observability/prometheus"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Prom from "prom-client"
import type { Bench } from "../../../test/bench/Bench.ts"

// Budgets G1 and G2: bytes per series, typed arrays included, after a page was rendered, so that what makes scrapes fast is counted.
// Both sides are given the same label strings. Also bytes per call: A4 and A5.

const help = "bench"
const labelNames = ["method", "route", "status"] as const
const methods = Array.from({ length: 10 }, (_, i) => `M${i}`)
const routes = Array.from({ length: 100 }, (_, i) => `/orders/:id/${i}`)
const statuses = Array.from({ length: 100 }, (_, i) => `${200 + i}`)
const labelsOf = (i: number) => ({ method: methods[i % 10]!, route: routes[((i / 10) | 0) % 100]!, status: statuses[((i / 1000) | 0) % 100]! })

const inUse = (): number => {
  // Twice: what the first pass makes reachable by finalizers alone goes with the second.
  globalThis.gc!()
  globalThis.gc!()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Bytes per series of what `build` holds. */
const perSeries = async (series: number, build: () => Promise<{ readonly end: () => Promise<void> }>): Promise<number> => {
  const before = inUse()
  const built = await build()
  const bytes = (inUse() - before) / series
  await built.end()
  return bytes
}

const ours = (record: (metrics: MetricsRecorder["Service"]) => void) => async () => {
  const settings = ObservabilityConfig.layer({ metrics: { maxSeriesPerMetric: 1_000_000, maxSeries: 1_000_000 } })
  const runtime = ManagedRuntime.make(Layer.provide(Prometheus.layer(), settings))
  const exposition = await runtime.runPromise(Effect.gen(function*() {
    record(yield* MetricsRecorder)
    return yield* Exposition
  }))
  await runtime.runPromise(Effect.asVoid(exposition.page))
  return { end: () => runtime.dispose() }
}

const theirs = (record: (registry: Prom.Registry) => void) => async () => {
  const registry = new Prom.Registry()
  record(registry)
  await registry.metrics()
  return { end: async () => registry.clear() }
}

const each = (series: number, step: (i: number) => void): void => {
  for (let i = 0; i < series; i++) step(i)
}

/** Bytes that a call leaves behind for the collector, to the whole byte. */
const perCall = (step: (i: number) => void): number => {
  const calls = 20_000
  globalThis.gc!()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < calls; i++) step(i)
  return Math.round((process.memoryUsage().heapUsed - before) / calls)
}

export default async (bench: Bench): Promise<void> => {
  const counters = 100_000
  bench.measure({
    name: "G1",
    unit: "B/series",
    samples: 3,
    run: () =>
      perSeries(counters, ours((metrics) => {
        const definition = MetricDefinition.counter("g1_total", { help, labelNames })
        each(counters, (i) => metrics.incrementCounterUnsafe(definition, i, labelsOf(i)))
      })),
    baseline: {
      name: "prom-client counter",
      run: () =>
        perSeries(counters, theirs((registry) => {
          const counter = new Prom.Counter({ name: "g1_total", help, labelNames, registers: [registry] })
          each(counters, (i) => counter.inc(labelsOf(i), i))
        }))
    },
    budget: "ratio",
    must: 1.2,
    moonshot: 0.9
  })
  const histograms = 20_000
  bench.measure({
    name: "G2",
    unit: "B/series",
    samples: 3,
    run: () =>
      perSeries(histograms, ours((metrics) => {
        const definition = MetricDefinition.histogram("g2_seconds", { help, labelNames })
        each(histograms, (i) => metrics.observeHistogramUnsafe(definition, i / 1_000, labelsOf(i)))
      })),
    baseline: {
      name: "prom-client histogram",
      run: () =>
        perSeries(histograms, theirs((registry) => {
          const histogram = new Prom.Histogram({ name: "g2_seconds", help, labelNames, buckets: [...MetricDefinition.defaultBuckets], registers: [registry] })
          each(histograms, (i) => histogram.observe(labelsOf(i), i / 1_000))
        }))
    },
    budget: "ratio",
    must: 1,
    moonshot: 0.6
  })

  const runtime = ManagedRuntime.make(Prometheus.layer())
  const metrics = await runtime.runPromise(Effect.map(MetricsRecorder, (recorder) => recorder))
  const Calls = MetricDefinition.counter("bytes_total", { help, labelNames })
  const handle = metrics.bind(Calls, labelsOf(0))
  const bound = () => handle.incrementUnsafe()
  const byLabels = () => metrics.incrementCounterUnsafe(Calls, 1, { method: "GET", route: "/orders/:id", status: "200" })
  bench.measure({ name: "A4.bytes", unit: "B/op", setup: () => each(200_000, bound), run: () => perCall(bound), must: 16, moonshot: 0 })
  bench.measure({ name: "A5.bytes", unit: "B/op", setup: () => each(200_000, byLabels), run: () => perCall(byLabels), must: 128, moonshot: 64 })
}
