import { MetricDefinition } from "@effect-observability/core"
import type { SpanData } from "@effect-observability/core"
import { assert, it } from "@effect/vitest"
import * as Encoding from "../src/PostgresEncoding.ts"
import { encodeRecord } from "../src/internal/json.ts"
import { Series4 } from "./support/frames.ts"

it("increases take the narrowest form that keeps them exactly", () => {
  const forms = (...values: Array<number>) => {
    const { float8, int2, int4 } = Encoding.narrowed(Float64Array.from(values))
    const [found] = [int2, int4, float8].filter((form) => form !== null)
    assert.deepStrictEqual(Array.from(found!), values)
    return int2 !== null ? "int2" : int4 !== null ? "int4" : "float8"
  }
  assert.strictEqual(forms(0, 1, 32_767, -32_768), "int2")
  assert.strictEqual(forms(0, 32_768), "int4")
  assert.strictEqual(forms(-2_147_483_648, 2_147_483_647), "int4")
  for (const value of [0.5, 2_147_483_648, NaN, Infinity, -Infinity, 2 ** 60]) assert.strictEqual(forms(1, value), "float8")
  assert.strictEqual(forms(), "int2")
})

it("span ids survive the sign", () => {
  for (const id of ["0000000000000001", "ffffffffffffffff", "8000000000000000", "7fffffffffffffff", "00f067aa0ba902b7"]) {
    const stored = Encoding.toInt8(id)
    assert.isTrue(stored >= -(2n ** 63n) && stored < 2n ** 63n)
    assert.strictEqual(Encoding.fromInt8(stored), id)
  }
  for (const none of ["", "xyz", "0".repeat(17)]) assert.strictEqual(Encoding.toInt8(none), 0n)
})

it("the same series has the same key on every process, whatever the order of its labels", () => {
  const a = MetricDefinition.counter("hits_total", { help: "h", labelNames: ["x", "y"] })
  const b = MetricDefinition.counter("hits_total", { help: "other words", labelNames: ["y", "x"] })
  const of = (definition: typeof a | typeof b, labelValues: ReadonlyArray<string>, shared = {}) =>
    Encoding.series({ index: 0, definition, labelValues, createdAt: 0 }, Encoding.family(definition), shared)
  assert.strictEqual(of(a, ["1", "2"]).hash, of(b, ["2", "1"]).hash)
  assert.notStrictEqual(of(a, ["1", "2"]).hash, of(a, ["2", "1"]).hash)
  // An absent label is absent; a shared label gives way to the series' own.
  assert.strictEqual(of(a, ["1", ""], { env: "dev", x: "shared" }).labels, "{\"env\":\"dev\",\"x\":\"1\"}")
  const buckets = MetricDefinition.histogram("h", { help: "h", buckets: [1, 2] })
  const others = MetricDefinition.histogram("h", { help: "h", buckets: [1, 3] })
  assert.notStrictEqual(Encoding.family(buckets).hash, Encoding.family(others).hash)
})

it("several frames lie one after the other, and their slices find them", () => {
  const C = MetricDefinition.counter("c_total", { help: "c", labelNames: ["l"] })
  const H = MetricDefinition.histogram("h", { help: "h", buckets: [1, 2], labelNames: ["l"] })
  const S = MetricDefinition.summary("s", { help: "s", objectives: { "0.9": 0.1, "0.5": 0.1 } })
  const store = new Series4()
  const columns = Encoding.frames([
    store.frame(0, 10, [{ metric: C, labels: { l: "a" }, value: 1 }]),
    store.frame(10, 20, [{ metric: C, labels: { l: "b" }, value: 2 }, { metric: H, labels: { l: "a" }, observed: [1.5, 9] }]),
    store.frame(20, 35, [{ metric: H, labels: { l: "b" }, observed: [1] }, { metric: S, observed: [7] }])
  ])
  const cut = (values: ArrayLike<number>, { from, to }: Encoding.Slices) =>
    Array.from(from, (first, i) => Array.from(values).slice(first - 1, to[i]))
  assert.deepStrictEqual(cut(columns.counters.int2!, columns.counters), [[1], [0, 2], [0, 0]])
  assert.deepStrictEqual(cut(columns.buckets.int2!, columns.buckets), [[], [0, 1, 1], [0, 0, 0, 1, 0, 0]])
  assert.deepStrictEqual(cut(columns.histograms.sums, columns.histograms), [[], [10.5], [0, 1]])
  assert.deepStrictEqual(cut(columns.quantiles.values, columns.quantiles), [[], [], [7, 7]])
  assert.deepStrictEqual(Array.from(columns.span), [10, 10, 15])
})

it("spans become one part per trace, never larger than a row may be", () => {
  const span = (traceId: string, n: number, more: Partial<SpanData> = {}): SpanData => ({
    traceId, spanId: n.toString(16).padStart(16, "0"), parentSpanId: "00000000000000aa", name: "x", kind: "internal",
    startTime: BigInt(n), endTime: BigInt(n + 10), status: "unset", statusMessage: undefined, attributes: new Map(), events: [], links: [], droppedAttributes: 0, droppedEvents: 0, droppedLinks: 0, weight: 1, traceState: "", ...more
  })
  const a = "a".repeat(32)
  const b = "b".repeat(32)
  const [first, second] = Encoding.parts([
    span(a, 5), span(b, 1, { status: "error" }), span(a, 3, { endTime: 100n }), span(a, 7, { parentSpanId: undefined, name: "root" })
  ])
  assert.deepInclude(first, { traceId: a, start: 3n, end: 100n, errors: 0 })
  assert.strictEqual(first!.root.name, "root")
  assert.deepInclude(second, { traceId: b, errors: 1 })
  const many = Encoding.parts(Array.from({ length: 2_500 }, (_, i) => span(a, i)))
  assert.deepStrictEqual(many.map((part) => part.spans.length), [1_024, 1_024, 452])
})

it("JSON text is bounded, whatever it is made of", () => {
  const wide: Record<string, unknown> = {}
  for (let i = 0; i < 50_000; i++) wide[`k${i}`] = "v".repeat(100)
  assert.isBelow(encodeRecord({ wide }).length, 600_000)
  // Shared, not circular: twice at every level would be 2^32 copies.
  let shared: unknown = "leaf"
  for (let i = 0; i < 31; i++) shared = [shared, shared]
  assert.isBelow(encodeRecord({ shared }).length, 600_000)
  JSON.parse(encodeRecord({ wide, shared, list: Array.from({ length: 100_000 }, () => null) }))
})
