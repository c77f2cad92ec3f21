import type { Reader } from "../../config/internal/Reader.ts"
import type { LabelMatcher } from "../../history/range/RangeQuery.ts"
import type { AlertCondition, AlertFigure, BadEvents } from "../AlertRule.ts"

const labelName = /^(?!__)(?!(?:le|quantile)$)[a-zA-Z_][a-zA-Z0-9_]{0,127}$/

/** Label matchers of a rule, by label. */
export const matchersOf = (reader: Reader, key: string): Readonly<Record<string, string | LabelMatcher>> => {
  const given = reader.get(key) ?? {}
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    reader.wrong(key, "expected an object of label names and values")
    return {}
  }
  const found: Array<readonly [string, string | LabelMatcher]> = []
  for (const [label, value] of Object.entries(given)) {
    const at = `${key}.${label.slice(0, 60)}`
    if (!labelName.test(label)) reader.wrong(at, "a label name must match [a-zA-Z_][a-zA-Z0-9_]*, not start with __ and not be le or quantile")
    else if (isMatcher(value)) found.push([label, value])
    else reader.wrong(at, "expected a text, or one of { eq }, { neq }, { in: [...] }, { prefix }")
  }
  return Object.fromEntries(found)
}

const isMatcher = (value: unknown): value is string | LabelMatcher => {
  if (typeof value === "string") return true
  if (typeof value !== "object" || value === null) return false
  const entries = Object.entries(value)
  if (entries.length !== 1) return false
  const [word, one] = entries[0]!
  return word === "in"
    ? Array.isArray(one) && one.length > 0 && one.length <= 1_000 && one.every((text) => typeof text === "string")
    : (word === "eq" || word === "neq" || word === "prefix") && typeof one === "string"
}

const figures = ["increase", "rate", "last", "quantile"] as const
const comparisons = { above: ">", atLeast: ">=", below: "<", atMost: "<=" } as const

/** What a rule of unknown shape waits for; exactly one condition must be given. */
export const conditionOf = (reader: Reader): AlertCondition => {
  const asked = figures.filter((word) => reader.get(word) !== undefined)
  const compared = Object.keys(comparisons).filter((word) => reader.get(word) !== undefined) as Array<keyof typeof comparisons>
  const clear = reader.get("clear") === undefined ? undefined : reader.number("clear", 0, -Infinity, Infinity)
  const windowed = reader.get("window") !== undefined
  const absent = reader.get("absent") === undefined ? undefined : reader.duration("absent", 300)
  const burning = reader.get("burnRate") !== undefined
  const kinds = [asked.length > 0 || compared.length > 0, absent !== undefined, burning].filter(Boolean).length
  if (kinds !== 1) {
    reader.wrong("name", "the rule needs one condition: a figure (increase, rate, last, quantile) with above, atLeast, below or atMost; absent; or burnRate")
    return { kind: "absent", window: absent ?? 300_000 }
  }
  if (windowed && asked[0] !== "quantile") reader.wrong("window", "belongs to quantile: increase and rate carry their own duration")
  if (absent !== undefined) return { kind: "absent", window: absent }
  if (burning) return burnRateOf(reader)
  if (asked.length !== 1) reader.wrong(asked[1] ?? "last", `the rule needs one figure: ${figures.join(", ")}`)
  if (compared.length !== 1) reader.wrong(compared[1] ?? "above", `the rule needs one of ${Object.keys(comparisons).join(", ")}`)
  const word = compared[0] ?? "above"
  const threshold = finite(reader, word)
  const comparison = comparisons[word]
  if (clear !== undefined && (comparison.startsWith(">") ? clear > threshold : clear < threshold)) {
    reader.wrong("clear", `must be ${comparison.startsWith(">") ? "at most" : "at least"} the threshold ${threshold}: it is where the alert ends`)
  }
  return { kind: "threshold", figure: figureOf(reader, asked[0] ?? "last"), comparison, threshold, clear }
}

const finite = (reader: Reader, key: string): number => reader.number(key, 0, -Number.MAX_VALUE, Number.MAX_VALUE)

const figureOf = (reader: Reader, word: typeof figures[number]): AlertFigure => {
  switch (word) {
    case "last":
      return { of: "last" }
    case "quantile":
      return { of: "quantile", quantile: reader.number("quantile", 0.99, 0, 1), window: reader.duration("window", 300) }
    default:
      return { of: word, window: reader.duration(word, 300) }
  }
}

const hour = 3_600_000

const burnRateOf = (rule: Reader): AlertCondition => {
  const reader = rule.group("burnRate")
  const objective = reader.number("objective", 0.99, 0, 1)
  if (!(objective > 0 && objective < 1)) reader.wrong("objective", "is needed: the share of good events promised, above 0 and below 1, such as 0.999")
  const given = reader.get("windows")
  let windows: Array<{ long: number; short: number; factor: number }> = []
  if (given === undefined) {
    windows = [{ long: hour, short: hour / 12, factor: 14.4 }, { long: 6 * hour, short: hour / 2, factor: 6 }]
  } else if (Array.isArray(given) && given.length > 0 && given.length <= 8) {
    windows = given.map((one, i) => {
      const pair = reader.item("windows", i, one)
      const found = { long: pair.duration("long", 3_600), short: pair.duration("short", 300), factor: pair.number("factor", 1, 0, 1e6) }
      if (found.short >= found.long) pair.wrong("short", "must be shorter than long")
      if (!(found.factor > 0)) pair.wrong("factor", "is needed: a number above 0")
      pair.close()
      return found
    })
  } else reader.wrong("windows", "expected a list of 1 to 8 pairs { long, short, factor }")
  const condition: AlertCondition = { kind: "burnRate", bad: badOf(reader), objective, windows }
  reader.close()
  return condition
}

const badOf = (burnRate: Reader): BadEvents => {
  const reader = burnRate.group("bad")
  const above = reader.get("above")
  const labels = matchersOf(reader, "labels")
  reader.close()
  if (above !== undefined) {
    if (Object.keys(labels).length > 0) reader.wrong("labels", "stands beside above: say one of them")
    return { above: finite(reader, "above") }
  }
  if (Object.keys(labels).length === 0) reader.wrong("labels", "is needed: which events are bad, such as { status: { prefix: \"5\" } }; or above, a bound of the histogram")
  return { labels }
}
