import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as Label from "../../src/metrics/Label.ts"
import * as MetricDefinition from "../../src/metrics/MetricDefinition.ts"
import * as MetricsRecorder from "../../src/metrics/MetricsRecorder.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"

const Orders = MetricDefinition.counter("orders_total", { help: "x", labelNames: ["channel", "shop"], labelValues: { channel: ["web", "fax"] } })
const Depth = MetricDefinition.gauge("depth", { help: "x" })

// Checked by the compiler (`npm run check`): each line marked must not compile.
const fresh = (settings = {}) => {
  const store = MetricStore.make({ maxSeriesPerMetric: 10, maxSeries: 10, maxMetrics: 10, buckets: {}, ...settings }, () => 0)
  return { store, metrics: MetricsRecorder.make(store) }
}

it("wrong labels do not compile", () => {
  const { metrics } = fresh()
  metrics.incrementCounterUnsafe(Orders, 1, { channel: "web", shop: "berlin" })
  metrics.setGaugeUnsafe(Depth, 1)
  metrics.incrementCounterUnsafe("orders_total", 1, { channel: "web", shop: "berlin" })
  // @ts-expect-error a literal that is not listed
  metrics.incrementCounterUnsafe(Orders, 1, { channel: "pigeon", shop: "berlin" })
  // @ts-expect-error a label that does not exist
  metrics.incrementCounterUnsafe(Orders, 1, { channel: "web", shop: "berlin", color: "red" })
  // @ts-expect-error a label is missing
  metrics.incrementCounterUnsafe(Orders, 1, { channel: "web" })
  // @ts-expect-error all labels are missing
  metrics.incrementCounterUnsafe(Orders, 1)
  // @ts-expect-error a gauge is not a counter
  metrics.incrementCounterUnsafe(Depth, 1)
  // @ts-expect-error a handle wants its labels
  metrics.bind(Orders)
})

describe("keys with many values", () => {
  const UserId = Label.high("user")
  const Tenant = Label.ambient(Label.allowed("tenant_id"))
  const Channel = Label.low("channel", ["web", "fax"])
  const Taken = MetricDefinition.counter("taken_total", { help: "x", labelNames: [Channel, Tenant, "region"] })

  it("do not compile on a metric", () => {
    // @ts-expect-error a name known for many values
    MetricDefinition.counter("a_total", { help: "x", labelNames: ["user_id"] })
    // @ts-expect-error the same in camel case, beside a good one
    MetricDefinition.counter("a_total", { help: "x", labelNames: ["method", "requestId"] })
    // @ts-expect-error on every kind of metric
    MetricDefinition.histogram("a_seconds", { help: "x", labelNames: ["email"] })
    // @ts-expect-error not even declared low
    Label.low("user_id")
    // @ts-expect-error nor ambient
    Label.ambient("session_id")
    assert.throws(() => {
      // @ts-expect-error a key declared high
      MetricDefinition.gauge("a", { help: "x", labelNames: [UserId] })
    }, /labelNames has "user", declared with Label.high: put it on spans and logs, or say Label.allowed\("user"\)/)
    const allowed = MetricDefinition.gauge("a", { help: "x", labelNames: [Label.allowed(UserId), Label.allowed("email")] })
    assert.deepStrictEqual(allowed.highCardinalityLabels, ["user", "email"])
  })

  it("declared once, types hold wherever they are used", () => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe(Taken, 1, { channel: "web", tenant_id: "acme", region: "eu" })
    // An ambient label may be left out.
    metrics.incrementCounterUnsafe(Taken, 1, { channel: "fax", region: "eu" })
    // @ts-expect-error a literal that the key does not list
    metrics.incrementCounterUnsafe(Taken, 1, { channel: "pigeon", region: "eu" })
    // @ts-expect-error a label is missing
    metrics.incrementCounterUnsafe(Taken, 1, { channel: "web" })
    // @ts-expect-error a label that does not exist
    metrics.incrementCounterUnsafe(Taken, 1, { channel: "web", region: "eu", color: "red" })
    const family = store.family("taken_total")!
    assert.deepStrictEqual(family.definition.labelNames, ["channel", "tenant_id", "region"])
    assert.deepStrictEqual(family.series.map((series) => series.labelValues[0]).slice(0, 3), ["web", "fax", "_OTHER"])
  })

  it("from untyped code are added up at run time: the totals stay, and the report says which", () => {
    const { metrics, store } = fresh()
    const names: ReadonlyArray<string> = ["method", "user_id"]
    const Untyped = MetricDefinition.counter("untyped_total", { help: "x", labelNames: names })
    for (let i = 0; i < 100; i++) metrics.incrementCounterUnsafe(Untyped, 1, { method: "GET", user_id: `u${i}` })
    for (let i = 0; i < 100; i++) metrics.incrementCounterUnsafe("by_name_total", 1, { requestId: `r${i}` })
    assert.deepStrictEqual(store.families().map((family) => family.series.map((series) => family.value(series))), [[100], [100]])
    assert.match(store.problems().join("\n"), /"untyped_total": label "user_id" is added up.*Label.allowed or metrics.highCardinalityLabels/)
    assert.deepStrictEqual(store.refusals(), {})
  })

  it("may be allowed by configuration", () => {
    const { metrics, store } = fresh({ highCardinalityLabels: ["tenant_id"] })
    metrics.incrementCounterUnsafe("by_name_total", 1, { tenant_id: "a", user_id: "b" })
    assert.deepStrictEqual(store.family("by_name_total")!.definition.labelNames, ["tenant_id"])
  })
})

it("measuring calls check their labels too", () => {
  const { metrics } = fresh()
  const Checkout = MetricDefinition.operation("checkout", { help: "x", labelNames: ["channel"], labelValues: { channel: ["web"] } })
  const Ends = MetricDefinition.counter("ends_total", { help: "x", labelNames: ["kind", "outcome"] })
  const Depths = MetricDefinition.gauge("depths", { help: "x", labelNames: ["queue"] })
  const Import = MetricDefinition.longTask("import", { help: "x", labelNames: ["source"] })
  const self = Effect.succeed(1)
  const right: ReadonlyArray<Effect.Effect<number>> = [
    metrics.observe(Checkout, self, { channel: "web" }),
    metrics.counted(Ends, self, { kind: "a" }),
    metrics.longTask(Import, self, { source: "a" })
  ]
  const gauges: ReadonlyArray<Effect.Effect<void, never, Scope.Scope>> = [
    metrics.registerGauge(Depths, () => [[{ queue: "a" }, 1]]),
    metrics.registerGauge(Depth, Effect.succeed(1))
  ]
  const wrong: ReadonlyArray<Effect.Effect<unknown, unknown, any>> = [
    // @ts-expect-error a literal that is not listed
    metrics.observe(Checkout, self, { channel: "fax" }),
    // @ts-expect-error a label is missing
    metrics.observe(Checkout, self),
    // @ts-expect-error the outcome is not the caller's to say
    metrics.counted(Ends, self, { kind: "a", outcome: "success" }),
    // @ts-expect-error a gauge is not timed
    metrics.timed(Depth, self),
    // @ts-expect-error a label that does not exist
    metrics.longTask(Import, self, { origin: "a" }),
    // @ts-expect-error one value for a gauge with labels
    metrics.registerGauge(Depths, () => 1)
  ]
  assert.deepStrictEqual([right.length, gauges.length, wrong.length], [3, 2, 6])
  // @ts-expect-error a name known for many values
  MetricDefinition.operation("checkout", { help: "x", labelNames: ["user_id"] })
})
