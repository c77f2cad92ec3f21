import { RequestContext, Requests, Tracer } from "@effect-observability/core"
import { PersistedMessageQueue, PoisonMessage } from "@effect-observability/instrument"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { recorded, spansOf, valuesOf } from "../support/recorded.ts"

const Mail = Schema.Struct({ to: Schema.String, sent: Schema.DateFromString })
type Mail = typeof Mail.Type
const mail: Mail = { to: "ann", sent: new Date(0) }

const store = PersistedQueue.layer.pipe(Layer.provideMerge(PersistedQueue.layerStoreMemory))
const settings = { name: "mails", schema: Mail, retrySchedule: Schedule.spaced("1 second") }

describe("PersistedMessageQueue", () => {
  it.effect("carries the trace through the store and keeps the type", () =>
    recorded(Effect.gen(function*() {
      const mails = yield* PersistedMessageQueue.make(settings)
      const id = yield* mails.offer(mail).pipe(Tracer.withSpan("request"), Requests.within({ requestId: "r1" }))
      const [got, requestId, taken] = yield* mails.take((value: Mail, { id }) =>
        Effect.map(RequestContext, (context) => [value, context.requestId, id] as const))
      assert.deepStrictEqual([got, requestId, taken], [mail, "r1", id])
      const [send, request, process] = yield* spansOf
      assert.deepStrictEqual([send?.name, send?.kind, request?.name, process?.name, process?.kind], ["send mails", "producer", "request", "process mails", "consumer"])
      assert.deepStrictEqual([process?.traceId, process?.parentSpanId], [request?.traceId, send?.spanId])
      assert.deepStrictEqual(yield* valuesOf("message_sends_total"), { "mails confirmed": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_settlements_total"), { "mails ack": 1 })
    }).pipe(Effect.provide(store))))

  it.effect("reads what a bare queue stored, and what was stored without headers can be read by one", () =>
    recorded(Effect.gen(function*() {
      const bare = yield* PersistedQueue.make(settings)
      const ours = yield* PersistedMessageQueue.make({ ...settings, carry: false })
      yield* bare.offer(mail)
      assert.deepStrictEqual(yield* ours.take((value) => Effect.succeed(value)), mail)
      yield* ours.offer(mail)
      assert.deepStrictEqual(yield* bare.take((value) => Effect.succeed(value)), mail)
    }).pipe(Effect.provide(store))))

  it.effect("tells retries, the last attempt, marked poison and undecodable elements apart", () =>
    recorded(Effect.gen(function*() {
      const mails = yield* PersistedMessageQueue.make({ ...settings, maxAttempts: 3 })
      yield* mails.offer(mail)
      for (let attempt = 1; attempt <= 3; attempt++) {
        const take = yield* Effect.forkChild(Effect.exit(mails.take((_, { attempts }) => Effect.fail(attempts))), { startImmediately: true })
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(take)
      }
      assert.deepStrictEqual(yield* valuesOf("message_settlements_total"), { "mails requeue": 2, "mails reject": 1 })
      assert.deepStrictEqual(yield* valuesOf("message_redeliveries_total"), { mails: 2 })
      assert.deepStrictEqual(yield* valuesOf("message_poison_total"), { "mails deliveries": 1 })

      yield* mails.offer(mail)
      yield* Effect.exit(mails.take(() => Effect.fail("not a mail").pipe(PoisonMessage.orPoison)))
      const other = yield* PersistedQueue.make({ name: "mails", schema: Schema.Struct({ unknown: Schema.Number }) })
      yield* other.offer({ unknown: 1 })
      yield* mails.offer({ ...mail, to: "bob" }, { id: "bob" })
      const next = yield* Effect.forkChild(mails.take(({ to }) => Effect.succeed(to)), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.include(["ann", "bob"], yield* Fiber.join(next))
      assert.strictEqual((yield* valuesOf("message_poison_total"))["mails marked"], 1)
      assert.strictEqual((yield* valuesOf("message_poison_total"))["mails decode"], 1)
    }).pipe(Effect.provide(store))))
})
