import { Baggage, MemoryBackend, RequestContext, Requests, Tracer } from "@effect-observability/core"
import { MessagingMetrics, PublishError } from "@effect-observability/instrument"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { observedValues, recorded, spansOf, valuesOf } from "../support/recorded.ts"
import { fakeBroker, type FakeMessage } from "./support/fakeBroker.ts"

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

describe("Messaging", () => {
  it.effect("a message carries trace, baggage and request id; the consumer continues them", () =>
    recorded(Effect.gen(function*() {
      const { messaging, send, sent } = yield* fakeBroker({ server: "amqp://guest:secret@broker.internal:5672/vhost" })
      yield* send("orders", "body").pipe(Tracer.withSpan("request"), Baggage.with({ tenant: "acme" }), Requests.within({ requestId: "r1" }))
      const [message] = sent
      assert.deepStrictEqual(Object.keys(message!.headers as object).toSorted(), ["baggage", "traceparent", "x-request-id"])
      const inside = yield* messaging.process(message!, Effect.all([Baggage.get("tenant"), Effect.map(RequestContext, ({ requestId }) => requestId)]), { consumerGroup: "billing" })
      assert.deepStrictEqual(inside, ["acme", "r1"])
      const [sending, request, processing] = yield* spansOf
      assert.deepStrictEqual([sending?.name, sending?.kind, sending?.parentSpanId], ["send orders", "producer", request?.spanId])
      assert.deepStrictEqual([processing?.name, processing?.kind, processing?.parentSpanId], ["process orders", "consumer", sending?.spanId])
      assert.deepStrictEqual(Object.fromEntries(processing!.attributes), {
        "messaging.system": "fake",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "messaging.consumer.group.name": "billing",
        "messaging.message.body.size": 4,
        "server.address": "broker.internal",
        "server.port": 5672,
        request_id: "r1"
      })
      assert.deepStrictEqual(yield* valuesOf("message_published_total"), { orders: 1 })
      assert.deepStrictEqual(yield* valuesOf("message_consumed_total"), { "orders billing": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_processed_total"), { "orders billing": 1 })
    })))

  it.effect("with trustIncoming: false a stranger's trace is only linked to, and the rest is left out", () =>
    recorded(Effect.gen(function*() {
      const { messaging } = yield* fakeBroker({ trustIncoming: false })
      const message: FakeMessage = { topic: "orders", headers: { traceparent: parent, baggage: "tenant=evil", "x-request-id": "r1" }, body: "" }
      const inside = yield* messaging.process(message, Effect.all([Baggage.get("tenant"), Effect.map(RequestContext, ({ requestId }) => requestId)]))
      assert.deepStrictEqual(inside, [undefined, undefined])
      const [span] = yield* spansOf
      assert.strictEqual(span?.parentSpanId, undefined)
      assert.deepStrictEqual(span?.links.map(({ spanId }) => spanId), ["b7ad6b7169203331"])
    })))

  it.effect("with a server outside the targets nothing of the trace leaves", () =>
    recorded(
      Effect.gen(function*() {
        const { send, sent } = yield* fakeBroker({ server: "broker.example.org:5672" })
        yield* send("orders", "").pipe(Tracer.withSpan("request"), Baggage.with({ tenant: "acme" }))
        assert.deepStrictEqual(Object.keys(sent[0]!.headers as object), ["traceparent"], "baggage stays inside by default")
      })
    ))

  const hostile: ReadonlyArray<readonly [string, unknown]> = [
    ["nothing", undefined],
    ["null", null],
    ["a string", "traceparent"],
    ["a number", 7],
    ["empty values", { traceparent: "", tracestate: null, baggage: undefined }],
    ["nonsense", { traceparent: "00-zz-yy-01", baggage: ";;;=,,,", "x-request-id": "a\r\nb" }],
    ["two that claim it", { traceparent: parent, TraceParent: parent.replace("b7", "c7") }],
    ["a list of two", { traceparent: [parent, parent.replace("b7", "c7")] }],
    ["oversized", { traceparent: parent + "-".repeat(20_000), baggage: "a=" + "b".repeat(20_000), "x-request-id": "r".repeat(10_000) }],
    ["oversized bytes", { traceparent: new Uint8Array(100_000), "x-request-id": new Uint8Array(100_000) }],
    ["a getter that throws", Object.defineProperty({}, "traceparent", { enumerable: true, get: () => { throw new Error("getter") } })],
    ["a proxy that throws", new Proxy({}, { ownKeys: () => { throw new Error("proxy") } })],
    ["a get that throws", { set: () => {}, get: () => { throw new Error("get") } }],
    ["thousands of names", Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`h${i}`, "x"]))]
  ]
  it.effect.each(hostile)("headers that are %s begin a new trace and cost nothing else", ([, headers]) =>
    recorded(Effect.gen(function*() {
      const { messaging } = yield* fakeBroker()
      assert.strictEqual(yield* messaging.process({ topic: "orders", headers, body: "" }, Effect.succeed(1)), 1)
      const [span] = yield* spansOf
      assert.deepStrictEqual([span?.parentSpanId, span?.links.length], [undefined, 0])
      assert.strictEqual(span?.attributes.get("request_id"), undefined)
    })))

  it.effect.each([
    ["any case", { TraceParent: parent }],
    ["bytes, as Kafka has them", { traceparent: new TextEncoder().encode(parent) }],
    ["a list of one", { traceparent: [parent] }],
    ["a Map", new Map([["Traceparent", parent]])],
    ["Headers", new Headers({ traceparent: parent })],
    ["one among thousands", { ...Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`h${i}`, "x"])), traceparent: parent }]
  ] as ReadonlyArray<readonly [string, unknown]>)("reads %s", ([, headers]) =>
    recorded(Effect.gen(function*() {
      const { messaging } = yield* fakeBroker()
      yield* messaging.process({ topic: "orders", headers, body: "" }, Effect.void)
      assert.strictEqual((yield* spansOf)[0]?.parentSpanId, "b7ad6b7169203331")
    })))

  it.effect("an adapter that throws loses no message", () =>
    recorded(Effect.gen(function*() {
      const { messaging } = yield* fakeBroker()
      const broken = new Proxy({} as FakeMessage, { get: () => { throw new Error("broken message") } })
      assert.strictEqual(yield* messaging.process(broken, Effect.succeed("handled")), "handled")
      assert.deepStrictEqual(yield* valuesOf("message_consumed_total"), { _unknown: 1 })
      assert.strictEqual((yield* spansOf)[0]?.name, "process")
    })))

  it.effect("10,000 topics make few series: templates, temporary ones and a budget", () =>
    recorded(Effect.gen(function*() {
      const { messaging, send } = yield* fakeBroker({ topics: ["tenant.{id}.orders", "jobs/*", "audit.>"], maxTopics: 5 })
      for (let i = 0; i < 10_000; i++) {
        yield* send([`tenant.${i}.orders`, `jobs/${i}`, `audit.a.b.${i}`, `tmp.${i}`, `other-${i}`][i % 5]!, "")
      }
      const published = yield* valuesOf("message_published_total")
      assert.deepStrictEqual(published, {
        "tenant.{id}.orders": 2_000,
        "jobs/*": 2_000,
        "audit.>": 2_000,
        "(temporary)": 2_000,
        ...Object.fromEntries([4, 9, 14, 19, 24].map((i) => [`other-${i}`, 1])),
        _OTHER: 1_995
      })
      for (let i = 0; i < 200; i++) yield* messaging.process({ topic: "jobs/1", headers: {}, body: "" }, Effect.void, { consumerGroup: `g${i}` })
      assert.strictEqual(Object.keys(yield* valuesOf("message_consumed_total")).length, 6)
      const spans = yield* spansOf
      assert.isTrue(spans.some(({ name }) => name === "send tenant.{id}.orders"))
      assert.isFalse(spans.some(({ name }) => name.includes("other-5000")))
      assert.strictEqual(spans.findLast(({ name }) => name === "send tenant.{id}.orders")?.attributes.get("messaging.destination.name"), "tenant.9995.orders")
    })))

  it.effect("how an attempt to publish ended", () =>
    recorded(Effect.gen(function*() {
      const { messaging } = yield* fakeBroker()
      const attempt = <E>(result: Effect.Effect<unknown, E>, confirmed = false) => Effect.exit(messaging.publish({ topic: "t", confirmed }, () => result))
      const broken = (reason: PublishError["reason"], cause: unknown) => Effect.fail(new PublishError({ system: "fake", topic: "t", reason, cause }))
      yield* attempt(Effect.void)
      yield* attempt(Effect.void, true)
      yield* attempt(broken("rejected", "nack"))
      yield* attempt(broken("returned", "no route"))
      yield* attempt(broken("unconfirmed", new Error("closed")))
      yield* attempt(broken("failed", Object.assign(new Error("refused"), { code: "ECONNREFUSED" })))
      yield* attempt(Effect.die(new TypeError("bug")))
      const never = yield* Effect.forkChild(attempt(Effect.never), { startImmediately: true })
      yield* Fiber.interrupt(never)
      assert.deepStrictEqual(yield* valuesOf("message_sends_total"), {
        "t sent": 1, "t confirmed": 1, "t rejected": 1, "t returned": 1, "t unconfirmed": 1, "t failed": 2, "t interrupted": 1
      })
      assert.deepStrictEqual(yield* valuesOf("message_published_total"), { t: 2 })
      assert.deepStrictEqual(yield* valuesOf("message_errors_total"), {
        "t send rejected": 1, "t send returned": 1, "t send unconfirmed": 1, "t send ECONNREFUSED": 1, "t send TypeError": 1
      })
    })))

  it.effect("redelivery and waiting time are counted; a clock that is ahead makes no negative wait", () =>
    recorded(Effect.gen(function*() {
      const { messaging } = yield* fakeBroker()
      yield* TestClock.adjust("10 seconds")
      const message = { topic: "t", headers: {}, body: "" }
      yield* messaging.process({ ...message, deliveries: 2, at: 4_000 }, Effect.sleep("100 millis")).pipe(Effect.forkChild({ startImmediately: true }))
      yield* messaging.process({ ...message, at: 99_000 }, Effect.void)
      yield* messaging.process({ ...message, at: Number.NaN }, Effect.void)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* valuesOf("message_redeliveries_total"), { t: 1 })
      assert.deepStrictEqual(yield* observedValues("message_wait_seconds"), [6, 0])
      assert.deepStrictEqual(yield* observedValues("message_processing_duration_seconds"), [0, 0, 0.1])
    })))

  it.effect("by OpenTelemetry's names, or both", () =>
    Effect.forEach(["otel", "both"] as const, (conventions) =>
      recorded(
        Effect.gen(function*() {
          const { messaging, send, sent } = yield* fakeBroker()
          yield* send("t", "")
          yield* messaging.process(sent[0]!, Effect.void, { consumerGroup: "g" })
          assert.deepStrictEqual(yield* valuesOf("messaging_client_sent_messages_total"), { t: 1 })
          assert.deepStrictEqual(yield* valuesOf("messaging_client_consumed_messages_total"), { "t g": 1 })
          assert.strictEqual((yield* observedValues("messaging_process_duration_seconds")).length, 1)
          assert.deepStrictEqual(yield* valuesOf("message_published_total"), conventions === "both" ? { t: 1 } : {})
        }),
        { metrics: { conventions } }
      )))

  it.effect("nothing of a body, key or header value reaches a span, a metric or an error", () =>
    recorded(Effect.gen(function*() {
      const { messaging, send, sent } = yield* fakeBroker()
      yield* send("t", "s3cret-body")
      yield* messaging.process({ ...sent[0]!, headers: { authorization: "s3cret-header" } }, Effect.void)
      const text = JSON.stringify([yield* spansOf, yield* Effect.forEach(MessagingMetrics.all, (metric) => Effect.flatMap(MemoryBackend, (memory) => memory.describe(metric)))],
        (_, value: unknown) => value instanceof Map ? [...value] : typeof value === "bigint" ? String(value) : value)
      assert.notInclude(text, "s3cret")
    })))

  it.effect("names every wrong option", () =>
    recorded(Effect.gen(function*() {
      const error = yield* Effect.flip(fakeBroker({ trace: "child" as never, maxTopics: -1, server: "not a host", topics: ["ok.{id}", "{a}{b}", "a.>.b", ""], trustIncoming: "no" as never }))
      for (const path of ["trace", "maxTopics", "server", "topics[1]", "topics[2]", "topics[3]", "trustIncoming"]) assert.include(error.message, `messaging.${path}`)
      assert.notInclude(error.message, "topics[0]")
    })))
})
