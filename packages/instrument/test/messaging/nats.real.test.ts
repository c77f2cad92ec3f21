import { Requests, Tracer } from "@effect-observability/core"
import { Nats, type PublishError } from "@effect-observability/instrument"
import { connect, headers, type NatsConnection } from "@nats-io/transport-node"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Broker, startNats } from "../../../../test/tools/brokers.ts"
import { eventually } from "../../../../test/tools/realServers.ts"
import { recorded, spansOf, valuesOf } from "../support/recorded.ts"
import { ConsumerProcess } from "./support/ConsumerProcess.ts"

// Against Debian's nats-server with JetStream, with the consumer in another process.

let broker: Broker
beforeAll(async () => void (broker = await startNats()))
afterAll(async () => broker?.dispose())

const connecting = Effect.acquireRelease(
  Effect.promise(() => connect({ servers: `127.0.0.1:${broker.port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100 })),
  (connection) => Effect.promise(() => connection.close())
)

/** JetStream's own API, by its subjects: a file-backed stream and a push consumer that wants acknowledgements. */
const jetStream = async (connection: NatsConnection): Promise<void> => {
  const api = async (subject: string, body: object) => {
    const { data } = await connection.request(`$JS.API.${subject}`, JSON.stringify(body), { timeout: 5_000 })
    const answer = JSON.parse(new TextDecoder().decode(data))
    if (answer.error !== undefined) throw new Error(answer.error.description)
  }
  await api("STREAM.CREATE.ORDERS", { name: "ORDERS", subjects: ["orders.*"], storage: "file", max_msgs: 100_000, num_replicas: 1, retention: "limits", discard: "old" })
  await api("CONSUMER.DURABLE.CREATE.ORDERS.ledger", {
    stream_name: "ORDERS",
    config: { durable_name: "ledger", deliver_subject: "deliver.orders", ack_policy: "explicit", deliver_policy: "all", ack_wait: 2e9, max_ack_pending: 200, replay_policy: "instant" }
  })
}

describe("Nats", () => {
  it.live("killed and started again in the middle: core NATS loses what was on its way, JetStream nothing it stored; one trace over two processes", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const run = Effect.runPromiseWith(yield* Effect.context<never>())
      const connection = yield* connecting
      yield* Effect.promise(() => jetStream(connection))
      const consumer = new ConsumerProcess("nats", broker.port)
      yield* Effect.addFinalizer(() => Effect.promise(() => consumer.dispose()))
      const nats = yield* Nats.make({ headers, topics: ["live.{n}", "orders.{n}"], server: `127.0.0.1:${broker.port}` })
      yield* nats.watch(connection)
      const ends: Record<string, Array<string>> = { confirmed: [] }
      const publish = (text: string) =>
        nats.publish(connection, { subject: `orders.${text}`, payload: text, confirm: "stream", timeout: 1_000 }).pipe(
          Tracer.withSpan("request", { root: true }),
          Requests.within({ requestId: text }),
          Effect.matchEffect({
            onSuccess: () => Effect.sync(() => void ends["confirmed"]!.push(text)),
            onFailure: (error: PublishError) => Effect.sync(() => void (ends[error.reason] ??= []).push(text))
          })
        )
      const burst = (from: number, to: number) =>
        Effect.forEach(Array.from({ length: to - from }, (_, i) => `m-${from + i}`), publish, { concurrency: 50, discard: true })
      const live = (from: number, to: number) =>
        Effect.forEach(Array.from({ length: to - from }, (_, i) => `l-${from + i}`), (text) =>
          nats.publish(connection, { subject: `live.${text}`, payload: text }).pipe(Effect.andThen(Effect.sleep("1 millis"))), { discard: true })

      // Core NATS delivers to those who subscribe already.
      yield* Effect.promise(() => eventually("the consumer", async () => {
        await run(Effect.ignore(nats.publish(connection, { subject: "live.hello", payload: "hello" })))
        return consumer.handled > 0 ? true : undefined
      }))
      yield* Effect.all([burst(0, 300), live(0, 200)], { concurrency: 2 })
      const during = yield* Effect.forkChild(Effect.all([burst(300, 3_000), live(200, 500)], { concurrency: 2 }), { startImmediately: true })
      yield* Effect.sleep("100 millis")
      yield* Effect.promise(() => broker.kill())
      yield* Effect.sleep("500 millis")
      yield* Effect.promise(() => broker.restart())
      yield* Fiber.join(during)
      yield* burst(3_000, 3_200)
      yield* Effect.promise(() => eventually("quiet", (() => {
        let before = -1
        return async () => {
          const now = consumer.handled
          await new Promise((resolve) => setTimeout(resolve, 3_000))
          const quiet = now === before
          before = now
          return quiet ? true : undefined
        }
      })()))
      const told = yield* Effect.promise(() => consumer.stop())

      const sends = yield* valuesOf("message_sends_total")
      for (const [reason, texts] of Object.entries(ends)) assert.strictEqual(sends[`orders.{n} ${reason}`] ?? 0, texts.length, reason)
      assert.isAbove((ends["unconfirmed"]?.length ?? 0) + (ends["failed"]?.length ?? 0) + (ends["returned"]?.length ?? 0), 0, "the crash was not in the middle")
      const handled = new Set(told.handled)
      assert.deepStrictEqual(ends["confirmed"]!.filter((text) => !handled.has(text)), [], "JetStream lost what it had stored")
      const of = (prefix: string) => told.handled.filter((text) => text.startsWith(prefix)).length
      const metric = (name: string) => told.metrics[name] ?? {}
      assert.strictEqual(metric("message_consumed_total")["orders.{n} ledger"], of("m-"))
      assert.strictEqual(metric("message_processed_total")["orders.{n} ledger"], of("m-"))
      const { ["orders.{n} ledger ack"]: ack = 0, ["orders.{n} ledger lost"]: lost = 0 } = metric("message_settlements_total")
      assert.strictEqual(ack + lost, of("m-"))
      const distinct = [...handled].filter((text) => text.startsWith("m-")).length
      assert.isAtLeast(distinct, ends["confirmed"]!.length)
      // A server that is killed forgets which of its last deliveries it has made: it makes them again, and does not call them again.
      assert.isAtMost(metric("message_redeliveries_total")["orders.{n} ledger"] ?? 0, of("m-"))
      // Core NATS: published = consumed + what was lost on the way; nothing twice.
      const published = (yield* valuesOf("message_published_total"))["live.{n}"]!
      const consumed = metric("message_consumed_total")["live.{n} billing"]!
      assert.strictEqual(consumed, told.handled.length - of("m-"))
      assert.isAtMost(consumed, published)
      assert.strictEqual(new Set(told.handled.filter((text) => text.startsWith("l-"))).size, of("l-"))
      for (const events of [yield* valuesOf("message_broker_events_total"), metric("message_broker_events_total")]) {
        assert.isAtLeast(events["nats disconnected"] ?? 0, 1)
        assert.isAtLeast(events["nats connected"] ?? 0, 1)
      }

      const bySpan = new Map((yield* spansOf).map((span) => [span.spanId, span]))
      const processed = told.spans.filter(({ name }) => name === "process orders.{n}")
      assert.strictEqual(processed.length, of("m-"))
      for (const span of processed) {
        const parent = bySpan.get(span.parentSpanId!)
        assert.deepStrictEqual([parent?.kind, parent?.traceId], ["producer", span.traceId])
        assert.strictEqual(bySpan.get(parent!.parentSpanId!)?.name, "request")
      }
    }))), 120_000)

  it.live("confirmations, refusals, acknowledgements, the caller's headers kept", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const connection = yield* connecting
      const nats = yield* Nats.make({ headers, topics: ["small.{n}"] })
      const request = async (subject: string, body: object) =>
        JSON.parse(new TextDecoder().decode((await connection.request(`$JS.API.${subject}`, JSON.stringify(body), { timeout: 5_000 })).data))
      yield* Effect.promise(() => request("STREAM.CREATE.SMALL", { name: "SMALL", subjects: ["small.*"], storage: "memory", max_msgs: 4, discard: "new", num_replicas: 1, retention: "limits" }))
      yield* Effect.promise(() => request("CONSUMER.DURABLE.CREATE.SMALL.c", {
        stream_name: "SMALL",
        config: { durable_name: "c", deliver_subject: "deliver.small", ack_policy: "explicit", deliver_policy: "all", ack_wait: 30e9, max_deliver: 5 }
      }))
      const own = headers()
      own.append("x-own", "kept")
      yield* nats.publish(connection, { subject: "small.fine", payload: "fine", headers: own, confirm: "stream" })
      for (const text of ["retry", "never", "fine2"]) yield* nats.publish(connection, { subject: `small.${text}`, payload: text, confirm: "stream" })
      const refused = yield* Effect.flip(nats.publish(connection, { subject: "small.more", payload: "x", confirm: "stream" }))
      assert.strictEqual(refused.reason, "rejected")
      const nobody = yield* Effect.flip(nats.publish(connection, { subject: "nobody.listens", payload: "x", confirm: "stream" }))
      assert.strictEqual(nobody.reason, "returned")
      yield* nats.publish(connection, { subject: "flushed", payload: "x", confirm: "flush" })
      assert.strictEqual(own.keys().length, 1, "the caller's headers are not written to")

      const seen: Array<string> = []
      let kept: string | undefined
      const consuming = yield* Effect.forkChild(nats.consume(connection.subscribe("deliver.small"), (message) =>
        Effect.suspend(() => {
          const text = message.string()
          kept ??= message.headers?.get("x-own")
          const again = seen.includes(text)
          seen.push(text)
          return text === "never" || (text === "retry" && !again) ? Effect.fail(new RangeError(text)) : Effect.void
        }), { consumerGroup: "c", concurrency: 4 }), { startImmediately: true })
      yield* Effect.promise(() => eventually("six deliveries", async () => seen.length === 6 ? true : undefined))
      yield* Effect.sleep("300 millis")
      yield* Fiber.interrupt(consuming)
      assert.strictEqual(kept, "kept")
      assert.deepStrictEqual(yield* valuesOf("message_settlements_total"), { "small.{n} c ack": 3, "small.{n} c requeue": 2, "small.{n} c reject": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_poison_total"), { "small.{n} c deliveries": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_redeliveries_total"), { "small.{n} c": 2 })
      assert.deepStrictEqual(yield* valuesOf("message_backlog"), { "small.{n} c": 0 })
      const stopped = yield* Effect.forkChild(Effect.flip(nats.consume(connection.subscribe("x"), () => Effect.void)), { startImmediately: true })
      yield* Effect.sleep("100 millis")
      yield* Effect.promise(() => connection.close())
      assert.strictEqual((yield* Fiber.join(stopped)).reason, "closed")
      const closed = yield* Effect.flip(nats.publish(connection, { subject: "flushed" }))
      assert.strictEqual(closed.reason, "failed")
    }))), 60_000)
})
