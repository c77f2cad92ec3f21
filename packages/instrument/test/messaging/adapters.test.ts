import { Tracer } from "@effect-observability/core"
import { Kafka, Nats, RabbitMq } from "@effect-observability/instrument"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import { EventEmitter } from "node:events"
import { recorded, spansOf, valuesOf } from "../support/recorded.ts"

// What adapters make of clients that behave as no real one does on demand; real brokers are in the real tests.

const old = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

/** A channel that keeps what it was told. */
class FakeChannel extends EventEmitter {
  readonly sent: Array<{ readonly routingKey: string; readonly options: any }> = []
  readonly told: Array<string> = []
  deliver: (message: any) => void = () => {}
  broken = false
  publish(_exchange: string, routingKey: string, content: any, options?: any): boolean {
    if (!(content instanceof Uint8Array)) throw new TypeError("content is not a buffer")
    this.sent.push({ routingKey, options })
    return true
  }
  async consume(_queue: string, onMessage: (message: any) => void) {
    this.deliver = onMessage
    return { consumerTag: "t" }
  }
  async cancel() {
    this.told.push("cancel")
  }
  ack() {
    if (this.broken) throw new Error("Channel closed")
    this.told.push("ack")
  }
  nack(_message: any, _allUpTo?: boolean, requeue?: boolean) {
    this.told.push(requeue === true ? "requeue" : "reject")
  }
  async checkQueue() {
    return { messageCount: 0 }
  }
}

/** One that is never answered. */
class FakeConfirmChannel extends FakeChannel {
  readonly callbacks: Array<(error: unknown) => void> = []
  override publish(exchange: string, routingKey: string, content: any, options?: any, callback?: (error: any, ok: any) => void): boolean {
    super.publish(exchange, routingKey, content, options)
    this.callbacks.push((error) => callback?.(error, {}))
    return true
  }
  async waitForConfirms() {}
}

const message = (content: string, properties: object = {}, fields: object = {}) => ({
  content: Buffer.from(content),
  fields: { exchange: "", routingKey: "q", redelivered: false, deliveryTag: 1, ...fields },
  properties
})

describe("RabbitMq", () => {
  it.effect("a message that is sent on carries the trace of now, its own headers kept", () =>
    recorded(Effect.gen(function*() {
      const rabbit = yield* RabbitMq.make()
      const channel = new FakeChannel()
      const headers = { TraceParent: old, tracestate: "vendor=old", "x-own": "kept", "x-death": [{ count: 1 }] }
      yield* rabbit.publish(channel, { routingKey: "q", content: Buffer.from("x"), options: { headers, persistent: true } }).pipe(Tracer.withSpan("now"))
      const { options } = channel.sent[0]!
      assert.deepStrictEqual(Object.keys(options.headers).toSorted(), ["traceparent", "x-death", "x-own"])
      assert.notInclude(options.headers.traceparent, "b7ad6b7169203331")
      assert.isTrue(options.persistent)
      assert.deepStrictEqual(Object.keys(headers), ["TraceParent", "tracestate", "x-own", "x-death"], "the caller's object is as it was")
    })))

  it.effect("content that is none fails as an error, not as a throw; one that nobody confirms waits and can be given up", () =>
    recorded(Effect.gen(function*() {
      const rabbit = yield* RabbitMq.make()
      const channel = new FakeConfirmChannel()
      for (const content of [undefined, "text", 7] as Array<any>) {
        const error = yield* Effect.flip(rabbit.publish(channel, { routingKey: "q", content }))
        assert.deepStrictEqual([error._tag, error.reason], ["PublishError", "failed"])
      }
      const waiting = yield* Effect.forkChild(Effect.timeoutOption(rabbit.publish(channel, { routingKey: "q", content: Buffer.from("x") }), "1 second"), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "None")
      channel.callbacks[0]!(new Error("too late"))
      assert.deepStrictEqual(yield* valuesOf("message_sends_total"), { "q failed": 3, "q interrupted": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_errors_total"), { "q send TypeError": 3 })
    })))

  it.effect("settles by the outcome and the policy; a channel that is gone is lost, not an error of the handler", () =>
    recorded(Effect.gen(function*() {
      const rabbit = yield* RabbitMq.make()
      const channel = new FakeChannel()
      const consuming = yield* Effect.forkChild(Effect.exit(rabbit.consume(channel, "q", (one: ReturnType<typeof message>) =>
        one.content.toString() === "bad" ? Effect.fail("bad") : Effect.void, {
        onFailure: ({ deliveries, outcome }) => {
          if (deliveries === 4) throw new Error("the policy fails")
          return outcome === "failure" && deliveries === 3 ? "ack" : "requeue"
        }
      })), { startImmediately: true })
      yield* Effect.yieldNow
      channel.deliver(message("fine"))
      channel.deliver(message("bad"))
      channel.deliver(message("bad", { headers: { "x-delivery-count": 2 } }))
      channel.deliver(message("bad", { headers: { "x-delivery-count": 3 } }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(channel.told, ["ack", "requeue", "ack", "reject"])
      channel.broken = true
      channel.deliver(message("fine"))
      channel.deliver({})
      yield* TestClock.adjust("1 second")
      channel.emit("error", new Error("PRECONDITION_FAILED"))
      channel.emit("close")
      const exit = yield* Fiber.join(consuming)
      const stopped = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none()
      assert.strictEqual(Option.getOrUndefined(stopped)?.reason, "closed")
      assert.include(String(Option.getOrUndefined(stopped)?.cause), "PRECONDITION_FAILED")
      assert.deepStrictEqual(yield* valuesOf("message_settlements_total"), { "q q ack": 2, "q q requeue": 1, "q q reject": 1, "q q lost": 1, "_unknown q requeue": 1 })
      assert.strictEqual((yield* valuesOf("message_broker_events_total"))["rabbitmq stopped"], 1)
      assert.strictEqual(channel.listenerCount("close"), 0)
      assert.strictEqual((yield* valuesOf("message_errors_total"))["q settle Error"], 1)
    })))
})

describe("Kafka", () => {
  it.effect("a record that is none fails as an error; a message that is sent on carries the trace of now", () =>
    recorded(Effect.gen(function*() {
      const kafka = yield* Kafka.make()
      const sent: Array<any> = []
      const producer = { send: async (record: any) => (sent.push(record), "answer") }
      const wrong = yield* Effect.flip(kafka.send(producer, { topic: "t" }))
      assert.strictEqual(wrong.reason, "failed")
      assert.strictEqual(yield* kafka.send(producer, { topic: "t", messages: [{ value: "x", headers: { traceparent: Buffer.from(old), own: "kept" } }] }), "answer")
      assert.deepStrictEqual(Object.keys(sent[0].messages[0].headers).toSorted(), ["own", "traceparent"])
      assert.notInclude(String(sent[0].messages[0].headers.traceparent), "b7ad6b7169203331")
    })))

  it.effect("a handler's promise rejects with an Error, whatever it failed with; hostile messages are handled", () =>
    recorded(Effect.gen(function*() {
      const kafka = yield* Kafka.make()
      const eachMessage = yield* kafka.eachMessage(({ message }: Kafka.KafkaMessagePayload) => message.offset === "1" ? Effect.fail(null) : Effect.void, { maxDeliveries: 3 })
      const payload = { topic: "t", partition: 0, message: { value: null, offset: "1", timestamp: "not a time", headers: { traceparent: Buffer.alloc(50_000) } } }
      for (let i = 0; i < 2; i++) {
        const error = yield* Effect.promise(() => eachMessage(payload).then(() => undefined, (error: unknown) => error))
        assert.isTrue(error instanceof Error)
      }
      yield* Effect.promise(() => eachMessage(payload))
      yield* Effect.promise(() => eachMessage({ ...payload, message: { ...payload.message, offset: "no offset" } }))
      assert.deepStrictEqual(yield* valuesOf("message_settlements_total"), { "t requeue": 2, "t reject": 1, "t ack": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_redeliveries_total"), { t: 2 })
      assert.deepStrictEqual(yield* valuesOf("message_poison_total"), { "t deliveries": 1 })
    })))
})

describe("Nats", () => {
  it.effect("hostile reply subjects are no JetStream deliveries; a subscription that throws ends the consumer", () =>
    recorded(Effect.gen(function*() {
      const nats = yield* Nats.make({ headers: () => { throw new Error("no headers") } })
      const connection = { publish: () => {}, request: async () => ({ data: new Uint8Array() }), flush: async () => {}, async *status() {} }
      const failed = yield* Effect.flip(nats.publish(connection, { subject: "s", payload: "x" }))
      assert.strictEqual(failed.reason, "failed")
      const replies = ["$JS.ACK.", "$JS.ACK.a.b.c.d.e.f.g", `$JS.ACK.${"x.".repeat(2_000)}`, "$JS.ACK.S.c.1.2.3.4", "other"]
      const subscription = {
        async *[Symbol.asyncIterator]() {
          for (const reply of replies) yield { subject: "s", data: new Uint8Array(), reply }
          throw new Error("subscription failed")
        }
      }
      const stopped = yield* Effect.flip(nats.consume(subscription, () => Effect.void))
      assert.strictEqual(stopped.reason, "closed")
      assert.deepStrictEqual(yield* valuesOf("message_consumed_total"), { s: 5 })
      assert.deepStrictEqual(yield* valuesOf("message_settlements_total"), {})
      assert.strictEqual((yield* spansOf).filter(({ name }) => name === "process s").length, 5)
    })))
})
