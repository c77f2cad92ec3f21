import { assert, describe, it } from "@effect/vitest"
import { Console, Data, Effect, Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import { type ErrorData, ErrorPolicy, type ErrorVerdict, Memory, MemoryBackend, Telemetry } from "../../src/index.ts"

class Declined extends Data.TaggedError("Declined")<{ readonly message: string }> {}
class SqlError extends Data.TaggedError("SqlError")<{ readonly message: string }> {}

const mute = Layer.succeed(Console.Console, { ...globalThis.console, log: () => {}, error: () => {} })
const reported = (effect: Effect.Effect<unknown, unknown>) => Effect.exit(Effect.withErrorReporting(effect))
const errors = Effect.flatMap(MemoryBackend, (memory) => memory.errors)
const count = (labels?: Readonly<Record<string, string>>) => Effect.flatMap(MemoryBackend, (memory) => memory.getCounterValue("errors_total", labels))
const memory = Layer.mergeAll(Memory.layer(), mute)

describe("the policy for errors", () => {
  it.effect("has a sound default", () =>
    Effect.gen(function*() {
      yield* reported(Effect.fail(new Declined({ message: "d" })))
      yield* reported(Effect.fail(new SqlError({ message: "s" })))
      yield* reported(Effect.fail(new Error("untyped")))
      yield* reported(Effect.fail("text"))
      yield* reported(Effect.die(new Declined({ message: "a defect is a bug whatever its type" })))
      assert.deepStrictEqual((yield* errors).map((one) => [one.errorType, one.kind, one.errorClass, one.level]), [
        ["Declined", "failure", "business", "warn"],
        ["SqlError", "failure", "system", "error"],
        ["Error", "failure", "system", "error"],
        ["string", "failure", "system", "error"],
        ["Declined", "defect", "system", "error"]
      ])
      assert.strictEqual(yield* count({ class: "system", level: "error", error_type: "Declined" }), 1)
      assert.strictEqual(yield* count(), 5)
    }).pipe(Effect.provide(memory)))

  it.effect("ignores, counts, reports and alerts as it is told", () =>
    Effect.gen(function*() {
      const fail = (name: string) => reported(Effect.fail(Object.assign(new Error(name), { name })))
      for (const name of ["Ignored", "Counted", "Reported", "Alerted", "Fatal"]) yield* fail(name)
      const all = yield* errors
      assert.deepStrictEqual(all.map((one) => [one.errorType, one.alert, one.level]), [
        ["Reported", undefined, "warn"], ["Alerted", true, "warn"], ["Fatal", true, "fatal"]
      ])
      assert.strictEqual(yield* count(), 4)
      assert.strictEqual(yield* count({ error_type: "Ignored" }), 0)
    }).pipe(Effect.provide([
      memory,
      ErrorPolicy.layer({
        classify: ErrorPolicy.byType({
          Ignored: { strategy: "ignore" }, Counted: { strategy: "count" }, Alerted: { strategy: "alert" }, Fatal: { level: "fatal" }
        })
      })
    ])))

  it.effect("the first classifier that says something counts; one that throws or talks nonsense says nothing", () =>
    Effect.gen(function*() {
      yield* reported(Effect.fail(new Declined({ message: "d" })))
      const [one] = yield* errors
      assert.deepStrictEqual([one!.errorClass, one!.level], ["system", "debug"])
    }).pipe(Effect.provide([
      memory,
      ErrorPolicy.layer({
        classify: [
          () => { throw new Error("classifier") },
          () => ({ errorClass: "system" }),
          () => ({ errorClass: "business", level: "debug" }),
          () => ({ level: "loud", strategy: "shout", status: 1e9 } as unknown as ErrorVerdict)
        ]
      })
    ])))

  it.effect("a fingerprint of the program's own joins and parts groups", () =>
    Effect.gen(function*() {
      for (const message of ["a 1", "a 2", "b 1"]) yield* reported(Effect.fail(new Declined({ message })))
      const prints = (yield* errors).map((one) => one.fingerprint)
      assert.strictEqual(prints[0], prints[1])
      assert.notStrictEqual(prints[0], prints[2])
    }).pipe(Effect.provide([memory, ErrorPolicy.layer({ classify: ({ error }) => ({ fingerprint: (error as Error).message[0] }) })])))

  it.effect("too many of one fingerprint are held back, counted and told later; none is forgotten", () =>
    Effect.gen(function*() {
      const fail = reported(Effect.suspend(() => Effect.fail(new Declined({ message: "again" }))))
      for (let i = 0; i < 10; i++) yield* fail
      yield* reported(Effect.fail(new SqlError({ message: "another" })))
      const stands = (all: ReadonlyArray<ErrorData>) => all.reduce((sum, one) => sum + 1 + (one.repeats ?? 0), 0)
      assert.deepStrictEqual((yield* errors).map((one) => one.errorType), ["Declined", "Declined", "Declined", "SqlError"])
      assert.strictEqual(yield* count(), 11)
      assert.strictEqual(yield* (yield* MemoryBackend).getCounterValue("obs_error_repeats_total"), 7)
      yield* TestClock.adjust("10 seconds")
      // The next of it says how many there were.
      yield* fail
      assert.strictEqual((yield* errors).at(-1)!.repeats, 7)
      for (let i = 0; i < 5; i++) yield* fail
      // And without a next one the housekeeping does.
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual((yield* errors).at(-1)!.repeats, 2)
      assert.strictEqual(stands(yield* errors), 17)
    }).pipe(Effect.provide([memory, ErrorPolicy.layer({ maxRepeats: 3, window: "10 seconds", log: false })])))

  it.effect("what is held back when a backend leaves is told before", () =>
    Effect.gen(function*() {
      const seen: Array<ErrorData> = []
      const telemetry = yield* Telemetry
      yield* Effect.scoped(Effect.gen(function*() {
        yield* telemetry.register({ name: "one", kind: "test", onError: (one) => void seen.push(one), report: () => ({ name: "one", kind: "test", status: "up", reason: undefined, signals: [] }) })
        for (let i = 0; i < 4; i++) yield* reported(Effect.suspend(() => Effect.fail(new Declined({ message: "again" }))))
      }))
      assert.deepStrictEqual(seen.map((one) => one.repeats), [undefined, 2])
    }).pipe(Effect.provide([Telemetry.layer, mute, ErrorPolicy.layer({ maxRepeats: 1, log: false })])))

  it.effect("an error makes one line with its id, at its level, without secrets", () => {
    const lines: Array<{ readonly level: string; readonly id: unknown; readonly text: string }> = []
    const mine = Logger.make(({ cause, fiber, logLevel, message }) => {
      lines.push({ level: logLevel, id: fiber.getRef(References.CurrentLogAnnotations)["error_id"], text: `${String(message)} ${String(cause)}` })
    })
    return Effect.gen(function*() {
      yield* reported(Effect.fail(new SqlError({ message: "password=hunter2secret refused" })))
      yield* reported(Effect.fail(new Declined({ message: "d" }))).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
      const [error] = yield* errors
      assert.strictEqual(lines.length, 1)
      assert.deepStrictEqual([lines[0]!.level, lines[0]!.id], ["Error", error!.errorId])
      assert.include(lines[0]!.text, "SqlError")
      assert.notInclude(lines[0]!.text, "hunter2secret")
      assert.strictEqual((yield* (yield* MemoryBackend).logs)[0]!.errorId, error!.errorId)
      assert.isFalse((yield* (yield* MemoryBackend).logs)[0]!.attributes.has("error_id"))
    }).pipe(Effect.provide(Memory.layer()), Effect.provide(Logger.layer([mine])))
  })

  it.effect("holds for the part of the program it was given to", () =>
    Effect.gen(function*() {
      const fail = reported(Effect.suspend(() => Effect.fail(new Declined({ message: "d" }))))
      yield* Effect.provide(fail, ErrorPolicy.layer({ classify: () => ({ strategy: "ignore" }) }))
      assert.strictEqual((yield* errors).length, 0)
      yield* fail
      assert.strictEqual((yield* errors).length, 1)
    }).pipe(Effect.provide(memory)))
})
