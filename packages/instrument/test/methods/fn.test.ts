import { Observe } from "@effect-observability/instrument"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import type * as EffectTracer from "effect/Tracer"
import { observedValues, recorded, spansOf, valuesOf } from "../support/recorded.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { item: Schema.String }) {}

describe("Observe.fn", () => {
  it.effect("a call is a child span, a duration and a count by outcome", () =>
    recorded(Effect.gen(function*() {
      const reserve = Observe.fn("Stock.reserve")(function*(item: string, count: number) {
        yield* Effect.sleep("50 millis")
        return item.length * count
      })
      const place = Observe.fn("Orders.place", { kind: "internal", attributes: { tier: "gold" } })(function*(item: string) {
        return yield* reserve(item, 2)
      })
      const fiber = yield* Effect.forkChild(place("book"), { startImmediately: true })
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* Fiber.join(fiber), 8)
      const [inner, outer] = yield* spansOf
      assert.deepStrictEqual([inner?.name, outer?.name], ["Stock.reserve", "Orders.place"])
      assert.strictEqual(inner?.parentSpanId, outer?.spanId)
      assert.strictEqual(outer?.attributes.get("tier"), "gold")
      assert.deepStrictEqual(yield* valuesOf("method_total"), { "Stock.reserve success": 1, "Orders.place success": 1 })
      assert.deepStrictEqual(yield* observedValues("method_duration_seconds", { method: "Stock.reserve" }), [0.05])
    })))

  it.effect("tells an expected failure, a defect and an interruption apart", () =>
    recorded(Effect.gen(function*() {
      const act = Observe.fn("Orders.act")(function*(how: "fail" | "die" | "hang" | "plain") {
        if (how === "fail") return yield* new OutOfStock({ item: "x" })
        if (how === "die") return yield* Effect.die(new TypeError("bug"))
        if (how === "plain") throw new RangeError("thrown in the body")
        return yield* Effect.never
      })
      const failed = yield* Effect.exit(act("fail"))
      assert.deepStrictEqual(failed, Exit.fail(new OutOfStock({ item: "x" })))
      const died = yield* Effect.exit(act("die"))
      assert.isTrue(Exit.isFailure(died) && Cause.hasDies(died.cause))
      yield* Effect.exit(act("plain"))
      const hanging = yield* Effect.forkChild(act("hang"), { startImmediately: true })
      yield* Fiber.interrupt(hanging)
      assert.deepStrictEqual(yield* valuesOf("method_total"), {
        "Orders.act failure OutOfStock": 1,
        "Orders.act defect TypeError": 1,
        "Orders.act defect RangeError": 1,
        "Orders.act interrupted": 1
      })
      assert.strictEqual((yield* observedValues("method_duration_seconds")).length, 4)
    })))

  it.effect("every run of the returned Effect is a call; nothing runs before", () =>
    recorded(Effect.gen(function*() {
      let runs = 0
      const act = Observe.fn("act")(function*() {
        runs++
        return yield* Effect.succeed(runs)
      })
      const made = act()
      assert.strictEqual(runs, 0)
      assert.deepStrictEqual([yield* made, yield* made], [1, 2])
      assert.deepStrictEqual(yield* valuesOf("method_total"), { "act success": 2 })
    })))

  it.effect("is used like Effect.fn: this, self, plain bodies, transformations inside the span", () =>
    recorded(Effect.gen(function*() {
      class Counter {
        count = 0
        readonly add = Observe.fn("Counter.add")({ self: this }, function*(this: Counter, by: number) {
          this.count += by
          return yield* Effect.succeed(this.count)
        })
        readonly twice = Observe.fn("Counter.twice")(function*(this: Counter) {
          return yield* Effect.succeed(this.count * 2)
        })
      }
      const counter = new Counter()
      assert.strictEqual(yield* counter.add(2), 2)
      assert.strictEqual(yield* counter.twice(), 4)

      const plain = Observe.fn("plain")((a: number, b: string) => Effect.succeed(`${b}${a}`))
      assert.strictEqual(yield* plain(1, "x"), "x1")
      assert.strictEqual(plain.length, 2)

      const identity = Observe.fn("identity")(function*<A>(value: A) {
        return yield* Effect.succeed(value)
      })
      const kept: "literal" = yield* identity("literal" as const)
      assert.strictEqual(kept, "literal")

      const recovered = Observe.fn("recovered")(
        function*(item: string) {
          return yield* Effect.fail(item)
        },
        (effect, item) => Effect.catch(effect, (error) => Effect.succeed(`${error}-${item}`))
      )
      assert.strictEqual(yield* recovered("a"), "a-a")
      const counted = yield* valuesOf("method_total")
      assert.strictEqual(counted["recovered success"], 1, "what a transformation recovers is a success")
      const length = Observe.fn("length")(function*(text: string) {
        return yield* Effect.succeed(text)
      }, (_effect, text) => text.length)
      const measured: number = length("four")
      assert.strictEqual(measured, 4, "a transformation may leave Effect, as with Effect.fn")
    })))

  it("has the type of Effect.fn", () => {
    const asTheirs: (name: string, options?: EffectTracer.SpanOptionsNoTrace) => Effect.fn.Traced = Observe.fn
    const typed: (n: number) => Effect.Effect<number, OutOfStock> = Observe.fn("typed")(function*(n: number) {
      if (n > 1) return yield* new OutOfStock({ item: "n" })
      return n
    })
    assert.strictEqual(asTheirs, Observe.fn)
    assert.strictEqual(Effect.runSync(typed(1)), 1)
  })

  it.effect("needs no hub: without one the function runs as it is", () =>
    Effect.gen(function*() {
      const act = Observe.fn("act")(function*() {
        return yield* Effect.succeed(7)
      })
      assert.strictEqual(yield* act(), 7)
    }))
})
