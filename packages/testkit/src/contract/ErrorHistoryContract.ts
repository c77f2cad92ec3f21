import { ErrorHistory, type ErrorQuery, type HistoryError } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import { ErrorsProbe } from "./ErrorsContract.ts"
import { equal, type Law, LawBroken } from "./Law.ts"

type Steps = Generator<Effect.Effect<any, LawBroken, any>, void, any>
type History = ErrorHistory["Service"]

const law = (name: string, check: (history: History, settle: Effect.Effect<void>) => Steps): Law<ErrorHistory | ErrorsProbe> => ({
  name,
  check: Effect.gen(function*() {
    yield* check(yield* ErrorHistory, (yield* ErrorsProbe).settle)
  })
})

const answer = <A>(effect: Effect.Effect<A, HistoryError>): Effect.Effect<A, LawBroken> =>
  Effect.mapError(effect, (error) => new LawBroken({ message: `no answer: ${error.message}` }))

class LawError extends Data.TaggedError("HistoryLawError")<{ readonly message: string }> {
  override readonly [ErrorReporter.attributes] = { order: "o-7", size: 3 }
}

const muted = (outer: Console.Console): Console.Console => ({ ...outer, log: () => {}, error: () => {} })
const report = (effect: Effect.Effect<never, unknown>) => effect.pipe(Effect.withErrorReporting, Effect.exit, Effect.updateService(Console.Console, muted))
const fail = (message: string) => report(Effect.suspend(() => Effect.fail(new LawError({ message }))))

const messages = (history: History, query: ErrorQuery) => Effect.map(answer(history.searchErrors(query)), ({ errors }) => errors.map((one) => one.message))

/** What holds for `ErrorHistory`, whoever keeps the errors. */
export const laws: ReadonlyArray<Law<ErrorHistory | ErrorsProbe>> = [
  law("an error is found by its id, with all it has", function*(history, settle) {
    let ids: ReadonlyArray<string | undefined> = []
    yield* Effect.flatMap(Effect.orDie(Effect.currentSpan), (span) => {
      ids = [span.traceId, span.spanId]
      return Effect.andThen(
        Effect.updateService(Effect.logInfo("law-history-1 crumb"), Console.Console, muted),
        fail("law-history-1")
      )
    }).pipe(Effect.withSpan("failing", { root: true }))
    yield* settle
    const { errors: [found] } = yield* answer(history.searchErrors({ text: "law-history-1" }))
    const error = yield* answer(history.getError(found?.errorId ?? "0".repeat(32)))
    yield* equal("type, kind, message", [error?.errorType, error?.kind, error?.message], ["HistoryLawError", "failure", "law-history-1"])
    yield* equal("trace, span", [error?.traceId, error?.spanId], ids)
    yield* equal("class, level, handled", [error?.errorClass, error?.level, error?.handled], ["business", "warn", false])
    yield* equal("attributes", [error?.attributes.get("order"), error?.attributes.get("size")], ["o-7", 3])
    yield* equal("causes, spans", [error?.causes.length, error?.spanNames], [1, ["failing"]])
    yield* equal("breadcrumbs", error?.breadcrumbs.map((line) => line.message), ["law-history-1 crumb"])
    yield* equal("a stack", error?.stack?.includes("HistoryLawError"), true)
    yield* equal("nobody's id", yield* answer(history.getError("0123456789abcdef".repeat(2))), undefined)
  }),
  law("errors are grouped by fingerprint, with first, last and count", function*(history, settle) {
    const before = yield* Clock.currentTimeMillis
    for (const order of [1, 2, 3]) yield* fail(`law-history-2 order ${order}`)
    yield* report(Effect.die(new TypeError("law-history-2 defect")))
    yield* settle
    const groups = yield* answer(history.errorGroups({ text: "law-history-2" }))
    yield* equal("counts", groups.map((group) => [group.errorType, group.count, group.message]), [["TypeError", 1, "law-history-2 defect"], ["HistoryLawError", 3, "law-history-2 order 3"]])
    const { fingerprint, firstSeen, lastErrorId, lastSeen } = groups[1]!
    // Two clocks of one process may differ by a little.
    yield* equal("in order", before - 10 <= firstSeen && firstSeen <= lastSeen, true)
    yield* equal("of the group", (yield* messages(history, { fingerprint, text: "law-history-2" })).length, 3)
    yield* equal("sample", (yield* answer(history.getError(lastErrorId)))?.message, "law-history-2 order 3")
  }),
  law("conditions of a search hold together", function*(history, settle) {
    yield* fail("law-history-3 100%_'\\")
    yield* report(Effect.die(new Error("Law-History-3 other")))
    yield* settle
    const text = "law-history-3"
    yield* equal("text in any case", (yield* messages(history, { text })).length, 2)
    yield* equal("text with signs", yield* messages(history, { text: "3 100%_'\\" }), ["law-history-3 100%_'\\"])
    yield* equal("kind", yield* messages(history, { text, kind: "defect" }), ["Law-History-3 other"])
    yield* equal("class, type", yield* messages(history, { text, errorClass: "business", errorType: "HistoryLawError" }), ["law-history-3 100%_'\\"])
    yield* equal("level", yield* messages(history, { text, level: "error" }), ["Law-History-3 other"])
    yield* equal("nothing", yield* messages(history, { text, level: "fatal" }), [])
    yield* equal("another time", yield* messages(history, { text, startTime: 0, endTime: 1 }), [])
  }),
  law("pages follow each other, the youngest first, without a gap or a repetition", function*(history, settle) {
    for (let i = 0; i < 7; i++) yield* fail(`law-history-4 ${i}`)
    yield* settle
    const found: Array<string> = []
    let cursor: string | undefined
    let pages = 0
    do {
      const page: { readonly errors: ReadonlyArray<{ readonly message: string }>; readonly cursor: string | undefined } = yield* answer(
        history.searchErrors({ text: "law-history-4", limit: 3, ...(cursor === undefined ? {} : { cursor }) })
      )
      found.push(...page.errors.map((error) => error.message))
      cursor = page.cursor
    } while (cursor !== undefined && ++pages < 10)
    yield* equal("messages", found, Array.from({ length: 7 }, (_, i) => `law-history-4 ${6 - i}`))
  }),
  law("flushing twice does not double an error", function*(history, settle) {
    yield* fail("law-history-5")
    yield* settle
    yield* settle
    yield* equal("count", (yield* answer(history.errorGroups({ text: "law-history-5" }))).map((group) => group.count), [1])
  }),
  law("a question about errors that makes no sense names the field", function*(history) {
    const wrong = (effect: Effect.Effect<unknown, HistoryError>) => Effect.map(Effect.exit(effect), (exit) => exit._tag === "Failure" ? String(exit.cause) : "an answer")
    yield* equal("errorId", (yield* wrong(history.getError("'; drop table"))).includes("errorId"), true)
    yield* equal("level", (yield* wrong(history.searchErrors({ level: "loud" as never }))).includes("level"), true)
    yield* equal("cursor", (yield* wrong(history.searchErrors({ cursor: "x" }))).includes("cursor"), true)
    yield* equal("endTime", (yield* wrong(history.errorGroups({ startTime: 2, endTime: 1 }))).includes("endTime"), true)
  })
]
