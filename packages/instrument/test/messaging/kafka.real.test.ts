import { Requests, Tracer } from "@effect-observability/core"
import { Kafka, PoisonMessage, type PublishError } from "@effect-observability/instrument"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { EachBatchPayload, EachMessagePayload } from "kafkajs"
import { type KafkaCluster, startKafka } from "../../../../test/tools/brokers.ts"
import { eventually } from "../../../../test/tools/realServers.ts"
import { recorded, spansOf, valuesOf } from "../support/recorded.ts"
import { ConsumerProcess } from "./support/ConsumerProcess.ts"
import { clientOf } from "./support/kafkaConsumer.ts"

// Against librdkafka's mock cluster (Debian's kcat), which speaks the protocol and keeps nothing: what a restart loses is known exactly.

let cluster: KafkaCluster
beforeAll(async () => void (cluster = await startKafka()))
afterAll(async () => cluster?.dispose())

const port = { get current() { return cluster.port() } }

const producing = Effect.acquireRelease(
  Effect.promise(async () => {
    const producer = clientOf(port, "producer").producer({ retry: { retries: 1, initialRetryTime: 50 } })
    await producer.connect()
    return producer
  }),
  (producer) => Effect.promise(() => producer.disconnect())
)

describe("Kafka", () => {
  it.live("connections refused and lost in the middle: published = consumed + what the cluster lost, one trace over two processes", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const kafka = yield* Kafka.make({ server: "127.0.0.1:9092" })
      const producer = yield* producing
      yield* kafka.watch(producer)
      const run = Effect.runPromiseWith(yield* Effect.context<never>())
      const ends: Record<string, Array<string>> = { confirmed: [] }
      const publish = (text: string) =>
        kafka.send(producer, { topic: "orders", messages: [{ key: text, value: text, headers: { own: "kept" } }] }).pipe(
          Tracer.withSpan("request", { root: true }),
          Requests.within({ requestId: text }),
          Effect.matchEffect({
            onSuccess: () => Effect.sync(() => void ends["confirmed"]!.push(text)),
            onFailure: (error: PublishError) => Effect.sync(() => void (ends[error.reason] ??= []).push(text))
          })
        )
      const burst = (from: number, to: number) =>
        Effect.forEach(Array.from({ length: to - from }, (_, i) => `m-${from + i}`), publish, { concurrency: 20, discard: true })
      yield* burst(0, 200)
      const first = new ConsumerProcess("kafka", port.current)
      yield* Effect.addFinalizer(() => Effect.promise(() => first.dispose()))
      yield* Effect.promise(() => eventually("the first messages", async () => first.handled >= 200 ? true : undefined))
      const before = [...ends["confirmed"]!]
      yield* Effect.promise(() => cluster.kill())
      yield* burst(200, 240)
      assert.strictEqual(ends["confirmed"]!.length, before.length, "nobody was there to confirm")
      yield* Effect.promise(() => cluster.restart())
      first.movedTo(port.current)
      yield* Effect.promise(() => eventually("a message after the restart", async () => {
        await run(publish(`m-again-${Math.random()}`))
        return ends["confirmed"]!.length > before.length ? true : undefined
      }))
      yield* burst(300, 400)
      const after = ends["confirmed"]!.slice(before.length)
      yield* Effect.promise(() => eventually("the messages after the restart", async () => first.handled >= before.length + after.length ? true : undefined))
      const told = yield* Effect.promise(() => first.stop())

      const sends = yield* valuesOf("message_sends_total")
      for (const [reason, texts] of Object.entries(ends)) assert.strictEqual(sends[`orders ${reason}`] ?? 0, texts.length, reason)
      assert.isAbove((ends["failed"]?.length ?? 0) + (ends["unconfirmed"]?.length ?? 0), 0)
      const errors = yield* valuesOf("message_errors_total")
      assert.isTrue(Object.keys(errors).every((labels) => labels.startsWith("orders send ")), JSON.stringify(errors))
      // The cluster forgot what it had, also who had read what; everything was read before.
      assert.deepStrictEqual(told.handled.toSorted(), [...before, ...after].toSorted())
      assert.deepStrictEqual(yield* valuesOf("message_published_total"), { orders: told.handled.length })
      const metric = (name: string) => told.metrics[name]?.["orders billing"]
      assert.deepStrictEqual([metric("message_consumed_total"), metric("message_processed_total")], [told.handled.length, told.handled.length])
      assert.deepStrictEqual(told.metrics["message_settlements_total"], { "orders billing ack": told.handled.length })
      assert.strictEqual(metric("message_backlog"), 0)

      const bySpan = new Map((yield* spansOf).map((span) => [span.spanId, span]))
      const processed = told.spans.filter(({ name }) => name === "process orders")
      assert.strictEqual(processed.length, told.handled.length)
      for (const span of processed) {
        const parent = bySpan.get(span.parentSpanId!)
        assert.deepStrictEqual([parent?.kind, parent?.traceId], ["producer", span.traceId])
        assert.strictEqual(bySpan.get(parent!.parentSpanId!)?.name, "request")
      }
    }))), 150_000)

  it.live("retries, poison, batches that link to many, lag", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const kafka = yield* Kafka.make()
      const producer = yield* producing
      for (const text of ["retry", "poison", "fine"]) yield* kafka.send(producer, { topic: "mixed", messages: [{ value: text }] })
      yield* kafka.send(producer, { topic: "batched", messages: Array.from({ length: 5 }, (_, i) => ({ key: "k", value: `${i}` })) }).pipe(Tracer.withSpan("five"))
      for (let i = 5; i < 8; i++) yield* kafka.send(producer, { topic: "batched", messages: [{ key: "k", value: `${i}` }] })
      yield* kafka.send(producer, { topic: "batched", acks: 0, messages: [{ key: "k", value: "8" }] })

      const seen: Array<string> = []
      const eachMessage = yield* kafka.eachMessage(({ message }: EachMessagePayload) =>
        Effect.suspend((): Effect.Effect<void, unknown> => {
          const text = String(message.value)
          const again = seen.includes(text)
          seen.push(text)
          if (text === "poison") return Effect.fail(new PoisonMessage({ cause: text }))
          return text === "retry" && !again ? Effect.fail({ _tag: "NotYet", text }) : Effect.void
        }), { consumerGroup: "mixed-readers" })
      let batched = 0
      const eachBatch = yield* kafka.eachBatch(({ batch }: EachBatchPayload) => Effect.sync(() => void (batched += batch.messages.length)), { consumerGroup: "batch-readers" })
      const consuming = (groupId: string, topic: string, config: object) =>
        Effect.gen(function*() {
          const consumer = clientOf(port, groupId).consumer({ groupId, retry: { initialRetryTime: 100, retries: 5 } })
          yield* kafka.watch(consumer, { consumerGroup: groupId })
          yield* Effect.acquireRelease(
            Effect.promise(async () => {
              await consumer.connect()
              await consumer.subscribe({ topics: [topic], fromBeginning: true })
              await consumer.run(config)
            }),
            () => Effect.promise(() => consumer.disconnect())
          )
        })
      yield* consuming("mixed-readers", "mixed", { eachMessage })
      yield* consuming("batch-readers", "batched", { eachBatch })
      yield* Effect.promise(() => eventually("all messages", async () => seen.includes("fine") && seen.filter((text) => text === "retry").length === 2 && batched === 9 ? true : undefined, 40))
      yield* Effect.sleep("500 millis")
      const of = (values: Record<string, number>, topic: string) => Object.fromEntries(Object.entries(values).filter(([labels]) => labels.startsWith(topic)))
      assert.deepStrictEqual(of(yield* valuesOf("message_settlements_total"), "mixed"), {
        "mixed mixed-readers requeue": 1, "mixed mixed-readers ack": 2, "mixed mixed-readers reject": 1
      })
      assert.deepStrictEqual(of(yield* valuesOf("message_poison_total"), "mixed"), { "mixed mixed-readers marked": 1 })
      assert.deepStrictEqual(of(yield* valuesOf("message_redeliveries_total"), "mixed"), { "mixed mixed-readers": 1 })
      assert.deepStrictEqual(of(yield* valuesOf("message_sends_total"), "batched"), { "batched confirmed": 8, "batched sent": 1 })
      assert.deepStrictEqual(of(yield* valuesOf("message_consumed_total"), "batched"), { "batched batch-readers": 9 })
      assert.deepStrictEqual(of(yield* valuesOf("message_backlog"), "batched"), { "batched batch-readers": 0 })
      const spans = yield* spansOf
      const sent = spans.filter(({ name }) => name === "send batched")
      const batches = spans.filter(({ name }) => name === "process batched")
      assert.deepStrictEqual(batches.flatMap(({ links }) => links.map(({ spanId }) => spanId)).toSorted(), sent.map(({ spanId }) => spanId).toSorted())
      assert.strictEqual(sent.find(({ attributes }) => attributes.get("messaging.batch.message_count") === 5)?.parentSpanId, spans.find(({ name }) => name === "five")?.spanId)
    }))), 90_000)
})
