import { assert, describe, it } from "@effect/vitest"
import type { SpanData } from "@effect-observability/core"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import * as Path from "node:path"
import { tracerVersion } from "../src/DatadogSpans.ts"
import { MsgpackWriter } from "../src/traces/MsgpackWriter.ts"
import { SpanEncoder, type SpanWords } from "../src/traces/SpanEncoder.ts"
import { type AgentSpan, readTraces } from "./support/agent.ts"
import { decode } from "./support/msgpack.ts"

const words: SpanWords = { service: "shop", env: "prod", version: "7", tags: [["team", "pay"], ["env", "never"]], pid: 42 }
const traceId = "0af7651916cd43dd8448eb211c80319c"
const span = (given: Partial<SpanData> = {}): SpanData => ({
  traceId, spanId: "b7ad6b7169203331", parentSpanId: undefined, name: "work", kind: "internal", startTime: 1_700_000_000_123_456_789n, endTime: 1_700_000_000_123_457_000n, status: "unset",
  statusMessage: undefined, attributes: new Map(), events: [], links: [], droppedAttributes: 0, droppedEvents: 0, droppedLinks: 0, weight: 1, traceState: "", ...given
})
const attributes = (record: Record<string, unknown>) => new Map(Object.entries(record))

const finish = <A>(steps: Generator<void, A>): A => {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

const encoded = (batch: ReadonlyArray<SpanData>, native = false, encoder = new SpanEncoder(words)): ReadonlyArray<ReadonlyArray<AgentSpan>> => {
  const made = finish(encoder.encode(batch, native, Infinity))!
  const chunks = readTraces(made.body)
  assert.strictEqual(chunks.length, made.chunks)
  return chunks
}
const one = (given: Partial<SpanData>, native = false): AgentSpan => encoded([span(given)], native)[0]![0]!

describe("MessagePack", () => {
  it("is read back by a strict reader, whatever was written", () => {
    const writer = new MsgpackWriter(4)
    fc.assert(fc.property(fc.array(fc.oneof(
      fc.string({ unit: "grapheme" }), fc.string({ unit: "binary", maxLength: 300 }), fc.boolean(), fc.double(), fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    )), (values) => {
      writer.clear(0)
      writer.array(values.length * 2)
      for (const value of values) {
        for (let i = 0; i < 2; i++) {
          if (typeof value === "boolean") writer.boolean(value)
          else if (typeof value === "bigint") writer.int64(value)
          else if (typeof value === "string" && i === 0) writer.text(value)
          else if (typeof value === "string") writer.word(value)
          else if (i === 0) writer.number(value)
          else writer.double(value)
        }
      }
      const wanted: ReadonlyArray<unknown> = values.flatMap((value) => typeof value === "string" ? [value.toWellFormed(), value.toWellFormed()] : [value as unknown, value])
      assert.deepStrictEqual(decode(writer.bytes()) as unknown, wanted)
    }), { numRuns: 300 })
  })

  it("has lists and maps of every length", () => {
    for (const length of [0, 1, 15, 16, 65_535, 65_536]) {
      const writer = new MsgpackWriter()
      writer.array(length)
      for (let i = 0; i < length; i++) writer.number(i % 100)
      assert.strictEqual((decode(writer.bytes()) as Array<number>).length, length)
      const maps = new MsgpackWriter()
      maps.map(length)
      for (let i = 0; i < length; i++) {
        maps.word(`k${i}`)
        maps.uint64(2n ** 64n - 1n)
      }
      assert.strictEqual(Object.keys(decode(maps.bytes()) as object).length, length)
    }
  })
})

describe("a span", () => {
  it("has 64 bits of its trace's id, the rest on the first of its chunk", () => {
    const [chunk, other] = encoded([span({ spanId: "0000000000000001", parentSpanId: "b7ad6b7169203331" }), span(), span({ traceId: `${"0".repeat(16)}ffffffffffffffff` })])
    assert.deepStrictEqual(chunk!.map(({ meta, parent_id, span_id, trace_id }) => [trace_id, span_id, parent_id, meta["_dd.p.tid"]]), [
      [0x8448eb211c80319cn, 0xb7ad6b7169203331n, 0n, "0af7651916cd43dd"], [0x8448eb211c80319cn, 1n, 0xb7ad6b7169203331n, undefined]
    ])
    assert.deepStrictEqual([other![0]!.trace_id, other![0]!.meta["_dd.p.tid"]], [2n ** 64n - 1n, undefined])
    assert.deepStrictEqual([chunk![0]!.metrics["process_id"], chunk![1]!.metrics["process_id"]], [42, undefined])
    assert.deepStrictEqual([chunk![0]!.start, chunk![0]!.duration], [1_700_000_000_123_456_789n, 211n])
    assert.strictEqual(one({ endTime: 5n }).duration, 0n)
  })

  it("has unified tags, and the program's own where they are not a span's", () => {
    const plain = one({})
    assert.deepStrictEqual([plain.service, plain.meta["env"], plain.meta["version"], plain.meta["team"]], ["shop", "prod", "7", "pay"])
    const other = one({ attributes: attributes({ "service.name": "db", team: "ops", env: "x", "_dd.top_level": 9, "resource.name": "R", "operation.name": "op name", "span.type": "worker" }) })
    assert.deepStrictEqual([other.service, other.meta["env"], other.meta["version"], other.meta["team"], other.meta["_dd.base_service"]], ["db", "prod", undefined, "ops", "shop"])
    assert.deepStrictEqual([other.name, other.resource, other.type, other.metrics["_dd.top_level"]], ["op_name", "R", "worker", 1])
  })

  it("is an operation of a type, by what it does", () => {
    const cases: ReadonlyArray<readonly [kind: SpanData["kind"], given: Record<string, unknown>, name: string, type: string | undefined]> = [
      ["internal", {}, "internal", undefined], ["server", { "http.request.method": "GET" }, "http.server.request", "web"], ["client", { "http.request.method": "GET" }, "http.client.request", "http"],
      ["client", { "db.system.name": "postgresql" }, "postgresql.query", "sql"], ["client", { "db.system": "redis" }, "redis.query", "cache"], ["client", { "db.system.name": "mongodb" }, "mongodb.query", "db"],
      ["producer", { "messaging.system": "kafka", "messaging.operation.name": "send" }, "kafka.send", "queue"], ["consumer", { "messaging.system": "rabbitmq", "messaging.operation": "process" }, "rabbitmq.process", "queue"],
      ["client", { "rpc.system": "effect rpc" }, "effect_rpc.client.request", "rpc"], ["server", { "rpc.system.name": "grpc" }, "grpc.server.request", "web"], ["server", {}, "server.request", "web"],
      ["client", { "network.protocol.name": "amqp" }, "amqp.client.request", "http"], ["consumer", {}, "consumer", "queue"], ["client", { "db.system.name": "9\n|x" }, "x.query", "db"]
    ]
    for (const [kind, given, name, type] of cases) {
      const made = one({ kind, attributes: attributes(given), name: "GET /a b" })
      assert.deepStrictEqual([made.name, made.type, made.resource, made.meta["span.kind"]], [name, type, "GET /a b", kind])
    }
  })

  it("counts for its service when it enters it, and is measured when it leaves or enters", () => {
    const parentSpanId = "00000000000000aa"
    const marks = (["internal", "server", "client", "producer", "consumer"] as const).map((kind) => {
      const { metrics } = one({ kind, parentSpanId })
      return [metrics["_dd.top_level"], metrics["_dd.measured"], metrics["_sampling_priority_v1"]]
    })
    assert.deepStrictEqual(marks, [[undefined, undefined, 1], [1, 1, 1], [undefined, 1, 1], [undefined, 1, 1], [1, 1, 1]])
    assert.strictEqual(one({}).metrics["_dd.top_level"], 1)
  })

  it("has texts and truths as tags, numbers as metrics, HTTP by Datadog's names", () => {
    const { meta, metrics } = one({
      kind: "server",
      attributes: attributes({
        "http.request.method": "GET", "http.response.status_code": 503, "url.full": "https://a/", "user_agent.original": "curl", "http.route": "/a", n: 1.5, no: false, list: [1, "a"], deep: { a: 1 }, big: NaN, none: ""
      })
    })
    assert.deepInclude(meta, { "http.method": "GET", "http.status_code": "503", "http.url": "https://a/", "http.useragent": "curl", "http.route": "/a", no: "false", list: "[1,\"a\"]", deep: "{\"a\":1}", big: "NaN", none: "" })
    assert.strictEqual(metrics["n"], 1.5)
    assert.isUndefined(meta["http.request.method"])
    assert.strictEqual(one({ attributes: attributes({ "client.address": "1.1.1.1" }) }).meta["client.address"], "1.1.1.1")
    // Both names are given: each stays itself, and no key comes twice.
    assert.deepInclude(one({ attributes: attributes({ "http.method": "PUT", "http.request.method": "GET" }) }).meta, { "http.method": "PUT", "http.request.method": "GET" })
  })

  it("that failed says why", () => {
    const failed = one({
      status: "error", statusMessage: "no funds", attributes: attributes({ "error.type": "PaymentFailed" }),
      events: [{ name: "exception", time: 5n, attributes: { "exception.type": "PaymentFailed", "exception.stacktrace": "at pay" } }]
    })
    assert.strictEqual(failed.error, 1)
    assert.deepInclude(failed.meta, { "error.type": "PaymentFailed", "error.message": "no funds", "error.stack": "at pay", "_dd.span_events.has_exception": "true" })
    const two = one({
      status: "error", statusMessage: "B: 2", attributes: attributes({ "error.type": "B" }),
      events: [{ name: "exception", time: 5n, attributes: { "exception.type": "A", "exception.message": "1" } }, { name: "exception", time: 5n, attributes: { "exception.type": "B", "exception.message": "2" } }]
    })
    assert.strictEqual(two.meta["error.message"], "2")
    const fine = one({ status: "ok", statusMessage: undefined })
    assert.deepStrictEqual([fine.error, fine.meta["otel.status_code"]], [0, "Ok"])
  })

  it("says how many it stands for, and who decided", () => {
    const plain = one({})
    assert.deepStrictEqual([plain.metrics["_sample_rate"], plain.meta["_dd.p.dm"]], [undefined, "-0"])
    const weighted = one({ weight: 4 })
    assert.deepStrictEqual([weighted.metrics["_sample_rate"], weighted.meta["_dd.p.dm"]], [0.25, "-3"])
    const told = one({ traceState: "dd=s:2;o:rum~x;t.dm:-4;t.other:1,foo=1" })
    assert.deepInclude(told.meta, { "_dd.p.dm": "-4", "_dd.origin": "rum=x", "w3c.tracestate": "dd=s:2;o:rum~x;t.dm:-4;t.other:1,foo=1" })
    assert.strictEqual(told.metrics["_sampling_priority_v1"], 2)
    assert.strictEqual(one({ traceState: "dd=s:-1" }).metrics["_sampling_priority_v1"], 1)
    assert.deepInclude(one({ droppedAttributes: 1, droppedEvents: 2, droppedLinks: 3 }).metrics, { "otel.dropped_attributes_count": 1, "otel.dropped_events_count": 2, "otel.dropped_links_count": 3 })
  })

  it("has links and events, whole ones only where the agent keeps no more", () => {
    const link = { traceId, spanId: "00000000000000bb", attributes: { reason: "retry", n: 1 } }
    assert.deepStrictEqual(JSON.parse(one({ links: [link] }).meta["_dd.span_links"]!), [{ trace_id: traceId, span_id: "00000000000000bb", attributes: { reason: "retry", n: "1" } }])
    const events = Array.from({ length: 100 }, (_, i) => ({ name: i === 99 ? "exception" : "step", time: BigInt(i), attributes: { text: "\"x\"".repeat(300) } }))
    const encoder = new SpanEncoder(words)
    const cut = encoded([span({ events, links: Array.from({ length: 1000 }, () => link) })], false, encoder)[0]![0]!
    const kept = JSON.parse(cut.meta["events"]!) as ReadonlyArray<{ name: string }>
    assert.isTrue(cut.meta["events"]!.length <= 25_000 && cut.meta["_dd.span_links"]!.length <= 25_000)
    assert.isTrue(kept.some(({ name }) => name === "exception"))
    assert.strictEqual(encoder.left, 100 - kept.length + 1000 - JSON.parse(cut.meta["_dd.span_links"]!).length)
    const native = one({ events: [{ name: "e", time: 2n ** 60n, attributes: { t: "x", b: true, i: -7, d: 0.5, l: ["a", 1, false], deep: [{ a: 1 }] } }, { name: "bare", time: 1n, attributes: {} }] }, true)
    assert.deepStrictEqual(native.span_events?.map(({ attributes, ...rest }) => ({ ...rest, attributes: JSON.parse(JSON.stringify(attributes ?? null, (_, value) => typeof value === "bigint" ? Number(value) : value)) })) as unknown, [
      {
        name: "e", time_unix_nano: 2n ** 60n,
        attributes: {
          t: { type: 0, string_value: "x" }, b: { type: 1, bool_value: true }, i: { type: 2, int_value: -7 }, d: { type: 3, double_value: 0.5 },
          l: { type: 4, array_value: { values: [{ type: 0, string_value: "a" }, { type: 2, int_value: 1 }, { type: 1, bool_value: false }] } }, deep: { type: 0, string_value: "[{\"a\":1}]" }
        }
      },
      { name: "bare", time_unix_nano: 1n, attributes: null }
    ])
  })

  it("of any content makes a body that an agent takes", () => {
    const encoder = new SpanEncoder(words)
    const value = fc.oneof(fc.string({ unit: "binary", maxLength: 80 }), fc.double(), fc.boolean(), fc.array(fc.string(), { maxLength: 3 }), fc.constant(null), fc.object({ maxDepth: 2 }))
    const keys = fc.oneof(fc.string({ unit: "binary", maxLength: 30 }), fc.constantFrom("__proto__", "env", "error.stack", "events", "http.method", "http.request.method", "_dd.p.tid", "process_id", "otel.status_code", "team", "_dd.p.dm", "constructor", "otel.dropped_events_count"))
    fc.assert(fc.property(fc.array(fc.tuple(keys, value), { maxLength: 12 }), fc.constantFrom("internal", "server", "client" as const), fc.constantFrom("ok", "error", "unset" as const), fc.boolean(), (entries, kind, status, native) => {
      const [chunk] = encoded([span({
        attributes: new Map(entries), kind: kind as SpanData["kind"], status: status as SpanData["status"], statusMessage: status === "error" ? "x" : undefined, droppedEvents: 1,
        events: [{ name: entries[0]?.[0] ?? "e", time: 1n, attributes: Object.fromEntries(entries) }]
      })], native, encoder)
      assert.strictEqual(chunk!.length, 1)
    }), { numRuns: 500 })
  })

  it("too many for one request are refused before they are made whole", () => {
    const encoder = new SpanEncoder(words)
    const many = Array.from({ length: 1000 }, () => span({ attributes: attributes({ text: "x".repeat(4000) }) }))
    assert.isUndefined(finish(encoder.encode(many, false, 100_000)))
    assert.strictEqual(readTraces(finish(encoder.encode(many.slice(0, 10), false, 100_000))!.body)[0]!.length, 10)
  })

  it("is sent as this version", () => {
    const { version } = JSON.parse(readFileSync(Path.join(import.meta.dirname, "../package.json"), "utf8")) as { version: string }
    assert.strictEqual(tracerVersion, version)
  })
})
