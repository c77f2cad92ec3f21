import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { passes } from "../history/range/plan.ts"
import type { LabelMatcher } from "../history/range/RangeQuery.ts"
import { testsOf } from "./internal/figures.ts"

/** While it lasts nobody is told about alerts that carry all of these labels. */
export interface Silence {
  readonly id: string
  /** On the alert's labels, `alertname`, `severity` and `service` among them. */
  readonly matchers: Readonly<Record<string, string | LabelMatcher>>
  /** Milliseconds since the epoch. */
  readonly endsAt: number
  readonly createdBy: string
  readonly comment: string
}

/** A silence as it is asked for. */
export interface SilenceInput {
  readonly matchers: Silence["matchers"]
  /** Milliseconds since the epoch, or a `Date`; at most a year ahead. */
  readonly endsAt: number | Date
  readonly createdBy?: string
  readonly comment?: string
}

/** A silence that cannot be; the message names the field and the fix. */
export class SilenceError extends Schema.TaggedError<SilenceError>()("SilenceError", { message: Schema.String }) {}

const wrong = (message: string) => Effect.fail(new SilenceError({ message }))

const year = 366 * 86_400_000
const maxMatchers = 32

export const check = (input: SilenceInput, now: number): Effect.Effect<Omit<Silence, "id">, SilenceError> => {
  const { comment = "", createdBy = "", endsAt, matchers } = input
  const entries = typeof matchers === "object" && matchers !== null ? Object.entries(matchers) : []
  if (entries.length === 0) return wrong("matchers: name at least one label, such as { alertname: \"QueueDeep\" }: without, everything would be silent")
  if (entries.length > maxMatchers) return wrong(`matchers: has ${entries.length} labels: use at most ${maxMatchers}`)
  for (const [label, matcher] of entries) {
    if (!isMatcher(matcher)) return wrong(`matchers.${label.slice(0, 60)}: expected a text of at most 1,024 characters, or one of { eq }, { neq }, { in }, { prefix }`)
  }
  const end = endsAt instanceof Date ? endsAt.getTime() : endsAt
  if (!(typeof end === "number" && end > now && end <= now + year)) return wrong("endsAt: must be a time after now and at most a year ahead, in milliseconds since the epoch or a Date")
  for (const [field, text] of [["comment", comment], ["createdBy", createdBy]] as const) {
    if (typeof text !== "string" || text.length > 1_024) return wrong(`${field}: expected a text of at most 1,024 characters`)
  }
  return Effect.succeed({ matchers: { ...matchers }, endsAt: Math.round(end), createdBy, comment })
}

const isText = (value: unknown): boolean => typeof value === "string" && value.length <= 1_024

const isMatcher = (matcher: unknown): boolean => {
  if (typeof matcher !== "object" || matcher === null) return isText(matcher)
  const [entry, ...more] = Object.entries(matcher)
  if (entry === undefined || more.length > 0) return false
  const [word, value] = entry
  return word === "in" ? Array.isArray(value) && value.length <= 100 && value.every(isText) : ["eq", "neq", "prefix"].includes(word) && isText(value)
}

/** The first silence that stands and covers the labels. */
export const silencing = (silences: Iterable<Silence>, labels: Readonly<Record<string, string>>, now: number): string | undefined => {
  for (const silence of silences) if (silence.endsAt > now && passes(labels, testsOf(silence.matchers))) return silence.id
  return undefined
}
