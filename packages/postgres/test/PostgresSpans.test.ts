import { MetricDefinition } from "@effect-observability/core"
import type { SpanData } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, Database, Depth, freshNames, historyOf, resource, startProcess } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"
import { span } from "./support/spans.ts"

/** An hour ago, on the grid. */
const start = Math.floor(Date.now() / 5_000) * 5_000 - 3_600_000
const range = { startTime: start - 86_400_000, endTime: start + 86_400_000 }

layer(Database.layer, { excludeTestServices: true })("spans and hostile values", (it) => {
  it.effect("spans come back as they were, with all their parts", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const root = span({ attributes: new Map<string, unknown>([["http.request.method", "GET"], ["n", 42], ["big", 2n ** 60n], ["ok", true], ["list", [1, "two"]]]) })
      const child = span({
        traceId: root.traceId, parentSpanId: root.spanId, name: "SELECT orders", kind: "client", status: "error", statusMessage: "deadlock detected",
        startTime: root.startTime + 10n, endTime: root.startTime + 999n,
        events: [
          { name: "exception", time: root.startTime + 500n, attributes: { "exception.message": "deadlock" } },
          { name: "early", time: root.startTime - 1_000n, attributes: {} }
        ],
        links: [{ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", attributes: { why: "batch" } }]
      })
      const late = span({ traceId: root.traceId, parentSpanId: root.spanId, kind: "producer", status: "ok", startTime: root.startTime + 5_000_000n, endTime: root.startTime + 9_000_000n })
      const other = span()
      yield* process.exportSpans(1, child, root, other)
      yield* process.exportSpans(2, late)
      // The same batch again.
      yield* process.exportSpans(2, late)
      const trace = yield* history.getTrace(root.traceId.toUpperCase())
      const stored = (one: SpanData) => ({ ...one, serviceName: resource.service })
      assert.deepStrictEqual(trace, {
        traceId: root.traceId,
        spans: [stored({ ...root, attributes: new Map([...root.attributes, ["big", String(2n ** 60n)]]) }), stored(child), stored(late)].map((one) => ({
          ...one,
          // jsonb keeps keys in an order of its own.
          attributes: new Map([...one.attributes].sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1)))
        }))
      })

      const rows = yield* ask(target, `select * from ${names.schema}.observability_spans where trace_id = $1 order by start_time`, [root.traceId])
      const seconds = (nanos: bigint) => Number(nanos) / 1e9
      assert.deepStrictEqual(rows.map((row) => [row["span_id"], row["parent_span_id"], row["kind"], row["status"], row["status_message"], row["service_name"]]), [
        [root.spanId, null, "SERVER", "OK", null, "api-service"],
        [child.spanId, root.spanId, "CLIENT", "ERROR", "deadlock detected", "api-service"],
        [late.spanId, root.spanId, "PRODUCER", "OK", null, "api-service"]
      ])
      assert.strictEqual(rows[0]!["start_time"], seconds(root.startTime))
      assert.strictEqual(rows[0]!["duration"], 0.0015)
      const events = yield* ask(target, `select name, timestamp, attributes, span_id, created_at from ${names.schema}.observability_span_events where trace_id = $1 order by timestamp`, [root.traceId])
      assert.deepStrictEqual(events.map((row) => [row["name"], row["span_id"], row["attributes"], row["created_at"] instanceof Date]), [
        ["early", child.spanId, {}, true],
        ["exception", child.spanId, { "exception.message": "deadlock" }, true]
      ])
      const plan = yield* ask(target, `select 1 where exists (select 1 from pg_indexes where schemaname = $1 and indexdef like '%replace((trace_id)::text%')`, [names.schema])
      assert.strictEqual(plan.length, 1)
    }))

  it.effect("hostile text and values are stored, cleaned, and lose nobody else", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const circular: Record<string, unknown> = { a: 1 }
      circular["self"] = circular
      let deep: unknown = "end"
      for (let i = 0; i < 20_000; i++) deep = [deep]
      const hostile = span({
        name: "a\0b\ud800'; drop table x; --\u{1F600}",
        status: "error",
        statusMessage: "\udc00\0",
        attributes: new Map<string, unknown>([
          ["nul\0key", "nul\0value"], ["lone", "\ud800"], ["nan", NaN], ["infinity", -Infinity], ["circular", circular], ["deep", deep],
          ["huge", "x".repeat(1_000_000)], ["fn", () => 1], ["symbol", Symbol("s")], ["undefined", undefined], ["__proto__", "kept"],
          ["throws", { get bad() { throw new Error("no") }, good: 1 }], ["date", new Date(0)], ["map", new Map([["k", 1]])],
          ["quotes", "\"\\\u2028"], ["error", new TypeError("bad")], ["bytes", new Uint8Array(3)]
        ]),
        events: [{ name: "e\0", time: 0n, attributes: { "\ud800": NaN } }]
      })
      yield* process.exportSpans(1, span(), hostile, span())
      const stored = (yield* history.getTrace(hostile.traceId))!.spans[0]!
      assert.strictEqual(stored.name, "a\ufffdb\ufffd'; drop table x; --\u{1F600}")
      assert.strictEqual(stored.statusMessage, "\ufffd\ufffd")
      const attributes = Object.fromEntries(stored.attributes)
      assert.deepInclude(attributes, {
        "nul\ufffdkey": "nul\ufffdvalue", lone: "\ufffd", nan: "NaN", infinity: "-Infinity", circular: { a: 1, self: "[circular]" },
        fn: "() => 1", symbol: "Symbol(s)", throws: { bad: "[unreadable]", good: 1 }, date: "1970-01-01T00:00:00.000Z", map: [["k", 1]],
        quotes: "\"\\\u2028", error: "TypeError: bad", bytes: "[Uint8Array of 3 bytes]"
      })
      assert.strictEqual(stored.attributes.get("__proto__"), "kept")
      assert.isFalse(stored.attributes.has("undefined"))
      assert.strictEqual((attributes["huge"] as string).length, 16_384)
      assert.deepStrictEqual(stored.events, [{ name: "e\ufffd", time: 0n, attributes: { "\ufffd": "NaN" } }])
      const count = yield* ask(target, `select count(*)::int4 as n from ${names.schema}.observability_spans`)
      assert.strictEqual(count[0]!["n"], 3)

      const Hostile = MetricDefinition.gauge("hostile", { help: "h\0\ud800", labelNames: ["l"] })
      const store = new Series4()
      const values = ["a\0b", "a\ufffdb", "\ud800", "'; --", "\"}", "", "x".repeat(50_000)]
      yield* process.exportFrames(1, store.frame(start, start + 1, values.map((l, i) => ({ metric: Hostile, labels: { l }, value: i }))))
      const points = yield* history.getMetricsHistory({ name: "hostile", ...range })
      assert.strictEqual(points.length, values.length)
      assert.strictEqual((yield* history.getMetricsHistory({ name: "hostile", labels: { l: "a\0b" }, ...range })).length, 2)
      assert.deepStrictEqual(points.find((point) => point.value === 5)!.labels, {})
    }))

  it.effect("spans of broken clocks are kept, and ask for no partition of their own", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names, { retentionDays: 7 })
      const history = yield* historyOf(target, names)
      const ancient = span({ startTime: 1n, endTime: 2n })
      const future = span({ startTime: 10n ** 19n / 2n, endTime: 10n ** 19n / 2n - 5n })
      yield* process.exportSpans(1, ancient, future)
      for (const one of [ancient, future]) {
        const found = (yield* history.getTrace(one.traceId))!.spans[0]!
        assert.deepStrictEqual([found.startTime, found.endTime], [one.startTime, one.endTime])
      }
    }))

  it.effect("a large batch and a trace of thousands", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const first = span()
      const all = [first, ...Array.from({ length: 2_999 }, (_, i) => span({ traceId: first.traceId, parentSpanId: first.spanId, name: `step ${i % 50}` }))]
      yield* Effect.asVoid(process.spans.export(all as never, { number: 1, attempt: 1 }))
      assert.strictEqual((yield* history.getTrace(first.traceId))!.spans.length, 3_000)
      const ids = yield* ask(target, `select count(distinct id)::int4 as n from ${names.schema}.observability_spans`)
      assert.strictEqual(ids[0]!["n"], 3_000)
      const store = new Series4()
      const frame = store.frame(start, start + 1, Array.from({ length: 6_000 }, (_, i) => ({ metric: Depth, labels: { queue: String(i) }, value: i })))
      yield* process.exportFrames(1, frame)
      const points = yield* history.getMetricsHistory({ name: "queue_depth", limit: 100_000, ...range })
      assert.strictEqual(points.length, 6_000)
      assert.isTrue(points.every((point) => point.labels["queue"] === String(point.value)))
    }))
})
