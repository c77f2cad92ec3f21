import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { HistoryError } from "../HistoryError.ts"
import { type ResourceField, resourceFields } from "../ResourceQuery.ts"
import type { MetricsHistoryQuery } from "../MetricsHistory.ts"
import { type LabelMatcher, type RangeFunction, rangeLimits, type RangeQuery } from "./RangeQuery.ts"

type Labels = Readonly<Record<string, string>>

/** A matcher with what it is put to. */
export type LabelTest =
  | { readonly label: string; readonly op: "eq" | "neq" | "prefix"; readonly value: string }
  | { readonly label: string; readonly op: "in"; readonly values: ReadonlyArray<string> }

/** A question that was checked, in milliseconds. */
export interface RangePlan {
  readonly metric: string
  readonly function: RangeFunction
  readonly groupBy: ReadonlyArray<string> | undefined
  readonly tests: ReadonlyArray<LabelTest>
  readonly resource: ReadonlyArray<LabelTest>
  /** Without one twice. */
  readonly groupByResource: ReadonlyArray<ResourceField>
  readonly start: number
  readonly step: number
  readonly window: number
  /** How many times there are; the last is `start + (points - 1) * step`. */
  readonly points: number
  readonly quantile: number
  readonly k: number | undefined
}

const functions: ReadonlySet<unknown> = new Set<RangeFunction>(
  ["rate", "increase", "avg", "min", "max", "last", "sum", "count", "quantile"]
)

/** What PostgreSQL's timestamps and JavaScript's dates both hold: the years 1 to 9999. */
const earliest = -62_135_596_800_000
const latest = 253_402_300_799_999

export const invalid = (field: string, problem: string): Effect.Effect<never, HistoryError> =>
  Effect.fail(new HistoryError({ reason: "invalid", message: `${field} ${problem}` }))

/** A moment in whole milliseconds; what no calendar holds is moved to its end. */
export const instant = (field: string, value: unknown): Effect.Effect<number, HistoryError> => {
  const millis = typeof value === "number" ? value : value instanceof Date ? value.getTime() : NaN
  return Number.isNaN(millis)
    ? invalid(field, "is not a time: pass milliseconds since the epoch or a valid Date")
    : Effect.succeed(Math.min(latest, Math.max(earliest, Math.round(millis))))
}

const length = (field: string, value: unknown, most: number): Effect.Effect<number, HistoryError> => {
  const given = Option.getOrUndefined(Duration.fromInput(value as Duration.Input))
  const millis = given === undefined ? NaN : Math.round(Duration.toMillis(given))
  return millis >= 1 && millis <= most
    ? Effect.succeed(millis)
    : invalid(field, `is ${shown(value)}: pass 1 millisecond to ${most / 86_400_000} days, such as "1 minute" or 60_000`)
}

const shown = (value: unknown): string => {
  try {
    return JSON.stringify(String(value).slice(0, 60))
  } catch {
    return "unreadable"
  }
}

/** Checks a question; fails with the first field that cannot be used. */
export const plan = (query: RangeQuery, most: number = rangeLimits.points): Effect.Effect<RangePlan, HistoryError> =>
  Effect.gen(function*() {
    const metric: unknown = typeof query.metric === "string" ? query.metric : query.metric?.name
    if (typeof metric !== "string" || metric === "") return yield* invalid("metric", "is empty: pass the metric's name or its definition")
    if (!functions.has(query.function)) {
      return yield* invalid("function", `is ${shown(query.function)}: use one of ${[...functions].join(", ")}`)
    }
    const start = yield* instant("start", query.start)
    const end = yield* instant("end", query.end)
    if (end < start) return yield* invalid("end", "lies before start: swap them")
    if (end - start > rangeLimits.range) return yield* invalid("end", "lies more than 20 years after start: narrow the range")
    const step = yield* length("step", query.step, rangeLimits.range)
    const window = query.window === undefined
      ? Math.min(step, rangeLimits.window)
      : yield* length("window", query.window, rangeLimits.window)
    const points = Math.floor((end - start) / step) + 1
    if (points > most) {
      return yield* invalid("step", `gives ${points} points, at most ${most}: use at least ${Math.ceil((end - start) / (most - 1))} ms, or a narrower range`)
    }
    if (window / step > rangeLimits.overlap) return yield* invalid("window", `is more than ${rangeLimits.overlap} steps long: use a longer step`)
    const quantile: unknown = query.quantile
    if (query.function === "quantile") {
      if (!(typeof quantile === "number" && quantile >= 0 && quantile <= 1)) {
        return yield* invalid("quantile", `is ${shown(quantile)}: pass 0 to 1, such as 0.95`)
      }
    } else if (quantile !== undefined) return yield* invalid("quantile", "belongs to the function \"quantile\": leave it out")
    const k: unknown = query.k
    if (k !== undefined && !(typeof k === "number" && k >= 1)) return yield* invalid("k", `is ${shown(k)}: pass a whole number from 1`)
    return {
      metric,
      function: query.function,
      groupBy: yield* groupLabels(query.groupBy),
      tests: yield* labelTests(query.labels),
      resource: yield* resourceTests(query.resource),
      groupByResource: yield* groupFields(query.groupByResource),
      start,
      step,
      window,
      points,
      quantile: (quantile as number | undefined) ?? NaN,
      k: k === undefined ? undefined : Math.floor(Math.min(k as number, rangeLimits.series))
    }
  })

/** A question for points that was checked: `[from, to)` in milliseconds. */
export interface PointsPlan {
  readonly name: string
  readonly from: number
  readonly to: number
  readonly labels: Labels
  readonly resource: ReadonlyArray<LabelTest>
  readonly limit: number
}

export const pointsPlan = (query: MetricsHistoryQuery): Effect.Effect<PointsPlan, HistoryError> =>
  Effect.gen(function*() {
    if (typeof query.name !== "string" || query.name === "") return yield* invalid("name", "is empty: pass the metric's name")
    const from = yield* instant("startTime", query.startTime)
    const to = yield* instant("endTime", query.endTime)
    if (to < from) return yield* invalid("endTime", "lies before startTime: swap them")
    const limit = typeof query.limit === "number" && !Number.isNaN(query.limit) ? query.limit : 1_000
    const given: unknown = query.labels ?? {}
    if (typeof given !== "object" || Array.isArray(given) || Object.values(given as object).some((value) => typeof value !== "string")) {
      return yield* invalid("labels", "must be an object of label names and texts")
    }
    return { name: query.name, from, to, labels: given as Labels, resource: yield* resourceTests(query.resource), limit: Math.min(100_000, Math.max(1, Math.trunc(limit))) }
  })

const groupLabels = (given: unknown): Effect.Effect<ReadonlyArray<string> | undefined, HistoryError> => {
  if (given === undefined) return Effect.succeed(undefined)
  if (!Array.isArray(given) || given.some((name) => typeof name !== "string" || name === "")) {
    return invalid("groupBy", "must be a list of label names")
  }
  const names = [...new Set(given as ReadonlyArray<string>)].sort()
  return names.length > rangeLimits.groupBy ? invalid("groupBy", `has ${names.length} names: at most ${rangeLimits.groupBy}`) : Effect.succeed(names)
}

const groupFields = (given: unknown): Effect.Effect<ReadonlyArray<ResourceField>, HistoryError> => {
  if (given === undefined) return Effect.succeed([])
  if (!Array.isArray(given)) return invalid("groupByResource", `must be a list of ${resourceFields.join(", ")}`)
  const strange: unknown = given.find((name) => !resourceFields.includes(name))
  if (strange !== undefined) return invalid("groupByResource", `has ${shown(strange)}: use ${resourceFields.join(", ")}`)
  return Effect.succeed(resourceFields.filter((name) => given.includes(name)))
}

/** A `ResourceQuery`, checked: the tests are put to what `ServiceResource` has. */
export const resourceTests = (given: unknown): Effect.Effect<ReadonlyArray<LabelTest>, HistoryError> => {
  if (given === undefined) return Effect.succeed([])
  if (typeof given !== "object" || given === null || Array.isArray(given)) return invalid("resource", `must be an object with some of ${resourceFields.join(", ")}`)
  const named = Object.entries(given).filter(([, matcher]) => matcher !== undefined)
  const strange = named.find(([name]) => !(resourceFields as ReadonlyArray<string>).includes(name))
  if (strange !== undefined) return invalid(`resource.${strange[0].slice(0, 60)}`, `is not known: use ${resourceFields.join(", ")}`)
  return Effect.forEach(named, ([name, matcher]) => labelTest(name, matcher, "resource"))
}

const labelTests = (given: unknown): Effect.Effect<ReadonlyArray<LabelTest>, HistoryError> => {
  if (given === undefined) return Effect.succeed([])
  if (typeof given !== "object" || given === null || Array.isArray(given)) return invalid("labels", "must be an object of label names and values")
  const names = Object.keys(given)
  if (names.length > rangeLimits.matchers) return invalid("labels", `has ${names.length} names: at most ${rangeLimits.matchers}`)
  return Effect.forEach(names, (label) => labelTest(label, (given as Readonly<Record<string, unknown>>)[label]))
}

const labelTest = (label: string, matcher: unknown, of = "labels"): Effect.Effect<LabelTest, HistoryError> => {
  const field = `${of}.${label.slice(0, 60)}`
  if (typeof matcher === "string") return Effect.succeed({ label, op: "eq", value: matcher })
  const entries = typeof matcher === "object" && matcher !== null ? Object.entries(matcher as LabelMatcher) : []
  const [op, value] = entries[0] ?? []
  if (entries.length !== 1) return invalid(field, "must be a text or one of { eq }, { neq }, { in }, { prefix }")
  switch (op) {
    case "eq":
    case "neq":
    case "prefix":
      return typeof value === "string" ? Effect.succeed({ label, op, value }) : invalid(`${field}.${op}`, "must be a text")
    case "in":
      return Array.isArray(value) && value.length <= rangeLimits.values && value.every((one) => typeof one === "string")
        ? Effect.succeed({ label, op, values: value as ReadonlyArray<string> })
        : invalid(`${field}.in`, `must be a list of at most ${rangeLimits.values} texts`)
    default:
      return invalid(field, `has ${shown(op)}: use eq, neq, in or prefix`)
  }
}

/** What is known of a process, as far as it is. */
export type Known = { readonly [F in ResourceField]?: string }

/** The value of a label, `""` when it is absent; what objects inherit is no label. */
export const labelOf = (labels: Labels | Known, name: string): string => (Object.hasOwn(labels, name) ? (labels as Labels)[name]! : "")

export const passes = (labels: Labels | Known, tests: ReadonlyArray<LabelTest>): boolean =>
  tests.every((test) => {
    const value = labelOf(labels, test.label)
    switch (test.op) {
      case "eq":
        return value === test.value
      case "neq":
        return value !== test.value
      case "in":
        return test.values.includes(value)
      case "prefix":
        return value.startsWith(test.value)
    }
  })
