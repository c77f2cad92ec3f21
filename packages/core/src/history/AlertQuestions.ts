import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { AlertQuery } from "./AlertHistory.ts"
import type { HistoryError } from "./HistoryError.ts"
import { type LabelTest, resourceTests } from "./range/plan.ts"
import { clamped, invalid } from "./TraceQuestions.ts"

// What the providers of `AlertHistory` share: questions checked and made complete, the same by every provider.

/** An `AlertQuery`, checked. Times are milliseconds; `undefined` is no condition. */
export interface AlertFilter {
  readonly from: number
  readonly to: number
  readonly alertname: string | undefined
  readonly fingerprint: string | undefined
  readonly severity: string | undefined
  readonly state: string | undefined
  readonly serviceName: string | undefined
  readonly resource: ReadonlyArray<LabelTest>
  readonly limit: number
  /** Events older than this one, or as old and with a smaller id. */
  readonly before: { readonly time: number; readonly eventId: string } | undefined
}

const latest = 9_223_372_036_854
const day = 86_400_000
const words = { severity: ["info", "warning", "critical"], state: ["firing", "resolved"] } as const

export const question = (query: AlertQuery = {}): Effect.Effect<AlertFilter, HistoryError> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const to = yield* instant("endTime", query.endTime, now + 1)
    const from = yield* instant("startTime", query.startTime, to - day)
    if (to < from) return yield* invalid("endTime", "lies before startTime: swap them")
    for (const field of ["severity", "state"] as const) {
      const value = query[field]
      if (value !== undefined && !(words[field] as ReadonlyArray<string>).includes(value)) return yield* invalid(field, `must be one of ${words[field].join(", ")}`)
    }
    for (const field of ["alertname", "fingerprint", "serviceName"] as const) {
      const value: unknown = query[field]
      if (value !== undefined && typeof value !== "string") return yield* invalid(field, "must be text")
      if (typeof value === "string" && value.length > 256) return yield* invalid(field, `has ${value.length} characters: use at most 256`)
    }
    const { alertname, cursor, fingerprint, serviceName, severity, state } = query
    const before = cursor === undefined ? undefined : /^(\d{1,13})-([0-9a-f]{32})$/.exec(cursor)
    if (before === null) return yield* invalid("cursor", "is none of an answer: pass on what the page before gave")
    return {
      from, to, alertname, fingerprint, severity, state, serviceName,
      resource: yield* resourceTests(query.resource),
      limit: clamped(query.limit, 1, 1_000, 100),
      before: before === undefined ? undefined : { time: Number(before[1]), eventId: before[2]! }
    }
  })

export const cursorOf = (event: { readonly time: number; readonly eventId: string }): string => `${event.time}-${event.eventId}`

const instant = (field: string, value: unknown, otherwise: number): Effect.Effect<number, HistoryError> => {
  if (value === undefined) return Effect.succeed(otherwise)
  const millis = typeof value === "number" ? value : value instanceof Date ? value.getTime() : NaN
  return Number.isNaN(millis)
    ? invalid(field, "is not a time: pass milliseconds since the epoch or a valid Date")
    : Effect.succeed(Math.round(Math.min(latest, Math.max(0, millis))))
}
