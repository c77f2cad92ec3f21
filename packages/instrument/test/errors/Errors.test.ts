import { type ErrorData, ErrorPolicy, Memory, MemoryBackend, Telemetry } from "@effect-observability/core"
import { expectLedgerBalanced } from "@effect-observability/testkit"
import { Errors } from "@effect-observability/instrument"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Console, Data, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"

class Declined extends Data.TaggedError("Declined")<{ readonly message: string }> {}

const mute = Layer.succeed(Console.Console, { ...globalThis.console, log: () => {}, error: () => {} })
const memory = Layer.mergeAll(Memory.layer(), mute)
const errors = Effect.flatMap(MemoryBackend, (backend) => backend.errors)

describe("Errors", () => {
  it.effect("report gives the id, once for all boundaries", () =>
    Effect.gen(function*() {
      const error = new Declined({ message: "no funds" })
      const before = yield* Errors.idOf(error)
      const first = yield* Errors.report(error, { attributes: { order: "o-7", password: "hunter2secret" } })
      const second = yield* Errors.report(Cause.fail(error))
      const [one, ...more] = yield* errors
      assert.deepStrictEqual([before, first, second], [one!.errorId, one!.errorId, one!.errorId])
      assert.deepStrictEqual(more, [])
      assert.isTrue(one!.handled)
      assert.strictEqual(one!.attributes.get("order"), "o-7")
      assert.notInclude(JSON.stringify([...one!.attributes]), "hunter2secret")
      assert.isUndefined(yield* Errors.report(Cause.interrupt(1)))
      yield* expectLedgerBalanced
    }).pipe(Effect.provide(memory)))

  it.effect("works without a hub, and reports nothing", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* Errors.report(new Error("x")))
      assert.isUndefined(yield* Errors.idOf(new Error("x")))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Errors.reporting(Effect.fail("x")))))
    }))

  it.effect("a fiber in the background does not fail in silence, and is interrupted in silence", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Errors.forkDetach(Effect.fail(new Declined({ message: "detached" })))
      yield* Errors.forkScoped(Effect.die(new Error("scoped")), { attributes: { job: "sweep" } }).pipe(Scope.provide(scope))
      const child = yield* Errors.forkChild(Effect.fail(new Declined({ message: "child" })))
      const stopped = yield* Errors.forkChild(Effect.never)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(stopped)
      // Whoever joins it reports nothing new.
      yield* Effect.exit(Errors.reporting(Fiber.join(child)))
      yield* Scope.close(scope, Exit.void)
      yield* Effect.yieldNow
      const all = yield* errors
      assert.deepStrictEqual(all.map((one) => one.message).sort(), ["child", "detached", "scoped"])
      for (const one of all) assert.isFalse(one.handled)
      yield* expectLedgerBalanced
    }).pipe(Effect.provide(memory)))

  it.effect("a compensation runs after a failure, a defect and an interruption, and changes none of them", () =>
    Effect.gen(function*() {
      const undone: Array<readonly [string, string | undefined]> = []
      const undo = (what: string) => Errors.compensate(({ errorId }: Errors.Failed<unknown>) => Effect.sync(() => void undone.push([what, errorId])))
      yield* undo("success")(Effect.void)
      const failed = yield* Effect.exit(Errors.reporting(undo("failure")(Effect.fail(new Declined({ message: "f" })))))
      yield* Effect.exit(undo("defect")(Effect.die("d")))
      const fiber = yield* Effect.forkChild(undo("interruption")(Effect.never))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      const kept = yield* Effect.forkChild(Effect.never.pipe(Errors.compensate(() => Effect.sync(() => void undone.push(["kept", undefined])), { onInterrupt: false })))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(kept)
      assert.deepStrictEqual(undone.map(([what]) => what), ["failure", "defect", "interruption"])
      const [one] = yield* errors
      assert.strictEqual(undone[0]![1], one!.errorId)
      assert.isUndefined(undone[2]![1])
      assert.isTrue(Exit.isFailure(failed) && Cause.squash(failed.cause) instanceof Declined)
    }).pipe(Effect.provide(memory)))

  it.effect("a compensation that fails is reported with what it was for, and hides nothing", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.fail(new Declined({ message: "first" })).pipe(
        Errors.compensate(() => Effect.fail(new Error("cannot undo"))),
        Errors.reporting,
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(exit) && (Cause.squash(exit.cause) as Declined).message === "first")
      const [undo, first] = yield* errors
      assert.deepStrictEqual([undo!.message, first!.message], ["cannot undo", "first"])
      assert.strictEqual(undo!.attributes.get("error.compensates"), first!.errorId)
    }).pipe(Effect.provide(memory)))

  it.effect("a compensation that hangs is given up after its timeout", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(Effect.fail(new Declined({ message: "f" })).pipe(
        Errors.compensate(() => Effect.andThen(Deferred.succeed(started, undefined), Effect.never), { timeout: "5 seconds" }),
        Effect.exit
      ))
      yield* Deferred.await(started)
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
      assert.deepStrictEqual((yield* errors).map((one) => one.errorType), ["TimeoutError"])
    }).pipe(Effect.provide(memory)))

  it.effect("alerts are called, tried again, and counted when they fail for good", () => {
    const called: Array<ErrorData> = []
    let failing = 2
    const alerts = Errors.onAlert((error) =>
      Effect.suspend((): Effect.Effect<void, string> => failing-- > 0 ? Effect.fail("pager is away") : Effect.sync(() => void called.push(error))))
    return Effect.gen(function*() {
      yield* Errors.report(new Declined({ message: "not for the pager" }))
      const id = yield* Errors.report(Object.assign(new Error("ledger broken"), { name: "LedgerBroken" }))
      const flushed = yield* Effect.forkChild((yield* Telemetry).flush)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(flushed)
      assert.deepStrictEqual(called.map((one) => one.errorId), [id])
      failing = 3
      yield* Errors.report(Object.assign(new Error("again"), { name: "LedgerBroken" }))
      const again = yield* Effect.forkChild((yield* Telemetry).flush)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(again)
      const [component] = (yield* Telemetry).reports().filter((one) => one.name === "error-alerts")
      assert.deepStrictEqual(component!.signals[0]!.ledger.dropped, { retries_spent: 1 })
      assert.deepStrictEqual(component!.signals[0]!.ledger.rejected, { filtered: 1 })
      assert.strictEqual(component!.signals[0]!.ledger.exported, 1)
      yield* expectLedgerBalanced
    }).pipe(Effect.provide([alerts.pipe(Layer.provideMerge(Memory.layer())), mute, ErrorPolicy.layer({ classify: ErrorPolicy.byType({ LedgerBroken: { strategy: "alert" } }) })]))
  })
})
