import { MemoryHistory, MetricDefinition, type MetricFrame, type RangeFunction, type RangeQuery, type SpanFilter, type StoredSpan, type TraceHistory } from "@effect-observability/core"
import { FrameMaker, type Happening } from "@effect-observability/testkit/contract"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Spans from "../src/ClickHouseSpans.ts"
import * as Inserter from "../src/internal/Inserter.ts"
import { resourceBytes } from "../src/internal/resource.ts"
import { type Engine, startEngine } from "./support/engine.ts"
import { startProcess, target } from "./support/process.ts"
import { Random } from "./support/random.ts"

// Whatever is asked, ClickHouse answers as the plain lists of memory do.

class Server extends Context.Service<Server, Engine>()("test/clickhouse/ModelServer") {}
const hour = 3_600_000

/** Floating point sums depend on their order. */
const rounded = (value: unknown): unknown =>
  typeof value === "number"
    ? Number(value.toPrecision(9))
    : Array.isArray(value)
    ? value.map(rounded)
    : typeof value === "object" && value !== null && !(value instanceof Map)
    ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, rounded(one)]))
    : value

const services = ["web", "store", "größe 'x'"]

const spansOf = (random: Random, traces: number, end: number): ReadonlyArray<StoredSpan> => {
  const hex = (digits: number) => Array.from({ length: digits }, () => random.int(0, 15).toString(16)).join("")
  return Array.from({ length: traces }).flatMap((_, n) => {
    const traceId = hex(32)
    const start = BigInt(end - random.int(0, 30 * hour)) * 1_000_000n + BigInt(random.int(0, 999_999))
    const weight = n % 7 === 0 ? 1 / 0.3 : 1
    const out: Array<StoredSpan> = []
    for (let i = 0; i < random.int(1, 9); i++) {
      const parent = out.length === 0 || random.chance(0.05) ? undefined : random.pick(out)
      const from = start + BigInt(random.int(0, 40_000_000))
      const failed = random.chance(0.15)
      out.push({
        traceId, spanId: hex(16), parentSpanId: parent?.spanId, name: random.pick(["GET /orders", "50% off_", "SELECT \"x\"", "charge"]),
        kind: random.pick(["internal", "server", "client", "producer", "consumer"] as const), serviceName: random.pick(services),
        startTime: from, endTime: from + BigInt(random.pick([0, 1, 1_000, 5_000_000, random.int(0, 90_000_000)])),
        status: failed ? "error" : random.pick(["unset", "ok"] as const), statusMessage: failed ? "connection RESET by peer" : undefined,
        attributes: new Map<string, unknown>([
          ["user_id", `u-${random.int(0, 20)}`], ["size", random.pick([1, 42, 1.5, 1e21, -0.25])], ["text42", "42"], ["flag", random.chance(0.5)],
          ...(random.chance(0.2) ? [["list", ["a", 1, null, { deep: [] }]] as const, ["empty", ""] as const, ["quo\"te\\\n", "line\nfeed\t"] as const] : [])
        ]),
        events: failed ? [{ name: "exception", time: from, attributes: { "exception.type": "E", n: 1 } }] : [],
        links: random.chance(0.1) ? [{ traceId: hex(32), spanId: hex(16), attributes: { n: i } }] : [],
        droppedAttributes: random.int(0, 1), droppedEvents: 0, droppedLinks: 0, weight, traceState: n % 11 === 0 ? "vendor=\"q\\\"" : ""
      })
    }
    return out
  })
}

const filtersOf = (random: Random, all: ReadonlyArray<StoredSpan>, end: number): SpanFilter => {
  const some = random.pick(all)
  const [key, value] = random.pick([...some.attributes].filter(([, one]) => typeof one !== "object"))
  const from = end - random.int(1, 30) * hour
  return {
    ...(random.chance(0.3) ? { serviceName: some.serviceName } : {}),
    ...(random.chance(0.3) ? { operation: some.name } : {}),
    ...(random.chance(0.1) ? { kind: some.kind } : {}),
    ...(random.chance(0.2) ? { status: random.pick(["OK", "ERROR"] as const) } : {}),
    ...(random.chance(0.2) ? { minDuration: random.int(0, 40) } : {}),
    ...(random.chance(0.1) ? { maxDuration: random.int(40, 80) } : {}),
    ...(random.chance(0.4) ? { attributes: { [key]: value as string } } : {}),
    ...(random.chance(0.15) ? { text: random.pick(["ORDERS", "50% ", "u-1", "reset", "%", "_", "quo\"te\\", "LINE\nf", "deep"]) } : {}),
    ...(random.chance(0.5) ? { startTime: from, endTime: from + random.int(1, 20) * hour } : {})
  }
}

const Count = MetricDefinition.counter("model_total", { help: "x", labelNames: ["path", "zone"] })
const Depth = MetricDefinition.gauge("model_depth", { help: "x", labelNames: ["path"] })
const Flying = MetricDefinition.upDownCounter("model_flying", { help: "x", labelNames: ["path"] })
const Timed = MetricDefinition.histogram("model_seconds", { help: "x", labelNames: ["path"], buckets: [0.1, 0.5, 1, 5] })
const Other = MetricDefinition.histogram("model_seconds", { help: "x", labelNames: ["path"], buckets: [0.5, 2] })
const Size = MetricDefinition.summary("model_bytes", { help: "x", labelNames: ["path"] })

layer(Layer.effect(Server, startEngine()), { excludeTestServices: true, timeout: "60 seconds" })("as memory answers", (it) => {
  it.effect("questions about spans", () =>
    Effect.gen(function*() {
      const engine = yield* Server
      const random = new Random(Number(process.env["SEED"] ?? 7))
      const end = Math.floor(Date.now() / 60_000) * 60_000 - hour
      let all = spansOf(random, 250, end)
      const backend = yield* startProcess(target(engine.url, "model_spans"))
      for (const service of services) {
        const exporter = Spans.make(Inserter.make(backend.store, service, "spans"), resourceBytes({ ...backend.resource, service }))
        const mine = all.filter((one) => one.serviceName === service)
        // Batches cut traces anywhere.
        for (let from = 0, number = 1; from < mine.length; from += 97, number++) {
          yield* exporter.export(mine.slice(from, from + 97) as unknown as readonly [StoredSpan], { number, attempt: 1 })
        }
      }
      const memory = MemoryHistory.ofSpans({ spans: () => all, keep: (kept) => void (all = kept), resource: backend.resource })
      const same = (what: string, question: (history: TraceHistory["Service"]) => Effect.Effect<unknown, unknown>) =>
        Effect.gen(function*() {
          const [ours, theirs] = [yield* Effect.orDie(question(backend.traces)), yield* Effect.orDie(question(memory))]
          assert.deepStrictEqual(rounded(ours), rounded(theirs), what)
        })
      let told = 0
      for (let round = 0; round < Number(process.env["ROUNDS"] ?? 25); round++) {
        const filter = filtersOf(random, all, end)
        const range = { startTime: end - random.int(1, 30) * hour, endTime: end }
        const said = JSON.stringify(filter)
        told += (yield* Effect.orDie(memory.searchTraces(filter))).traces.length
        for (const order of ["newest", "oldest", "slowest"] as const) {
          yield* same(`search ${order} ${said}`, (history) => Effect.map(history.searchTraces({ ...filter, order, limit: 15 }), ({ cursor, traces }) => [cursor, traces]))
        }
        yield* same(`latency ${said}`, (history) => history.latency({ ...filter, ...range, step: "1 hour" }))
        yield* same(`differs ${said}`, (history) =>
          Effect.map(history.whatDiffers({ among: range, selection: { status: "ERROR", ...(filter.attributes === undefined ? {} : { attributes: filter.attributes }) } }), (found) => found))
        yield* same("operations", (history) => Effect.map(history.operations({ ...range, limit: 1_000 }), (rows) => [...rows].sort((a, b) => (JSON.stringify([a.name, a.kind, a.serviceName]) < JSON.stringify([b.name, b.kind, b.serviceName]) ? -1 : 1))))
        yield* same("dependencies", (history) => Effect.map(history.dependencies({ startTime: end - 48 * hour, endTime: end + hour, limit: 1_000 }), (rows) => [...rows].sort((a, b) => (a.caller + a.callee < b.caller + b.callee ? -1 : 1))))
        const id = random.pick(all).traceId
        yield* same("trace", (history) => Effect.map(history.getTrace(id), (trace) => [...trace!.spans].sort((a, b) => (a.spanId < b.spanId ? -1 : 1))))
        yield* same("recent", (history) => history.getRecentTraces({ limit: random.pick([3, 30]) === 3 ? 30 : 30, serviceName: services[round % 3]!, ...(round % 2 === 0 ? { status: "ERROR" as const } : {}) }))
      }
      assert.isAbove(told, 100, "too few questions had an answer")
      yield* same("deletion", (history) => history.deleteTraces({ attribute: { key: "user_id", value: "u-3" } }))
      yield* same("deletion", (history) => history.deleteTraces({ serviceName: services[1]! }))
      yield* same("what is left", (history) => Effect.map(history.searchTraces({ limit: 1_000 }), ({ traces }) => traces))
    }), 180_000)

  it.effect("questions about metrics", () =>
    Effect.gen(function*() {
      const engine = yield* Server
      const random = new Random(Number(process.env["SEED"] ?? 11))
      const t0 = 1_790_000_000_000
      const paths = ["/a", "/ab", "_", "%", "a\"b\\c"]
      const writers = Array.from({ length: 4 }, (_, n): ReadonlyArray<MetricFrame> => {
        const maker = new FrameMaker()
        let at = t0 + n * 3_000
        return Array.from({ length: 60 }, () => {
          const from = at
          at += random.chance(0.1) ? random.int(20_000, 90_000) : random.chance(0.05) ? 1_234 : 5_000
          const begin = random.chance(0.05) ? Math.min(at, from + 2_000) : from
          const happenings: Array<Happening> = []
          for (const path of paths) {
            if (random.chance(0.6)) happenings.push({ metric: Count, labels: { path, ...(random.chance(0.5) ? { zone: "z" } : {}) }, value: random.int(0, 50) })
            if (random.chance(0.5)) happenings.push({ metric: Depth, labels: { path }, value: random.int(-100, 100) / 8 })
            if (random.chance(0.5)) happenings.push({ metric: Flying, labels: { path }, value: random.int(0, 9) })
            if (random.chance(0.5)) happenings.push({ metric: n === 3 ? Other : Timed, labels: { path }, observed: Array.from({ length: random.int(0, 5) }, () => random.next() * 6) })
            if (random.chance(0.3)) happenings.push({ metric: Size, labels: { path }, observed: [random.int(1, 1_000)] })
          }
          return maker.frame(begin, at, happenings)
        })
      })
      for (const frames of writers) {
        const backend = yield* startProcess(target(engine.url, "model_metrics"))
        for (let from = 0, number = 1; from < frames.length; from += 8, number++) yield* backend.exportFrames(number, ...(frames.slice(from, from + 8) as [MetricFrame]))
      }
      const backend = yield* startProcess(target(engine.url, "model_metrics"))
      const memory = MemoryHistory.ofFrames(() => writers)
      const functions: ReadonlyArray<readonly [MetricDefinition.MetricDefinition, ReadonlyArray<RangeFunction>]> = [
        [Count, ["rate", "increase", "sum"]], [Depth, ["avg", "min", "max", "last", "sum", "count"]], [Flying, ["avg", "last", "sum", "count"]],
        [Timed, ["rate", "count", "sum", "avg", "min", "max", "quantile"]], [Size, ["count", "sum", "avg"]]
      ]
      let told = 0
      for (let round = 0; round < Number(process.env["ROUNDS"] ?? 25) * 4; round++) {
        const [metric, names] = random.pick(functions)
        const name = random.pick(names)
        const groupBy = random.pick<ReadonlyArray<string> | undefined>([undefined, [], ["path"], ["zone"], ["path", "zone"], ["nobody"]])
        const start = t0 + random.int(-60_000, 300_000)
        const query: RangeQuery = {
          metric, function: name, start, end: start + random.int(0, 300_000), step: random.pick([1_000, 5_000, 7_000, 60_000]),
          ...(random.chance(0.5) ? { window: random.pick([1_000, 10_000, 45_000]) } : {}),
          ...(groupBy === undefined ? {} : { groupBy }),
          ...(name === "quantile" ? { quantile: random.pick([0, 0.5, 0.95, 1]) } : {}),
          ...(random.chance(0.2) ? { k: random.int(1, 3) } : {}),
          ...(random.chance(0.4) ? { labels: { path: random.pick([{ eq: "/a" }, { neq: "/a" }, { in: ["/a", "%"] }, { prefix: "/a" }, { prefix: "_" }]) } } : {})
        }
        const [ours, theirs] = [yield* Effect.orDie(backend.metrics.queryRange(query)), yield* Effect.orDie(memory.queryRange(query))]
        told += theirs.series.length
        assert.deepStrictEqual(rounded(ours), rounded(theirs), JSON.stringify({ ...query, metric: metric.name }))
      }
      assert.isAbove(told, 100, "too few questions had an answer")
      for (const metric of [Count, Depth, Flying, Timed, Size]) {
        const query = { name: metric.name, startTime: t0, endTime: t0 + 120_000, labels: { path: "/a" }, limit: 100_000 }
        const sorted = (points: ReadonlyArray<object>) => points.map((point) => JSON.stringify(rounded({ ...point, labels: undefined, l: Object.entries((point as { labels: object }).labels).sort() }))).sort()
        assert.deepStrictEqual(sorted(yield* Effect.orDie(backend.metrics.getMetricsHistory(query))), sorted(yield* Effect.orDie(memory.getMetricsHistory(query))), metric.name)
      }
    }), 180_000)
})
