import type { SpanData } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import { ask, Database, Depth, freshNames, historyOf, Latency, Requests, startProcess } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"

const start = Math.floor(Date.now() / 5_000) * 5_000 - 3_600_000
const day = 86_400_000
const range = { startTime: new Date(start - day), endTime: new Date(start + day) }

const spanAt = (millis: number, n: number, more: Partial<SpanData> = {}): SpanData => ({
  traceId: n.toString(16).padStart(32, "0"),
  spanId: "00f067aa0ba902b7",
  parentSpanId: undefined,
  name: `operation ${n}`,
  kind: "server",
  startTime: BigInt(millis) * 1_000_000n,
  endTime: BigInt(millis) * 1_000_000n + 2_000_000n,
  status: "unset",
  statusMessage: undefined,
  attributes: new Map(),
  events: [],
  links: [],
  droppedAttributes: 0,
  droppedEvents: 0,
  droppedLinks: 0,
  weight: 1,
  traceState: "",
  ...more
})

layer(Database.layer, { excludeTestServices: true })("history", (it) => {
  it.effect("the document's query for metrics", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const { getMetricsHistory } = yield* historyOf(target, names)
      const store = new Series4()
      for (let n = 1; n <= 10; n++) {
        yield* process.exportFrames(n, store.frame(start + n * 5_000 - 5_000, start + n * 5_000, [
          { metric: Requests, labels: { method: "POST", status: "200" }, value: n },
          { metric: Requests, labels: { method: "GET", status: "200" }, value: 1_000 }
        ]))
      }
      const points = yield* getMetricsHistory({ name: "http_requests_total", labels: { method: "POST" }, limit: 1_000, ...range })
      const values = points.map((metric) => metric.value)
      assert.strictEqual(values.reduce((sum, value) => sum + value, 0) / values.length, 5.5)
      assert.deepStrictEqual(values, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1], "newest first")
      // The start belongs to the range, the end does not.
      const cut = yield* getMetricsHistory({
        name: "http_requests_total", labels: { method: "POST" }, startTime: start + 10_000, endTime: start + 25_000
      })
      assert.deepStrictEqual(cut.map((point) => point.value), [4, 3, 2])
      const two = yield* getMetricsHistory({ name: "http_requests_total", labels: { method: "POST", status: "200" }, limit: 2, ...range })
      assert.deepStrictEqual(two.map((point) => point.value), [10, 9])
      for (const limit of [0, -1, NaN, 0.5]) {
        const some = yield* getMetricsHistory({ name: "http_requests_total", limit, ...range })
        assert.isAbove(some.length, 0)
      }
      assert.strictEqual((yield* getMetricsHistory({ name: "http_requests_total", limit: 1e12, ...range })).length, 20)
      assert.deepStrictEqual(yield* getMetricsHistory({ name: "nobody_knows", ...range }), [])
      assert.deepStrictEqual(yield* getMetricsHistory({ name: "http_requests_total", labels: { method: "PUT" }, ...range }), [])
      const always = yield* getMetricsHistory({ name: "http_requests_total", startTime: -Infinity, endTime: Infinity })
      assert.strictEqual(always.length, 20)
    }))

  it.effect("questions that make no sense name the field", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const wrong = [
        [history.getMetricsHistory({ name: "", ...range }), "name"],
        [history.getMetricsHistory({ name: "x", startTime: NaN, endTime: 1 }), "startTime"],
        [history.getMetricsHistory({ name: "x", startTime: 0, endTime: new Date(NaN) }), "endTime"],
        [history.getMetricsHistory({ name: "x", startTime: 2, endTime: 1 }), "endTime"],
        [history.getTrace("abc123"), "traceId"],
        [history.getTrace("'; drop table x; --"), "traceId"],
        [history.getRecentTraces({ status: "MAYBE" as never }), "status"]
      ] as const
      for (const [question, field] of wrong) {
        const error = yield* Effect.flip(question as Effect.Effect<unknown, { readonly message: string; readonly reason: string }>)
        assert.strictEqual(error.reason, "invalid")
        assert.isTrue(error.message.startsWith(field), error.message)
      }
      assert.isUndefined(yield* history.getTrace("0af7651916cd43dd8448eb211c80319c"))
      const hostile = "x'; drop schema public; --\0\ud800"
      assert.deepStrictEqual(yield* history.getMetricsHistory({ name: hostile, labels: { [hostile]: hostile }, ...range }), [])
      assert.deepStrictEqual(yield* history.getRecentTraces({ serviceName: hostile }), [])
    }))

  it.effect("recent traces: the document's filters, several parts, newest first", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const { getRecentTraces } = yield* historyOf(target, names)
      const now = Date.now()
      // Every 7th failed; spread over two days, written in no order.
      const at = (n: number) => now - n * 3_600_000
      const order = Array.from({ length: 40 }, (_, i) => (i * 17) % 40)
      for (const [i, n] of order.entries()) {
        yield* process.exportSpans(i + 1, spanAt(at(n), n, n % 7 === 0 ? { status: "error" } : {}))
      }
      // A child of trace 5 that came in another batch, before its root by a skewed clock, and failed.
      yield* process.exportSpans(41, spanAt(at(5) - 1, 5, {
        spanId: "00000000000000aa", parentSpanId: "00f067aa0ba902b7", name: "child", status: "error"
      }))
      const recent = yield* getRecentTraces()
      assert.deepStrictEqual(recent.map((trace) => Number(`0x${trace.traceId}`)), Array.from({ length: 20 }, (_, n) => n))
      const five = recent[5]!
      assert.deepStrictEqual(five, {
        traceId: (5).toString(16).padStart(32, "0"),
        name: "operation 5",
        serviceName: "api-service",
        startTime: BigInt(at(5) - 1) * 1_000_000n,
        duration: 3_000_000n,
        spanCount: 2,
        errorCount: 1,
        status: "ERROR"
      })
      const failed = yield* getRecentTraces({ limit: 20, serviceName: "api-service", status: "ERROR" })
      assert.deepStrictEqual(failed.map((trace) => Number(`0x${trace.traceId}`)), [0, 5, 7, 14, 21, 28, 35])
      assert.strictEqual((yield* getRecentTraces({ status: "OK", limit: 1_000 })).length, 33)
      assert.strictEqual((yield* getRecentTraces({ limit: 0 })).length, 1)
      assert.strictEqual((yield* getRecentTraces({ limit: 1e9 })).length, 40)
      assert.deepStrictEqual(yield* getRecentTraces({ serviceName: "another" }), [])
    }))

  it.effect("two processes with the same labels stay two, and a wider bucket layout is another family", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const { getMetricsHistory } = yield* historyOf(target, names)
      for (const value of [1, 2]) {
        const process = yield* startProcess(target, names)
        yield* process.exportFrames(1, new Series4().frame(start, start + 5_000, [
          { metric: Depth, labels: { queue: "a" }, value },
          { metric: value === 1 ? Latency : { ...Latency, buckets: [1, 10] } as never, labels: { route: "/" }, observed: [value] }
        ]))
      }
      const depths = yield* getMetricsHistory({ name: "queue_depth", ...range })
      assert.deepStrictEqual(depths.map((point) => point.value).sort(), [1, 2])
      const latencies = yield* getMetricsHistory({ name: "latency_seconds", ...range })
      assert.deepStrictEqual(latencies.map((point) => point.histogram!.buckets).sort((a, b) => a.length - b.length), [[0, 1, 0], [0, 0, 1, 0]])
    }))

  it.effect("reading makes no spans, and a store that is not there says so", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const history = yield* historyOf(target, freshNames())
      const spans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          spans.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      const error = yield* Effect.flip(Effect.provideService(history.getRecentTraces(), Tracer.Tracer, tracer))
      assert.strictEqual(error.reason, "unavailable")
      const away = yield* historyOf({ ...target, address: { host: "127.0.0.1", port: 1 } }, freshNames())
      const refused = yield* Effect.flip(Effect.provideService(away.getMetricsHistory({ name: "x", ...range }), Tracer.Tracer, tracer))
      assert.strictEqual(refused.reason, "unavailable")
      assert.include(refused.message, "ECONNREFUSED")
      assert.deepStrictEqual(spans, [])
    }))

  it.effect("SQL over the views: what a dashboard would ask", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const store = new Series4()
      yield* process.exportFrames(1, store.frame(start, start + 5_000, [
        { metric: Requests, labels: { method: "GET", status: "200" }, value: 9 },
        { metric: Requests, labels: { method: "GET", status: "500" }, value: 1 }
      ]))
      yield* process.exportSpans(1, spanAt(start, 1), spanAt(start, 2, { status: "error" }))
      const t = `${names.schema}.observability_`
      const errors = yield* ask(target, `select sum(value) filter (where labels ->> 'status' like '5%') / sum(value) as ratio
        from ${t}metrics where name = 'http_requests_total' and timestamp between now() - interval '1 day' and now()`)
      assert.strictEqual(errors[0]!["ratio"], 0.1)
      const slow = yield* ask(target, `select service_name, count(*) as n, max(duration) as slowest from ${t}spans where status = 'ERROR' group by 1`)
      assert.deepStrictEqual(slow, [{ service_name: "api-service", n: 1n, slowest: 0.002 }])
    }))
})
