import { Baggage, RequestContext, Requests, Tracer } from "@effect-observability/core"
import { MessagePubSub, MessageQueue } from "@effect-observability/instrument"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import { TestClock } from "effect/testing"
import { observedValues, recorded, spansOf, valuesOf } from "../support/recorded.ts"

const offering = <A>(queue: MessageQueue.MessageQueue<A>, value: A, requestId: string) =>
  queue.offer(value).pipe(
    Tracer.withSpan("request", { root: true }),
    Baggage.with({ tenant: requestId }),
    Requests.within({ requestId, userId: "ann" })
  )

describe("MessageQueue", () => {
  it.effect("an item carries trace, baggage and request; its type stays what it is", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const queue = yield* MessageQueue.make<string>("jobs")
      yield* offering(queue, "a", "r1")
      yield* TestClock.adjust("250 millis")
      assert.deepStrictEqual(yield* valuesOf("message_backlog"), { jobs: 1 })
      const seen = yield* queue.process((job: string) =>
        Effect.gen(function*() {
          yield* Effect.void.pipe(Tracer.withSpan("inside"))
          const { requestId, userId } = yield* RequestContext
          return [job, yield* Baggage.get("tenant"), requestId, userId]
        })).pipe(Tracer.withSpan("loop"), Requests.within({ requestId: "of-the-loop" }))
      assert.deepStrictEqual(seen, ["a", "r1", "r1", "ann"])
      const [request, inside, process, loop] = yield* spansOf
      assert.deepStrictEqual([request?.name, inside?.name, process?.name, loop?.name], ["request", "inside", "process jobs", "loop"])
      assert.deepStrictEqual([process?.traceId, process?.parentSpanId, process?.kind], [request?.traceId, request?.spanId, "consumer"])
      assert.strictEqual(inside?.parentSpanId, process?.spanId)
      assert.notStrictEqual(loop?.traceId, process?.traceId)
      assert.strictEqual(process?.attributes.get("messaging.destination.name"), "jobs")
      assert.deepStrictEqual(yield* observedValues("message_wait_seconds"), [0.25])
      assert.deepStrictEqual(yield* valuesOf("message_backlog"), { jobs: 0 })
    }))))

  it.effect("with trace: link the consumer has a trace of its own", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const queue = yield* MessageQueue.make<number>("jobs", { trace: "link", consumerGroup: "workers" })
      yield* offering(queue, 1, "r1")
      yield* queue.process(() => Effect.void)
      const [request, process] = yield* spansOf
      assert.notStrictEqual(process?.traceId, request?.traceId)
      assert.deepStrictEqual(process?.links.map(({ spanId }) => spanId), [request?.spanId])
      assert.deepStrictEqual(yield* valuesOf("message_consumed_total"), { "jobs workers": 1 })
    }))))

  it.effect("a batch links to every span that offered, once each", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const queue = yield* MessageQueue.make<number>("jobs")
      for (let i = 0; i < 3; i++) yield* offering(queue, i, `r${i}`)
      yield* queue.offerAll([3, 4]).pipe(Tracer.withSpan("both"))
      const sum = yield* queue.processBatch(100, (all) => Effect.succeed(all.reduce((a, b) => a + b, 0)))
      assert.strictEqual(sum, 10)
      const spans = yield* spansOf
      const process = spans.find(({ name }) => name === "process jobs")
      assert.deepStrictEqual(process?.links.map(({ spanId }) => spanId), spans.filter((one) => one !== process).map(({ spanId }) => spanId))
      assert.strictEqual(process?.links.length, 4)
      assert.strictEqual(process?.attributes.get("messaging.batch.message_count"), 5)
      assert.deepStrictEqual(yield* valuesOf("message_processed_total"), { jobs: 5 })
      assert.strictEqual((yield* observedValues("message_processing_duration_seconds")).length, 1)
    }))))

  it.effect("published = consumed + waiting + dropped, for every strategy and at shutdown", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const total = (values: Record<string, number>, name: string) =>
        Object.entries(values).reduce((sum, [labels, value]) => labels.split(" ")[0] === name ? sum + value : sum, 0)
      for (const strategy of ["suspend", "dropping", "sliding"] as const) {
        const queue = yield* MessageQueue.make<number>(strategy, { capacity: 10, strategy })
        const producer = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 57 }, (_, i) => i), (i) => queue.offer(i), { discard: true }),
          { startImmediately: true }
        )
        for (let i = 0; i < 9; i++) yield* queue.take
        yield* Effect.yieldNow
        const books = Effect.gen(function*() {
          const published = total(yield* valuesOf("message_published_total"), strategy)
          const consumed = total(yield* valuesOf("message_consumed_total"), strategy)
          const drops = yield* valuesOf("message_drops_total")
          const gone = (drops[`${strategy} slid`] ?? 0) + (drops[`${strategy} shutdown`] ?? 0)
          assert.strictEqual(published, consumed + (yield* queue.size) + gone, strategy)
          return { published, refused: drops[`${strategy} full`] ?? 0 }
        })
        const { published, refused } = yield* books
        assert.deepStrictEqual({ published, refused }, {
          suspend: { published: 19, refused: 0 },
          dropping: { published: 10, refused: 47 },
          sliding: { published: 57, refused: 0 }
        }[strategy])
        yield* Fiber.interrupt(producer)
        yield* queue.shutdown
        yield* books
        assert.isFalse(yield* queue.offer(1), "a queue that is shut down takes nothing")
      }
      assert.strictEqual((yield* valuesOf("message_sends_total"))["dropping rejected"], 47)
    }))))

  it.effect("run goes on after failures and defects, handles side by side, and ends with the queue", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const queue = yield* MessageQueue.make<number, Cause.Done>("jobs", { capacity: 16 })
      yield* queue.offerAll([0, 1, 2, 3, 4, 5])
      yield* queue.end
      let most = 0
      let now = 0
      const done = yield* Effect.forkChild(queue.run((n) =>
        Effect.gen(function*() {
          most = Math.max(most, ++now)
          yield* Effect.sleep("1 second")
          now--
          if (n === 1) return yield* Effect.fail(new RangeError("one"))
          if (n === 2) return yield* Effect.die("two")
          return n
        }), { concurrency: 3 }), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      const exit = yield* Fiber.await(done)
      assert.isTrue(Exit.isFailure(exit) && Cause.findErrorOption(exit.cause)._tag === "Some")
      assert.strictEqual(most, 3)
      assert.deepStrictEqual(yield* valuesOf("message_outcomes_total"), { "jobs success": 4, "jobs failure": 1, "jobs defect": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_errors_total"), { "jobs process RangeError": 1, "jobs process string": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_processed_total"), { jobs: 6 })
    }))))

  it.effect("an interrupted handler is counted as such, an interrupted take not at all", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const queue = yield* MessageQueue.make<number>("jobs")
      const idle = yield* Effect.forkChild(queue.process(() => Effect.void), { startImmediately: true })
      yield* Fiber.interrupt(idle)
      yield* queue.offer(1)
      const busy = yield* Effect.forkChild(queue.process(() => Effect.never), { startImmediately: true })
      yield* Effect.yieldNow
      yield* Fiber.interrupt(busy)
      assert.deepStrictEqual(yield* valuesOf("message_outcomes_total"), { "jobs interrupted": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_consumed_total"), { jobs: 1 })
      assert.deepStrictEqual(yield* valuesOf("message_errors_total"), {})
    }))))

  it.effect("a bare queue and a bare pub-sub can at least be watched", () =>
    recorded(Effect.gen(function*() {
      const queue = yield* Queue.make<number, Cause.Done>()
      const pubsub = yield* PubSub.unbounded<string>({ replay: 2 })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* MessageQueue.watch("bare", queue)
        yield* MessageQueue.watch("bare-pubsub", pubsub, { consumerGroup: "all" })
        yield* PubSub.subscribe(pubsub)
        yield* Queue.offerAll(queue, [1, 2, 3])
        yield* PubSub.publish(pubsub, "x")
        assert.deepStrictEqual(yield* valuesOf("message_backlog"), { bare: 3, "bare-pubsub all": 1 })
      }))
      assert.deepStrictEqual(yield* valuesOf("message_backlog"), {}, "the gauge ends with the scope")
    })))

  it.effect("refuses a capacity of 0 with the field's name", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const error = yield* Effect.flip(MessageQueue.make("jobs", { capacity: 0 }))
      assert.include(error.message, "capacity")
    }))))
})

describe("MessagePubSub", () => {
  it.effect("every subscriber continues the publisher's trace, told apart by group", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const changes = yield* MessagePubSub.make<string>("changes")
      const mails = yield* changes.subscribe("mails")
      const audit = yield* changes.subscribe("audit")
      yield* changes.publish("x").pipe(Tracer.withSpan("request"), Requests.within({ requestId: "r9" }))
      yield* changes.publish("y")
      assert.deepStrictEqual(yield* valuesOf("message_backlog"), { "changes mails": 2, "changes audit": 2 })
      const ids = [
        yield* mails.process(() => Effect.map(RequestContext, ({ requestId }) => requestId)),
        yield* audit.process(() => Effect.map(RequestContext, ({ requestId }) => requestId))
      ]
      assert.deepStrictEqual(ids, ["r9", "r9"])
      assert.strictEqual(yield* mails.take, "y")
      const [request, ...processed] = yield* spansOf
      assert.deepStrictEqual(processed.map(({ parentSpanId }) => parentSpanId), [request?.spanId, request?.spanId])
      assert.deepStrictEqual(yield* valuesOf("message_published_total"), { changes: 2 })
      assert.deepStrictEqual(yield* valuesOf("message_consumed_total"), { "changes mails": 2, "changes audit": 1 })
    }))))

  it.effect("counts what a full one refuses or drops; a loop goes on after failures", () =>
    recorded(Effect.scoped(Effect.gen(function*() {
      const small = yield* MessagePubSub.make<number>("small", { capacity: 2, strategy: "dropping" })
      yield* small.subscribe()
      const results = yield* Effect.forEach([1, 2, 3], (n) => small.publish(n))
      assert.deepStrictEqual(results, [true, true, false])
      const sliding = yield* MessagePubSub.make<number>("sliding", { capacity: 2, strategy: "sliding" })
      const reader = yield* sliding.subscribe()
      for (let i = 0; i < 6; i++) yield* sliding.publish(i)
      const dropped = yield* valuesOf("message_drops_total")
      assert.deepStrictEqual(dropped, { "small full": 1, "sliding slid": 4 })
      const got: Array<number> = []
      const loop = yield* Effect.forkChild(reader.run((n) => Effect.flatMap(Effect.sync(() => got.push(n)), () => Effect.fail("again"))), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(loop)
      assert.deepStrictEqual(got, [4, 5])
      yield* sliding.shutdown
      assert.isFalse(yield* sliding.publish(1))
    }))))
})
