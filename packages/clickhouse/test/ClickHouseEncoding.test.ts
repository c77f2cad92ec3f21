import { type ErrorData, type LogData, MetricDefinition } from "@effect-observability/core"
import { FrameMaker } from "@effect-observability/testkit/contract"
import { assert, describe, it } from "@effect/vitest"
import { FrameEncoder, header, logs, spans } from "../src/ClickHouseEncoding.ts"
import { ofError, ofLog } from "../src/internal/logRecord.ts"
import { resourceBytes } from "../src/internal/resource.ts"
import { repairs, RowWriter } from "../src/internal/RowWriter.ts"
import { valueOf } from "../src/internal/attributeText.ts"
import { RowReader, rowsOf } from "./support/RowReader.ts"
import { span } from "./support/spans.ts"

const resource = resourceBytes({ service: "shop", version: "1.2", instance: "i-1", env: "prod", cluster: "eu" })
const rowOf = (of: Parameters<typeof span>[0]) => rowsOf("traces", spans(new RowWriter(), [span(of)], resource).body)[0]!
const t0 = 1_790_000_000_000

describe("spans", () => {
  it("every field has its column", () => {
    const row = rowOf({
      traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", parentSpanId: "00f067aa0ba902b7", name: "charge", kind: "client",
      startTime: 1_790_000_000_123_456_789n, endTime: 1_790_000_000_123_457_789n, status: "error", statusMessage: "declined", weight: 4, traceState: "ot=th:c",
      attributes: new Map<string, unknown>([["text", "a"], ["number", 1.5], ["flag", true], ["list", ["x", 1]], ["none", undefined], ["nothing", null]]),
      events: [{ name: "retry", time: 7n, attributes: { attempt: 2, why: "timeout" } }],
      links: [{ traceId: "1af7651916cd43dd8448eb211c80319c", spanId: "c7ad6b7169203331", attributes: { reason: "batch" } }],
      droppedAttributes: 1, droppedEvents: 2, droppedLinks: 3
    })
    assert.deepStrictEqual({ ...row }, {
      ResourceAttributes: {
        "service.name": "shop", "service.version": "1.2", "service.instance.id": "i-1", "deployment.environment.name": "prod", "k8s.cluster.name": "eu",
        "telemetry.sdk.name": "effect-observability", "telemetry.sdk.language": "nodejs"
      },
      ScopeName: "effect-observability", ScopeVersion: "", ServiceName: "shop",
      Timestamp: 1_790_000_000_123_456_789n, TraceId: "0af7651916cd43dd8448eb211c80319c", SpanId: "b7ad6b7169203331", ParentSpanId: "00f067aa0ba902b7",
      TraceState: "ot=th:c", SpanName: "charge", SpanKind: "Client",
      SpanAttributes: { text: "a", number: "1.5", flag: "true", list: "[\"x\",1]", nothing: "null" },
      Duration: 1_000, StatusCode: "Error", StatusMessage: "declined",
      "Events.Timestamp": [7n], "Events.Name": ["retry"], "Events.Attributes": [{ attempt: "2", why: "timeout" }],
      "Links.TraceId": ["1af7651916cd43dd8448eb211c80319c"], "Links.SpanId": ["c7ad6b7169203331"], "Links.TraceState": [""], "Links.Attributes": [{ reason: "batch" }],
      SpanAttributeTypes: { number: "number", flag: "bool", list: "json", nothing: "json" },
      EventAttributeTypes: [{ attempt: "number" }], LinkAttributeTypes: [{}],
      Weight: 4, DroppedAttributes: 1, DroppedEvents: 2, DroppedLinks: 3
    })
  })

  it("text stays in its field, whatever it holds", () => {
    for (const text of ["", "\0", "a\0b", "'; DROP TABLE t; --", "\t\n\\N", "{p0:String}", "请求 🎉", "x".repeat(127), "x".repeat(128), "é".repeat(64), "\u{1F600}".repeat(40), "y".repeat(20_000)]) {
      const row = rowOf({ name: text, attributes: new Map([[text, text]]), statusMessage: text })
      assert.deepStrictEqual([row["SpanName"], row["StatusMessage"]], [text.slice(0, 4_096), text])
      assert.strictEqual(row["SpanAttributes"][text.slice(0, 1_024)], text)
    }
  })

  it("half a pair becomes U+FFFD, what is too long is cut, and both are counted", () => {
    const before = repairs()
    const row = rowOf({ name: "a\ud800b", attributes: new Map([["long", "z".repeat(100_000)]]) })
    assert.strictEqual(row["SpanName"], "a\ufffdb")
    assert.strictEqual(row["SpanAttributes"]["long"].length, 65_536)
    assert.isAbove(repairs()["text"] ?? 0, before["text"] ?? 0)
    assert.isAbove(repairs()["length"] ?? 0, before["length"] ?? 0)
  })

  it("values that fight being read cost their text, not the span", () => {
    const cyclic: Record<string, unknown> = { a: 1 }
    cyclic["self"] = cyclic
    let deep: unknown = 1
    for (let n = 0; n < 20_000; n++) deep = [deep]
    const trap = new Proxy({}, { ownKeys: () => { throw new Error("no") }, get: () => { throw new Error("no") }, has: () => { throw new Error("no") } })
    const values: ReadonlyArray<readonly [string, unknown]> = [
      ["cyclic", cyclic], ["deep", deep], ["trap", trap], ["toJSON", { toJSON: () => { throw new Error("no") } }], ["symbol", Symbol("s")], ["function", () => 1],
      ["getter", Object.defineProperty({}, "x", { enumerable: true, get: () => { throw new Error("no") } })], ["bigint", 2n ** 80n], ["small", 5n],
      ["NaN", NaN], ["inside", { n: NaN, i: -Infinity }], ["map", new Map([["k", 1]])], ["bytes", new Uint8Array(1e6)], ["error", new TypeError("bad")],
      ["__proto__", "own"], ["date", new Date(0)], ["huge", Array.from({ length: 50_000 }, (_, i) => i)], ["nullish", Object.create(null)]
    ]
    const row = rowOf({ attributes: new Map(values) })
    const texts = row["SpanAttributes"]
    assert.strictEqual(Object.keys(texts).length, values.length)
    assert.strictEqual(texts["cyclic"], "{\"a\":1,\"self\":\"[circular]\"}")
    assert.include(texts["deep"], "[too deep]")
    assert.strictEqual(texts["trap"], "\"[unreadable]\"")
    assert.strictEqual(texts["inside"], "{\"n\":\"NaN\",\"i\":\"-Infinity\"}")
    assert.strictEqual(texts["error"], "\"TypeError: bad\"")
    assert.isTrue(Object.hasOwn(texts, "__proto__"))
    assert.strictEqual(({} as Record<string, unknown>)["own"], undefined)
  })

  it("a thousand and more attributes, and too many characters, end", () => {
    const many = rowOf({ attributes: new Map(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, i])) })
    assert.strictEqual(Object.keys(many["SpanAttributes"]).length, 1_024)
    const fat = rowOf({ attributes: new Map(Array.from({ length: 100 }, (_, i) => [`k${i}`, "w".repeat(60_000)])) })
    assert.isBelow(JSON.stringify(fat["SpanAttributes"]).length, 1_200_000)
  })

  it("times no table can hold are moved to the nearest that it can", () => {
    for (const [start, end, stored, duration] of [
      [-5n, 5n, 0n, 10], [2n ** 70n, 2n ** 70n + 1n, 4_102_444_800_000_000_000n, 1], [100n, 50n, 100n, 0], [0n, 0n, 0n, 0]
    ] as const) {
      const row = rowOf({ startTime: start, endTime: end, events: [{ name: "e", time: -(2n ** 80n), attributes: {} }] })
      assert.deepStrictEqual([row["Timestamp"], row["Duration"]], [stored, duration])
    }
  })

  it("types bring values back", () => {
    for (const [text, type, value] of [["1.5", "number", 1.5], ["NaN", "number", NaN], ["true", "bool", true], ["[1]", "json", [1]], ["{", "json", "{"], ["42", "", "42"], ["42", undefined, "42"]] as const) {
      assert.deepStrictEqual(valueOf(text, type), value)
    }
  })
})

it("log lines and errors are rows of the table of logs", () => {
  const line: LogData = {
    time: 5n, level: "warn", message: "low\n\0", attributes: new Map<string, unknown>([["left", 3], ["user_id", "own"]]), traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331",
    traceFlags: 1, requestId: "r", userId: "u", tenantId: undefined, module: "m", errorId: "e", logSpans: [{ name: "load", millis: 7 }], cause: "Error: x\n    at y"
  }
  const error: ErrorData = {
    errorId: "e", time: 6n, kind: "defect", errorClass: "system", level: "fatal", errorType: "TypeError", message: "x is undefined", stack: "at y",
    causes: [{ type: "TypeError", message: "x is undefined", stack: undefined, parent: undefined }, { type: "IoError", message: "disk", stack: undefined, parent: 0 }],
    fingerprint: "f", spanNames: ["charge"], traceId: undefined, spanId: undefined, sampled: false, requestId: undefined, userId: undefined, tenantId: "t", module: undefined,
    attributes: new Map(), handled: false, breadcrumbs: []
  }
  const [first, second] = rowsOf("logs", logs(new RowWriter(), [ofLog(line), ofError(error)], resource).body)
  assert.deepInclude(first, {
    Timestamp: 5n, TraceId: line.traceId, SpanId: line.spanId, TraceFlags: 1, SeverityText: "WARN", SeverityNumber: 13, Body: "low\n\0", ServiceName: "shop",
    LogAttributes: { left: "3", user_id: "own", request_id: "r", module: "m", "error.id": "e", "exception.stacktrace": "Error: x\n    at y", "log.span.load": "7" },
    LogAttributeTypes: { left: "number", "log.span.load": "number" }
  })
  assert.deepInclude(second, { SeverityText: "FATAL", SeverityNumber: 21, Body: "TypeError: x is undefined", TraceId: "" })
  assert.deepInclude(second!["LogAttributes"], {
    "exception.type": "TypeError", "exception.message": "x is undefined", "error.id": "e", "effect.cause": "die", "error.causes": "[\"IoError: disk\"]", tenant_id: "t", "error.handled": "false"
  })
})

describe("frames", () => {
  const requests = MetricDefinition.counter("http_requests_total", { help: "Requests", labelNames: ["path", "zone"] })
  const depth = MetricDefinition.gauge("queue_depth", { help: "Depth", unit: "items" })
  const flying = MetricDefinition.upDownCounter("in_flight", { help: "x" })
  const seconds = MetricDefinition.histogram("http_seconds", { help: "x", unit: "seconds", buckets: [0.1, 1] })
  const size = MetricDefinition.summary("size_bytes", { help: "x", objectives: { "0.9": 0.01, "0.5": 0.05 } })

  it("each kind has its table; counters are increases, and their interval is the row's", () => {
    const maker = new FrameMaker()
    const frame = maker.frame(t0, t0 + 5_000, [
      { metric: requests, labels: { path: "/a" }, value: 3 }, { metric: depth, value: 7 }, { metric: flying, value: -2 },
      { metric: seconds, observed: [0.05, 0.5, 5] }, { metric: size, observed: [10, 20] }
    ])
    const rows = new Map(new FrameEncoder(resource).encode([frame]).map((one) => [one.table, rowsOf(one.table, one.body)]))
    const [counter, upDown] = rows.get("sum")!
    assert.deepInclude(counter, {
      MetricName: "http_requests_total", MetricDescription: "Requests", Attributes: { path: "/a" }, Value: 3, AggregationTemporality: 1, IsMonotonic: 1,
      StartTimeUnix: BigInt(t0) * 1_000_000n, TimeUnix: BigInt(t0 + 5_000) * 1_000_000n, IntervalMillis: 5_000
    })
    assert.deepInclude(upDown, { MetricName: "in_flight", Value: -2, AggregationTemporality: 2, IsMonotonic: 0, IntervalMillis: 5_000 })
    assert.deepInclude(rows.get("gauge")![0], { MetricName: "queue_depth", MetricUnit: "items", Value: 7 })
    assert.deepInclude(rows.get("histogram")![0], {
      MetricName: "http_seconds", Count: 3, Sum: 5.55, BucketCounts: [1, 1, 1], ExplicitBounds: [0.1, 1], Min: 0.05, Max: 5, AggregationTemporality: 1, Flags: 0
    })
    assert.deepInclude(rows.get("summary")![0], { MetricName: "size_bytes", Count: 2, Sum: 30, "ValueAtQuantiles.Quantile": [0.5, 0.9] })
  })

  it("what is no number is left out, an idle histogram has 0 for its extremes", () => {
    const maker = new FrameMaker()
    maker.frame(t0, t0 + 1, [{ metric: depth, value: 1 }, { metric: seconds, observed: [] }])
    const frame = maker.frame(t0 + 1, t0 + 2, [{ metric: requests, labels: { path: "x" }, value: NaN }])
    const rows = new Map(new FrameEncoder(resource).encode([frame]).map((one) => [one.table, rowsOf(one.table, one.body)]))
    assert.strictEqual(rows.get("gauge"), undefined)
    assert.deepStrictEqual(rows.get("sum") ?? [], [])
    assert.deepInclude(rows.get("histogram")![0], { Count: 0, Min: 0, Max: 0, BucketCounts: [0, 0, 0] })
  })

  it("labels of all series stand below the own ones", () => {
    const frame = new FrameMaker().frame(t0, t0 + 1, [{ metric: requests, labels: { path: "/own" }, value: 1 }])
    const [rows] = new FrameEncoder(resource, { path: "shared", region: "eu" }).encode([frame])
    assert.deepStrictEqual(rowsOf("sum", rows!.body)[0]!["Attributes"], { path: "/own", region: "eu" })
  })

  it("exemplars stand in the row of their series, exponential buckets in their own table", () => {
    const maker = new FrameMaker()
    const made = maker.frame(t0, t0 + 5_000, [{ metric: seconds, observed: [0.5, 2] }, { metric: requests, labels: { path: "/" }, value: 1 }])
    const series = made.histograms.series[0]!
    const exemplar = { series, traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", value: 0.5, time: t0 + 1, bucket: 1 }
    const frame = {
      ...made,
      exemplars: [exemplar],
      histograms: {
        ...made.histograms,
        exponentials: [{ series, scale: 2, zeroCount: 1, positive: { offset: -3, counts: Float64Array.of(1, 0, 2) }, negative: { offset: 0, counts: new Float64Array(0) } }]
      }
    }
    const rows = new Map(new FrameEncoder(resource).encode([frame]).map((one) => [one.table, rowsOf(one.table, one.body)]))
    assert.deepInclude(rows.get("histogram")![0], {
      "Exemplars.Value": [0.5], "Exemplars.TraceId": [exemplar.traceId], "Exemplars.SpanId": [exemplar.spanId], "Exemplars.TimeUnix": [BigInt(t0 + 1) * 1_000_000n]
    })
    assert.deepStrictEqual(rows.get("sum")![0]!["Exemplars.Value"], [])
    assert.deepInclude(rows.get("exponential_histogram")![0], {
      Count: 2, Sum: 2.5, Scale: 2, ZeroCount: 1, PositiveOffset: -3, PositiveBucketCounts: [1, 0, 2], NegativeBucketCounts: [], Min: 0.5, Max: 2, AggregationTemporality: 1
    })
  })

  it("the same frames give the same bytes, and large ones several inserts", () => {
    const maker = new FrameMaker()
    const frames = Array.from({ length: 8 }, (_, n) => maker.frame(t0 + n, t0 + n + 1, Array.from({ length: 2_500 }, (_, i) => ({ metric: requests, labels: { path: `/p${i}`, zone: "z".repeat(400) }, value: i }))))
    const encoder = new FrameEncoder(resource)
    const first = encoder.encode(frames)
    const again = new FrameEncoder(resource).encode(frames)
    assert.isAbove(first.length, 1)
    assert.strictEqual(first.reduce((sum, { count }) => sum + count, 0), 20_000)
    assert.isTrue(first.every((one) => one.body.length < 9 * 1024 * 1024))
    assert.isTrue(again.every((one, i) => one.body.equals(first[i]!.body)))
  })
})

it("a header names columns and types", () => {
  const reader = new RowReader(header([{ name: "a", type: "String" }, { name: "b", type: "Array(UInt64)" }]))
  assert.strictEqual(reader.value("UInt8"), 2)
  assert.deepStrictEqual([reader.value("String"), reader.value("String"), reader.value("String"), reader.value("String")], ["a", "b", "String", "Array(UInt64)"])
  assert.isTrue(reader.done)
})
