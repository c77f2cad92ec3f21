import type { SpanData } from "@effect-observability/core"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Session from "../../src/internal/session.ts"
import { attributeHash, isNumber, textOfJson } from "../../src/spans/attributeHash.ts"
import * as SpanPacker from "../../src/spans/SpanPacker.ts"
import { encodeColumn, members } from "../../src/spans/textColumn.ts"
import { ask, Database, freshNames, historyOf, startProcess } from "../support/database.ts"
import { span } from "../support/spans.ts"

describe("text columns", () => {
  it("are lines, or letters and distinct lines where that is shorter", () => {
    assert.strictEqual(encodeColumn([undefined, undefined]), null)
    assert.strictEqual(encodeColumn(["\"a\"", undefined, "1"]), "l\"a\"\n\n1")
    assert.strictEqual(encodeColumn(["\"long\"", "\"long\"", undefined, "\"long\"", "\"other\""]), "d!!\"!#\n\"long\"\n\n\"other\"")
    // More distinct values than letters.
    const many = Array.from({ length: 200 }, (_, i) => `"value ${i % 100}"`)
    assert.isTrue(encodeColumn(many)!.startsWith("l"))
  })

  it("take objects apart without reading their values", () => {
    assert.deepStrictEqual(members("{}"), [])
    assert.deepStrictEqual(members("{\"a\": 1.50, \"b\\\"\\\\\": \"x, y: {\", \"c\": {\"d\": [1, {\"e\": \"}\"}]}, \"f\": [], \"g\": null}"), [
      ["\"a\"", "1.50"], ["\"b\\\"\\\\\"", "\"x, y: {\""], ["\"c\"", "{\"d\": [1, {\"e\": \"}\"}]}"], ["\"f\"", "[]"], ["\"g\"", "null"]
    ])
  })

  it("hash a number however it is written, and never change", () => {
    assert.strictEqual(attributeHash("n", "1.50"), attributeHash("n", "1.5"))
    assert.notStrictEqual(attributeHash("n", "1.5"), attributeHash("n", "1.6"))
    assert.deepStrictEqual(["1", "-2.5e3", "0x1", "", "1e", "NaN", "１"].map(isNumber), [true, true, false, false, false, false, false])
    assert.strictEqual(textOfJson("\"a\\nb\""), "a\nb")
    // Stored rows hold these.
    assert.strictEqual(attributeHash("user_id", "u-17"), -199295983)
  })
})

const pack = (target: Session.Target, names: ReturnType<typeof freshNames>, more: Partial<SpanPacker.PackerOptions> = {}) =>
  Effect.acquireUseRelease(
    Session.open(target, 60_000),
    (session) => SpanPacker.pass(session, { names, searchable: new Set(), minAge: 0, eager: true, ...more }),
    (session) => session.close
  )

layer(Database.layer, { excludeTestServices: true, timeout: "60 seconds" })("packing", (it) => {
  it.effect("hostile and enormous spans come out as they went in", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      let deep: unknown = "end"
      for (let i = 0; i < 40; i++) deep = [deep]
      const hostile = span({
        name: "a\nb'; drop table x; --\u{1F600}", status: "error", statusMessage: "line\nfeed \"quoted\" \\ back", traceState: "a=\"\\\n\"", weight: 1e9,
        startTime: -5n, endTime: -10n, parentSpanId: "ffffffffffffffff",
        attributes: new Map<string, unknown>([
          ["quo\"te", "\"\\\n\r\t\u0001\u2028"], ["", "empty key"], ["$1", "$2"], ["null", null], ["deep", deep], ["lone", "\ud800"], ["nul", "\0"],
          ["huge", "x\n".repeat(8_000)], ["n", -0.1], ["big", 2n ** 70n], ["e", 1e-300], ["{", "}"], [":", ","], ["__proto__", "kept"]
        ]),
        events: [{ name: "e\n", time: 7n, attributes: { "a\n": "b\n" } }]
      })
      const wide = span({ attributes: new Map(Array.from({ length: 2_000 }, (_, i) => [`key ${i}`, i])) })
      // Each row is larger compressed than what is fetched at once.
      const noise = Array.from({ length: 4_000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1).toString(36)).join("")
      const large = Array.from({ length: 40 }, (_, i) => span({ traceId: wide.traceId, name: `large ${i % 3}`, attributes: new Map([["noise", noise.slice(i)], ["more", noise]]) }))
      const first = span()
      const long = Array.from({ length: 2_500 }, (_, i): SpanData => span({ traceId: first.traceId, parentSpanId: i === 0 ? undefined : first.spanId, name: `step ${i % 400}` }))
      yield* process.exportSpans(1, hostile, wide, ...large, span({ startTime: 2n ** 62n, endTime: 2n ** 62n + 2n ** 40n }))
      yield* process.exportSpans(2, ...(long as unknown as [SpanData]))
      const order = (trace: { readonly spans: ReadonlyArray<SpanData> } | undefined) => trace!.spans.toSorted((a, b) => (a.spanId < b.spanId ? -1 : 1))
      const traces = Effect.forEach([hostile, wide, first], ({ traceId }) => Effect.map(history.getTrace(traceId), order))
      const before = yield* traces
      assert.deepStrictEqual(before.map((spans) => spans.length), [1, 41, 2_500])
      const packed = yield* pack(target, names, { chunkSpans: 700 })
      // All but the one that a wrong clock put into tomorrow.
      assert.deepStrictEqual([packed.spans, packed.problems], [2_542, []])
      assert.deepStrictEqual(yield* traces, before)
      assert.strictEqual((yield* history.getTrace(hostile.traceId))!.spans[0]!.statusMessage, hostile.statusMessage)
      assert.deepStrictEqual((yield* history.searchTraces({ text: "drop table x" })).traces.map(({ traceId }) => traceId), [hostile.traceId])
      assert.deepStrictEqual((yield* history.searchTraces({ attributes: { "$1": "$2", ":": "," } })).traces.map(({ traceId }) => traceId), [hostile.traceId])
    }))

  it.effect("leaves alone what is young, and waits until a chunk is full", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      yield* process.exportSpans(1, span(), span(), span())
      assert.strictEqual((yield* pack(target, names, { minAge: 600 })).spans, 0)
      assert.strictEqual((yield* pack(target, names, { eager: false, chunkSpans: 4 })).spans, 0)
      const hour = BigInt(Date.now() - 30 * 3_600_000) * 1_000_000n
      yield* process.exportSpans(2, span({ startTime: hour, endTime: hour }))
      // A finished day goes whole.
      assert.strictEqual((yield* pack(target, names, { eager: false, chunkSpans: 100 })).spans, 1)
      assert.strictEqual((yield* pack(target, names, { eager: false, chunkSpans: 3 })).spans, 3)
    }))

  it.effect("what does not read back the same stays as it is, and is told", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      yield* process.exportSpans(1, span({ attributes: new Map([["a", "b"]]) }))
      // A decoder that is wrong.
      yield* ask(target, `create or replace function ${names.schema}.obs_attributes(n int4, fixed text, names text[], cols text[]) returns jsonb[]
        language sql immutable as $$ select array_fill('{}'::jsonb, array[n]) $$`)
      const packed = yield* pack(target, names)
      assert.strictEqual(packed.spans, 0)
      assert.include(packed.problems[0], "read back differently")
      assert.deepStrictEqual(yield* ask(target, `select attributes from ${names.schema}.observability_spans`), [{ attributes: { a: "b" } }])
      assert.deepStrictEqual(yield* ask(target, `select 1 from ${names.schema}.obs_span_pack`), [])
    }))
})
