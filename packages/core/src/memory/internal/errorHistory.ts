import * as Effect from "effect/Effect"
import type { ErrorGroup, ErrorHistory, StoredError } from "../../history/ErrorHistory.ts"
import * as Questions from "../../history/ErrorQuestions.ts"
import { type Known, passes as isOf } from "../../history/range/plan.ts"

/** Answers from the errors at hand, one after the other: slow, and plainly right. */
export const make = (errors: () => ReadonlyArray<StoredError>, resource: Known = {}): ErrorHistory["Service"] => {
  const found = (filter: Questions.ErrorFilter) => (isOf(resource, filter.resource) ? errors() : []).filter((error) => passes(filter, error)).toSorted(youngestFirst)
  return {
    getError: (id) => Effect.map(Questions.errorId(id), (errorId) => errors().find((error) => error.errorId === errorId)),
    searchErrors: (query) =>
      Effect.map(Questions.question(query), (filter) => {
        const { before, limit } = filter
        const all = found(filter).filter((error) => before === undefined || isBefore(error, before))
        const page = all.slice(0, limit)
        return { errors: page, cursor: all.length > limit ? Questions.cursorOf(page.at(-1)!) : undefined }
      }),
    errorGroups: (query) =>
      Effect.map(Questions.question(query), (filter) =>
        [...Map.groupBy(found(filter), (error) => `${error.fingerprint} ${error.serviceName}`).values()].map(groupOf).slice(0, filter.limit))
  }
}

const passes = (filter: Questions.ErrorFilter, error: StoredError): boolean =>
  error.time >= filter.from && error.time < filter.to &&
  (["serviceName", "fingerprint", "errorType", "errorClass", "kind", "level", "traceId", "requestId"] as const)
    .every((field) => filter[field] === undefined || filter[field] === error[field]) &&
  (filter.text === undefined || [error.errorType, error.message].some((text) => Questions.lower(text).includes(filter.text!)))

const youngestFirst = (a: StoredError, b: StoredError): number => (isBefore(a, b) ? 1 : -1)

const isBefore = (a: Pick<StoredError, "time" | "errorId">, b: Pick<StoredError, "time" | "errorId">): boolean =>
  a.time < b.time || (a.time === b.time && a.errorId < b.errorId)

/** Of errors in order, the youngest first. */
const groupOf = (errors: ReadonlyArray<StoredError>): ErrorGroup => {
  const last = errors[0]!
  return {
    fingerprint: last.fingerprint,
    errorType: last.errorType,
    message: last.message,
    kind: last.kind,
    errorClass: last.errorClass,
    level: last.level,
    serviceName: last.serviceName,
    firstSeen: Number(errors.at(-1)!.time / 1_000_000n),
    lastSeen: Number(last.time / 1_000_000n),
    count: errors.reduce((sum, error) => sum + 1 + (error.repeats ?? 0), 0),
    lastErrorId: last.errorId
  }
}
