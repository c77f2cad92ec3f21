import { MetricDefinition, type MetricFrame, type MetricRange, MetricsHistory, type RangeQuery, type RangeResult } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { FrameMaker, type Happening } from "./FrameMaker.ts"
import { equal, type Law, type LawBroken } from "./Law.ts"

/** Every law counts seconds from here. */
const t0 = 1_790_000_000_000 - (1_790_000_000_000 % 3_600_000)

/** How frames come into a store, past recorder and pipe. */
export class HistoryProbe extends Context.Service<HistoryProbe, {
  /** Stores the frames of one process; every call is another process. What is known of it is of the probe's choice where it is not given. */
  readonly write: (frames: readonly [MetricFrame, ...ReadonlyArray<MetricFrame>], resource?: MetricRange.Known) => Effect.Effect<void>
}>()("@effect-observability/testkit/HistoryProbe") {
  /** A full hour; the contract's frames lie in the two hours after it. Milliseconds since the epoch. */
  static readonly time = t0
}

type History = MetricsHistory["Service"]
type Steps = Generator<Effect.Effect<any, LawBroken>, void, any>

const law = (name: string, check: (history: History, probe: HistoryProbe["Service"]) => Steps): Law<MetricsHistory | HistoryProbe> => ({
  name,
  check: Effect.gen(function*() {
    yield* check(yield* MetricsHistory, yield* HistoryProbe)
  })
})

const at = (seconds: number) => t0 + seconds * 1000

type Interval = readonly [from: number, to: number, ...happenings: ReadonlyArray<Happening>]

/** Frames of one process: seconds from and to, and what happened. */
const frames = (...intervals: readonly [Interval, ...ReadonlyArray<Interval>]) => {
  const maker = new FrameMaker()
  return intervals.map(([from, to, ...happenings]) => maker.frame(at(from), at(to), happenings)) as [MetricFrame, ...Array<MetricFrame>]
}

const counter = (name: string, ...labelNames: ReadonlyArray<string>) => MetricDefinition.counter(name, { help: name, labelNames })
const gauge = (name: string, ...labelNames: ReadonlyArray<string>) => MetricDefinition.gauge(name, { help: name, labelNames })

type Asked = Omit<RangeQuery, "start" | "end" | "step"> & { readonly from: number; readonly to: number; readonly step: number }

const ask = (history: History, { from, step, to, ...query }: Asked): Effect.Effect<RangeResult> =>
  Effect.orDie(history.queryRange({ ...query, start: at(from), end: at(to), step: step * 1000 }))

/** How a question is refused. */
const refusal = (history: History, query: object): Effect.Effect<{ readonly reason: string; readonly message: string }> =>
  Effect.match(history.queryRange(query as RangeQuery), {
    onFailure: ({ message, reason }) => ({ message, reason }),
    onSuccess: () => ({ reason: "none", message: "was answered" })
  })

/** Labels and values, `null` where there is none. */
const shown = ({ series }: RangeResult) =>
  series.map(({ labels, values }) => [
    Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(),
    ...values.map((value) => Number.isNaN(value) ? null : Number(value.toPrecision(12)))
  ])

/** What holds for the history of metrics in every store. */
export const laws: ReadonlyArray<Law<MetricsHistory | HistoryProbe>> = [
  law("an increase is what was counted in the window, a rate is that per second", function*(history, probe) {
    const metric = counter("law_increase_total")
    yield* probe.write(frames([0, 10, { metric, value: 3 }], [10, 20, { metric, value: 4 }], [20, 30, { metric, value: 0 }], [30, 40, { metric, value: 8 }]))
    const increase = yield* ask(history, { metric, function: "increase", from: 20, to: 40, step: 20 })
    yield* equal("times", increase.times, [at(20), at(40)])
    yield* equal("type", increase.type, "counter")
    yield* equal("increase", shown(increase), [["", 7, 8]])
    yield* equal("rate", shown(yield* ask(history, { metric, function: "rate", from: 20, to: 40, step: 20 })), [["", 0.35, 0.4]])
    yield* equal("sum", shown(yield* ask(history, { metric, function: "sum", from: 20, to: 40, step: 20 })), [["", 7, 8]])
    yield* equal("longer windows", shown(yield* ask(history, { metric, function: "increase", from: 20, to: 40, step: 10, window: "20 seconds" })), [["", 7, 4, 8]])
  }),
  law("an interval that lies in a window in part counts in proportion", function*(history, probe) {
    const metric = counter("law_share_total")
    // The second frame is the sum of four, merged in an outage.
    yield* probe.write(frames([0, 10, { metric, value: 10 }], [10, 50, { metric, value: 40 }], [50, 60, { metric, value: 6 }]))
    yield* equal("shares", shown(yield* ask(history, { metric, function: "increase", from: 15, to: 75, step: 15 })), [["", 15, 15, 15, 11, null]])
  }),
  law("processes add up, and a restart loses nothing", function*(history, probe) {
    const metric = counter("law_restart_total", "path")
    yield* probe.write(frames([0, 10, { metric, labels: { path: "/" }, value: 100 }], [10, 20, { metric, labels: { path: "/" }, value: 5 }]))
    yield* probe.write(frames([0, 10, { metric, labels: { path: "/" }, value: 1 }], [10, 20, { metric, labels: { path: "/" }, value: 2 }], [20, 30, { metric, labels: { path: "/" }, value: 3 }]))
    // The first one again, counting from 0.
    yield* probe.write(frames([20, 30, { metric, labels: { path: "/" }, value: 200 }]))
    yield* equal("increase", shown(yield* ask(history, { metric, function: "increase", from: 10, to: 30, step: 10 })), [["path=/", 101, 7, 203]])
  }),
  law("when series ended and places mean others, each keeps its values, and none holds twice", function*(history, probe) {
    const metric = counter("law_generation_total", "id")
    const set = gauge("law_generation", "id")
    const one = (id: string, value: number) => [{ metric, labels: { id }, value }, { metric: set, labels: { id }, value }]
    const [before, after] = [new FrameMaker(), new FrameMaker()]
    yield* probe.write([
      before.frame(at(0), at(10), [...one("gone", 1), ...one("x", 2), ...one("y", 4)]),
      { ...after.frame(at(10), at(20), [...one("y", 8), ...one("x", 16)]), generation: 1 },
      { ...after.frame(at(20), at(30), [...one("y", 32), ...one("x", 64)]), generation: 1 }
    ])
    yield* equal("increase", shown(yield* ask(history, { metric, function: "increase", from: 10, to: 30, step: 10 })), [
      ["id=gone", 1, null, null], ["id=x", 2, 16, 64], ["id=y", 4, 8, 32]
    ])
    yield* equal("sum", shown(yield* ask(history, { metric: set, function: "sum", labels: { id: { neq: "gone" } }, groupBy: [], from: 10, to: 30, step: 5 })), [["", 6, 6, 24, 24, 96]])
    yield* equal("count", shown(yield* ask(history, { metric: set, function: "count", labels: { id: "x" }, groupBy: [], from: 10, to: 30, step: 5 })), [["", 1, 1, 1, 1, 1]])
  }),
  law("where nothing is known there is no value, where nothing happened there is 0", function*(history, probe) {
    const metric = counter("law_gap_total")
    yield* probe.write(frames([0, 10, { metric, value: 1 }], [10, 20], [40, 50, { metric, value: 2 }]))
    yield* equal("increase", shown(yield* ask(history, { metric, function: "increase", from: 10, to: 60, step: 10 })), [["", 1, 0, null, null, 2, null]])
    const none = yield* ask(history, { metric: "law_gap_nobody_total", function: "rate", from: 0, to: 10, step: 10 })
    yield* equal("an unknown metric", [none.type, none.series, none.times], [undefined, [], [at(0), at(10)]])
  }),
  law("groups: by some labels, by none, every label set by itself", function*(history, probe) {
    const metric = counter("law_group_total", "method", "status")
    const one = (method: string, status: string, value: number) => ({ metric, labels: { method, status }, value })
    yield* probe.write(frames([0, 10, one("GET", "200", 1), one("GET", "500", 2), one("PUT", "200", 4), one("PUT", "", 8)]))
    const increase = (groupBy?: ReadonlyArray<string>) =>
      ask(history, { metric, function: "increase", from: 10, to: 10, step: 10, ...(groupBy === undefined ? {} : { groupBy }) })
    yield* equal("method", shown(yield* increase(["method"])), [["method=GET", 3], ["method=PUT", 12]])
    yield* equal("none", shown(yield* increase([])), [["", 15]])
    yield* equal("an unknown label", shown(yield* increase(["colour"])), [["", 15]])
    yield* equal("all", shown(yield* increase()).sort(), [["method=GET,status=200", 1], ["method=GET,status=500", 2], ["method=PUT", 8], ["method=PUT,status=200", 4]])
  }),
  law("labels: exact, not, one of, beginning with; absent is empty", function*(history, probe) {
    const metric = counter("law_match_total", "path", "zone")
    const paths = ["/a", "/ab", "/a%", "/b", "_", "%", "a\"b\\c", "__proto__"]
    yield* probe.write(frames([0, 10, ...paths.map((path, i) => ({ metric, labels: { path, ...(i === 0 ? { zone: "z" } : {}) }, value: 2 ** i }))]))
    const total = (labels: NonNullable<RangeQuery["labels"]>) =>
      Effect.map(ask(history, { metric, function: "increase", groupBy: [], labels, from: 10, to: 10, step: 10 }), ({ series }) => series[0]?.values[0] ?? 0)
    yield* equal("exact", yield* total({ path: "/a" }), 1)
    yield* equal("eq", yield* total({ path: { eq: "a\"b\\c" } }), 64)
    yield* equal("neq", yield* total({ path: { neq: "/a" } }), 254)
    yield* equal("in", yield* total({ path: { in: ["/ab", "%", "nobody"] } }), 34)
    yield* equal("in nothing", yield* total({ path: { in: [] } }), 0)
    yield* equal("prefix", yield* total({ path: { prefix: "/a" } }), 7)
    yield* equal("a prefix is no pattern", yield* total({ path: { prefix: "_" } }), 16 + 128)
    yield* equal("percent", yield* total({ path: { prefix: "%" } }), 32)
    yield* equal("__proto__", yield* total({ path: "__proto__" }), 128)
    yield* equal("a label nobody has", yield* total(Object.fromEntries([["__proto__", "x"]])), 0)
    yield* equal("absent", yield* total({ zone: "" }), 254)
    yield* equal("absent is not z", yield* total({ zone: { neq: "z" } }), 254)
    yield* equal("both", yield* total({ zone: "z", path: { prefix: "/" } }), 1)
    yield* equal("quotes", yield* total({ path: "'; drop table t; --" }), 0)
  }),
  law("a set value holds for two intervals", function*(history, probe) {
    const metric = gauge("law_holds")
    yield* probe.write(frames([0, 10, { metric, value: 5 }], [10, 20, { metric, value: 7 }]))
    yield* equal("last", shown(yield* ask(history, { metric, function: "last", from: 5, to: 45, step: 5 })), [["", null, 5, 5, 7, 7, 7, 7, null, null]])
  }),
  law("avg, min, max, last, sum and count of set values", function*(history, probe) {
    const metric = gauge("law_set", "queue")
    const a = (value: number) => ({ metric, labels: { queue: "a" }, value })
    const b = (value: number) => ({ metric, labels: { queue: "b" }, value })
    yield* probe.write(frames([0, 10, a(1)], [10, 20, a(5), b(10)], [20, 30, a(3), b(30)], [30, 40, a(2), b(20)]))
    const of = (name: RangeQuery["function"], groupBy?: ReadonlyArray<string>) =>
      Effect.map(ask(history, { metric, function: name, from: 20, to: 40, step: 20, ...(groupBy === undefined ? {} : { groupBy }) }), shown)
    yield* equal("avg", yield* of("avg"), [["queue=a", 3, 2.5], ["queue=b", 10, 25]])
    yield* equal("avg of all", yield* of("avg", []), [["", 6.5, 13.75]])
    yield* equal("min", yield* of("min", []), [["", 1, 2]])
    yield* equal("max", yield* of("max"), [["queue=a", 5, 3], ["queue=b", 10, 30]])
    yield* equal("last", yield* of("last"), [["queue=a", 5, 2], ["queue=b", 10, 20]])
    yield* equal("sum", yield* of("sum", []), [["", 15, 22]])
    yield* equal("count", yield* of("count", []), [["", 2, 2]])
  }),
  law("an up-down counter is added up over processes", function*(history, probe) {
    const metric = MetricDefinition.upDownCounter("law_in_flight", { help: "x" })
    yield* probe.write(frames([0, 10, { metric, value: 3 }], [10, 20, { metric, value: 4 }]))
    yield* probe.write(frames([0, 10, { metric, value: 10 }], [10, 20, { metric, value: 20 }]))
    yield* equal("last", shown(yield* ask(history, { metric, function: "last", from: 10, to: 20, step: 10 })), [["", 13, 24]])
  }),
  law("quantiles come from the buckets of all series of a group", function*(history, probe) {
    const metric = MetricDefinition.histogram("law_quantile_seconds", { help: "x", labelNames: ["route"], buckets: [1, 2, 4] })
    const seen = (route: string, ...observed: ReadonlyArray<number>) => ({ metric, labels: { route }, observed })
    yield* probe.write(frames([0, 10, seen("a", 0.5, 1.5, 3, 3), seen("b", 3)], [10, 20, seen("a", 9, 9), seen("b")]))
    yield* probe.write(frames([0, 10, seen("b", 1.5, 1.5, 1.5)]))
    const quantile = (q: number, groupBy: ReadonlyArray<string>) =>
      Effect.map(ask(history, { metric, function: "quantile", quantile: q, groupBy, from: 10, to: 20, step: 10 }), shown)
    yield* equal("p50 of all", yield* quantile(0.5, []), [["", 1.75, 4]])
    yield* equal("p50 by route", yield* quantile(0.5, ["route"]), [["route=a", 2, 4], ["route=b", 1.66666666667, null]])
    yield* equal("p100", yield* quantile(1, []), [["", 4, 4]])
    const of = (name: RangeQuery["function"]) => Effect.map(ask(history, { metric, function: name, groupBy: [], from: 10, to: 20, step: 10 }), shown)
    yield* equal("count", yield* of("count"), [["", 8, 2]])
    yield* equal("sum", yield* of("sum"), [["", 15.5, 18]])
    yield* equal("avg", yield* of("avg"), [["", 1.9375, 9]])
    yield* equal("min", yield* of("min"), [["", 0.5, 9]])
    yield* equal("max", yield* of("max"), [["", 3, 9]])
    yield* equal("rate", yield* of("rate"), [["", 0.8, 0.2]])
  }),
  law("other bucket bounds join with the ones before", function*(history, probe) {
    const before = MetricDefinition.histogram("law_bounds_seconds", { help: "x", buckets: [1, 4] })
    const after = MetricDefinition.histogram("law_bounds_seconds", { help: "x", buckets: [1, 2, 4] })
    yield* probe.write(frames([0, 10, { metric: before, observed: [2, 2, 3] }]))
    yield* probe.write(frames([0, 10, { metric: after, observed: [1.5, 3, 3] }]))
    // One of the three in (1, 4] is taken to lie in (1, 2].
    yield* equal("p50", shown(yield* ask(history, { metric: after, function: "quantile", quantile: 0.5, groupBy: [], from: 10, to: 10, step: 10 })), [["", 2.5]])
  }),
  law("a summary has count, sum and mean", function*(history, probe) {
    const metric = MetricDefinition.summary("law_summary_seconds", { help: "x" })
    yield* probe.write(frames([0, 10, { metric, observed: [1, 2, 6] }]))
    for (const [name, value] of [["count", 3], ["sum", 9], ["avg", 3], ["rate", 0.3]] as const) {
      yield* equal(name, shown(yield* ask(history, { metric, function: name, from: 10, to: 10, step: 10 })), [["", value]])
    }
  }),
  law("the k greatest at each time", function*(history, probe) {
    const metric = counter("law_top_total", "id")
    const one = (id: string, value: number) => ({ metric, labels: { id }, value })
    yield* probe.write(frames([0, 10, one("a", 1), one("b", 5), one("c", 3)], [10, 20, one("a", 9), one("b", 5), one("c", 6)]))
    yield* equal("top 2", shown(yield* ask(history, { metric, function: "increase", k: 2, from: 10, to: 20, step: 10 })), [["id=a", null, 9], ["id=b", 5, null], ["id=c", 3, 6]])
  }),
  law("a stream tells what the answer tells", function*(history, probe) {
    const metric = counter("law_stream_total", "id")
    yield* probe.write(frames([0, 10, { metric, labels: { id: "a" }, value: 1 }], [10, 2_400, { metric, labels: { id: "a" }, value: 2_390 }, { metric, labels: { id: "b" }, value: 239 }]))
    const query: RangeQuery = { metric, function: "increase", start: at(1), end: at(2_500), step: 1_000 }
    const { series, times } = yield* Effect.orDie(history.queryRange(query))
    const points = yield* Effect.orDie(Stream.runCollect(history.streamRange(query)))
    const expected = times.flatMap((time, i) => series.flatMap(({ labels, values }) => Number.isNaN(values[i]!) ? [] : [[labels["id"], time, values[i]]]))
    yield* equal("number", expected.length, 2_400 + 2_390)
    yield* equal("points", points.map(({ labels, time, value }) => [labels["id"], time, value]), expected)
  }),
  law("processes are chosen and told apart by what is known of them, not by labels of the same name", function*(history, probe) {
    const metric = counter("law_resource_total", "cluster")
    const set = gauge("law_resource")
    const took = MetricDefinition.histogram("law_resource_seconds", { help: "x", buckets: [1, 2, 4] })
    const process = (cluster: string, env: string, value: number) =>
      probe.write(
        frames(
          [0, 10, { metric, labels: { cluster: "label" }, value }, { metric: set, value }, { metric: took, observed: [value] }],
          [10, 20, { metric, labels: { cluster: "label" }, value: 2 * value }, { metric: set, value: 2 * value }]
        ),
        { service: "law", cluster, env, instance: `${cluster}-${env}-${value}` }
      )
    yield* process("east", "live", 1)
    yield* process("east", "live", 3)
    yield* process("west", "live", 10)
    yield* process("west", "test", 100)
    yield* process("", "live", 1_000)
    const over = { from: 10, to: 20, step: 10 }
    const told = (result: RangeResult) => result.series.map(({ resource, values }) => [Object.values(resource ?? {}).join(), ...values.map((value) => Number.isNaN(value) ? null : Number(value.toPrecision(12)))])
    const increase = { ...over, metric, function: "increase" } as const
    yield* equal("all", shown(yield* ask(history, increase)), [["cluster=label", 1_114, 2_228]])
    yield* equal("one cluster", shown(yield* ask(history, { ...increase, resource: { cluster: "east" } })), [["cluster=label", 4, 8]])
    yield* equal("several", shown(yield* ask(history, { ...increase, resource: { cluster: { in: ["east", "west"] }, env: "live" } })), [["cluster=label", 14, 28]])
    yield* equal("none", shown(yield* ask(history, { ...increase, resource: { cluster: "" } })), [["cluster=label", 1_000, 2_000]])
    yield* equal("beginning with", shown(yield* ask(history, { ...increase, resource: { instance: { prefix: "west-" } } })), [["cluster=label", 110, 220]])
    yield* equal("another", shown(yield* ask(history, { ...increase, resource: { env: { neq: "live" } } })), [["cluster=label", 100, 200]])
    yield* equal("nobody", shown(yield* ask(history, { ...increase, resource: { service: "nobody" } })), [])
    yield* equal("the label is another thing", shown(yield* ask(history, { ...increase, labels: { cluster: "east" } })), [])
    yield* equal("by cluster", told(yield* ask(history, { ...increase, groupBy: [], groupByResource: ["cluster"] })), [["", 1_000, 2_000], ["east", 4, 8], ["west", 110, 220]])
    yield* equal("by two", told(yield* ask(history, { ...increase, groupByResource: ["env", "cluster"], resource: { cluster: { neq: "" } } })), [["east,live", 4, 8], ["west,live", 10, 20], ["west,test", 100, 200]])
    yield* equal("label and cluster", (yield* ask(history, { ...increase, groupBy: ["cluster"], groupByResource: ["cluster"], k: 1 })).series.map(({ labels, resource }) => [labels["cluster"], resource?.cluster]), [["label", ""]])
    yield* equal("sum of set values", told(yield* ask(history, { ...over, metric: set, function: "sum", groupByResource: ["env"] })), [["live", 1_014, 2_028], ["test", 100, 200]])
    yield* equal("mean", told(yield* ask(history, { ...over, metric: set, function: "avg", groupByResource: ["cluster"], resource: { env: "live" } })), [["", 1_000, 2_000], ["east", 2, 4], ["west", 10, 20]])
    yield* equal("greatest", told(yield* ask(history, { ...over, metric: set, function: "max", groupByResource: ["cluster"] })), [["", 1_000, 2_000], ["east", 3, 6], ["west", 100, 200]])
    yield* equal("observations", told(yield* ask(history, { ...over, to: 10, metric: took, function: "count", groupByResource: ["cluster"] })), [["", 1], ["east", 2], ["west", 2]])
    yield* equal("quantile", told(yield* ask(history, { ...over, to: 10, metric: took, function: "quantile", quantile: 0.5, groupByResource: ["cluster"], resource: { cluster: "east" } })), [["east", 1]])
    const points = yield* Effect.orDie(history.getMetricsHistory({ name: metric.name, resource: { cluster: "west" }, startTime: at(0), endTime: at(30) }))
    yield* equal("points", points.map(({ value }) => value).sort((a, b) => a - b), [10, 20, 100, 200])
    const streamed = yield* Effect.orDie(Stream.runCollect(history.streamRange({ metric, function: "increase", start: at(10), end: at(10), step: 10_000, groupByResource: ["cluster"] })))
    yield* equal("stream", streamed.map(({ resource, value }) => [resource?.cluster, value]), [["", 1_000], ["east", 4], ["west", 110]])
  }),
  law("points: newest first, the start belongs to the range and the end does not", function*(history, probe) {
    const metric = counter("law_points_total", "method")
    const one = (method: string, value: number) => ({ metric, labels: { method }, value })
    yield* probe.write(frames([0, 10, one("POST", 1)], [10, 20, one("POST", 2), one("GET", 9)], [20, 40, one("POST", 3)]))
    const points = (startTime: number, endTime: number, limit?: number) =>
      Effect.map(
        Effect.orDie(history.getMetricsHistory({ name: metric.name, labels: { method: "POST" }, startTime: at(startTime), endTime: new Date(at(endTime)), ...(limit === undefined ? {} : { limit }) })),
        (all) => all.map(({ interval, timestamp, value }) => [timestamp, value, interval])
      )
    yield* equal("all", yield* points(0, 50), [[at(40), 3, 20_000], [at(20), 2, 10_000], [at(10), 1, 10_000]])
    yield* equal("half open", yield* points(10, 40), [[at(20), 2, 10_000], [at(10), 1, 10_000]])
    yield* equal("limit", yield* points(0, 50, 1), [[at(40), 3, 20_000]])
  }),
  law("a question that cannot be answered names the field", function*(history) {
    const right: RangeQuery = { metric: "x", function: "rate", start: at(0), end: at(60), step: "10 seconds" }
    const year = 365 * 86_400_000
    const wrong: ReadonlyArray<readonly [field: string, change: object]> = [
      ["metric", { metric: "" }], ["metric", { metric: undefined }], ["metric", { metric: {} }],
      ["function", { function: "median" }], ["function", { function: "__proto__" }], ["function", { function: undefined }],
      ["start", { start: NaN }], ["start", { start: "2026" }], ["end", { end: new Date(NaN) }], ["end", { end: at(-1) }],
      ["end", { start: at(0) - 100 * year, step: "30 days" }], ["end", { start: -Infinity, end: Infinity }],
      ["step", { step: 0 }], ["step", { step: -1 }], ["step", { step: NaN }], ["step", { step: Infinity }], ["step", { step: "soon" }],
      ["step", { step: undefined }], ["step", { step: 1 }], ["step", { start: at(0) - year }],
      ["window", { window: 0 }], ["window", { window: "Infinity" }], ["window", { window: "400 days" }],
      ["window", { end: at(0) + 10, step: 1, window: "1 minute" }],
      ["quantile", { quantile: 0.5 }], ["quantile", { function: "quantile" }], ["quantile", { function: "quantile", quantile: 1.1 }],
      ["quantile", { function: "quantile", quantile: NaN }], ["quantile", { function: "quantile", quantile: "0.5" }],
      ["k", { k: 0 }], ["k", { k: -1 }], ["k", { k: NaN }],
      ["groupBy", { groupBy: "id" }], ["groupBy", { groupBy: [1] }], ["groupBy", { groupBy: [""] }],
      ["groupBy", { groupBy: Array.from({ length: 65 }, (_, i) => `l${i}`) }],
      ["resource", { resource: "east" }], ["resource", { resource: null }], ["resource.region", { resource: { region: "east" } }], ["resource.cluster", { resource: { cluster: 1 } }],
      ["resource.env.in", { resource: { env: { in: "a" } } }], ["groupByResource", { groupByResource: "cluster" }], ["groupByResource", { groupByResource: ["region"] }],
      ["labels", { labels: "id" }], ["labels", { labels: [] }], ["labels.id", { labels: { id: 1 } }], ["labels.id", { labels: { id: null } }],
      ["labels.id", { labels: { id: { like: "a%" } } }], ["labels.id", { labels: { id: { regex: "(a+)+$" } } }],
      ["labels.id", { labels: { id: { eq: "a", neq: "b" } } }], ["labels.id.eq", { labels: { id: { eq: 1 } } }],
      ["labels.id.in", { labels: { id: { in: "a" } } }], ["labels.id.in", { labels: { id: { in: Array.from({ length: 1_001 }, String) } } }]
    ]
    for (const [field, change] of wrong) {
      const error = yield* refusal(history, { ...right, ...change })
      yield* equal(`${field}: ${error.message}`, [error.reason, error.message.startsWith(`${field} `)], ["invalid", true])
      const streamed = yield* Effect.exit(Stream.runDrain(history.streamRange({ ...right, ...change } as RangeQuery)))
      yield* equal(`stream, ${field}`, streamed._tag, field === "step" && error.message.includes("points") ? streamed._tag : "Failure")
    }
    for (const limit of [1e12, -1, 0, NaN]) {
      yield* equal("a limit is clamped", yield* Effect.orDie(history.getMetricsHistory({ name: "nobody", startTime: -Infinity, endTime: Infinity, limit })), [])
    }
    for (const k of [1e12, 1.5]) yield* equal("k", (yield* Effect.orDie(history.queryRange({ ...right, k }))).series, [])
  }),
  law("a function that has no meaning for the type names itself", function*(history, probe) {
    const metric = counter("law_meaning_total")
    const set = gauge("law_meaning")
    yield* probe.write(frames([0, 10, { metric, value: 1 }, { metric: set, value: 1 }]))
    for (const [of, name] of [[metric, "last"], [metric, "avg"], [set, "rate"], [set, "quantile"]] as const) {
      const error = yield* refusal(history, {
        metric: of, function: name, start: at(0), end: at(10), step: 1_000, ...(name === "quantile" ? { quantile: 0.5 } : {})
      })
      yield* equal(error.message, error.message.startsWith(`function is "${name}"`), true)
    }
  })
]
