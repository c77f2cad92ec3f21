import { Diagnostics, type ErrorData, type LogData, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Effect, Layer } from "effect"
import { Sentry } from "../src/index.ts"
import { framesOf } from "../src/internal/frames.ts"
import { envelopeOf, eventItem, eventOf, fitting } from "../src/SentryEncoding.ts"
import { parseEnvelope } from "./support/receiver.ts"
import { receiver } from "./support/scoped.ts"

const about = { environment: "prod", release: "shop@1", serverName: "i-1", service: "shop", cluster: "", tags: { team: "a" }, maxBreadcrumbs: 100 }

const error: ErrorData = {
  errorId: "0123456789abcdef0123456789abcdef", time: 1_795_576_969_807_000_000n, kind: "failure", errorClass: "system", level: "error", errorType: "PaymentFailed",
  message: "no funds", stack: "PaymentFailed: no funds\n    at charge (file:///app/src/pay.ts:3:5)\n    at node:internal/process/task_queues:105:5",
  causes: [], fingerprint: "abcdef0123456789", spanNames: ["charge", "checkout", "POST /orders"], traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7",
  sampled: true, requestId: "r-1", userId: "u-1", tenantId: "acme", module: "pay", attributes: new Map<string, unknown>([["order", 7], ["deep", { a: [1n] }]]),
  handled: false, breadcrumbs: []
}

class PaymentFailed extends Data.TaggedError("PaymentFailed")<{ readonly message: string; readonly cause?: unknown }> {}

describe("an error as an event", () => {
  it("has the error id as its id and as a tag, and what it was about", () => {
    const event = eventOf(error, about)
    assert.strictEqual(event.event_id, error.errorId)
    assert.deepStrictEqual(event.tags, {
      team: "a", error_id: error.errorId, error_class: "system", error_kind: "failure", service: "shop", module: "pay", tenant_id: "acme", request_id: "r-1"
    })
    assert.deepStrictEqual([event.user, event.level, event.release, event.environment, event.server_name, event.transaction], [{ id: "u-1" }, "error", "shop@1", "prod", "i-1", "POST /orders"])
    assert.deepStrictEqual(event.contexts["trace"], { trace_id: error.traceId, span_id: error.spanId })
    assert.deepStrictEqual(event.extra, { order: 7, deep: "{\"a\":[\"1\"]}" })
    assert.closeTo(event.timestamp, 1_795_576_969.807, 1e-6)
  })

  it("shows the calls, oldest first, and the spans that the stack does not show before them", () => {
    const [exception] = eventOf(error, about).exception.values
    assert.deepStrictEqual(exception!.stacktrace!.frames, [
      { function: "POST /orders", filename: "span", in_app: true },
      { function: "checkout", filename: "span", in_app: true },
      { function: "?", filename: "node:internal/process/task_queues", lineno: 105, colno: 5, in_app: false },
      { function: "charge", filename: "/app/src/pay.ts", lineno: 3, colno: 5, in_app: true }
    ])
  })

  it("reads the frames V8 writes, and nothing that is none", () => {
    const stack = [
      "Error: at nothing (really)", "    at new Pool (/app/node_modules/pg/index.js:1:2)", "    at async Promise.all (index 0)", "    at Object.<anonymous> (/app/a b/(x).ts:10:20)",
      "    at /app/main.ts:7:9", "    at async file:///app/esm.mjs:1:1", "    at eval (eval at x (/app/y.js:1:1), <anonymous>:1:1)", "    at Array.map (<anonymous>)", "at", `at ${"x".repeat(5_000)}`
    ].join("\n")
    assert.deepStrictEqual(framesOf(stack).map(({ filename, function: name, in_app, lineno }) => [name, filename, lineno, in_app]).toReversed(), [
      ["Pool", "/app/node_modules/pg/index.js", 1, false], ["Promise.all", "index 0", undefined, false], ["Object.<anonymous>", "/app/a b/(x).ts", 10, true],
      ["?", "/app/main.ts", 7, true], ["?", "/app/esm.mjs", 1, true], ["eval", "eval at x (/app/y.js:1:1), <anonymous>", 1, true], ["Array.map", "<anonymous>", undefined, false]
    ].map((row) => row[0] === "Pool" ? ["new Pool", ...row.slice(1)] : row))
    const started = performance.now()
    framesOf(`at ${"(".repeat(1_000)}${":1".repeat(400)}\n`.repeat(500))
    assert.isBelow(performance.now() - started, 1_000)
  })

  it("puts causes before the error, and failures beside it into a group", () => {
    const { values } = eventOf({
      ...error,
      causes: [
        { type: "ignored", message: "no funds", stack: error.stack, parent: undefined }, { type: "GatewayDown", message: "timeout", stack: undefined, parent: 0 },
        { type: "RefundFailed", message: "too", stack: undefined, parent: undefined }
      ]
    }, about).exception
    assert.deepStrictEqual(values.map(({ mechanism, type }) => [type, mechanism["exception_id"], mechanism["parent_id"], mechanism["source"], mechanism["is_exception_group"]]), [
      ["RefundFailed", 2, 0, "errors[2]", undefined], ["GatewayDown", 1, 0, "cause", undefined], ["PaymentFailed", 0, undefined, undefined, true]
    ])
  })

  it("is below Sentry's limit: the oldest lines give way, then what is beside it", () => {
    const log: LogData = {
      time: 1n, level: "info", message: "line", attributes: new Map([["body", "é".repeat(16_000)]]), traceId: undefined, spanId: undefined, traceFlags: 0, requestId: undefined,
      userId: undefined, tenantId: undefined, module: undefined, errorId: undefined, logSpans: [], cause: undefined
    }
    const breadcrumbs = Array.from({ length: 100 }, (_, i) => ({ ...log, message: `line ${i}` }))
    const event = fitting(eventOf({ ...error, breadcrumbs }, about))
    assert.isAtMost(Buffer.byteLength(JSON.stringify(event)), 900_000)
    assert.isAbove(event.breadcrumbs!.length, 20)
    assert.strictEqual(event.breadcrumbs!.at(-1)!["message"], "line 99")
    const huge = fitting(eventOf({ ...error, breadcrumbs, attributes: new Map([["a", "x".repeat(2_000_000)]]) }, about))
    assert.isAtMost(Buffer.byteLength(JSON.stringify(huge)), 900_000)
    assert.deepStrictEqual(Object.keys(huge.extra), ["left_out"])
    assert.deepStrictEqual(fitting(eventOf(error, about)), eventOf(error, about))
  })

  it("has no half of a surrogate pair anywhere, which Sentry's reader refuses with the whole envelope", () => {
    const half = "\ud800"
    const text = envelopeOf([eventItem(eventOf({ ...error, userId: half, attributes: new Map<string, unknown>([[half, [half]], ["kept", "\\ud800 \\\\ud800 😀"], ["big", 12n]]) }, about))], 0)
    assert.notMatch(text.replaceAll("\\\\", ""), /\\ud[89a-f]/)
    const { extra, user } = parseEnvelope(Buffer.from(text)).items[0]!.payload
    assert.deepStrictEqual([user.id, extra], ["\ufffd", { "\ufffd": ["\ufffd"], kept: "\\ud800 \\\\ud800 😀", big: "12" }])
  })

  it("no content can begin an item or end a line", () => {
    const hostile = "x\n{\"type\":\"attachment\"}\nevil\r\n\u2028\ud800 \u0000"
    const log: LogData = {
      time: 1n, level: "warn", message: hostile, attributes: new Map([[hostile, hostile]]), traceId: undefined, spanId: undefined, traceFlags: 0, requestId: undefined,
      userId: undefined, tenantId: undefined, module: undefined, errorId: undefined, logSpans: [], cause: hostile
    }
    const event = eventOf({
      ...error, message: hostile, errorType: hostile, requestId: hostile, userId: hostile, spanNames: [hostile], stack: hostile, breadcrumbs: [log],
      attributes: new Map<string, unknown>([["__proto__", 1], [hostile, { get a() { throw new Error("no") } }]])
    }, { ...about, environment: hostile, release: hostile })
    const { items } = parseEnvelope(Buffer.from(envelopeOf([eventItem(event)], 0, event.event_id)))
    assert.deepStrictEqual(items.map(({ header }) => header["type"]), ["event"])
    assert.strictEqual(items[0]!.payload.exception.values[0].value, hostile.toWellFormed())
    assert.isAtMost(Math.max(...Object.values<string>(items[0]!.payload.tags).map((value) => value.length)), 200)
    assert.isFalse(Object.values<string>(items[0]!.payload.tags).some((value) => value.includes("\n")))
  })
})

describe("what a program reports", () => {
  it.live("arrives with the typed error, its cause and the lines before it", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      yield* Effect.gen(function*() {
        yield* Effect.gen(function*() {
          yield* Effect.logInfo("charging card")
          return yield* Effect.fail(new PaymentFailed({ message: "declined", cause: new TypeError("socket hang up") }))
        }).pipe(Effect.withSpan("charge"), Effect.withErrorReporting, Effect.withSpan("checkout"), Effect.exit)
        const telemetry = yield* Telemetry
        yield* telemetry.flush
        const [event] = sentry.items("event")
        assert.deepStrictEqual(event.exception.values.map(({ type, value }: any) => [type, value]), [["TypeError", "socket hang up"], ["PaymentFailed", "declined"]])
        assert.include(event.breadcrumbs.map(({ message }: any) => message), "charging card")
        const spans = sentry.items("span").flatMap(({ items }) => items)
        assert.deepStrictEqual(spans.map(({ name }: any) => name).toSorted(), ["charge", "checkout"])
        assert.strictEqual(event.contexts.trace.trace_id, spans[0].trace_id)
        const [{ headers, url }] = sentry.received as any
        assert.strictEqual(url, "/api/42/envelope/")
        assert.strictEqual(headers["content-type"], "application/x-sentry-envelope")
        assert.match(headers["x-sentry-auth"], /^Sentry sentry_version=7, sentry_client=effect-observability\/[0-9.]+, sentry_key=publickey$/)
        assert.deepStrictEqual((yield* (yield* Diagnostics).report).imbalances, [])
      }).pipe(Effect.provide(Sentry.layer({ dsn: sentry.dsn })))
    }).pipe(Effect.scoped))

  it.live("passes a last look, which may change it or drop it, and drops it when it fails", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      const beforeSend = (event: Sentry.SentryEvent) => {
        const text = event.exception.values[0]!.value
        if (text === "drop") return undefined
        if (text === "throw") throw new Error("no")
        return { ...event, tags: { ...event.tags, seen: "yes" } }
      }
      yield* Effect.gen(function*() {
        for (const text of ["keep", "drop", "throw"]) yield* Effect.exit(Effect.withErrorReporting(Effect.fail(new PaymentFailed({ message: text }))))
        yield* (yield* Telemetry).flush
        const [component] = (yield* (yield* Diagnostics).report).components
        assert.deepStrictEqual(component!.signals[0]!.ledger.dropped, { before_send: 2 } as any)
        assert.strictEqual(component!.signals[0]!.ledger.exported, 1)
      }).pipe(Effect.provide(Sentry.layer({ dsn: sentry.dsn, beforeSend })))
      const [event, ...more] = sentry.items("event")
      assert.deepStrictEqual([event.tags.seen, more.length], ["yes", 0])
      // What was left out is told at the end.
      assert.deepStrictEqual(sentry.items("client_report").flatMap((one) => one.discarded_events), [{ reason: "before_send", category: "error", quantity: 2 }])
    }).pipe(Effect.scoped))

  it.live("a last look that gives back no event, or one that JSON cannot carry, drops it", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      const beforeSend = (event: Sentry.SentryEvent): any =>
        event.exception.values[0]!.value === "promise" ? Promise.resolve(event) : { ...event, extra: { one: 1n } }
      yield* Effect.gen(function*() {
        for (const text of ["promise", "bigint"]) yield* Effect.exit(Effect.withErrorReporting(Effect.fail(new PaymentFailed({ message: text }))))
        yield* (yield* Telemetry).flush
        const [component] = (yield* (yield* Diagnostics).report).components
        assert.deepStrictEqual(component!.signals[0]!.ledger.dropped, { before_send: 2 } as any)
      }).pipe(Effect.provide(Sentry.layer({ dsn: sentry.dsn, beforeSend })))
    }).pipe(Effect.scoped))

  it.live("an empty cause, an interruption and a switched-off toolkit send nothing", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      const report = Effect.exit(Effect.withErrorReporting(Effect.failCause(Cause.interrupt(1))))
      yield* Effect.andThen(report, Effect.flatMap(Telemetry, ({ flush }) => flush)).pipe(Effect.provide(Sentry.layer({ dsn: sentry.dsn, traces: false })))
      yield* Effect.exit(Effect.withErrorReporting(Effect.fail(1))).pipe(
        Effect.provide(Sentry.layer({ dsn: sentry.dsn }).pipe(Layer.provide(ObservabilityConfig.layer({ enabled: false }))))
      )
      assert.strictEqual(sentry.requests, 0)
    }).pipe(Effect.scoped))
})
