import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as BatchProcessor from "../../src/pipe/BatchProcessor.ts"
import * as Exporter from "../../src/pipe/Exporter.ts"
import { imbalance } from "../../src/pipe/Ledger.ts"

type Export = Exporter.Exporter<number>["export"]

/** A processor of numbers over a scope of its own, with what the exporter was called with. */
const start = (exporter: Export | Exporter.Exporter<number>, policy: Partial<BatchProcessor.Policy<number>> = {}) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const calls: Array<{ readonly items: ReadonlyArray<number>; readonly number: number; readonly attempt: number }> = []
    const losses: Array<string> = []
    const inner = typeof exporter === "function" ? { export: exporter } : exporter
    const processor = yield* BatchProcessor.make<number>(
      {
        ...inner,
        export: (items, attempt) => {
          calls.push({ items: [...items], ...attempt })
          return inner.export(items, attempt)
        }
      },
      { ...BatchProcessor.defaultPolicy<number>(), flushInterval: "15 seconds", ...policy },
      { onLoss: (count, reason) => losses.push(`${count} ${reason}`) }
    ).pipe(Scope.provide(scope))
    const balanced = () => assert.strictEqual(imbalance(processor.ledger()), undefined)
    return { processor, calls, losses, balanced, close: Scope.close(scope, Exit.void) }
  })

const ok: Export = () => Effect.succeed(Exporter.complete)
const offerAll = (processor: BatchProcessor.BatchProcessor<number>, ...items: ReadonlyArray<number>) => items.map((item) => processor.offerUnsafe(item))

describe("batching", () => {
  it.effect("a half-full batch leaves after the flush interval, a full one at once", () =>
    Effect.gen(function*() {
      const { balanced, calls, close, processor } = yield* start(ok, { batchSize: 3 })
      offerAll(processor, 1)
      yield* TestClock.adjust("14 seconds")
      assert.deepStrictEqual(calls, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(calls.map((call) => call.items), [[1]])
      offerAll(processor, 2, 3, 4, 5)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(calls.map((call) => call.items), [[1], [2, 3, 4]])
      yield* close
      assert.deepStrictEqual(calls.map((call) => call.items), [[1], [2, 3, 4], [5]])
      assert.deepStrictEqual(calls.map((call) => call.number), [1, 2, 3])
      assert.strictEqual(processor.ledger().exported, 5)
      balanced()
    }))

  it.effect("flush waits for all that came before, and for nothing else", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { balanced, calls, close, processor } = yield* start(() => Effect.as(Deferred.await(gate), Exporter.complete), { batchSize: 2 })
      offerAll(processor, 1, 2, 3)
      const fiber = yield* Effect.forkChild(processor.flush, { startImmediately: true })
      yield* TestClock.adjust(0)
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      balanced()
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(fiber)
      assert.strictEqual(processor.ledger().exported, 3)
      assert.deepStrictEqual(calls.map((call) => call.items), [[1, 2], [3]])
      yield* processor.flush
      yield* close
      balanced()
    }))
})

describe("a full queue", () => {
  it.effect("lets the newest go, by policy", () =>
    Effect.gen(function*() {
      const { balanced, calls, close, processor } = yield* start(ok, { maxItems: 2, overflow: "newest" })
      assert.deepStrictEqual(offerAll(processor, 1, 2, 3, 4), [true, true, false, false])
      yield* close
      assert.deepStrictEqual(calls[0]?.items, [1, 2])
      assert.deepStrictEqual(processor.ledger().dropped, { queue_full_newest: 2 })
      balanced()
    }))

  it.effect("lets the oldest go, by policy", () =>
    Effect.gen(function*() {
      const { balanced, calls, close, losses, processor } = yield* start(ok, { maxItems: 2, overflow: "oldest" })
      offerAll(processor, 1, 2, 3, 4)
      yield* close
      assert.deepStrictEqual(calls[0]?.items, [3, 4])
      assert.deepStrictEqual(losses, ["1 queue_full_oldest", "1 queue_full_oldest"])
      balanced()
    }))

  it.effect("merges the lightest pair, and no total changes", () =>
    Effect.gen(function*() {
      const counts = new Map<number, number>()
      const { balanced, calls, close, processor } = yield* start(ok, {
        maxItems: 3,
        overflow: {
          merge: (a, b) => {
            counts.set(a + b, (counts.get(a) ?? 1) + (counts.get(b) ?? 1))
            return a + b
          }
        },
        count: (item) => counts.get(item) ?? 1
      })
      offerAll(processor, 1, 10, 100, 1000, 10_000)
      balanced()
      assert.strictEqual(processor.ledger().queued, 5)
      yield* close
      assert.strictEqual(calls.flatMap((call) => call.items).reduce((a, b) => a + b, 0), 11_111)
      assert.strictEqual(calls[0]?.items.length, 3)
      assert.strictEqual(processor.ledger().exported, 5)
      balanced()
    }))

  it.effect("counts bytes, and refuses what can never fit", () =>
    Effect.gen(function*() {
      const { balanced, close, processor } = yield* start(ok, { maxBytes: 100, weigh: (item) => item })
      assert.deepStrictEqual(offerAll(processor, 40, 40, 101, 40), [true, true, false, true])
      assert.strictEqual(processor.status().queuedBytes, 80)
      assert.deepStrictEqual(processor.ledger().rejected, { memory_limit: 1 })
      assert.deepStrictEqual(processor.ledger().dropped, { queue_full_oldest: 1 })
      yield* close
      balanced()
    }))

  it.effect("a policy that throws costs that item only", () =>
    Effect.gen(function*() {
      const { balanced, close, processor } = yield* start(ok, {
        weigh: (item) => {
          if (item === 2) throw new Error("no")
          return 1
        }
      })
      assert.deepStrictEqual(offerAll(processor, 1, 2, 3), [true, false, true])
      yield* close
      assert.deepStrictEqual(processor.ledger().rejected, { invalid: 1 })
      assert.strictEqual(processor.ledger().exported, 2)
      balanced()
    }))
})

describe("failures", () => {
  it.effect("are retried with the same number and items, later each time", () =>
    Effect.gen(function*() {
      let fails = 3
      const { balanced, calls, close, processor } = yield* start(
        () => fails-- > 0 ? Effect.fail(Exporter.unavailable("503")) : Effect.succeed(Exporter.complete),
        { batchSize: 1, backoff: "1 second" }
      )
      offerAll(processor, 1, 2)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(calls.map(({ attempt, items, number }) => [items[0], number, attempt]), [[1, 1, 1], [1, 1, 2], [1, 1, 3], [1, 1, 4], [2, 2, 1]])
      assert.match(processor.status().lastError!, /503/)
      assert.strictEqual(processor.status().failures, 0)
      yield* close
      balanced()
    }))

  it.effect("stop at maxAttempts, and the batch is fenced off", () =>
    Effect.gen(function*() {
      const given: Array<number> = []
      const exporter: Exporter.Exporter<number> = {
        export: () => Effect.fail(Exporter.unavailable("down")),
        giveUp: ({ number }) => Effect.sync(() => void given.push(number))
      }
      const { balanced, close, processor } = yield* start(exporter, { batchSize: 1, maxAttempts: 2, backoff: "1 second" })
      offerAll(processor, 1, 2)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(given, [1, 2])
      assert.deepStrictEqual(processor.ledger().dropped, { retries_spent: 2 })
      yield* close
      balanced()
    }))

  it.effect("that cannot be fenced off are unconfirmed", () =>
    Effect.gen(function*() {
      const down = Effect.fail(Exporter.unavailable("down"))
      const { balanced, close, processor } = yield* start({ export: () => down, giveUp: () => down }, { batchSize: 1, maxAttempts: 1 })
      offerAll(processor, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(processor.ledger().unconfirmed, 1)
      yield* close
      balanced()
    }))

  it.effect("a poison item is found by halving and costs only itself", () =>
    Effect.gen(function*() {
      const { balanced, calls, close, processor } = yield* start(
        (items) => items.includes(13) ? Effect.fail(Exporter.refused("bad", "poison")) : Effect.succeed(Exporter.complete),
        { batchSize: 64 }
      )
      offerAll(processor, ...Array.from({ length: 64 }, (_, i) => i))
      yield* processor.flush
      assert.deepStrictEqual(processor.ledger().dropped, { poison: 1 })
      assert.strictEqual(processor.ledger().exported, 63)
      assert.isAtMost(calls.length, 1 + 2 * Math.log2(64))
      const delivered = calls.filter((call) => !call.items.includes(13)).flatMap((call) => call.items)
      assert.deepStrictEqual(delivered, Array.from({ length: 64 }, (_, i) => i).filter((i) => i !== 13))
      yield* close
      balanced()
    }))

  it.effect("an indivisible refusal drops the whole batch with its reason", () =>
    Effect.gen(function*() {
      const { balanced, close, processor } = yield* start(() => Effect.fail(Exporter.refused("no", "rejected:401", false)), { batchSize: 4 })
      offerAll(processor, 1, 2, 3, 4)
      yield* processor.flush
      assert.deepStrictEqual(processor.ledger().dropped, { "rejected:401": 4 })
      yield* close
      balanced()
    }))

  it.effect("a partial success is counted, and nonsense from a sink is clamped", () =>
    Effect.gen(function*() {
      const answers: Array<Exporter.ExportOutcome> = [{ rejected: 1, reason: "partial_success" }, { rejected: 99, reason: "x" }, { rejected: -5, reason: "x" }, { rejected: NaN, reason: "" }]
      const { balanced, close, processor } = yield* start(() => Effect.sync(() => answers.shift()!), { batchSize: 3 })
      offerAll(processor, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
      yield* processor.flush
      assert.deepStrictEqual(processor.ledger().dropped, { partial_success: 1, x: 3 })
      assert.strictEqual(processor.ledger().exported, 8)
      yield* close
      balanced()
    }))

  it.effect("an exporter that throws, dies or interrupts itself costs its batch after three tries, and the next one goes on", () =>
    Effect.gen(function*() {
      const ways: Record<number, () => ReturnType<Export>> = {
        1: () => { throw new Error("thrown") },
        2: () => Effect.die(new Error("died")),
        3: () => Effect.interrupt
      }
      const { balanced, calls, close, processor } = yield* start((items) => ways[items[0]]?.() ?? Effect.succeed(Exporter.complete), { batchSize: 1 })
      offerAll(processor, 1, 2, 3, 4)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(processor.ledger().dropped, { defect: 3 })
      assert.strictEqual(processor.ledger().exported, 1)
      assert.strictEqual(calls.length, 10)
      yield* close
      balanced()
    }))

  it.effect("an attempt without an answer is left behind at its deadline, not awaited", () =>
    Effect.gen(function*() {
      let hang = true
      const { balanced, calls, close, processor } = yield* start(
        // Its cleanup takes an hour: whoever waits for it loses.
        () => hang ? Effect.never.pipe(Effect.onInterrupt(() => Effect.sleep("1 hour"))) : Effect.succeed(Exporter.complete),
        { batchSize: 1, attemptTimeout: "2 seconds", backoff: "1 second" }
      )
      offerAll(processor, 1)
      yield* TestClock.adjust("2 seconds")
      assert.match(processor.status().lastError!, /no answer within 2000 ms/)
      hang = false
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(processor.ledger().exported, 1)
      assert.deepStrictEqual(calls.map((call) => call.number), [1, 1])
      yield* close
      balanced()
    }))

  it.effect("honours the delay a sink asks for, within the cap", () =>
    Effect.gen(function*() {
      const asked = [Duration.seconds(10), Duration.days(99_999), Duration.millis(-5)]
      const { calls, close, processor } = yield* start(
        (_, { attempt }) => attempt <= 3 ? Effect.fail(Exporter.unavailable("429", asked[attempt - 1])) : Effect.succeed(Exporter.complete),
        { batchSize: 1, backoff: "1 second", maxBackoff: "30 seconds" }
      )
      offerAll(processor, 1)
      yield* TestClock.adjust("9900 millis")
      assert.strictEqual(calls.length, 1)
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(calls.length, 2)
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(calls.length, 2)
      yield* TestClock.adjust("950 millis")
      assert.strictEqual(calls.length, 3)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(processor.ledger().exported, 1)
      yield* close
      assert.strictEqual(imbalance(processor.ledger()), undefined)
    }))
})

describe("closing", () => {
  it.effect("delivers what waits, and takes nothing more", () =>
    Effect.gen(function*() {
      const { balanced, calls, close, processor } = yield* start(ok, { batchSize: 2 })
      offerAll(processor, 1, 2, 3, 4, 5)
      yield* close
      assert.deepStrictEqual(calls.flatMap((call) => call.items), [1, 2, 3, 4, 5])
      assert.strictEqual(processor.offerUnsafe(6), false)
      assert.deepStrictEqual(processor.ledger().rejected, { closed: 1 })
      balanced()
    }))

  it.effect("cuts a backoff short", () =>
    Effect.gen(function*() {
      let down = true
      const { balanced, close, processor } = yield* start(
        () => down ? Effect.fail(Exporter.unavailable("down")) : Effect.succeed(Exporter.complete),
        { batchSize: 1, backoff: "20 seconds", maxBackoff: "10 minutes" }
      )
      offerAll(processor, 1)
      yield* TestClock.adjust("1 second")
      down = false
      yield* close
      assert.strictEqual(processor.ledger().exported, 1)
      balanced()
    }))

  it.live("ends at the deadline though the exporter hangs and cannot be interrupted", () =>
    Effect.gen(function*() {
      const { balanced, close, processor } = yield* start(() => Effect.uninterruptible(Effect.never), { batchSize: 2, drainDeadline: "300 millis" })
      offerAll(processor, 1, 2, 3, 4, 5)
      yield* Effect.sleep("20 millis")
      const before = performance.now()
      yield* close
      assert.isBelow(performance.now() - before, 400)
      assert.deepStrictEqual(processor.ledger().dropped, { shutdown: 5 })
      balanced()
    }))

  it.live("what is in flight at the deadline and cannot be fenced off is unconfirmed", () =>
    Effect.gen(function*() {
      const { balanced, close, processor } = yield* start(
        { export: () => Effect.never, giveUp: () => Effect.uninterruptible(Effect.never) },
        { batchSize: 2, drainDeadline: "300 millis" }
      )
      offerAll(processor, 1, 2, 3)
      yield* Effect.sleep("20 millis")
      const before = performance.now()
      yield* close
      assert.isBelow(performance.now() - before, 400)
      assert.strictEqual(processor.ledger().unconfirmed, 2)
      assert.deepStrictEqual(processor.ledger().dropped, { shutdown: 1 })
      balanced()
    }))
})
