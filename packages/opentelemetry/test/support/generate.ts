import type { ErrorData, LogData, SpanData } from "@effect-observability/core"
import * as fc from "fast-check"

const hostile = fc.constantFrom("", "\u0000", "\ud800", "a\udc00b", "é", "请求 🎉", "x".repeat(47), "x".repeat(48), "é".repeat(47), "y".repeat(127), "z".repeat(20_000), "__proto__", "a\"b\\c\nd", "\u2028")
export const text: fc.Arbitrary<string> = fc.oneof(hostile, fc.string(), fc.string({ unit: "binary" }), fc.string({ maxLength: 200 }))

const scalar: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.boolean(),
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(NaN, Infinity, -Infinity, -0, 0, 2 ** 53, -(2 ** 53), 5e-324, Number.MAX_VALUE, -1, 127, 128, 16383, 16384),
  fc.bigInt(),
  fc.constantFrom(2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n, 0n, 2n ** 200n)
)

/** Anything an attribute could hold, plain or not. */
export const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: scalar },
  { weight: 2, arbitrary: fc.array(scalar, { maxLength: 6 }) },
  {
    weight: 1,
    arbitrary: fc.anything({ maxDepth: 12, withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true, withSparseArray: true, withNullPrototype: true })
  }
)

const digits = (length: number) => fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length })
export const time: fc.Arbitrary<bigint> = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), fc.constantFrom(0n, 1n, 1_700_000_000_123_456_789n))
const attributes = (max: number) => fc.array(fc.tuple(text, value), { maxLength: max })
const record = (max: number) => attributes(max).map((entries) => {
  const out: Record<string, unknown> = Object.create(null)
  for (const [key, one] of entries) out[key] = one
  return out
})
const count = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat() })

export const span: fc.Arbitrary<SpanData> = fc.record({
  traceId: digits(32),
  spanId: digits(16),
  parentSpanId: fc.option(digits(16), { nil: undefined }),
  name: text,
  kind: fc.constantFrom("internal", "server", "client", "producer", "consumer"),
  startTime: time,
  endTime: time,
  status: fc.constantFrom("unset", "ok", "error"),
  statusMessage: fc.option(text, { nil: undefined }),
  attributes: attributes(12).map((entries) => new Map(entries)),
  events: fc.array(fc.record({ name: text, time, attributes: record(4) }), { maxLength: 3 }),
  links: fc.array(fc.record({ traceId: digits(32), spanId: digits(16), attributes: record(3) }), { maxLength: 3 }),
  droppedAttributes: count,
  droppedEvents: count,
  droppedLinks: count,
  weight: fc.constant(1),
  traceState: fc.constantFrom("", "ot=th:8,vendor=a")
})

const maybe = <A>(one: fc.Arbitrary<A>) => fc.option(one, { nil: undefined })
const level = fc.constantFrom("debug", "info", "warn", "error", "fatal")
const ids = fc.oneof(fc.record({ traceId: digits(32), spanId: digits(16) }), fc.constant({ traceId: undefined, spanId: undefined }))
const asked = { requestId: maybe(text), userId: maybe(text), tenantId: maybe(text), module: maybe(text) }

export const logLine: fc.Arbitrary<LogData> = fc.tuple(
  ids,
  fc.record({
    ...asked,
    time,
    level,
    message: text,
    attributes: attributes(6).map((entries) => new Map(entries)),
    traceFlags: fc.constantFrom(0, 1),
    errorId: maybe(digits(32)),
    logSpans: fc.array(fc.record({ name: text, millis: fc.double({ noNaN: true }) }), { maxLength: 3 }),
    cause: maybe(text)
  })
).map(([of, line]) => ({ ...line, ...of }))

export const error: fc.Arbitrary<ErrorData> = fc.tuple(
  ids,
  fc.record({
    ...asked,
    errorId: digits(32),
    time,
    kind: fc.constantFrom("failure", "defect"),
    errorClass: fc.constantFrom("business", "system"),
    level,
    errorType: text,
    message: text,
    stack: maybe(text),
    causes: fc.array(fc.record({ type: text, message: text, stack: maybe(text), parent: maybe(fc.nat(3)) }), { maxLength: 4 }),
    fingerprint: digits(16),
    spanNames: fc.array(text, { maxLength: 4 }),
    sampled: fc.boolean(),
    attributes: attributes(6).map((entries) => new Map(entries)),
    handled: fc.boolean(),
    breadcrumbs: fc.constant([])
  })
).map(([of, one]) => ({ ...one, ...of }))
