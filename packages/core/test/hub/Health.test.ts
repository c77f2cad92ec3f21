import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type ComponentReport, Health, type HealthAnswer, Memory, Telemetry } from "../../src/index.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { message: Schema.String }) {}

const backend = (report: Partial<ComponentReport>) =>
  Layer.effectDiscard(Effect.flatMap(Telemetry, (telemetry) =>
    telemetry.register({ name: "store", kind: "test", report: () => ({ name: "store", kind: "test", status: "up", reason: undefined, signals: [], ...report }) }))).pipe(
      Layer.provideMerge(Telemetry.layer)
    )

const books = { offered: 1, accepted: 1, exported: 0, unconfirmed: 0, queued: 1, spooled: 0, inFlight: 0, rejected: {}, dropped: {} }
const signal = { signal: "spans" as const, ledger: books, queuedItems: 1, queuedBytes: 10, oldestAgeMillis: 0, lastError: undefined }

const of = (report: { readonly components: ReadonlyArray<{ readonly name: string; readonly status: string; readonly reason: string | undefined }> }, name: string) =>
  report.components.find((one) => one.name === name)

describe("health", () => {
  it.effect("is up without backends and checks", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* (yield* Health).check, { status: "up", live: true, ready: true, groups: {}, components: [] })
    }).pipe(Effect.provide(Telemetry.layer)))

  it.effect("a failing check keeps traffic away and says why, without secrets", () =>
    Effect.gen(function*() {
      const health = yield* Health
      yield* health.register({ name: "database", group: "data" }, Effect.fail(new Refused({ message: "cannot reach postgresql://app:hunter2hunter2@db/x" })))
      const report = yield* health.check
      assert.deepStrictEqual([report.status, report.live, report.ready], ["down", true, false])
      assert.include(of(report, "database")!.reason, "cannot reach")
      assert.notInclude(JSON.stringify(report), "hunter2")
      assert.deepStrictEqual(report.groups, { data: { status: "down", ready: false } })
    }).pipe(Effect.scoped, Effect.provide(Telemetry.layer)))

  it.effect("degraded is not down; what a check is for decides what its failure means", () =>
    Effect.gen(function*() {
      const health = yield* Health
      const answer = (status: HealthAnswer["status"]) => Effect.succeed({ status, reason: "because" } as HealthAnswer)
      yield* health.register({ name: "cache" }, answer("degraded"))
      yield* health.register({ name: "mail", for: "report" }, answer("down"))
      const fine = yield* health.check
      assert.deepStrictEqual([fine.status, fine.live, fine.ready, fine.groups["app"]], ["down", true, true, { status: "down", ready: true }])
      yield* health.register({ name: "loop", for: "liveness", group: "process" }, answer("down"))
      assert.deepStrictEqual((yield* health.check).live, false)
    }).pipe(Effect.scoped, Effect.provide(Telemetry.layer)))

  for (const [how, hung] of [["hangs", Effect.never], ["hangs and cannot be interrupted", Effect.uninterruptible(Effect.never)]] as const) {
    it.effect(`a check that ${how} does not hang the probe, and runs once at a time`, () =>
      Effect.gen(function*() {
        const health = yield* Health
        let runs = 0
        yield* health.register({ name: "slow", timeout: "1 second", cacheFor: "10 seconds" }, Effect.andThen(Effect.sync(() => void runs++), hung))
        const probes = yield* Effect.forkChild(Effect.all(Array.from({ length: 20 }, () => health.check), { concurrency: "unbounded" }))
        yield* TestClock.adjust("1 second")
        const reports = yield* Fiber.join(probes)
        assert.isTrue(reports.every((report) => of(report, "slow")!.reason === "no answer within 1000 ms"))
        assert.strictEqual(runs, 1)
        // Cached: at once, without time passing.
        assert.isFalse((yield* health.check).ready)
        yield* TestClock.adjust("11 seconds")
        const again = yield* Effect.forkChild(health.check)
        yield* TestClock.adjust("1 second")
        assert.isFalse((yield* Fiber.join(again)).ready)
        assert.isAtMost(runs, 2)
      }).pipe(Effect.scoped, Effect.provide(Telemetry.layer)))
  }

  it.effect("a synchronous throw, a rejection and an odd error are answers", () =>
    Effect.gen(function*() {
      const health = yield* Health
      yield* health.register({ name: "throws" }, Effect.sync(() => {
        throw new TypeError("no such thing")
      }))
      yield* health.register({ name: "dies" }, Effect.die({ toString: () => {
        throw new Error("no text")
      } }))
      yield* health.register({ name: "interrupts" }, Effect.interrupt)
      const report = yield* health.check
      assert.deepStrictEqual(report.components.map(({ status }) => status), ["down", "down", "down"])
      assert.strictEqual(of(report, "throws")!.reason, "no such thing")
    }).pipe(Effect.scoped, Effect.provide(Telemetry.layer)))

  it.effect("answers are kept for their time, recovery is seen after it, and the last error stays", () =>
    Effect.gen(function*() {
      const health = yield* Health
      let broken = true
      let asked = 0
      yield* health.register({ name: "queue", cacheFor: "5 seconds" }, Effect.suspend(() => {
        asked++
        return broken ? Effect.fail("full") : Effect.void
      }))
      assert.isFalse((yield* health.check).ready)
      broken = false
      yield* TestClock.adjust("4 seconds")
      assert.isFalse((yield* health.check).ready)
      assert.strictEqual(asked, 1)
      yield* TestClock.adjust("1 second")
      const report = yield* health.check
      assert.isTrue(report.ready)
      assert.deepStrictEqual(report.components[0]!.lastError, { message: "full", at: 0 })
    }).pipe(Effect.scoped, Effect.provide(Telemetry.layer)))

  it.effect("a check leaves with its scope, names are unique, and options are checked", () =>
    Effect.gen(function*() {
      const health = yield* Health
      yield* Effect.scoped(Effect.gen(function*() {
        yield* health.register({ name: "one" }, Effect.void)
        assert.strictEqual((yield* Effect.flip(Effect.scoped(health.register({ name: "one" }, Effect.void))))._tag, "CompositionError")
        assert.strictEqual((yield* Effect.flip(Effect.scoped(health.register({ name: "memory" }, Effect.void))))._tag, "CompositionError")
      }))
      assert.strictEqual((yield* health.check).components.length, 1)
      const wrong = yield* Effect.flip(Effect.scoped(health.register({ name: "", group: "backends", timeout: "2 hours", cacheFor: -1 }, Effect.void)))
      for (const path of ["name", "group", "timeout"]) assert.include(wrong.message, path)
    }).pipe(Effect.provide(Memory.layer())))

  it.effect("books that do not balance and a queue that waits are told though the backend says it is up", () =>
    Effect.gen(function*() {
      const late = yield* Effect.flatMap(Health, (one) => one.check).pipe(Effect.provide(backend({ signals: [{ ...signal, oldestAgeMillis: 61_000 }] })))
      assert.deepStrictEqual([of(late, "store")!.status, late.ready], ["degraded", true])
      assert.include(of(late, "store")!.reason, "61 s")
      const wrong = yield* Effect.flatMap(Health, (one) => one.check).pipe(Effect.provide(backend({ signals: [{ ...signal, ledger: { ...books, offered: 2 } }] })))
      assert.deepStrictEqual([of(wrong, "ledger")!.status, of(wrong, "ledger")!.reason, wrong.groups["toolkit"]], [
        "degraded", "store spans: offered 2 ≠ rejected 0 + accepted 1", { status: "degraded", ready: true }
      ])
    }))

  it.effect("settings that could not be used leave the program degraded until others are in force", () =>
    Effect.gen(function*() {
      const health = yield* Health
      const telemetry = yield* Telemetry
      yield* telemetry.reloadFailed("postgres.connection cannot be used: postgresql://app:hunter2hunter2@db/x")
      const report = yield* health.check
      assert.deepStrictEqual([report.status, report.ready, report.groups["config"]], ["degraded", true, { status: "degraded", ready: true }])
      assert.include(of(report, "configuration")!.reason, "not in force")
      assert.notInclude(JSON.stringify(report), "hunter2")
      yield* telemetry.reload(telemetry.settings())
      assert.deepStrictEqual((yield* health.check).components, [])
    }).pipe(Effect.provide(Telemetry.layer)))

  it.effect("what a check still does ends with its registration, and with the hub, which does not wait for it", () =>
    Effect.gen(function*() {
      let ended = 0
      const slow = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void ended++))
      const hub = yield* Scope.make()
      const health = Context.get(yield* Layer.buildWithScope(Telemetry.layer, hub), Health)
      const first = yield* Scope.make()
      yield* Scope.provide(health.register({ name: "first", timeout: "1 minute" }, slow), first)
      yield* Effect.forkChild(health.check, { startImmediately: true })
      yield* TestClock.adjust("1 millis")
      yield* Scope.close(first, Exit.void)
      yield* Effect.yieldNow
      assert.strictEqual(ended, 1)
      // Registered in a scope that outlives the hub.
      const second = yield* Scope.make()
      yield* Scope.provide(health.register({ name: "second", timeout: "1 minute" }, slow), second)
      yield* Scope.provide(health.register({ name: "stubborn", timeout: "1 minute" }, Effect.uninterruptible(Effect.never)), second)
      yield* Effect.forkChild(health.check, { startImmediately: true })
      yield* TestClock.adjust("1 millis")
      yield* Scope.close(hub, Exit.void)
      yield* Effect.yieldNow
      assert.strictEqual(ended, 2)
      assert.deepStrictEqual((yield* health.check).components.map(({ reason }) => reason), ["its owner has closed", "its owner has closed"])
      assert.strictEqual(ended, 2)
    }))

  it.effect("as a Layer, with what the check needs; a value that is no answer means up", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<number>()
      yield* Deferred.succeed(gate, 42)
      const report = yield* Effect.flatMap(Health, (one) => one.check).pipe(
        Effect.provide(Health.layerCheck({ name: "gate" }, Deferred.await(gate)).pipe(Layer.provideMerge(Telemetry.layer)))
      )
      assert.strictEqual(of(report, "gate")!.status, "up")
    }))
})
