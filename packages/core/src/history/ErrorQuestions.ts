import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { ErrorQuery } from "./ErrorHistory.ts"
import type { HistoryError } from "./HistoryError.ts"
import { type LabelTest, resourceTests } from "./range/plan.ts"
import { clamped, invalid } from "./TraceQuestions.ts"

// What the providers of `ErrorHistory` share: questions checked and made complete, the same by every provider.

/** An `ErrorQuery`, checked. Times are nanoseconds; `undefined` is no condition. */
export interface ErrorFilter {
  readonly from: bigint
  readonly to: bigint
  readonly serviceName: string | undefined
  readonly resource: ReadonlyArray<LabelTest>
  readonly fingerprint: string | undefined
  readonly errorType: string | undefined
  readonly errorClass: string | undefined
  readonly kind: string | undefined
  readonly level: string | undefined
  readonly traceId: string | undefined
  readonly requestId: string | undefined
  /** With A to Z in lower case. */
  readonly text: string | undefined
  readonly limit: number
  /** Errors older than this one, or as old and with a smaller id. */
  readonly before: { readonly time: bigint; readonly errorId: string } | undefined
}

const latest = 9_223_372_036_854
const hour = 3_600_000

const words = {
  errorClass: ["business", "system"],
  kind: ["failure", "defect"],
  level: ["debug", "info", "warn", "error", "fatal"]
} as const

export const question = (query: ErrorQuery = {}): Effect.Effect<ErrorFilter, HistoryError> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const to = yield* instant("endTime", query.endTime, now + 1)
    const from = yield* instant("startTime", query.startTime, to - hour)
    if (to < from) return yield* invalid("endTime", "lies before startTime: swap them")
    for (const field of ["errorClass", "kind", "level"] as const) {
      const value = query[field]
      if (value !== undefined && !(words[field] as ReadonlyArray<string>).includes(value)) return yield* invalid(field, `must be one of ${words[field].join(", ")}`)
    }
    for (const field of ["serviceName", "fingerprint", "errorType", "traceId", "requestId", "text"] as const) {
      const value: unknown = query[field]
      if (value !== undefined && typeof value !== "string") return yield* invalid(field, "must be text")
      if (typeof value === "string" && value.length > 256) return yield* invalid(field, `has ${value.length} characters: use at most 256`)
    }
    const { cursor, errorClass, errorType, fingerprint, kind, level, requestId, serviceName, text, traceId } = query
    const before = cursor === undefined ? undefined : /^(\d{1,19})-([0-9a-f]{32})$/.exec(cursor)
    if (before === null) return yield* invalid("cursor", "is none of an answer: pass on what the page before gave")
    return {
      from: nanos(from),
      to: nanos(to),
      serviceName, fingerprint, errorType, errorClass, kind, level, requestId,
      resource: yield* resourceTests(query.resource),
      traceId: traceId?.toLowerCase(),
      text: text === undefined || text === "" ? undefined : lower(text),
      limit: clamped(query.limit, 1, 1_000, 100),
      before: before === undefined ? undefined : { time: BigInt(before[1]!), errorId: before[2]! }
    }
  })

/** The id of an error, checked. */
export const errorId = (id: string): Effect.Effect<string, HistoryError> => {
  const lowered = typeof id === "string" ? id.toLowerCase().replaceAll("-", "") : ""
  return /^[0-9a-f]{32}$/.test(lowered) ? Effect.succeed(lowered) : invalid("errorId", "must be 32 hex digits")
}

export const cursorOf = (error: { readonly time: bigint; readonly errorId: string }): string => `${error.time}-${error.errorId}`

/** As databases do it for ASCII. */
export const lower = (text: string): string => text.replace(/[A-Z]/g, (one) => one.toLowerCase())

const instant = (field: string, value: unknown, otherwise: number): Effect.Effect<number, HistoryError> => {
  if (value === undefined) return Effect.succeed(otherwise)
  const millis = typeof value === "number" ? value : value instanceof Date ? value.getTime() : NaN
  return Number.isNaN(millis)
    ? invalid(field, "is not a time: pass milliseconds since the epoch or a valid Date")
    : Effect.succeed(Math.min(latest, Math.max(0, millis)))
}

const nanos = (millis: number): bigint => BigInt(Math.round(millis * 1e3)) * 1_000n
