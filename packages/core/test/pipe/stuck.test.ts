import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { BatchProcessor, Exporter, Ledger } from "../../src/index.ts"

const policy = { ...BatchProcessor.defaultPolicy<number>(), batchSize: 10, flushInterval: "1 second", attemptTimeout: "2 seconds", backoff: "100 millis", maxBackoff: "1 second", drainDeadline: 0 } as const

describe("a backend that is stuck", () => {
  it.effect("an attempt without an answer is followed by another on the same batch, and told", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      let hangs = 3
      const processor = yield* BatchProcessor.make<number>({
        export: (batch, { attempt, number }) => Effect.suspend(() => {
          seen.push(`${number}.${attempt} ${batch.join()}`)
          return hangs-- > 0 ? Effect.never : Effect.succeed(Exporter.complete)
        })
      }, policy)
      for (let i = 0; i < 3; i++) processor.offerUnsafe(i)
      yield* TestClock.adjust("6 seconds")
      assert.isAtLeast(processor.status().hangs, 2)
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(seen, ["1.1 0,1,2", "1.2 0,1,2", "1.3 0,1,2", "1.4 0,1,2"])
      const { abandoned, hangs: now, rebuilds } = processor.status()
      assert.deepStrictEqual([now, rebuilds, abandoned], [0, 3, 0])
      assert.deepStrictEqual([processor.ledger().exported, Ledger.imbalance(processor.ledger())], [3, undefined])
    }).pipe(Effect.scoped))

  it.effect("attempts that cannot be interrupted do not pile up: the next ones come later and later", () =>
    Effect.gen(function*() {
      let attempts = 0
      const processor = yield* BatchProcessor.make<number>({ export: () => Effect.uninterruptible(Effect.suspend(() => (attempts++, Effect.never))) }, policy)
      processor.offerUnsafe(1)
      yield* TestClock.adjust("1 hour")
      // Every three seconds that would be 1,200.
      assert.isAbove(attempts, 10)
      assert.isBelow(attempts, 40)
      assert.isAtLeast(processor.status().abandoned, attempts - 1)
      assert.isUndefined(Ledger.imbalance(processor.ledger()))
    }).pipe(Effect.scoped))

  it.effect("a timer that never fires stalls the queue until another fiber takes over, under the same number", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let lose = true
      // The deadline of the first attempt is never told.
      const lossy: Clock.Clock = new Proxy(clock, {
        get: (target, key) => {
          if (key === "sleep") return (duration: Parameters<Clock.Clock["sleep"]>[0]) => lose && Duration.toMillis(duration) === 2_000 ? (lose = false, Effect.never) : target.sleep(duration)
          const value = Reflect.get(target, key, target) as unknown
          return typeof value === "function" ? value.bind(target) : value
        }
      })
      const seen: Array<string> = []
      const processor = yield* BatchProcessor.make<number>({
        export: (batch, { attempt, number }) => Effect.suspend(() => {
          seen.push(`${number}.${attempt} ${batch.join()}`)
          return attempt === 1 && number === 1 ? Effect.never : Effect.succeed(Exporter.complete)
        })
      }, { ...policy, flushInterval: 0, batchSize: 1 }).pipe(Effect.provideService(Clock.Clock, lossy))
      processor.offerUnsafe(1)
      yield* TestClock.withLive(Effect.sleep("20 millis"))
      yield* TestClock.adjust("10 seconds")
      processor.offerUnsafe(2)
      assert.deepStrictEqual([seen.length, processor.reviveUnsafe()], [1, false])
      // Late, but after a sleep of the machine everything is: the next look tells.
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([processor.reviveUnsafe(), processor.reviveUnsafe(), processor.reviveUnsafe()], [false, true, false])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, ["1.1 1", "1.2 1", "2.1 2"])
      assert.deepStrictEqual([processor.ledger().exported, Ledger.imbalance(processor.ledger()), processor.status().rebuilds], [2, undefined, 1])
      processor.offerUnsafe(3)
      yield* processor.flush
      assert.strictEqual(processor.ledger().exported, 3)
    }).pipe(Effect.scoped))

  it.effect("who waits on purpose is not stalled", () =>
    Effect.gen(function*() {
      const processor = yield* BatchProcessor.make<number>({ export: () => Effect.fail(Exporter.unavailable("away")) }, { ...policy, flushInterval: "1 hour", maxBackoff: "10 minutes", backoff: "5 minutes" })
      for (let i = 0; i < 200; i++) {
        if (i % 7 === 0) processor.offerUnsafe(i)
        yield* TestClock.adjust("1 minute")
        assert.isFalse(processor.reviveUnsafe())
      }
      assert.isUndefined(Ledger.imbalance(processor.ledger()))
    }).pipe(Effect.scoped))
})
