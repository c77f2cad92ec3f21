import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Packing from "../../src/internal/packing/service.ts"
import { freshNames } from "../support/database.ts"

describe("the packing service", () => {
  it.effect("goes on after a pass that dies or is interrupted from within, and ends when it is interrupted itself", () =>
    Effect.gen(function*() {
      const ends = [Effect.interrupt, Effect.die("x"), Effect.interrupt]
      let passes = 0
      const problems: Array<boolean> = []
      const fiber = yield* Effect.forkChild(Packing.run({
        names: freshNames(),
        withSession: () => Effect.suspend(() => ends[passes++] ?? Effect.never),
        isReady: () => true,
        onProblem: (cause) => problems.push(cause !== undefined)
      }))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(passes, 4)
      assert.deepStrictEqual(problems, [true, true, true])
      const exit = yield* Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber))
      assert.strictEqual(exit._tag, "Failure")
      assert.strictEqual(problems.length, 3)
    }))
})
