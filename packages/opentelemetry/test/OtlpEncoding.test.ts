import { assert, describe, it } from "@effect/vitest"
import type { SpanData } from "@effect-observability/core"
import * as fc from "fast-check"
import * as OtlpEncoding from "../src/OtlpEncoding.ts"
import { Writer } from "../src/encoding/Writer.ts"
import { error, logLine, span } from "./support/generate.ts"
import { readJson, readProtobuf, withoutDefaults } from "./support/strict.ts"

const origin: OtlpEncoding.Origin = {
  resource: { "service.name": "shop", "process.pid": 42, "host.names": ["a", "b"] },
  scope: { name: "effect-observability", version: "0.1.0" }
}

const simple: SpanData = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  parentSpanId: "00f067aa0ba902b7",
  name: "GET /orders/:id",
  kind: "server",
  startTime: 1_700_000_000_000_000_001n,
  endTime: 1_700_000_000_500_000_000n,
  status: "error",
  statusMessage: "PaymentFailed: no funds",
  attributes: new Map<string, unknown>([["text", "a"], ["whole", 7], ["negative", -7], ["real", 1.5], ["flag", true], ["big", 2n ** 62n], ["list", ["x", 1, false]]]),
  events: [{ name: "exception", time: 1_700_000_000_400_000_000n, attributes: { "exception.type": "PaymentFailed" } }],
  links: [{ traceId: "11111111111111111111111111111111", spanId: "2222222222222222", attributes: { reason: "retry" } }],
  droppedAttributes: 3,
  droppedEvents: 2,
  droppedLinks: 300,
  weight: 1,
  traceState: "ot=th:8"
}

const decoded = {
  resourceSpans: [{
    resource: {
      attributes: [
        { key: "service.name", value: { stringValue: "shop" } },
        { key: "process.pid", value: { intValue: "42" } },
        { key: "host.names", value: { arrayValue: { values: [{ stringValue: "a" }, { stringValue: "b" }] } } }
      ]
    },
    scopeSpans: [{
      scope: { name: "effect-observability", version: "0.1.0" },
      spans: [{
        traceId: "0af7651916cd43dd8448eb211c80319c",
        spanId: "b7ad6b7169203331",
        parentSpanId: "00f067aa0ba902b7",
        traceState: "ot=th:8",
        name: "GET /orders/:id",
        kind: 2,
        startTimeUnixNano: "1700000000000000001",
        endTimeUnixNano: "1700000000500000000",
        attributes: [
          { key: "text", value: { stringValue: "a" } },
          { key: "whole", value: { intValue: "7" } },
          { key: "negative", value: { intValue: "-7" } },
          { key: "real", value: { doubleValue: 1.5 } },
          { key: "flag", value: { boolValue: true } },
          { key: "big", value: { intValue: "4611686018427387904" } },
          { key: "list", value: { arrayValue: { values: [{ stringValue: "x" }, { intValue: "1" }, { boolValue: false }] } } }
        ],
        droppedAttributesCount: 3,
        events: [{ name: "exception", timeUnixNano: "1700000000400000000", attributes: [{ key: "exception.type", value: { stringValue: "PaymentFailed" } }] }],
        droppedEventsCount: 2,
        links: [{ traceId: "11111111111111111111111111111111", spanId: "2222222222222222", attributes: [{ key: "reason", value: { stringValue: "retry" } }] }],
        droppedLinksCount: 300,
        status: { message: "PaymentFailed: no funds", code: 2 },
        flags: 1
      }]
    }]
  }]
}

const protobuf = (spans: ReadonlyArray<SpanData>) => readProtobuf("traces", OtlpEncoding.spans("protobuf", origin, spans).body)
const json = (spans: ReadonlyArray<SpanData>) => readJson("traces", OtlpEncoding.spans("json", origin, spans).body)

describe("OTLP encoding of spans", () => {
  it("says everything a span has, in protobuf", () => assert.deepEqual(protobuf([simple]), decoded))

  it("says the same in JSON", () => assert.deepEqual(json([simple]), decoded))

  it("a batch of none is a request of none", () => {
    assert.deepEqual(protobuf([]).resourceSpans[0].scopeSpans[0].spans, undefined)
    assert.deepEqual(json([]).resourceSpans[0].scopeSpans[0].spans, undefined)
  })

  it("whatever spans hold is canonical protobuf and strict JSON, and both say the same", () => {
    fc.assert(
      fc.property(fc.array(span, { maxLength: 5 }), (spans) => {
        const one = OtlpEncoding.spans("protobuf", origin, spans)
        const other = OtlpEncoding.spans("json", origin, spans)
        assert.strictEqual(one.unreadable, 0)
        assert.strictEqual(other.unreadable, 0)
        assert.deepEqual(withoutDefaults(readProtobuf("traces", one.body)), withoutDefaults(readJson("traces", other.body)))
      }),
      { numRuns: 400 }
    )
  })

  it("text that is no text in UTF-8 becomes the replacement character", () => {
    const [read] = protobuf([{ ...simple, name: "half \ud800 pair" }]).resourceSpans[0].scopeSpans[0].spans
    assert.strictEqual(read.name, "half \ufffd pair")
  })

  it("structures deeper than eight levels, cycles, and getters that throw cost no span", () => {
    const cycle: Record<string, unknown> = { name: "cycle" }
    cycle["self"] = cycle
    const throwing = { get secret(): string {
      throw new Error("no")
    } }
    const attributes = new Map<string, unknown>([["cycle", cycle], ["throwing", throwing], ["proxy", new Proxy({}, { ownKeys: () => { throw new Error("no") } })]])
    for (const read of [protobuf, json]) {
      const [one] = read([{ ...simple, attributes }]).resourceSpans[0].scopeSpans[0].spans
      assert.deepEqual(one.attributes.map(({ key }: { key: string }) => key), ["cycle", "throwing", "proxy"])
      assert.deepEqual(one.attributes[1].value, { stringValue: "[unreadable]" })
    }
  })

  it("a span that cannot be read at all is left out and counted, the others arrive", () => {
    const broken = { ...simple, attributes: null as unknown as ReadonlyMap<string, unknown> }
    for (const format of ["protobuf", "json"] as const) {
      const { body, unreadable } = OtlpEncoding.spans(format, origin, [simple, broken, simple])
      assert.strictEqual(unreadable, 1)
      const read = format === "json" ? readJson("traces", body) : readProtobuf("traces", body)
      assert.strictEqual(read["resourceSpans"][0].scopeSpans[0].spans.length, 2)
    }
  })

  it("an encoder whose batch was abandoned half way serves the next one", () => {
    const encoder = OtlpEncoding.spanEncoder("protobuf", origin)
    const abandoned = encoder.encode(Array.from({ length: 1_500 }, () => simple))
    assert.strictEqual(abandoned.next().done, false)
    const { body } = OtlpEncoding.toEnd(encoder.encode([simple]))
    assert.deepEqual(readProtobuf("traces", body), decoded)
    assert.strictEqual(readProtobuf("traces", OtlpEncoding.toEnd(abandoned).body)["resourceSpans"][0].scopeSpans[0].spans.length, 1_500)
  })
})

describe("OTLP encoding of log lines and errors", () => {
  const both = (encoders: ReadonlyArray<OtlpEncoding.ItemEncoder<any>>, items: ReadonlyArray<unknown>) => {
    const [one, other] = encoders.map((encoder) => OtlpEncoding.toEnd(encoder.encode(items)))
    assert.deepEqual([one!.unreadable, other!.unreadable], [0, 0])
    const read = readProtobuf("logs", one!.body)
    assert.deepEqual(withoutDefaults(read), withoutDefaults(readJson("logs", other!.body)))
    return read["resourceLogs"][0].scopeLogs[0].logRecords as ReadonlyArray<any> | undefined
  }

  it("whatever a line holds is canonical protobuf and strict JSON, and both say the same", () => {
    const encoders = (["protobuf", "json"] as const).map((format) => OtlpEncoding.logEncoder(format, origin))
    fc.assert(fc.property(fc.array(logLine, { maxLength: 5 }), (lines) => {
      assert.strictEqual(both(encoders, lines)?.length ?? 0, lines.length)
    }), { numRuns: 200 })
  })

  it("whatever an error holds, as well", () => {
    const encoders = (["protobuf", "json"] as const).map((format) => OtlpEncoding.errorEncoder(format, origin))
    fc.assert(fc.property(fc.array(error, { maxLength: 3 }), (errors) => {
      const records = both(encoders, errors) ?? []
      assert.deepEqual(records.map(({ attributes }) => attributes[0].value.stringValue), errors.map(() => "exception"))
    }), { numRuns: 200 })
  })
})

describe("Writer", () => {
  it("writes integers of every length", () => {
    const writer = new Writer(1)
    for (const value of [0, 127, 128, 16383, 16384, 2 ** 31 - 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      writer.clear()
      writer.varint(value)
      let read = 0n
      writer.peek().forEach((byte, i) => read |= BigInt(byte & 127) << BigInt(7 * i))
      assert.strictEqual(read, BigInt(value))
    }
  })
})
