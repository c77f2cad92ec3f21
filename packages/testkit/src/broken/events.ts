import { ErrorHistory } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ErrorsProbe, type KeptError } from "../contract/ErrorsContract.ts"
import { type KeptLog, LogsProbe } from "../contract/LogsContract.ts"
import type { Breakage } from "./index.ts"

const errorsProbe = (change: (all: ReadonlyArray<KeptError>, text: string) => ReadonlyArray<KeptError>): Breakage =>
  Layer.effect(
    ErrorsProbe,
    Effect.map(ErrorsProbe, (inner) =>
      ErrorsProbe.of({ ...inner, withText: (text) => Effect.map(inner.withText(text), (all) => change(all, text)) }))
  )

const eachError = (change: (error: KeptError) => Partial<KeptError>): Breakage => errorsProbe((all) => all.map((error) => ({ ...error, ...change(error) })))

const made = (message: string): KeptError => ({
  errorId: "1".repeat(32), kind: "failure", level: "error", errorType: "Error", message, fingerprint: "1", traceId: undefined, spanId: undefined,
  requestId: undefined, attributes: new Map()
})

/** A wrong backend for each law of errors, by the law's name. */
export const errors: Readonly<Record<string, Breakage>> = {
  "an expected failure keeps its type and its message": eachError(() => ({ errorType: "FiberFailure" })),
  "a defect is told from a failure": eachError(() => ({ kind: "failure" })),
  "an interruption is no error": errorsProbe((all, text) => text === "interrupt" ? [made("All fibers interrupted without error")] : all),
  "a defect in a nested fiber is reported once, whatever it crosses": errorsProbe((all) => [...all, ...all]),
  "the same mistake made twice is two errors of one fingerprint": eachError((error) => ({ fingerprint: error.message })),
  "an error belongs to the span it happened in": eachError(() => ({ spanId: undefined })),
  "level and attributes are those the error asks for": eachError(() => ({ level: "info" })),
  "secrets never reach a backend with an error": eachError((error) => ({ message: `${error.message} password=hunter2secret` })),
  "text that databases refuse costs no error": errorsProbe((all) => all.filter((error) => !error.message.includes("half"))),
  "what is no error object is reported too": errorsProbe((all) => all.filter((error) => error.errorType.endsWith("Error"))),
  "100 errors of concurrent fibers all arrive, once": errorsProbe((all) => all.slice(0, 64))
}

type History = ErrorHistory["Service"]

const history = (change: (inner: History) => Partial<History>): Breakage =>
  Layer.effect(ErrorHistory, Effect.map(ErrorHistory, (inner) => ErrorHistory.of({ ...inner, ...change(inner) })))

/** A wrong store for each law of `ErrorHistory`, by the law's name. */
export const errorHistory: Readonly<Record<string, Breakage>> = {
  "an error is found by its id, with all it has": history((inner) => ({
    getError: (id) => Effect.map(inner.getError(id), (error) => error === undefined ? undefined : { ...error, breadcrumbs: [] })
  })),
  "errors are grouped by fingerprint, with first, last and count": history((inner) => ({
    errorGroups: (query) => Effect.map(inner.errorGroups(query), (groups) => groups.map((group) => ({ ...group, count: 1 })))
  })),
  "conditions of a search hold together": history((inner) => ({ searchErrors: ({ kind: _, ...query } = {}) => inner.searchErrors(query) })),
  "pages follow each other, the youngest first, without a gap or a repetition": history((inner) => ({
    searchErrors: (query) => Effect.map(inner.searchErrors(query), (page) => ({ ...page, errors: page.errors.slice(0, 2) }))
  })),
  "flushing twice does not double an error": history((inner) => ({
    errorGroups: (query) => Effect.map(inner.errorGroups(query), (groups) => groups.map((group) => ({ ...group, count: group.count * 2 })))
  })),
  "a question about errors that makes no sense names the field": history((inner) => ({
    searchErrors: (query) => Effect.catch(inner.searchErrors(query), () => Effect.succeed({ errors: [], cursor: undefined }))
  }))
}

const logsProbe = (change: (all: ReadonlyArray<KeptLog>) => ReadonlyArray<KeptLog>): Breakage =>
  Layer.effect(LogsProbe, Effect.map(LogsProbe, (inner) => LogsProbe.of({ ...inner, withText: (text) => Effect.map(inner.withText(text), change) })))

const eachLog = (change: (line: KeptLog) => Partial<KeptLog>): Breakage => logsProbe((all) => all.map((line) => ({ ...line, ...change(line) })))

/** A wrong backend for each law of log lines, by the law's name. */
export const logs: Readonly<Record<string, Breakage>> = {
  "a line keeps its message, level and annotations": eachLog(() => ({ attributes: new Map() })),
  "every level is kept": eachLog((line) => ({ level: line.level === "fatal" ? "error" : line.level })),
  "a line belongs to the span it was logged in": eachLog(() => ({ spanId: undefined })),
  "outside of spans a line has no trace": eachLog(() => ({ traceId: "0".repeat(32) })),
  "several values become one message": eachLog((line) => ({ message: line.message.split(" ")[0]! })),
  "secrets never reach a backend with a line": eachLog((line) => ({ message: `${line.message} hunter2secret` })),
  "lines keep their order and are there once": logsProbe((all) => all.toReversed()),
  "text that databases and terminals mind costs no line": logsProbe((all) => all.filter((line) => !line.message.includes("\u0000"))),
  "a cause costs no line": eachLog((line) => ({ message: `${line.message} Error: why` }))
}
