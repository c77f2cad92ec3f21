import { MetricDefinition, MetricsRecorder } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as EffectMetric from "effect/Metric"
import { equal, type Law, type LawBroken, near } from "./Law.ts"

type Labels = Readonly<Record<string, string>>

/** How a backend is asked what it holds. Answers are totals since the backend began. */
export class MetricsProbe extends Context.Service<MetricsProbe, {
  /** Sum over all series that carry these labels; 0 when there is none. */
  readonly counter: (name: string, labels?: Labels) => Effect.Effect<number>
  readonly gauge: (name: string, labels?: Labels) => Effect.Effect<number | undefined>
  /** Sum over all series that carry these labels; buckets are not cumulative, the last is +Inf. */
  readonly histogram: (name: string, labels?: Labels) => Effect.Effect<{ readonly count: number; readonly sum: number; readonly buckets: ReadonlyArray<number> }>
  /** Sum of the observed values. */
  readonly summary: (name: string, labels?: Labels) => Effect.Effect<number>
  /** Brings everything recorded so far to where the probe reads it. */
  readonly settle: Effect.Effect<void>
}>()("@effect-observability/testkit/MetricsProbe") {}

type Recorder = MetricsRecorder["Service"]
/** The steps of a law: effects that fail only by breaking it. */
type Steps = Generator<Effect.Effect<any, LawBroken>, void, any>
type Probe = MetricsProbe["Service"]

const law = (
  name: string,
  check: (metrics: Recorder, probe: Probe) => Steps
): Law<MetricsRecorder | MetricsProbe> => ({
  name,
  check: Effect.gen(function*() {
    yield* check(yield* MetricsRecorder, yield* MetricsProbe)
  })
})

const counter = (name: string, ...labelNames: ReadonlyArray<string>) => MetricDefinition.counter(name, { help: name, labelNames })
const bounds = [0.1, 0.5, 1]
const hostile = ["a\"b", "back\\slash", "line\nfeed", "tab\there", "üñïçødé 请求 🎉", "{x=\"y\"}", " ", "'; drop table t;--", "__proto__", "\u2028", "a=b,c"]

let effectNames = 0

/** What holds for metrics in every backend. */
export const laws: ReadonlyArray<Law<MetricsRecorder | MetricsProbe>> = [
  law("a counter adds up", function*(metrics, probe) {
    const Metric = counter("law_adds_total")
    yield* metrics.incrementCounter(Metric, 2)
    yield* metrics.incrementCounter(Metric, 3.5)
    yield* probe.settle
    yield* equal("2 + 3.5", yield* probe.counter("law_adds_total"), 5.5)
  }),
  law("an increment without a value is one", function*(metrics, probe) {
    yield* metrics.incrementCounter(counter("law_default_total"))
    yield* probe.settle
    yield* equal("value", yield* probe.counter("law_default_total"), 1)
  }),
  law("label sets are kept apart", function*(metrics, probe) {
    const Metric = counter("law_apart_total", "a", "b")
    yield* metrics.incrementCounter(Metric, 1, { a: "x", b: "y" })
    yield* metrics.incrementCounter(Metric, 10, { a: "x", b: "z" })
    yield* metrics.incrementCounter(Metric, 100, { a: "y", b: "x" })
    yield* probe.settle
    yield* equal("a=x b=y", yield* probe.counter("law_apart_total", { a: "x", b: "y" }), 1)
    yield* equal("a=x", yield* probe.counter("law_apart_total", { a: "x" }), 11)
    yield* equal("a=y b=x", yield* probe.counter("law_apart_total", { a: "y", b: "x" }), 100)
  }),
  law("the order of label keys does not matter", function*(metrics, probe) {
    const Metric = counter("law_order_total", "a", "b")
    yield* metrics.incrementCounter(Metric, 1, { a: "x", b: "y" })
    yield* metrics.incrementCounter(Metric, 1, { b: "y", a: "x" })
    yield* probe.settle
    yield* equal("value", yield* probe.counter("law_order_total", { a: "x", b: "y" }), 2)
  }),
  law("a counter never goes down", function*(metrics, probe) {
    const Metric = counter("law_monotone_total")
    yield* metrics.incrementCounter(Metric, 5)
    yield* metrics.incrementCounter(Metric, -3)
    yield* probe.settle
    yield* equal("value", yield* probe.counter("law_monotone_total"), 5)
  }),
  law("NaN and infinity are left out and harm nothing", function*(metrics, probe) {
    const Metric = counter("law_finite_total")
    const Level = MetricDefinition.gauge("law_finite_level", { help: "x" })
    const Time = MetricDefinition.histogram("law_finite_seconds", { help: "x", buckets: bounds })
    yield* metrics.incrementCounter(Metric, 1)
    yield* metrics.setGauge(Level, 4)
    yield* metrics.observeHistogram(Time, 0.2)
    for (const value of [NaN, Infinity, -Infinity]) {
      yield* metrics.incrementCounter(Metric, value)
      yield* metrics.setGauge(Level, value)
      yield* metrics.observeHistogram(Time, value)
    }
    yield* probe.settle
    yield* equal("counter", yield* probe.counter("law_finite_total"), 1)
    yield* equal("gauge", yield* probe.gauge("law_finite_level"), 4)
    const { count, sum } = yield* probe.histogram("law_finite_seconds")
    yield* equal("count", count, 1)
    yield* near("sum", sum, 0.2)
  }),
  law("a gauge keeps its last value", function*(metrics, probe) {
    const Metric = MetricDefinition.gauge("law_last_level", { help: "x" })
    for (const value of [5, 2, -7.25]) yield* metrics.setGauge(Metric, value)
    yield* probe.settle
    yield* equal("value", yield* probe.gauge("law_last_level"), -7.25)
  }),
  law("an up-down counter goes both ways", function*(metrics, probe) {
    const Metric = MetricDefinition.upDownCounter("law_updown", { help: "x" })
    for (const value of [5, -2, 1]) yield* metrics.incrementCounter(Metric, value)
    yield* probe.settle
    yield* equal("value", yield* probe.gauge("law_updown"), 4)
  }),
  law("a gauge that is read has the value of the moment", function*(metrics, probe) {
    const Metric = MetricDefinition.gauge("law_read_level", { help: "x", labelNames: ["queue"] })
    let level = 1
    yield* Effect.scoped(Effect.gen(function*() {
      yield* metrics.registerGauge(Metric, () => [[{ queue: "a" }, level], [{ queue: "b" }, -level]])
      level = 7.5
      yield* probe.settle
      yield* equal("a", yield* probe.gauge("law_read_level", { queue: "a" }), 7.5)
      yield* equal("b", yield* probe.gauge("law_read_level", { queue: "b" }), -7.5)
    }))
  }),
  law("what Effect's own Metric counts is there once", function*(_metrics, probe) {
    // Effect's registry outlives the backend: each run has a name of its own.
    const name = `law_effect_${++effectNames}`
    const calls = EffectMetric.counter(name, { incremental: true, attributes: { kind: "a" } })
    const sizes = EffectMetric.summary(`${name}_sizes`, { maxAge: "1 hour", maxSize: 10, quantiles: [0.5] })
    const level = EffectMetric.gauge(`${name}_level`)
    for (const value of [2, 3.5]) {
      yield* EffectMetric.update(calls, value)
      yield* EffectMetric.update(sizes, value)
      yield* EffectMetric.update(level, -3.5)
      yield* probe.settle
    }
    yield* EffectMetric.update(EffectMetric.withAttributes(calls, { zone: "eu" }), 10)
    yield* probe.settle
    yield* equal("kind=a", yield* probe.counter(`${name}_total`, { kind: "a" }), 15.5)
    yield* equal("zone=eu", yield* probe.counter(`${name}_total`, { zone: "eu" }), 10)
    yield* equal("sizes", yield* probe.summary(`${name}_sizes`), 5.5)
    yield* equal("level", yield* probe.gauge(`${name}_level`), -3.5)
  }),
  law("a histogram keeps count, sum and every bucket; bounds are inclusive", function*(metrics, probe) {
    const Metric = MetricDefinition.histogram("law_buckets_seconds", { help: "x", buckets: bounds, labelNames: ["route"] })
    for (const value of [0.05, 0.1, 0.10001, 0.5, 1, 1.00001, 50]) yield* metrics.observeHistogram(Metric, value, { route: "/" })
    yield* probe.settle
    const { buckets, count, sum } = yield* probe.histogram("law_buckets_seconds", { route: "/" })
    yield* equal("count", count, 7)
    yield* near("sum", sum, 52.75002)
    yield* equal("buckets", [...buckets], [2, 2, 1, 2])
  }),
  law("a summary keeps the sum", function*(metrics, probe) {
    const Metric = MetricDefinition.summary("law_summary_bytes", { help: "x" })
    for (const value of [1, 2, 3.5]) yield* metrics.observeSummary(Metric, value)
    yield* probe.settle
    yield* near("sum", yield* probe.summary("law_summary_bytes"), 6.5)
  }),
  law("a name means the same as its definition", function*(metrics, probe) {
    const Metric = counter("law_name_total", "a")
    yield* metrics.incrementCounter(Metric, 1, { a: "x" })
    yield* metrics.incrementCounter("law_name_total", 2, { a: "x" })
    yield* probe.settle
    yield* equal("value", yield* probe.counter("law_name_total", { a: "x" }), 3)
  }),
  law("a handle means the same as its labels", function*(metrics, probe) {
    const Metric = counter("law_handle_total", "a")
    const handle = metrics.bind(Metric, { a: "x" })
    yield* handle.increment()
    handle.incrementUnsafe(4)
    yield* metrics.incrementCounter(Metric, 1, { a: "x" })
    yield* probe.settle
    yield* equal("value", yield* probe.counter("law_handle_total", { a: "x" }), 6)
  }),
  law("an undeclared name is declared by its first use", function*(metrics, probe) {
    yield* metrics.incrementCounter("law_undeclared_total", 2, { kind: "new" })
    yield* metrics.incrementCounter("law_undeclared_total", 3, { kind: "new" })
    yield* probe.settle
    yield* equal("value", yield* probe.counter("law_undeclared_total", { kind: "new" }), 5)
  }),
  law("a missing label is recorded as absent", function*(metrics, probe) {
    const Metric = counter("law_missing_total", "a", "b")
    yield* metrics.incrementCounter(Metric, 1, { a: "x", b: "y" })
    yield* metrics.incrementCounter("law_missing_total", 2, { a: "x" })
    yield* probe.settle
    yield* equal("all", yield* probe.counter("law_missing_total", { a: "x" }), 3)
    yield* equal("b=y", yield* probe.counter("law_missing_total", { b: "y" }), 1)
  }),
  law("an unknown label is left out and the total kept", function*(metrics, probe) {
    counter("law_unknown_total", "a")
    yield* metrics.incrementCounter(counter("law_unknown_total", "a"), 1, { a: "x" })
    yield* metrics.incrementCounter("law_unknown_total", 2, { a: "x", color: "red" })
    yield* probe.settle
    yield* equal("total", yield* probe.counter("law_unknown_total", { a: "x" }), 3)
  }),
  law("the wrong type for a name disturbs nothing", function*(metrics, probe) {
    yield* metrics.incrementCounter(counter("law_type_total"), 3)
    yield* metrics.setGauge("law_type_total", 99)
    yield* metrics.observeHistogram("law_type_total", 99)
    yield* probe.settle
    yield* equal("value", yield* probe.counter("law_type_total"), 3)
  }),
  law("label values come back as they went in", function*(metrics, probe) {
    const Metric = counter("law_values_total", "value")
    for (const [i, value] of hostile.entries()) yield* metrics.incrementCounter(Metric, i + 1, { value })
    yield* probe.settle
    for (const [i, value] of hostile.entries()) {
      yield* equal(`value ${JSON.stringify(value)}`, yield* probe.counter("law_values_total", { value }), i + 1)
    }
  }),
  law("1,000 series are kept apart", function*(metrics, probe) {
    const Metric = counter("law_many_total", "id")
    for (let i = 0; i < 1000; i++) yield* metrics.incrementCounter(Metric, i, { id: `n${i}` })
    yield* probe.settle
    yield* equal("sum", yield* probe.counter("law_many_total"), 499_500)
    yield* equal("one", yield* probe.counter("law_many_total", { id: "n777" }), 777)
  }),
  law("concurrent fibers add up", function*(metrics, probe) {
    const Metric = counter("law_fibers_total")
    const hundred = Effect.forEach(Array.from({ length: 100 }), () => Effect.andThen(Effect.yieldNow, metrics.incrementCounter(Metric)), { discard: true })
    yield* Effect.forEach(Array.from({ length: 50 }), () => hundred, { concurrency: "unbounded", discard: true })
    yield* probe.settle
    yield* equal("value", yield* probe.counter("law_fibers_total"), 5000)
  }),
  law("recording never waits", function*(metrics, probe) {
    // `runSync` throws when an effect suspends.
    yield* Effect.sync(() => Effect.runSync(metrics.incrementCounter(counter("law_sync_total"), 1)))
    yield* probe.settle
    yield* equal("value", yield* probe.counter("law_sync_total"), 1)
  }),
  law("flushing twice does not double", function*(metrics, probe) {
    const Time = MetricDefinition.histogram("law_twice_seconds", { help: "x", buckets: bounds })
    yield* metrics.incrementCounter(counter("law_twice_total"), 7)
    yield* metrics.observeHistogram(Time, 0.3)
    yield* probe.settle
    yield* probe.settle
    yield* metrics.incrementCounter("law_twice_total", 1)
    yield* probe.settle
    yield* equal("counter", yield* probe.counter("law_twice_total"), 8)
    yield* equal("histogram", (yield* probe.histogram("law_twice_seconds")).count, 1)
  })
]
