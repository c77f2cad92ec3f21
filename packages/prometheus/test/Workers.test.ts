import { Exposition, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Metric, Scope, Stream } from "effect"
import * as fc from "fast-check"
import { MessageChannel, Worker as Thread } from "node:worker_threads"
import { Counter, Registry } from "prom-client"
import { Workers } from "../src/node.ts"
import { parseOpenMetrics } from "./support/parseOpenMetrics.ts"
import { type ParsedPage, parseText } from "./support/parseText.ts"
import { ended, fork, page, randomRestarts, ready, reason, tell, total, workerFile } from "./support/cluster.ts"
import type { Order } from "./support/clusterWorker.ts"

/** A machine that stalls must not look like a worker that hangs. */
const patient = { deadline: "30 seconds" } as const

describe("a cluster of real processes", () => {
  it.live("counts rise and are the truth through random restarts of four workers", () => randomRestarts({ seed: 7, steps: 16, restarts: 4 }), 120_000)

  it.live("a worker that hangs does not hang the page, and is named", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.promise(() => Promise.all([fork(), fork()]))
      yield* Effect.addFinalizer(() => Effect.sync(() => [one, other].forEach((worker) => worker.process.kill("SIGKILL"))))
      yield* Effect.promise(() => Promise.all([tell(one, { count: 5 }), tell(other, { count: 7 })]))
      const until = (wanted: number) =>
        Effect.gen(function*() {
          while (total(yield* page, "work_total") !== wanted) yield* Effect.sleep("20 millis")
        })
      yield* until(12)
      one.process.kill("SIGSTOP")
      yield* Effect.promise(() => tell(other, { count: 100 }))
      yield* until(112)
      assert.match((yield* reason)!, /no answer within 500 ms from worker \d: what it said last is shown/)
      one.process.kill("SIGCONT")
      yield* Effect.promise(() => tell(one, { count: 1000 }))
      yield* until(1112)
      while ((yield* reason) !== undefined) yield* page
    }).pipe(Effect.scoped, Effect.provide(Workers.layerPrimary({ deadline: "500 millis" }))), 60_000)
})

describe("threads", () => {
  it.live("are added up, and what they counted stays when they end", () =>
    Effect.gen(function*() {
      const { attach } = yield* Workers.WorkerPages
      const start = Effect.gen(function*() {
        const thread = new Thread(workerFile, { execArgv: ["--conditions=source"] })
        yield* attach(thread)
        yield* Effect.promise(() => ready(thread))
        return thread
      })
      const first = yield* start
      const second = yield* start
      yield* Effect.promise(() => Promise.all([tell(first, { count: 10 }), tell(second, { count: 20 }), tell(first, { level: 3 }), tell(second, { level: 4 })]))
      const both = yield* page
      assert.strictEqual(total(both, "work_total"), 30)
      assert.strictEqual(total(both, "level"), 4)
      assert.strictEqual(total(both, "busy"), 2)
      yield* Effect.promise(() => tell(first, { count: 1 }))
      const gone = ended(first)
      first.postMessage({ stop: true } satisfies Order, [])
      yield* Effect.promise(() => gone)
      const after = yield* page
      assert.strictEqual(total(after, "work_total"), 31)
      assert.deepStrictEqual([total(after, "level"), total(after, "busy")], [4, 1])
      yield* Effect.promise(() => second.terminate())
      const last = yield* page
      assert.deepStrictEqual([total(last, "work_total"), total(last, "level"), total(last, "busy")], [31, undefined, undefined])
    }).pipe(Effect.scoped, Effect.provide(Workers.layerPrimary({ ...patient, rules: { level: "max" } }))), 60_000)
})

/** A worker in this process, at the other end of a channel. */
const local = Effect.gen(function*() {
  const { attach } = yield* Workers.WorkerPages
  const { port1, port2 } = new MessageChannel()
  yield* attach(port1)
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(Layer.fresh(Workers.layerThread({ port: port2 })), scope)
  return {
    metrics: Context.get(context, MetricsRecorder),
    port: port2,
    end: Effect.andThen(Scope.close(scope, Exit.void), Effect.sync(() => port2.close()))
  }
})

describe("the rules", () => {
  const Level = MetricDefinition.gauge("level", { help: "Level", labelNames: ["worker"] })

  const levels = (options: Workers.PrimaryOptions) =>
    Effect.gen(function*() {
      const rule = options.rules?.["level"]
      const one = yield* local
      const other = yield* local
      one.metrics.setGaugeUnsafe(Level, 3, { worker: "x" })
      yield* page
      other.metrics.setGaugeUnsafe(Level, 2, { worker: "x" })
      const now = yield* page
      yield* other.end
      const after = yield* page
      yield* one.end
      const show = ({ samples }: ParsedPage) => samples.filter(({ labels, name }) => name === "level" && (rule !== "perWorker" || labels["exported_worker"] === "x")).map(({ labels, value }) => [labels["worker"], value])
      return [show(now), show(after), show(yield* page)]
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary({ ...patient, ...options }))))

  const cases: ReadonlyArray<readonly [Workers.Rule, ReadonlyArray<unknown>]> = [
    ["sum", [[["x", 5]], [["x", 3]], []]],
    ["max", [[["x", 3]], [["x", 3]], []]],
    ["min", [[["x", 2]], [["x", 3]], []]],
    ["last", [[["x", 2]], [["x", 2]], [["x", 2]]]],
    ["perWorker", [[["0", 3], ["1", 2]], [["0", 3]], []]]
  ]
  for (const [rule, wanted] of cases) {
    it.live(`${rule} of a gauge`, () => Effect.map(levels({ rules: { level: rule } }), (found) => assert.deepStrictEqual(found as ReadonlyArray<unknown>, wanted)))
  }
  it.live("for all gauges at once", () => Effect.map(levels({ gauges: "min" }), (found) => assert.deepStrictEqual(found as ReadonlyArray<unknown>, cases[2]![1])))

  it.live("what is no rule is refused, and a rule that does not fit is told", () =>
    Effect.gen(function*() {
      const wrong = yield* Effect.exit(Layer.build(Layer.fresh(Workers.layerPrimary({ rules: { a: "mean" as "sum" } }))))
      const hasty = yield* Effect.exit(Layer.build(Layer.fresh(Workers.layerPrimary({ interval: 0 }))))
      assert.match(String(hasty), /interval is 0: use at least a millisecond/)
      assert.match(String(wrong), /rule "mean" for a: use one of sum, max, min, last, perWorker/)
      yield* Effect.gen(function*() {
        const { metrics } = yield* local
        metrics.incrementCounterUnsafe("a_total", 1)
        assert.strictEqual(total(yield* page, "a_total"), 1)
        assert.match((yield* reason)!, /a_total is a counter, for which there is no rule max/)
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary({ ...patient, rules: { a_total: "max" } }))))
    }).pipe(Effect.scoped))

  it.live("a process that is no worker is told so", () =>
    Effect.gen(function*() {
      assert.match(String(yield* Effect.exit(Layer.build(Workers.layerCluster()))), /no worker of node:cluster: use layerPrimary/)
      assert.match(String(yield* Effect.exit(Layer.build(Workers.layerThread()))), /no thread of node:worker_threads/)
    }).pipe(Effect.scoped))
})

describe("what workers say", () => {
  it.live("adds up whatever they record and however they come and go", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(3), fc.constantFrom("count", "count", "observe", "observe", "restart", "page"), fc.nat(50), fc.constantFrom("a", "\ud800", "")), { maxLength: 40, size: "max" }),
          (steps) =>
            Effect.gen(function*() {
              const own = yield* MetricsRecorder
              const workers = yield* Effect.forEach([0, 1, 2], () => local)
              const truth = new Map<string, number>()
              let observed = 0
              for (const [at, what, n, kind] of steps) {
                const metrics = workers[at]?.metrics ?? own
                if (what === "count") {
                  metrics.incrementCounterUnsafe("work_total", n, { kind })
                  truth.set(kind.toWellFormed(), (truth.get(kind.toWellFormed()) ?? 0) + n)
                } else if (what === "observe") {
                  metrics.observeHistogramUnsafe("work_seconds", n)
                  observed += n
                } else if (what === "restart" && workers[at] !== undefined) {
                  yield* workers[at].end
                  workers[at] = yield* local
                } else if (what === "page") yield* page
              }
              const { body } = yield* (yield* Exposition).page
              const now = parseText(body)
              for (const [kind, value] of truth) assert.strictEqual(total(now, "work_total", kind === "" ? {} : { kind }) ?? 0, kind === "" ? [...truth.values()].reduce((a, b) => a + b, 0) : value)
              assert.strictEqual(total(now, "work_seconds_sum") ?? 0, observed)
            }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary(patient))), Effect.runPromise)
        ),
        { numRuns: 30 }
      )
    ), 60_000)

  it.live("what ended and began anew between two reports stays on the page", () =>
    Effect.gen(function*() {
      const own = yield* MetricsRecorder
      const { metrics } = yield* local
      const Level = MetricDefinition.gauge("level", { help: "Level", labelNames: ["queue"] })
      for (const [recorder, queue] of [[own, "own"], [metrics, "far"]] as const) {
        recorder.setGaugeUnsafe(Level, 1, { queue })
        assert.strictEqual(total(yield* page, "level", { queue }), 1)
        assert.isTrue(yield* recorder.remove(Level, { queue }))
        recorder.setGaugeUnsafe(Level, 2, { queue })
        assert.strictEqual(total(yield* page, "level", { queue }), 2)
        recorder.setGaugeUnsafe(Level, 3, { queue })
        assert.strictEqual(total(yield* page, "level", { queue }), 3)
        yield* recorder.remove(Level, { queue })
        assert.isUndefined(total(yield* page, "level", { queue }))
        for (const value of [5, 7]) {
          recorder.observeSummaryUnsafe("size", value, { queue })
          assert.closeTo(total(yield* page, "size", { queue, quantile: "0.5" })!, value, 0.1)
          assert.isTrue(yield* recorder.remove("size", { queue }))
        }
      }
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary(patient)))))

  it.live("is not believed when it is rubbish, and harms no one else", () =>
    Effect.gen(function*() {
      const mark = "effect-observability/workers"
      const one = yield* local
      const liar = yield* local
      one.metrics.incrementCounterUnsafe("work_total", 2, { kind: "a" })
      yield* page
      const counter = { name: "work_total", type: "counter", help: "", unit: "", labelNames: ["kind"] }
      const report = { session: "x", families: [], series: [], values: [], exemplars: [], gone: [] }
      const family = (definition: object) => ({ ...report, families: [{ id: 1, definition }] })
      const rubbish: ReadonlyArray<unknown> = [
        7,
        null,
        { [mark]: 1 },
        { [mark]: 1, body: 7 },
        { [mark]: 2, body: report },
        { [mark]: 1, body: {} },
        { [mark]: 1, body: { ...report, values: [[1, "x"], null] } },
        { [mark]: 1, body: family({ name: "a b", type: "counter", help: "", unit: "", labelNames: [] }) },
        { [mark]: 1, body: family({ ...counter, labelNames: ["le"] }) },
        { [mark]: 1, body: family({ ...counter, type: "gauge" }) },
        { [mark]: 1, body: { ...family(counter), series: [{ id: 2, family: 1, labelValues: [], createdAt: 0 }], values: [[2, 9]] } },
        { [mark]: 1, body: { ...report, values: [[99, 9]], gone: [98], exemplars: [{ series: 97 }] } }
      ]
      for (const message of rubbish) liar.port.postMessage(message, [])
      yield* Effect.sleep("50 millis")
      const now = yield* page
      assert.strictEqual(total(now, "work_total"), 2)
      assert.match((yield* reason)!, /worker 1 sent a report that cannot be read.*worker 1 declares work_total with another type/)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary(patient)))))

  it.live("is told in full to every primary, and once to each", () =>
    Effect.gen(function*() {
      const { port1, port2 } = new MessageChannel()
      const primary = (scope: Scope.Scope) =>
        Effect.gen(function*() {
          const context = yield* Layer.buildWithScope(Layer.fresh(Workers.layerPrimary(patient)), scope)
          const { attach } = Context.get(context, Workers.WorkerPages)
          yield* attach(port1).pipe(Scope.provide(scope))
          yield* attach(port1).pipe(Scope.provide(scope))
          return { look: Effect.map(page, (now) => [total(now, "work_total"), total(now, "work_seconds_sum")]).pipe(Effect.provideContext(context)) }
        })
      const scope = yield* Scope.make()
      const { look: first } = yield* primary(scope)
      const worker = yield* Layer.build(Layer.fresh(Workers.layerThread({ port: port2 })))
      const metrics = Context.get(worker, MetricsRecorder)
      const work = Effect.sync(() => {
        metrics.incrementCounterUnsafe("work_total", 5)
        metrics.observeHistogramUnsafe("work_seconds", 2)
      })
      yield* work
      assert.deepStrictEqual(yield* first, [5, 2])
      const { look: second } = yield* primary(yield* Effect.scope)
      assert.deepStrictEqual([yield* second, yield* first], [[5, 2], [5, 2]])
      yield* work
      assert.deepStrictEqual([yield* first, yield* second], [[10, 4], [10, 4]])
      yield* Scope.close(scope, Exit.void)
      yield* work
      assert.deepStrictEqual(yield* second, [15, 6])
    }).pipe(Effect.scoped))

  it.live("counts once, whenever a worker ends", () =>
    Effect.gen(function*() {
      const lives = 60
      for (let yields = 0; yields < lives; yields++) {
        const worker = yield* local
        worker.metrics.incrementCounterUnsafe("work_total", 1)
        for (let i = 0; i < yields; i++) yield* Effect.yieldNow
        yield* worker.end
      }
      assert.strictEqual(total(yield* page, "work_total"), lives)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary(patient)))))

  it.live("adds up two layers at one end of a channel", () =>
    Effect.gen(function*() {
      const { attach } = yield* Workers.WorkerPages
      const { port1, port2 } = new MessageChannel()
      yield* attach(port1)
      const layer = Layer.fresh(Workers.layerThread({ port: port2 }))
      const recorders = yield* Effect.forEach([1, 2], () => Effect.map(Layer.build(Layer.fresh(layer)), Context.get(MetricsRecorder)))
      for (let i = 0; i < 3; i++) {
        for (const metrics of recorders) {
          metrics.incrementCounterUnsafe("work_total", 1)
          metrics.setGaugeUnsafe("level", i)
        }
        let now = yield* page
        // An answer of either ends the wait.
        while (total(now, "work_total") !== 2 * (i + 1)) now = yield* page
        assert.strictEqual(total(now, "level"), 2 * i)
      }
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary(patient)))))

  it.live("may have labels that others, or it itself, did not have", () =>
    Effect.gen(function*() {
      const one = yield* local
      const other = yield* local
      const sum = (labels: Record<string, string>) => Effect.map(page, (now) => total(now, "work_total", labels))
      one.metrics.incrementCounterUnsafe("work_total", 1, { kind: "a" })
      assert.strictEqual(yield* sum({ kind: "a" }), 1)
      other.metrics.incrementCounterUnsafe("work_total", 2, { zone: "z", kind: "a" })
      assert.strictEqual(yield* sum({ kind: "a", zone: "z" }), 2)
      other.metrics.incrementCounterUnsafe("work_total", 4, { kind: "a", zone: "" })
      one.metrics.incrementCounterUnsafe("work_total", 8, { kind: "a" })
      const now = yield* page
      assert.deepStrictEqual(
        now.samples.filter(({ name }) => name === "work_total").map(({ labels, value }) => [labels["zone"], value]),
        [[undefined, 13], ["z", 2]]
      )
      // Effect's own metrics get labels while they run.
      const registry = new Map()
      const thread = yield* Layer.build(Layer.fresh(Workers.layerThread({ port: other.port })).pipe(Layer.provide(Layer.succeed(Metric.MetricRegistry, registry))))
      const requests = Metric.counter("requests_total", { incremental: true })
      const update = (attributes: Record<string, string>) => Metric.update(Metric.withAttributes(requests, attributes), 1).pipe(Effect.provideService(Metric.MetricRegistry, registry))
      const read = Effect.map(page, ({ samples }) => samples.filter(({ name }) => name === "requests_total").map(({ labels, value }) => [labels["a"], labels["b"], value]))
      yield* update({ a: "x" })
      while ((yield* read).length !== 1) yield* Effect.sleep("10 millis")
      yield* update({ a: "x" })
      yield* update({ a: "x", b: "y" })
      while ((yield* read).length !== 2) yield* Effect.sleep("10 millis")
      assert.deepStrictEqual(yield* read, [["x", undefined, 2], ["x", "y", 1]])
      assert.isDefined(thread)
      assert.isUndefined(yield* reason)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary(patient)))))

  it.live("goes on where it was when a series ends and comes back", () =>
    Effect.gen(function*() {
      const { attach } = yield* Workers.WorkerPages
      const { port1, port2 } = new MessageChannel()
      yield* attach(port1)
      const worker = yield* Layer.build(Layer.fresh(Workers.layerThread({ port: port2 })))
      const metrics = Context.get(worker, MetricsRecorder)
      const { store } = Context.get(worker, Telemetry)
      const count = (kind: string) => metrics.incrementCounterUnsafe("work_total", 1, { kind })
      count("a")
      count("b")
      metrics.setGaugeUnsafe("level", 1, { kind: "a" })
      assert.deepStrictEqual([total(yield* page, "work_total"), total(yield* page, "level")], [2, 1])
      assert.isTrue(store.remove("work_total", { kind: "a" }) && store.remove("level", { kind: "a" }))
      assert.deepStrictEqual([total(yield* page, "work_total"), total(yield* page, "level")], [2, undefined])
      count("a")
      count("b")
      assert.deepStrictEqual([total(yield* page, "work_total", { kind: "a" }), total(yield* page, "work_total", { kind: "b" })], [2, 2])
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary(patient)))))

  it.live("keeps the budget of series, with exact totals, however many workers come and go", () =>
    Effect.gen(function*() {
      for (let generation = 0; generation < 30; generation++) {
        const worker = yield* local
        for (let i = 0; i < 10; i++) worker.metrics.incrementCounterUnsafe("work_total", 1, { kind: `${generation} ${i}` })
        worker.metrics.setGaugeUnsafe("level", 1, { kind: `${generation}` })
        yield* worker.end
      }
      const now = yield* page
      assert.strictEqual(total(now, "work_total"), 300)
      assert.isAtMost(now.samples.filter(({ name }) => name === "work_total").length, 51)
      assert.isUndefined(total(now, "level"))
      assert.match((yield* reason)!, /past the budget share one series: work_total/)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.fresh(Workers.layerPrimary(patient)).pipe(Layer.provide(ObservabilityConfig.layer({ metrics: { maxSeriesPerMetric: 50 } }))))
    ))

  it.live("brings exemplars along, beside the primary's own registry", () => {
    const registry = new Registry()
    const theirs = new Counter({ name: "theirs_total", help: "Theirs", registers: [registry] })
    theirs.inc(3)
    return Effect.gen(function*() {
      const { register } = yield* Telemetry
      yield* register({ name: "spans", kind: "test", onSpan: () => {}, report: () => ({ name: "spans", kind: "test", status: "up", reason: undefined, signals: [] }) })
      const worker = yield* local
      const traceId = yield* Effect.withSpan(
        Effect.flatMap(Effect.currentSpan, ({ traceId }) => Effect.as(worker.metrics.observeHistogram("work_seconds", 0.3), traceId)),
        "work"
      )
      const { body } = yield* (yield* Exposition).render("application/openmetrics-text")
      const { samples } = parseOpenMetrics(yield* Stream.mkString(Stream.decodeText(body)))
      assert.deepStrictEqual(samples.flatMap(({ exemplar, labels }) => exemplar === undefined ? [] : [[labels["le"], exemplar.labels["trace_id"], exemplar.value]]), [["0.5", traceId, 0.3]])
      assert.strictEqual(samples.find(({ name }) => name === "theirs_total")?.value, 3)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary({ ...patient, registry }))))
  })
})
