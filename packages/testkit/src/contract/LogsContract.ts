import type { LogData } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { equal, type Law, LawBroken } from "./Law.ts"

/** What every backend keeps of a log line. */
export type KeptLog = Pick<LogData, "time" | "level" | "message" | "traceId" | "spanId"> & {
  readonly attributes: ReadonlyMap<string, unknown>
}

/** How a backend is asked for the log lines it holds. */
export class LogsProbe extends Context.Service<LogsProbe, {
  /** All lines whose message holds this text, in the order in which they were logged. */
  readonly withText: (text: string) => Effect.Effect<ReadonlyArray<KeptLog>>
  readonly settle: Effect.Effect<void>
}>()("@effect-observability/testkit/LogsProbe") {}

type Steps = Generator<Effect.Effect<any, LawBroken>, void, any>
type Probe = LogsProbe["Service"]

const law = (name: string, check: (probe: Probe) => Steps): Law<LogsProbe> => ({
  name,
  check: Effect.gen(function*() {
    yield* check(yield* LogsProbe)
  })
})

const logged = (probe: Probe, text: string, effect: Effect.Effect<unknown>) =>
  Effect.gen(function*() {
    // The terminal is no place for what the laws log.
    yield* Effect.updateService(effect, Console.Console, muted)
    yield* probe.settle
    return yield* probe.withText(text)
  })

const muted = (outer: Console.Console): Console.Console => ({ ...outer, log: () => {}, error: () => {} })

const only = (all: ReadonlyArray<KeptLog>): Effect.Effect<KeptLog, LawBroken> =>
  all.length === 1 ? Effect.succeed(all[0]!) : Effect.fail(new LawBroken({ message: `expected one line, got ${all.length}: [${all.map((one) => one.message).join(", ")}]` }))

/** What holds for log lines in every backend. */
export const laws: ReadonlyArray<Law<LogsProbe>> = [
  law("a line keeps its message, level and annotations", function*(probe) {
    const one = yield* only(yield* logged(probe, "law-logs-1", Effect.logWarning("law-logs-1 stock is low").pipe(Effect.annotateLogs({ item: "apple", left: 3 }))))
    yield* equal("message, level", [one.message, one.level], ["law-logs-1 stock is low", "warn"])
    yield* equal("annotations", [one.attributes.get("item"), one.attributes.get("left")], ["apple", 3])
  }),
  law("every level is kept", function*(probe) {
    const lines = yield* logged(probe, "law-logs-2", Effect.all([
      Effect.logInfo("law-logs-2"), Effect.logWarning("law-logs-2"), Effect.logError("law-logs-2"), Effect.logFatal("law-logs-2")
    ]))
    yield* equal("levels", lines.map((one) => one.level), ["info", "warn", "error", "fatal"])
  }),
  law("a line belongs to the span it was logged in", function*(probe) {
    let ids: ReadonlyArray<string | undefined> = []
    const logs = Effect.flatMap(Effect.orDie(Effect.currentSpan), (span) => {
      ids = [span.traceId, span.spanId]
      return Effect.logInfo("law-logs-3")
    })
    const one = yield* only(yield* logged(probe, "law-logs-3", Effect.withSpan(logs, "logging", { root: true })))
    yield* equal("trace and span", [one.traceId, one.spanId], ids)
  }),
  law("outside of spans a line has no trace", function*(probe) {
    const one = yield* only(yield* logged(probe, "law-logs-4", Effect.logInfo("law-logs-4")))
    yield* equal("trace and span", [one.traceId, one.spanId], [undefined, undefined])
  }),
  law("several values become one message", function*(probe) {
    const one = yield* only(yield* logged(probe, "law-logs-5", Effect.logInfo("law-logs-5", { order: 7 }, 8)))
    yield* equal("message", one.message, "law-logs-5 {\"order\":7} 8")
  }),
  law("secrets never reach a backend with a line", function*(probe) {
    const one = yield* only(yield* logged(probe, "law-logs-6", Effect.logInfo("law-logs-6", { password: "hunter2secret" }).pipe(Effect.annotateLogs("api_key", "hunter2secret"))))
    yield* equal("no secret", `${one.message} ${[...one.attributes.values()].join(" ")}`.includes("hunter2secret"), false)
  }),
  law("lines keep their order and are there once", function*(probe) {
    const lines = yield* logged(probe, "law-logs-7", Effect.forEach(Array.from({ length: 200 }, (_, i) => i), (i) => Effect.logInfo(`law-logs-7 ${i}`), { discard: true }))
    yield* equal("lines", lines.map((one) => one.message), Array.from({ length: 200 }, (_, i) => `law-logs-7 ${i}`))
  }),
  law("text that databases and terminals mind costs no line", function*(probe) {
    const one = yield* only(yield* logged(probe, "law-logs-8", Effect.logInfo("law-logs-8 nul \u0000 half \ud800 \u001b[31m\r\n end")))
    yield* equal("level", one.level, "info")
  }),
  law("a cause costs no line", function*(probe) {
    const one = yield* only(yield* logged(probe, "law-logs-9", Effect.logError("law-logs-9", Cause.fail(new Error("why")))))
    yield* equal("message", one.message, "law-logs-9")
  })
]
