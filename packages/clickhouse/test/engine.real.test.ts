import { BatchProcessor, type Exporter, Ledger, MetricDefinition, mergeFrames, type MetricFrame, type SpanData, weighFrame } from "@effect-observability/core"
import { FrameMaker } from "@effect-observability/testkit/contract"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Scope } from "effect"
import { randomUUID } from "node:crypto"
import * as Metrics from "../src/ClickHouseMetrics.ts"
import * as Spans from "../src/ClickHouseSpans.ts"
import * as Inserter from "../src/internal/Inserter.ts"
import { resourceBytes } from "../src/internal/resource.ts"
import * as Store from "../src/internal/Store.ts"
import { resolve } from "../src/ClickHouseConfig.ts"
import { type Engine, startEngine } from "./support/engine.ts"
import { startProcess, target } from "./support/process.ts"
import { span } from "./support/spans.ts"

class Server extends Context.Service<Server, Engine>()("test/clickhouse/Server") {}
const server = Layer.effect(Server, startEngine())

const fresh = () => `t${randomUUID().replaceAll("-", "")}`

const policy = <A>(more: Partial<BatchProcessor.Policy<A>>): BatchProcessor.Policy<A> => ({
  ...BatchProcessor.defaultPolicy<A>(),
  flushInterval: 5, attemptTimeout: 5_000, maxAttempts: Infinity, backoff: 20, maxBackoff: 200, drainDeadline: 20_000,
  ...more
})

const Requests = MetricDefinition.counter("requests_total", { help: "Requests", unit: "requests", labelNames: ["method", "status"] })
const Seconds = MetricDefinition.histogram("seconds", { help: "x", unit: "seconds", buckets: [0.1, 1] })
const Depth = MetricDefinition.gauge("depth", { help: "x" })

/** Nothing of a pipe is lost or twice there while answers get lost and the engine is killed and comes again. */
layer(server, { excludeTestServices: true, timeout: "60 seconds" })("the real engine", (it) => {
  it.effect("lost answers, kill and restart: 0 lost, 0 doubled, parents, attributes, units and totals as sent", () =>
    Effect.gen(function*() {
      const engine = yield* Server
      const database = fresh()
      const { config, metrics, traces } = yield* startProcess(target(engine.url, database))
      const scope = yield* Scope.make()
      const store = yield* Scope.provide(Store.make(config, "test"), scope)
      const bytes = resourceBytes({ service: "shop", version: "1", instance: "pipe", env: "test", cluster: "" })
      const producer = randomUUID()
      const frames = yield* Scope.provide(
        BatchProcessor.make(Metrics.make(Inserter.make(store, producer, "metrics"), bytes), policy<MetricFrame>({
          batchSize: 8, overflow: { merge: mergeFrames }, weigh: weighFrame, count: (frame) => frame.sources
        })),
        scope
      )
      const spans = yield* Scope.provide(BatchProcessor.make(Spans.make(Inserter.make(store, producer, "spans"), bytes), policy<SpanData>({ batchSize: 37 })), scope)
      const maker = new FrameMaker()
      const start = Math.floor(Date.now() / 1_000) * 1_000 - 600_000
      let total = 0
      const sent: Array<SpanData> = []
      for (let n = 0; n < 60; n++) {
        total += n
        frames.offerUnsafe(maker.frame(start + n * 1_000, start + (n + 1) * 1_000, [
          { metric: Requests, labels: { method: `M${n % 7}`, status: "200" }, value: n }, { metric: Seconds, observed: [0.05, n] }, { metric: Depth, value: n }
        ]))
        const root = span({ name: `root ${n}`, attributes: new Map<string, unknown>([["n", n], ["text", `'; DROP ${n}`], ["list", [n, "x"]], ["flag", n % 2 === 0]]), weight: n % 5 === 0 ? 4 : 1 })
        const children = Array.from({ length: 9 }, (_, i) => span({ traceId: root.traceId, parentSpanId: root.spanId, name: `child ${i}`, status: i === 3 ? "error" : "unset" }))
        for (const one of [root, ...children]) {
          sent.push(one)
          spans.offerUnsafe(one)
        }
        if (n % 12 === 5) yield* Effect.promise(() => engine.loseAnswers(3))
        if (n === 25 || n === 45) {
          yield* Effect.promise(() => engine.kill())
          yield* Effect.sleep("200 millis")
          yield* Effect.promise(() => engine.start())
        }
        yield* Effect.sleep("15 millis")
      }
      yield* Effect.all([frames.flush, spans.flush], { concurrency: 2 })
      yield* Scope.close(scope, { _tag: "Success", value: undefined } as never)
      for (const [pipe, count] of [[frames, 60], [spans, 600]] as const) {
        assert.strictEqual(Ledger.imbalance(pipe.ledger()), undefined)
        assert.deepInclude(pipe.ledger(), { offered: count, accepted: count, exported: count, unconfirmed: 0, queued: 0, inFlight: 0 })
      }
      const ask = (sql: string) => Effect.promise(() => engine.query(sql))
      assert.strictEqual(yield* ask(`SELECT count(), uniqExact(SpanId) FROM ${database}.otel_traces FORMAT CSV`), "600,600")
      assert.strictEqual(yield* ask(`SELECT count(), uniqExact(TraceId) FROM ${database}.otel_traces_trace_id_ts FORMAT CSV`).pipe(Effect.map((text) => text.split(",")[1])), "60")
      assert.strictEqual(yield* ask(`SELECT sum(Value), any(MetricUnit) FROM ${database}.otel_metrics_sum FORMAT CSV`), `${total},"requests"`)
      assert.strictEqual(yield* ask(`SELECT sum(Count), count() FROM ${database}.otel_metrics_histogram FORMAT CSV`), "120,60")
      assert.strictEqual(yield* ask(`SELECT count(), sum(Value) FROM ${database}.otel_metrics_gauge FORMAT CSV`), `60,${total}`)
      const range = { start: start - 1_000, end: start + 61_000, step: "62 seconds", groupBy: [] } as const
      const { series } = yield* Effect.orDie(metrics.queryRange({ ...range, metric: Requests, function: "increase", start: range.end }))
      assert.strictEqual(series[0]?.values[0], total)
      for (const root of sent.filter((one) => one.parentSpanId === undefined)) {
        const trace = yield* Effect.orDie(traces.getTrace(root.traceId))
        const expected = sent.filter((one) => one.traceId === root.traceId)
        assert.deepStrictEqual(
          [...trace!.spans].map(({ serviceName: _, ...one }) => one).sort((a, b) => (a.spanId < b.spanId ? -1 : 1)),
          expected.map((one) => ({ ...one })).sort((a, b) => (a.spanId < b.spanId ? -1 : 1))
        )
      }
      // Some of it really came twice.
      const tokens = (yield* Effect.promise(() => engine.inserts())).map(({ token }) => token)
      assert.isAbove(tokens.length, new Set(tokens).size)
      assert.isTrue((yield* Effect.promise(() => engine.inserts())).every(({ encoding }) => encoding === "zstd"))
    }), 120_000)

  it.effect("it is the token that decides: the same rows with another are other rows, with the same one they are known, side by side too", () =>
    Effect.gen(function*() {
      const engine = yield* Server
      const database = fresh()
      const process = yield* startProcess(target(engine.url, database))
      const one = span()
      const spans = Spans.make(Inserter.make(process.store, "p", "spans"), resourceBytes(process.resource))
      const send = (number: number, attempt: number) => spans.export([one], { number, attempt })
      yield* Effect.all([send(1, 1), send(1, 2), send(1, 3)], { concurrency: 3 })
      const count = Effect.promise(() => engine.query(`SELECT count() FROM ${database}.otel_traces`))
      assert.strictEqual(yield* count, "1")
      yield* send(2, 1)
      assert.strictEqual(yield* count, "2")
      yield* Effect.promise(() => engine.kill())
      yield* Effect.promise(() => engine.start())
      yield* send(2, 2)
      assert.strictEqual(yield* count, "2")
      // Spans of many days are one insert, and known as one.
      const old = Array.from({ length: 30 }, (_, day) => span({ startTime: BigInt(Date.now() - day * 86_400_000) * 1_000_000n, endTime: BigInt(Date.now()) * 1_000_000n })) as unknown as readonly [SpanData, ...Array<SpanData>]
      yield* spans.export(old, { number: 3, attempt: 1 })
      yield* spans.export(old, { number: 3, attempt: 2 })
      assert.strictEqual(yield* count, "32")
    }))

  it.effect("eight processes that start at once on an empty server make one store", () =>
    Effect.gen(function*() {
      const engine = yield* Server
      const database = fresh()
      const all = yield* Effect.forEach(Array.from({ length: 8 }), () => startProcess(target(engine.url, database)), { concurrency: 8 })
      yield* Effect.forEach(all, (process, n) => process.exportSpans(n + 1, span()), { concurrency: 8 })
      assert.strictEqual(yield* Effect.promise(() => engine.query(`SELECT count() FROM ${database}.otel_traces`)), "8")
      assert.strictEqual(yield* Effect.promise(() => engine.query(`SELECT max(Version) FROM ${database}.observability_schema`)), "1")
    }))

  it.effect("what is too old goes, and another retention is taken up", () =>
    Effect.gen(function*() {
      const engine = yield* Server
      const database = fresh()
      const ago = (days: number) => BigInt(Date.now() - days * 86_400_000) * 1_000_000n
      const process = yield* startProcess({ ...target(engine.url, database), retentionDays: 10 })
      yield* process.exportSpans(1, span({ startTime: ago(20), endTime: ago(20) }), span({ startTime: ago(5), endTime: ago(5) }), span())
      const left = Effect.promise(async () => {
        await engine.query(`OPTIMIZE TABLE ${database}.otel_traces FINAL`)
        return engine.query(`SELECT count() FROM ${database}.otel_traces`)
      })
      assert.strictEqual(yield* left, "2")
      yield* startProcess({ ...target(engine.url, database), retentionDays: 2 })
      assert.strictEqual(yield* left, "1")
      assert.include(yield* Effect.promise(() => engine.query(`SELECT engine_full FROM system.tables WHERE database = '${database}' AND name = 'otel_traces'`)), "toIntervalDay(2)")
    }))

  it.effect("tables and rows of a collector are taken as they are", () =>
    Effect.gen(function*() {
      const engine = yield* Server
      const database = fresh()
      yield* Effect.promise(async () => {
        await engine.query(`CREATE DATABASE ${database}`)
        await engine.query(`CREATE TABLE ${database}.otel_traces (
          Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String, SpanName LowCardinality(String), SpanKind LowCardinality(String),
          ServiceName LowCardinality(String), ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion String,
          SpanAttributes Map(LowCardinality(String), String), Duration Int64, StatusCode LowCardinality(String), StatusMessage String,
          Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)),
          Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String))
        ) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp)) TTL toDateTime(Timestamp) + toIntervalDay(180)`)
      })
      const process = yield* startProcess(target(engine.url, database))
      const own = span({ attributes: new Map([["n", 1]]) })
      yield* process.exportSpans(1, own)
      yield* process.exportSpans(1, own)
      yield* Effect.promise(() => engine.query(`INSERT INTO ${database}.otel_traces
        (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, SpanAttributes, Duration, StatusCode, StatusMessage) VALUES
        (now64(9), '${own.traceId}', 'b7ad6b7169203331', '${own.spanId}', 'GET', 'Client', 'cart', map('service.name', 'cart'), map('http.response.status_code', '503'), 1000, 'Error', 'bad gateway')`))
      const trace = yield* Effect.orDie(process.traces.getTrace(own.traceId))
      assert.deepStrictEqual(trace!.spans.map(({ kind, serviceName, status }) => [serviceName, kind, status]).sort(), [["cart", "client", "error"], ["shop", "server", "unset"]])
      assert.strictEqual((yield* Effect.orDie(process.traces.searchTraces({ attributes: { "http.response.status_code": 503 } }))).traces[0]?.spanCount, 2)
      const [calls] = yield* Effect.orDie(process.traces.dependencies())
      assert.deepInclude(calls, { caller: "shop", callee: "cart", count: 1, errorCount: 1 })
      const at = Math.floor(Date.now() / 1_000)
      yield* Effect.promise(() => engine.query(`INSERT INTO ${database}.otel_metrics_sum (ServiceName, MetricName, Attributes, StartTimeUnix, TimeUnix, Value, AggregationTemporality, IsMonotonic) VALUES
        ('cart', 'foreign_total', map('a', 'b'), fromUnixTimestamp64Milli(${at - 10}000), fromUnixTimestamp64Milli(${at}000), 5, 1, true)`))
      const { series } = yield* Effect.orDie(process.metrics.queryRange({ metric: "foreign_total", function: "rate", start: at * 1_000, end: at * 1_000, step: "10 seconds" }))
      assert.deepStrictEqual(series, [{ labels: { a: "b" }, values: [0.5] }])
      const wrong = yield* Effect.scoped(Effect.gen(function*() {
        const other = fresh()
        yield* Effect.promise(async () => {
          await engine.query(`CREATE DATABASE ${other}`)
          await engine.query(`CREATE TABLE ${other}.otel_traces (Timestamp DateTime64(9), SpanAttributes String) ENGINE = MergeTree ORDER BY Timestamp`)
        })
        const store = yield* Store.make(yield* Effect.orDie(resolve({ ...target(engine.url, other), createTables: false })), "test")
        for (let n = 0; n < 100 && store.state().problem === undefined; n++) yield* Effect.sleep("50 millis")
        return store.state()
      }))
      assert.isFalse(wrong.ready)
      assert.match(wrong.problem ?? "", new RegExp("otel_traces.*(no column|is String)"))
    }))

  it.effect("hostile words in questions are words", () =>
    Effect.gen(function*() {
      const engine = yield* Server
      const database = fresh()
      const { metrics, traces, ...process } = yield* startProcess(target(engine.url, database))
      yield* process.exportSpans(1, span())
      const now = Date.now()
      const words = ["'; DROP TABLE otel_traces; --", "\\'", "\\", "%", "_", "{p0:String}", "\0", "\ud800", "\t\n\r\\N", "`", "x".repeat(250), "请求 🎉", "') OR 1=1 --", "NULL", "*/"]
      for (const word of words) {
        assert.deepStrictEqual((yield* Effect.orDie(traces.searchTraces({ serviceName: word, operation: word, text: word, attributes: { [word]: word } }))).traces, [])
        assert.deepStrictEqual((yield* Effect.orDie(metrics.queryRange({ metric: word, function: "rate", groupBy: [word], labels: { [word]: { prefix: word }, b: { in: [word, word] } }, start: now - 1, end: now, step: 1 }))).series, [])
        assert.deepStrictEqual(yield* Effect.orDie(metrics.getMetricsHistory({ name: word, labels: { [word]: word }, startTime: 0, endTime: now, limit: 1e12 })), [])
        assert.deepStrictEqual(yield* Effect.orDie(traces.deleteTraces({ serviceName: word })), { spans: 0, traces: 0 })
        assert.deepStrictEqual(yield* Effect.orDie(traces.deleteTraces({ attribute: { key: word, value: word } })), { spans: 0, traces: 0 })
        yield* Effect.orDie(traces.whatDiffers({ selection: { status: "ERROR" }, ignore: [word] }))
      }
      assert.strictEqual(yield* Effect.promise(() => engine.query(`SELECT count() FROM ${database}.otel_traces`)), "1")
    }))

  it.effect("what cannot be reached or may not be is said without a secret, and what is asked of it fails plainly", () =>
    Effect.scoped(Effect.gen(function*() {
      const engine = yield* startEngine({ password: "right" })
      const store = yield* Store.make(yield* Effect.orDie(resolve({ connection: Redacted.make(`${engine.url.replace("//", "//default:canary@")}/x`) })), "test")
      for (let n = 0; n < 100 && store.state().problem === undefined; n++) yield* Effect.sleep("50 millis")
      assert.include(store.state().problem ?? "", "code 516")
      assert.notInclude(store.state().problem ?? "", "canary")
      const exporter: Exporter.Exporter<SpanData> = Spans.make(Inserter.make(store, "p", "spans"), new Uint8Array())
      assert.strictEqual((yield* Effect.flip(exporter.export([span()], { number: 1, attempt: 1 }))).reason._tag, "Unavailable")
    })))
})
