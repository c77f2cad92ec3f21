import { Requests, Tracer } from "@effect-observability/core"
import { ConsumerStopped, PublishError, RabbitMq } from "@effect-observability/instrument"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import amqp from "amqplib"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Broker, startRabbitMq } from "../../../../test/tools/brokers.ts"
import { eventually } from "../../../../test/tools/realServers.ts"
import { recorded, spansOf, valuesOf } from "../support/recorded.ts"
import { queue } from "./support/amqpConsumer.ts"
import { ConsumerProcess } from "./support/ConsumerProcess.ts"

// Against Debian's RabbitMQ, with the consumer in another process.

let broker: Broker
beforeAll(async () => void (broker = await startRabbitMq()), 120_000)
afterAll(async () => broker?.dispose())

const connecting = Effect.acquireRelease(
  Effect.promise(() => eventually("a connection to RabbitMQ", async () => {
    const connection = await amqp.connect({ hostname: "127.0.0.1", port: broker.port })
    connection.on("error", () => {})
    return connection
  })),
  // One that is lost while it is closed never says so.
  (connection) => Effect.tryPromise(() => connection.close()).pipe(Effect.timeout("2 seconds"), Effect.ignoreCause)
)

const confirming = Effect.flatMap(connecting, (connection) =>
  Effect.promise(async () => {
    const channel = await connection.createConfirmChannel()
    channel.on("error", () => {})
    await channel.assertQueue(queue, { durable: true })
    return channel
  }))

const sum = (values: Readonly<Record<string, number>> | undefined) => Object.values(values ?? {}).reduce((a, b) => a + b, 0)

describe("RabbitMq", () => {
  it.live("killed and started again in the middle: nothing confirmed is lost, nothing is counted twice, one trace over two processes", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const consumer = new ConsumerProcess("amqp", broker.port)
      yield* Effect.addFinalizer(() => Effect.promise(() => consumer.dispose()))
      const rabbit = yield* RabbitMq.make({ server: `127.0.0.1:${broker.port}` })
      const ends: Record<string, Array<string>> = { confirmed: [] }
      const publish = (channel: amqp.ConfirmChannel, text: string) =>
        rabbit.publish(channel, { routingKey: queue, content: Buffer.from(text), options: { persistent: true, timestamp: Math.floor(Date.now() / 1000) } }).pipe(
          Tracer.withSpan("request", { root: true }),
          Requests.within({ requestId: text }),
          Effect.matchEffect({
            onSuccess: () => Effect.sync(() => void ends["confirmed"]!.push(text)),
            onFailure: (error: PublishError) => Effect.sync(() => void (ends[error.reason] ??= []).push(text))
          })
        )
      const burst = (from: number, to: number) =>
        Effect.flatMap(confirming, (channel) =>
          Effect.forEach(Array.from({ length: to - from }, (_, i) => `m-${from + i}`), (text) => publish(channel, text), { concurrency: 50, discard: true }))

      yield* Effect.scoped(burst(0, 300))
      yield* Effect.promise(() => eventually("the consumer at work", async () => consumer.handled >= 100 ? true : undefined))
      // As a crash: confirmations and acknowledgements in flight are lost with it.
      const during = yield* Effect.forkChild(Effect.scoped(burst(300, 3_000)), { startImmediately: true })
      yield* Effect.sleep("150 millis")
      yield* Effect.promise(() => broker.kill())
      yield* Fiber.join(during)
      yield* Effect.promise(() => broker.restart())
      yield* Effect.scoped(burst(3_000, 3_200))
      yield* Effect.promise(() => eventually("all confirmed messages", async () => consumer.handled >= ends["confirmed"]!.length ? true : undefined))
      yield* Effect.sleep("1 second")
      const told = yield* Effect.promise(() => consumer.stop())

      // The producer's books.
      const sends = yield* valuesOf("message_sends_total")
      for (const [reason, texts] of Object.entries(ends)) assert.strictEqual(sends[`orders ${reason}`] ?? 0, texts.length, reason)
      assert.strictEqual(sum(sends), 3_200)
      assert.deepStrictEqual(yield* valuesOf("message_published_total"), { orders: ends["confirmed"]!.length })
      assert.isAbove((ends["unconfirmed"]?.length ?? 0) + (ends["failed"]?.length ?? 0), 0, "the crash was not in the middle")

      // The consumer's: every delivery counted once, every confirmed message among them.
      const handled = new Set(told.handled)
      assert.deepStrictEqual(ends["confirmed"]!.filter((text) => !handled.has(text)), [])
      assert.deepStrictEqual([...handled].filter((text) => !ends["confirmed"]!.includes(text) && !ends["unconfirmed"]?.includes(text)), [])
      const key = `orders ${queue}`
      assert.strictEqual(told.metrics["message_consumed_total"]?.[key], told.metrics["message_processed_total"]?.[key])
      const { [`${key} ack`]: ack = 0, [`${key} lost`]: lost = 0, ...other } = told.metrics["message_settlements_total"]!
      assert.deepStrictEqual(sum(other), 0)
      assert.strictEqual(ack + lost, told.handled.length)
      assert.strictEqual(told.metrics["message_consumed_total"]?.[key], told.handled.length)
      assert.isAtLeast(told.metrics["message_redeliveries_total"]?.[key] ?? 0, told.handled.length - handled.size)
      const events = told.metrics["message_broker_events_total"]!
      assert.isAtLeast(events["rabbitmq closed"] ?? 0, 1)
      assert.isAtLeast(events["rabbitmq stopped"] ?? 0, 1)

      // One trace, from the request here to the handler there, for every message.
      const spans = yield* spansOf
      const bySpan = new Map(spans.map((span) => [span.spanId, span]))
      const processed = told.spans.filter(({ name }) => name === "process orders")
      assert.strictEqual(processed.length, told.handled.length)
      for (const span of processed) {
        const parent = bySpan.get(span.parentSpanId!)
        assert.strictEqual(parent?.kind, "producer")
        assert.strictEqual(parent?.traceId, span.traceId)
        assert.strictEqual(bySpan.get(parent!.parentSpanId!)?.name, "request")
      }
      assert.deepStrictEqual(new Set(processed.map(({ id }) => id)), handled, "each is processed for the request it was published in")
    }))), 180_000)

  it.live("retry, poison, a handler that always fails, unroutable and refused messages, a plain channel, a deleted queue", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const consumer = new ConsumerProcess("amqp", broker.port)
      yield* Effect.addFinalizer(() => Effect.promise(() => consumer.dispose()))
      const rabbit = yield* RabbitMq.make()
      const connection = yield* connecting
      yield* rabbit.watch(connection)
      const channel = yield* confirming
      const content = (text: string) => ({ routingKey: queue, content: Buffer.from(text) })
      for (const text of ["retry-1", "poison-1", "never-1", "fine-1"]) yield* rabbit.publish(channel, content(text))
      yield* Effect.promise(() => eventually("six deliveries", async () => consumer.handled === 6 ? true : undefined))
      yield* Effect.sleep("500 millis")
      const told = yield* Effect.promise(() => consumer.stop())
      const key = `orders ${queue}`
      assert.deepStrictEqual(told.metrics["message_settlements_total"], { [`${key} ack`]: 2, [`${key} requeue`]: 2, [`${key} reject`]: 2 })
      assert.deepStrictEqual(told.metrics["message_poison_total"], { [`${key} marked`]: 1, [`${key} deliveries`]: 1 })
      assert.deepStrictEqual(told.metrics["message_redeliveries_total"], { [key]: 2 })
      assert.deepStrictEqual(told.metrics["message_outcomes_total"], { [`${key} success`]: 2, [`${key} failure`]: 4 })

      // Unroutable: returned when mandatory, confirmed and gone when not (the broker's own promise).
      const nowhere = { routingKey: "no-such-queue", content: Buffer.from("x") }
      const returned = yield* Effect.flip(rabbit.publish(channel, { ...nowhere, options: { mandatory: true } }))
      assert.strictEqual(returned.reason, "returned")
      yield* rabbit.publish(channel, nowhere)
      // Refused: a queue that is full and says so.
      yield* Effect.promise(() => channel.assertQueue("full", { maxLength: 1, overflow: "reject-publish" }))
      yield* rabbit.publish(channel, { routingKey: "full", content: Buffer.from("1") })
      const rejected = yield* Effect.flip(rabbit.publish(channel, { routingKey: "full", content: Buffer.from("2") }))
      assert.strictEqual(rejected.reason, "rejected")
      // Nobody answers on a plain channel.
      const plain = yield* Effect.promise(() => connection.createChannel())
      yield* rabbit.publish(plain, content("plain"))
      yield* Effect.promise(() => plain.close())
      const closed = yield* Effect.flip(rabbit.publish(plain, content("closed")))
      assert.strictEqual(closed.reason, "failed")
      assert.notInclude(`${closed.message} ${returned.message}`, "Buffer")
      const sends = yield* valuesOf("message_sends_total")
      assert.deepStrictEqual(sends, {
        "orders confirmed": 4, "no-such-queue returned": 1, "no-such-queue confirmed": 1, "full confirmed": 1, "full rejected": 1, "orders sent": 1, "orders failed": 1
      })

      // Depth, and a consumer whose queue is deleted.
      yield* rabbit.watchDepth(yield* Effect.promise(() => connection.createChannel()), "full", { every: "100 millis" })
      yield* Effect.promise(() => channel.assertQueue("short-lived"))
      const other = yield* Effect.promise(() => connection.createChannel())
      const consuming = yield* Effect.forkChild(Effect.flip(rabbit.consume(other, "short-lived", () => Effect.void)), { startImmediately: true })
      yield* Effect.sleep("500 millis")
      assert.deepStrictEqual(yield* valuesOf("message_backlog"), { "full full": 1 })
      yield* Effect.promise(() => channel.deleteQueue("short-lived"))
      const stopped: ConsumerStopped = yield* Fiber.join(consuming)
      assert.strictEqual(stopped.reason, "cancelled")
      const refused = yield* Effect.flip(rabbit.consume(other, "no-such-queue", () => Effect.void))
      assert.strictEqual(refused.reason, "refused")
    }))), 120_000)

  it.live("an interrupted consumer lets handlers finish within drain, and gives back the rest", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const rabbit = yield* RabbitMq.make()
      const channel = yield* confirming
      yield* Effect.promise(() => channel.assertQueue("drained"))
      for (const text of ["short", "long"]) yield* rabbit.publish(channel, { routingKey: "drained", content: Buffer.from(text) })
      const connection = yield* connecting
      const consumerChannel = yield* Effect.promise(() => connection.createChannel())
      const consuming = yield* Effect.forkChild(
        rabbit.consume(consumerChannel, "drained", (message) => Effect.sleep(message.content.toString() === "short" ? "300 millis" : "1 hour"), { drain: "1 second" }),
        { startImmediately: true }
      )
      yield* Effect.sleep("150 millis")
      yield* Fiber.interrupt(consuming)
      const key = "drained drained"
      assert.deepStrictEqual(yield* valuesOf("message_settlements_total"), { [`${key} ack`]: 1, [`${key} requeue`]: 1 })
      assert.deepStrictEqual(yield* valuesOf("message_outcomes_total"), { [`${key} success`]: 1, [`${key} interrupted`]: 1 })
      yield* Effect.promise(() => eventually("the message given back", async () => (await channel.checkQueue("drained")).messageCount === 1 ? true : undefined))
    }))), 60_000)
})
