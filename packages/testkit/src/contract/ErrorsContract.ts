import type { ErrorData } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { equal, type Law, LawBroken } from "./Law.ts"

/** What every backend keeps of an error. */
export type KeptError = Pick<ErrorData, "errorId" | "kind" | "level" | "errorType" | "message" | "fingerprint" | "traceId" | "spanId" | "requestId"> & {
  /** As far as the backend keeps them; numbers and booleans may have become text. */
  readonly attributes: ReadonlyMap<string, unknown>
}

/** How a backend is asked for the errors it holds. */
export class ErrorsProbe extends Context.Service<ErrorsProbe, {
  /** All errors whose message holds this text. */
  readonly withText: (text: string) => Effect.Effect<ReadonlyArray<KeptError>>
  readonly settle: Effect.Effect<void>
}>()("@effect-observability/testkit/ErrorsProbe") {}

type Steps = Generator<Effect.Effect<any, LawBroken>, void, any>
type Probe = ErrorsProbe["Service"]

const law = (name: string, check: (probe: Probe) => Steps): Law<ErrorsProbe> => ({
  name,
  check: Effect.gen(function*() {
    yield* check(yield* ErrorsProbe)
  })
})

/** Runs an effect as a request's edge does, and gives what the backend holds of it. */
const reported = (probe: Probe, text: string, effect: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function*() {
    // The terminal is no place for what the laws break.
    yield* effect.pipe(Effect.withErrorReporting, Effect.exit, Effect.updateService(Console.Console, muted))
    yield* probe.settle
    return yield* probe.withText(text)
  })

const muted = (outer: Console.Console): Console.Console => ({ ...outer, log: () => {}, error: () => {} })

const only = (all: ReadonlyArray<KeptError>): Effect.Effect<KeptError, LawBroken> =>
  all.length === 1 ? Effect.succeed(all[0]!) : Effect.fail(new LawBroken({ message: `expected one error, got ${all.length}: [${all.map((one) => one.message).join(", ")}]` }))

class LawError extends Data.TaggedError("LawError")<{ readonly message: string }> {}
class SevereError extends Data.TaggedError("SevereError")<{ readonly message: string }> {
  override readonly [ErrorReporter.severity] = "Fatal" as const
  override readonly [ErrorReporter.attributes] = { order: "o-7" }
}

/** What holds for errors in every backend. */
export const laws: ReadonlyArray<Law<ErrorsProbe>> = [
  law("an expected failure keeps its type and its message", function*(probe) {
    const one = yield* only(yield* reported(probe, "law-errors-1", Effect.fail(new LawError({ message: "law-errors-1 declined" }))))
    yield* equal("kind, type, message", [one.kind, one.errorType, one.message], ["failure", "LawError", "law-errors-1 declined"])
    yield* equal("an id of 32 hex digits", /^[0-9a-f]{32}$/.test(one.errorId), true)
    yield* equal("a fingerprint", one.fingerprint.length > 0, true)
  }),
  law("a defect is told from a failure", function*(probe) {
    const one = yield* only(yield* reported(probe, "law-errors-2", Effect.die(new TypeError("law-errors-2 is not a function"))))
    yield* equal("kind, type, level", [one.kind, one.errorType, one.level], ["defect", "TypeError", "error"])
  }),
  law("an interruption is no error", function*(probe) {
    const stopped = Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.withErrorReporting(Effect.andThen(Effect.yieldNow, Effect.never)))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
    })
    yield* equal("errors", yield* reported(probe, "interrupt", stopped), [])
    yield* equal("errors", yield* reported(probe, "law-errors-3", Effect.failCause(Cause.interrupt(1))), [])
  }),
  law("a defect in a nested fiber is reported once, whatever it crosses", function*(probe) {
    const nested = Effect.die(new Error("law-errors-4")).pipe(
      Effect.withErrorReporting,
      Effect.withSpan("innermost"),
      Effect.forkChild,
      Effect.flatMap(Fiber.join),
      Effect.withErrorReporting,
      Effect.withSpan("inner")
    )
    const both = Effect.all([nested, Effect.never], { concurrency: 2 }).pipe(Effect.withErrorReporting, Effect.withSpan("outer"))
    yield* only(yield* reported(probe, "law-errors-4", both))
  }),
  law("the same mistake made twice is two errors of one fingerprint", function*(probe) {
    const mistake = (order: number) => Effect.withSpan(Effect.fail(new LawError({ message: `law-errors-5 order ${order}` })), "mistake")
    const all = yield* reported(probe, "law-errors-5", Effect.forEach([1, 2], (order) => Effect.exit(Effect.withErrorReporting(mistake(order)))))
    yield* equal("errors", all.length, 2)
    yield* equal("ids, fingerprints", [new Set(all.map((one) => one.errorId)).size, new Set(all.map((one) => one.fingerprint)).size], [2, 1])
  }),
  law("an error belongs to the span it happened in", function*(probe) {
    let ids: ReadonlyArray<string | undefined> = []
    const fails = Effect.flatMap(Effect.orDie(Effect.currentSpan), (span) => {
      ids = [span.traceId, span.spanId]
      return Effect.fail(new LawError({ message: "law-errors-6" }))
    })
    const one = yield* only(yield* reported(probe, "law-errors-6", Effect.withSpan(Effect.withErrorReporting(fails), "failing", { root: true })))
    yield* equal("trace and span", [one.traceId, one.spanId], ids)
  }),
  law("level and attributes are those the error asks for", function*(probe) {
    const one = yield* only(yield* reported(probe, "law-errors-7", Effect.fail(new SevereError({ message: "law-errors-7" }))))
    yield* equal("level", one.level, "fatal")
    yield* equal("attribute", one.attributes.get("order"), "o-7")
  }),
  law("secrets never reach a backend with an error", function*(probe) {
    const one = yield* only(yield* reported(probe, "law-errors-8", Effect.fail(new LawError({ message: "law-errors-8 password=hunter2secret" }))))
    yield* equal("no secret", one.message.includes("hunter2secret"), false)
  }),
  law("text that databases refuse costs no error", function*(probe) {
    const text = "law-errors-9 nul \u0000 half \ud800 end"
    const one = yield* only(yield* reported(probe, "law-errors-9", Effect.fail(new LawError({ message: text }))))
    yield* equal("type", one.errorType, "LawError")
  }),
  law("what is no error object is reported too", function*(probe) {
    const one = yield* only(yield* reported(probe, "law-errors-10", Effect.fail("law-errors-10 as text")))
    yield* equal("message", one.message, "law-errors-10 as text")
  }),
  law("100 errors of concurrent fibers all arrive, once", function*(probe) {
    const gate = Deferred.makeUnsafe<void>()
    const fail = (n: number) => Effect.andThen(Deferred.await(gate), Effect.fail(new LawError({ message: `law-errors-11 ${n}` }))).pipe(Effect.withErrorReporting, Effect.exit)
    const all = Effect.gen(function*() {
      const fibers = yield* Effect.forEach(Array.from({ length: 100 }, (_, i) => i), (i) => Effect.forkChild(fail(i)))
      yield* Deferred.done(gate, Exit.void)
      yield* Effect.forEach(fibers, Fiber.join)
    })
    const found = yield* reported(probe, "law-errors-11", all)
    yield* equal("errors, ids", [found.length, new Set(found.map((one) => one.errorId)).size], [100, 100])
  })
]
