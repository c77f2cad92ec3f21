import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MetricDefinition from "../../src/metrics/MetricDefinition.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"
import * as Recorder from "../../src/metrics/MetricsRecorder.ts"

// Whatever arrives: nothing throws into the program, no other series is harmed, each refusal has a counted reason.

const Good = MetricDefinition.counter("good_total", { help: "x", labelNames: ["a", "b"] })
const Depth = MetricDefinition.gauge("depth", { help: "x", labelNames: ["a"] })
const InFlight = MetricDefinition.upDownCounter("in_flight", { help: "x" })
const Latency = MetricDefinition.histogram("latency_seconds", { help: "x", buckets: [0, 1] })
const Size = MetricDefinition.summary("size_bytes", { help: "x" })
const control = { a: "control", b: "control" }

const fresh = () => {
  const store = MetricStore.make({ maxSeriesPerMetric: 1000, maxSeries: 100_000, maxMetrics: 100, buckets: {} }, () => 1000)
  const metrics = Recorder.make(store)
  metrics.incrementCounterUnsafe(Good, 5, control)
  return { store, metrics: metrics as any, typed: metrics }
}
const values = (store: MetricStore.MetricStore, name = "good_total") => {
  const family = store.family(name)!
  return family.series.map((series) => [...series.labelValues, family.value(series)])
}
const unharmed = (store: MetricStore.MetricStore) => {
  assert.deepStrictEqual(values(store)[0], ["control", "control", 5])
  assert.deepStrictEqual(Reflect.ownKeys(Object.prototype).length, prototypeKeys)
  assert.strictEqual(({} as any).polluted, undefined)
}
const prototypeKeys = Reflect.ownKeys(Object.prototype).length

const throwing = (trap: string) => new Proxy({ a: "1", b: "2" }, { [trap]: () => { throw new Error(trap) } })
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const cyclic: any = {}
cyclic.self = cyclic

describe("a metric's name", () => {
  const refused: ReadonlyArray<unknown> = [
    "", "_", "___", "9a", "a b", "a{b=\"c\"}", "请求", "a\n# TYPE evil counter\nevil 1", "x".repeat(1_000_000), "__name__", "__proto__", "a.b", "a-b", "a:b",
    "a\u0000", "\ufeffa", "a\u202e", "\ud800", null, undefined, 5, NaN, 1n, true, Symbol("s"), {}, [], cyclic, () => "x", new Date(0), throwing("get"), revoked(),
    { name: "a" }, { name: "good_total", type: "counter", labelNames: [] }
  ]
  it.each(refused.map((name, i) => [i, name]))("no. %i is refused with its reason by every call", (_, name) => {
    const { metrics, store } = fresh()
    const effects: Array<Effect.Effect<unknown>> = []
    for (const method of ["incrementCounter", "setGauge", "observeHistogram", "observeSummary"]) {
      metrics[`${method}Unsafe`](name, 1, {})
      effects.push(metrics[method](name, 1, {}))
    }
    const handle = metrics.bind(name, {})
    handle.incrementUnsafe?.()
    Effect.runSync(Effect.all(effects))
    assert.isFalse(Effect.runSync(metrics.remove(name, {})))
    assert.deepStrictEqual(store.refusals(), { invalid_name: 9 })
    assert.strictEqual(store.families().length, 1)
    unharmed(store)
  })

  it("that every object has by inheritance is a name like any other", () => {
    const { metrics, store } = fresh()
    for (const name of ["constructor", "toString", "hasOwnProperty", "valueOf", "isPrototypeOf"]) {
      metrics.incrementCounterUnsafe(name, 1, { [name]: name })
      metrics.observeHistogramUnsafe(`${name}_seconds`, 1, { [name]: name })
      assert.deepStrictEqual(values(store, name), [[name, 1]])
      assert.deepStrictEqual(store.family(`${name}_seconds`)!.definition.buckets, MetricDefinition.defaultBuckets)
    }
    metrics.observeHistogramUnsafe("constructor_", 1)
    assert.deepStrictEqual(store.refusals(), {})
    unharmed(store)
  })
})

describe("a label's name", () => {
  it.each(["", " ", "le", "quantile", "__name__", "__proto__", "a.b", "a=\"x\",b", "1", "a b", "请求", "a\n", "\ud800", "x".repeat(200)])("%j is refused", (label) => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe("other_total", 1, Object.fromEntries([[label, "v"]]))
    metrics.incrementCounterUnsafe("another_total", 1, JSON.parse(`{${JSON.stringify(label)}:"v"}`))
    assert.deepStrictEqual(store.refusals(), { invalid_name: 2 })
    unharmed(store)
    assert.throws(() => MetricDefinition.counter("ok_total", { help: "x", labelNames: [label] as never }), MetricDefinition.MetricDefinitionError)
  })

  it.each(["job", "instance", "constructor", "toString", "hasOwnProperty", "_", "A"].filter((name) => name !== "_"))("%j is kept as its own", (label) => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe("other_total", 1, { [label]: "v" })
    metrics.incrementCounterUnsafe("other_total", 1, {})
    assert.deepStrictEqual(values(store, "other_total"), [["v", 1], ["", 1]])
    assert.deepStrictEqual(store.refusals(), { missing_label: 1 })
    unharmed(store)
  })
})

describe("a label's value", () => {
  const texts = [
    "\"", "\\", "\n", "\r\n", "\u0000", "\u2028", "\ufeff", "\u202e", "\ud800", "\udc00x", "\"} 1\nevil_total 999\nx{y=\"", " ", "__proto__", "constructor", "200", "-0",
    "a".repeat(1024), "😀".repeat(300), "# EOF", "_overflow", "_OTHER"
  ]
  it("comes back as it was", () => {
    const { metrics, store } = fresh()
    for (const text of texts) for (let i = 0; i < 20; i++) metrics.incrementCounterUnsafe(Good, 1, { a: text, b: "x" })
    assert.deepStrictEqual(values(store).slice(1), texts.map((text) => [text, "x", 20]))
    assert.deepStrictEqual(store.refusals(), {})
    unharmed(store)
  })

  it("that is too long is cut, never within a character, and counted", () => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe(Good, 1, { a: "x".repeat(10_000_000), b: `y${"😀".repeat(600)}` })
    const [a, b] = values(store)[1] as [string, string]
    assert.deepStrictEqual([a.length, b.length], [1024, 1023])
    assert.isTrue((b as any).isWellFormed())
    assert.deepStrictEqual(store.refusals(), { long_label: 2 })
    unharmed(store)
  })

  it.each<readonly [string, unknown, string]>([
    ["number", 200, "200"],
    ["NaN", NaN, "NaN"],
    ["bigint", 5n, "5"],
    ["boolean", false, "false"],
    ["symbol", Symbol("s"), "Symbol(s)"],
    ["date", new Date(NaN), "Invalid Date"],
    ["array", [1, [2]], "1,2"],
    ["object", cyclic, "[object Object]"],
    ["null", null, ""],
    ["undefined", undefined, ""],
    ["object that will not be text", { toString: () => { throw new Error("no") } }, ""],
    ["object whose text is none", { toString: () => ({}) }, ""],
    ["object without a prototype", Object.create(null), ""],
    ["revoked proxy", revoked(), ""],
    ["function", Math.max, "function max() { [native code] }"]
  ])("that is no text (%s) becomes text or is absent; the total is right", (_, value, text) => {
    const { metrics, store } = fresh()
    for (let i = 0; i < 3; i++) metrics.incrementCounterUnsafe(Good, 1, { a: value, b: "x" })
    assert.deepStrictEqual(values(store).slice(1), [[text, "x", 3]])
    assert.deepStrictEqual(store.refusals(), text === "" ? { missing_label: 3 } : {})
    unharmed(store)
  })
})

describe("a definition that cannot be used", () => {
  it.each<readonly [string, () => unknown]>([
    ...[0, -1, 1.5, NaN, Infinity, "5", null].map((maxSeries) => ["maxSeries", () => MetricDefinition.counter("a_total", { help: "x", maxSeries: maxSeries as number })] as const),
    ...[{ "": 0 }, { "2": 0 }, { x: 0 }, { "0.5": 2 }, { "0.5": 0.1, "0.50": 0.1 }].map((objectives) =>
      ["objectives", () => MetricDefinition.summary("a", { help: "x", objectives: objectives as Record<string, number> })] as const)
  ])("names the metric and the field %s", (field, define) => {
    assert.throws(define, new RegExp(`^metric "a(_total)?": ${field} (is|has) `))
  })
})

describe("labels as a whole", () => {
  it.each<readonly [string, unknown]>([
    ["nothing", undefined], ["null", null], ["a number", 5], ["a text", "ab"], ["a list", ["x", "y"]], ["a function", () => 1], ["a map", new Map([["a", "1"]])],
    ["a symbol", Symbol("s")], ["a promise", Promise.resolve()], ["keys that are symbols", { [Symbol("a")]: "1" }], ["a revoked proxy", revoked()],
    ...["get", "ownKeys", "getOwnPropertyDescriptor", "getPrototypeOf", "has"].map((trap) => [`a proxy whose ${trap} throws`, throwing(trap)] as const),
    ["a getter that throws", { get a() { throw new Error("trap") }, b: "2" }],
    ["inherited ones", Object.create({ a: "1", b: "2" })],
    ["a prototype given as a key", JSON.parse("{\"__proto__\":{\"polluted\":\"yes\"},\"a\":\"1\"}")]
  ])("%s: nothing throws, the total is right, the slip is counted", (_, labels) => {
    const { metrics, store } = fresh()
    for (let i = 0; i < 40; i++) {
      metrics.incrementCounterUnsafe(Good, 1, labels)
      metrics.incrementCounterUnsafe("good_total", 1, labels)
    }
    metrics.bind(Good, labels).incrementUnsafe()
    assert.strictEqual(values(store).reduce((sum, row) => sum + (row.at(-1) as number), 0), 5 + 81)
    assert.isTrue(Effect.runSync(metrics.remove(Good, control)))
    assert.isFalse(Effect.runSync(metrics.remove(Depth, labels)))
    metrics.incrementCounterUnsafe("new_by_name_total", 1, labels)
    const Ends = MetricDefinition.counter("ends_total", { help: "x", labelNames: ["a", "b", "outcome", "error_type"] })
    const Work = MetricDefinition.operation("work", { help: "x", labelNames: ["a", "b"] })
    assert.strictEqual(Effect.runSync(metrics.counted(Ends, metrics.observe(Work, metrics.timed(Latency, Effect.succeed(1), labels), labels), labels)), 1)
    for (const name of ["ends_total", "work_total"]) assert.strictEqual(values(store, name).at(-1)!.at(-1), 1)
  })

  it("of a million keys are refused as a definition; the process keeps none of them", () => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe("wide_total", 1, Object.fromEntries(Array.from({ length: 1_000_000 }, (_, i) => [`k${i}`, "v"])))
    assert.deepStrictEqual(store.refusals(), { invalid_name: 1 })
    metrics.incrementCounterUnsafe(Good, 1, Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, "v"])))
    assert.deepStrictEqual(values(store)[1], ["", "", 1])
    unharmed(store)
  })

  it("a getter that records while it is read is no trouble", () => {
    const { metrics, store } = fresh()
    const labels = { get a() { metrics.incrementCounterUnsafe(Good, 1, { a: "inner", b: "x" }); return "outer" }, b: "x" }
    for (let i = 0; i < 3; i++) metrics.incrementCounterUnsafe(Good, 1, labels)
    const total = values(store).filter(([a]) => a === "outer").map((row) => row[2])
    assert.deepStrictEqual(total, [3])
    assert.deepStrictEqual(store.refusals(), {})
    unharmed(store)
  })

  it("other orders, and none of the library's own, lead to the same series", () => {
    const { metrics, store } = fresh()
    const bare = Object.assign(Object.create(null), { b: "2", a: "1" })
    class Labels { a = "1"; b = "2" }
    for (const labels of [{ a: "1", b: "2" }, { b: "2", a: "1" }, bare, Object.freeze({ a: "1", b: "2" }), new Labels()]) {
      for (let i = 0; i < 20; i++) metrics.incrementCounterUnsafe(Good, 1, labels)
    }
    assert.deepStrictEqual(values(store).slice(1), [["1", "2", 100]])
    assert.deepStrictEqual(store.refusals(), {})
  })

  it("the values of the overflow series given by hand are that series", () => {
    const store = MetricStore.make({ maxSeriesPerMetric: 2, maxSeries: 100, maxMetrics: 100, buckets: {} }, () => 0)
    const metrics = Recorder.make(store)
    metrics.incrementCounterUnsafe(Good, 1, { a: "_overflow", b: "_overflow" })
    for (let i = 0; i < 9; i++) metrics.incrementCounterUnsafe(Good, 1, { a: `${i}`, b: "x" })
    assert.deepStrictEqual(values(store), [["_overflow", "_overflow", 9], ["0", "x", 1]])
  })
})

describe("a value", () => {
  const never: ReadonlyArray<unknown> = [NaN, Infinity, -Infinity, "1", "", 1n, null, {}, [], [1], true, Symbol("s"), { valueOf: () => 1 }, new Number(1), new Date(1), revoked()]
  it.each(never.map((value, i) => [i, value]))("no. %i that is no finite number is refused by all, and never sticks in a sum", (_, value) => {
    const { metrics, store } = fresh()
    const before = [0.5, 2]
    for (const good of before) {
      metrics.observeHistogramUnsafe(Latency, good)
      metrics.observeSummaryUnsafe(Size, good)
    }
    metrics.setGaugeUnsafe(Depth, 3, { a: "x" })
    metrics.incrementCounterUnsafe(InFlight, 2)
    metrics.incrementCounterUnsafe(Good, value, control)
    metrics.incrementCounterUnsafe(InFlight, value)
    metrics.setGaugeUnsafe(Depth, value, { a: "x" })
    metrics.observeHistogramUnsafe(Latency, value)
    metrics.observeSummaryUnsafe(Size, value)
    metrics.bind(Good, control).incrementUnsafe(value)
    metrics.bind(Depth, { a: "x" }).setUnsafe(value)
    metrics.bind(Latency).observeUnsafe(value)
    Effect.runSync(metrics.incrementCounter(Good, value, control))
    Effect.runSync(metrics.bind(Latency).observe(value))
    assert.deepStrictEqual(store.refusals(), { invalid_value: 10 })
    const latency = store.family("latency_seconds")!
    const size = store.family("size_bytes")!
    assert.deepStrictEqual([latency.sum(latency.series[0]!), latency.count(latency.series[0]!)], [2.5, 2])
    assert.deepStrictEqual([size.sum(size.series[0]!), size.count(size.series[0]!)], [2.5, 2])
    assert.deepStrictEqual([values(store, "depth"), values(store, "in_flight")], [[["x", 3]], [[2]]])
    unharmed(store)
  })

  it("has its kind's rule: counters do not fall, up-down counters and gauges do", () => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe(Good, -1, control)
    metrics.incrementCounterUnsafe(Good, -Number.MIN_VALUE, control)
    metrics.incrementCounterUnsafe(Good, -0, control)
    metrics.incrementCounterUnsafe(InFlight, -3)
    metrics.setGaugeUnsafe(Depth, -0, { a: "x" })
    assert.deepStrictEqual(store.refusals(), { negative_increment: 2 })
    assert.deepStrictEqual(values(store, "in_flight"), [[-3]])
    assert.strictEqual(values(store, "depth")[0]![1], -0)
    unharmed(store)
  })

  it("past 2^53 loses what doubles lose; a sum that leaves the numbers stays out of the way of others", () => {
    const { metrics, store } = fresh()
    metrics.incrementCounterUnsafe(Good, 2 ** 53 + 1, { a: "big", b: "x" })
    assert.deepStrictEqual(values(store)[1], ["big", "x", 2 ** 53])
    metrics.observeHistogramUnsafe(Latency, -5)
    const latency = store.family("latency_seconds")!
    assert.strictEqual(latency.bucket(latency.series[0]!, 0), 1)
    unharmed(store)
  })
})

describe("a definition", () => {
  it.each<readonly [string, object, string]>([
    ["ok_total", { labelNames: ["a", "a"] }, "labelNames"],
    ["ok_total", { labelNames: ["a"], labelValues: { constructor: ["x"] } }, "labelValues"],
    ["__proto__", {}, "name"]
  ])("%s %j is refused by field %s", (name, options, field) => {
    try {
      MetricDefinition.counter(name, { help: "x", ...options })
      assert.fail("accepted")
    } catch (error) {
      assert.strictEqual((error as MetricDefinition.MetricDefinitionError).field, field)
      assert.isBelow((error as Error).message.length, 400)
    }
  })

  it("help and unit are whatever they are", () => {
    const { store } = fresh()
    for (const [i, text] of ["\n", "\\", "# EOF", "x".repeat(1_000_000), "\ud800", "\u0000"].entries()) {
      assert.isUndefined(store.declare(MetricDefinition.counter(`help_${i}_total`, { help: text, unit: text })))
    }
    unharmed(store)
  })

  it("a listener that throws when a metric is declared does not reach the one who records", () => {
    const { metrics, store } = fresh()
    store.onDeclare(() => { throw new Error("listener") })
    metrics.incrementCounterUnsafe("later_total", 1)
    assert.deepStrictEqual(values(store, "later_total"), [[1]])
  })
})
