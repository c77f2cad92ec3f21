import { Observe } from "@effect-observability/instrument"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { observedValues, recorded, spansOf, valuesOf } from "../support/recorded.ts"

class Orders extends Context.Service<Orders, {
  readonly place: (id: string) => Effect.Effect<string, Error>
  readonly all: Effect.Effect<ReadonlyArray<string>>
  readonly changes: Stream.Stream<number>
  readonly watch: (upTo: number) => Stream.Stream<number, string>
  readonly keep: <A>(value: A) => Effect.Effect<A>
  readonly limit: number
  readonly describe: (id: string) => string
}>()("shop/Orders") {}

const live = Orders.of({
  place: (id) => id === "" ? Effect.fail(new Error("no id")) : Effect.as(Effect.sleep("10 millis"), `placed ${id}`),
  all: Effect.succeed(["a"]),
  changes: Stream.make(1, 2),
  watch: (upTo) => upTo < 0 ? Stream.fail("negative") : Stream.range(1, upTo).pipe(Stream.tap(() => Effect.sleep("1 second"))),
  keep: (value) => Effect.succeed(value),
  limit: 3,
  describe: (id) => `order ${id}`
})

class Other extends Context.Service<Other, { readonly name: string }>()("shop/Other") {}

describe("Observe.service", () => {
  it.effect("a layer's service: its methods, Effects and Streams are observed, the rest stays as it is", () => {
    const layer = Layer.mergeAll(Layer.succeed(Orders, live), Layer.succeed(Other, { name: "other" })).pipe(Observe.service(Orders))
    return recorded(
      Effect.gen(function*() {
        const orders = yield* Orders
        const placed = yield* Effect.forkChild(orders.place("1"), { startImmediately: true })
        yield* TestClock.adjust("10 millis")
        assert.strictEqual(yield* Fiber.join(placed), "placed 1")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(orders.place(""))))
        assert.deepStrictEqual(yield* orders.all, ["a"])
        const kept: "x" = yield* orders.keep("x" as const)
        assert.deepStrictEqual([kept, orders.limit, orders.describe("1"), (yield* Other).name], ["x", 3, "order 1", "other"])
        assert.deepStrictEqual(yield* valuesOf("method_total"), {
          "Orders.place success": 1,
          "Orders.place failure Error": 1,
          "Orders.all success": 1,
          "Orders.keep success": 1
        })
        assert.deepStrictEqual((yield* spansOf).map(({ name }) => name), ["Orders.place", "Orders.place", "Orders.all", "Orders.keep"])
      }).pipe(Effect.provide(layer))
    )
  })

  it.effect("a stream is measured from its start to its end, whoever ends it", () =>
    recorded(Effect.gen(function*() {
      const orders = Observe.service(live, { name: "Orders" })
      const three = yield* Effect.forkChild(Stream.runCollect(orders.watch(3)), { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* Fiber.join(three), [1, 2, 3])
      assert.deepStrictEqual(yield* observedValues("method_duration_seconds", { method: "Orders.watch" }), [3])
      const first = yield* Effect.forkChild(Stream.runCollect(Stream.take(orders.watch(100), 1)), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(first), [1])
      assert.deepStrictEqual(yield* observedValues("method_duration_seconds", { method: "Orders.watch" }), [3, 1])
      yield* Effect.exit(Stream.runDrain(orders.watch(-1)))
      const endless = yield* Effect.forkChild(Stream.runDrain(orders.watch(1_000)), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(endless)
      yield* Stream.runDrain(orders.changes)
      assert.deepStrictEqual(yield* valuesOf("method_total"), {
        "Orders.watch success": 2,
        "Orders.watch failure string": 1,
        "Orders.watch interrupted": 1,
        "Orders.changes success": 1
      })
      assert.strictEqual((yield* spansOf).filter(({ name }) => name === "Orders.watch").length, 4)
    })))

  it.effect("an instance of a class: private fields, inheritance, getters, statics and symbols work", () =>
    recorded(Effect.gen(function*() {
      class Base {
        inherited(): Effect.Effect<string> {
          return Effect.succeed("base")
        }
        ping() {
          return "pong"
        }
      }
      class Repository extends Base {
        #rows = new Map<string, number>()
        reads = 0
        closed = false
        save(id: string, value: number): Effect.Effect<void> {
          return Effect.sync(() => void this.#rows.set(id, value))
        }
        find(id: string): Effect.Effect<number | undefined> {
          this.reads++
          return Effect.sync(() => this.#rows.get(id))
        }
        get size(): Effect.Effect<number> {
          return Effect.sync(() => this.#rows.size)
        }
        override inherited() {
          return Effect.map(super.inherited(), (text) => `${text}, derived`)
        }
        [Symbol.iterator]() {
          return this.#rows.keys()
        }
        promised() {
          return Promise.resolve(1)
        }
      }
      const plain = new Repository()
      const observed: Repository = Observe.service(plain, { except: ["save"] })
      assert.isTrue(observed instanceof Repository)
      yield* observed.save("a", 1)
      assert.strictEqual(yield* observed.find("a"), 1)
      assert.strictEqual(yield* observed.size, 1)
      assert.strictEqual(yield* observed.inherited(), "base, derived")
      assert.deepStrictEqual([...observed], ["a"])
      assert.strictEqual(observed.ping(), "pong")
      assert.strictEqual(yield* Effect.promise(() => observed.promised()), 1)
      observed.closed = true
      assert.deepStrictEqual([plain.closed, plain.reads, observed.reads], [true, 1, 1])
      const { find } = observed
      assert.strictEqual(yield* find("a"), 1, "a method taken off the object still knows its object")
      assert.deepStrictEqual(yield* valuesOf("method_total"), {
        "Repository.find success": 2,
        "Repository.size success": 1,
        "Repository.inherited success": 1
      })
    })))

  it.effect("a frozen record, classes, tags and configs among the members, a method that throws", () =>
    recorded(Effect.gen(function*() {
      class Row {
        readonly id = 1
      }
      const record = Object.freeze({
        Row,
        Orders,
        port: Config.Int("PORT"),
        helper: Object.assign((n: number) => Effect.succeed(n), { unit: "ms" }),
        broken: (): Effect.Effect<number> => {
          throw new Error("not an Effect")
        },
        nothing: undefined as undefined | (() => Effect.Effect<void>),
        hidden: null
      })
      const observed = Observe.service(record, { name: "Record", attributes: (method, args) => ({ method, first: args[0] }) })
      assert.strictEqual(observed.Row, Row)
      assert.strictEqual(new observed.Row().id, 1)
      assert.strictEqual(observed.Orders, Orders)
      assert.strictEqual(observed.port, record.port)
      assert.strictEqual(observed.helper.unit, "ms")
      assert.strictEqual(yield* observed.helper(4), 4)
      assert.throws(() => observed.broken(), "not an Effect")
      assert.deepStrictEqual([observed.nothing, observed.hidden], [undefined, null])
      assert.deepStrictEqual(Object.keys(observed), Object.keys(record))
      assert.deepStrictEqual((yield* spansOf).map(({ attributes }) => [attributes.get("method"), attributes.get("first")]), [["helper", 4]])
    })))

  it.effect("every kind of plain Effect is observed, and none that is more", () =>
    recorded(Effect.gen(function*() {
      const plain = {
        succeed: Effect.succeed(1),
        void: Effect.void,
        sync: Effect.sync(() => 1),
        suspend: Effect.suspend(() => Effect.void),
        gen: Effect.gen(function*() {
          yield* Effect.void
        }),
        callback: Effect.callback<void>((resume) => resume(Effect.void)),
        map: Effect.map(Effect.void, () => 1),
        flatMap: Effect.flatMap(Effect.void, () => Effect.void),
        catchCause: Effect.catchCause(Effect.void, () => Effect.void),
        matchCause: Effect.matchCauseEffect(Effect.void, { onFailure: () => Effect.void, onSuccess: () => Effect.void }),
        onExit: Effect.onExit(Effect.void, () => Effect.void),
        withFiber: Effect.withFiber(() => Effect.void),
        yieldNow: Effect.yieldNow,
        forEach: Effect.forEach([1], () => Effect.void),
        all: Effect.all([Effect.void, Effect.void], { concurrency: 2 }),
        promise: Effect.promise(() => Promise.resolve()),
        provided: Effect.provideService(Effect.void, Other, { name: "" }),
        spanned: Effect.withSpan(Effect.void, "span")
      }
      const observed: Record<string, Effect.Effect<unknown>> = Observe.service(plain, { name: "P" })
      for (const key of Object.keys(plain)) yield* observed[key]!
      assert.deepStrictEqual(yield* valuesOf("method_total"), Object.fromEntries(Object.keys(plain).map((key) => [`P.${key} success`, 1])))
      const more = { tag: Other, config: Config.String("X"), class: new (class extends Effectable.Class<number> {
        readonly extra = 1
        asEffect() {
          return Effect.succeed(1)
        }
      })() }
      const left = Observe.service(more, { name: "M" })
      assert.deepStrictEqual([left.tag === more.tag, left.config === more.config, left.class === more.class], [true, true, true])
    })))

  it.effect("attributes that throw cost the attributes, not the call", () =>
    recorded(Effect.gen(function*() {
      const observed = Observe.service({ run: () => Effect.succeed(1), stream: () => Stream.make(1) }, {
        name: "S",
        attributes: () => {
          throw new Error("attributes")
        }
      })
      assert.strictEqual(yield* observed.run(), 1)
      assert.deepStrictEqual(yield* Stream.runCollect(observed.stream()), [1])
    })))

  it("a layer that does not provide the tag is a type error", () => {
    // @ts-expect-error shop/Orders is not among what this layer provides
    Layer.succeed(Other, { name: "" }).pipe(Observe.service(Orders))
  })
})
