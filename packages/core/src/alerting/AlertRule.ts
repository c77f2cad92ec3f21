import type * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { type Problem, Reader } from "../config/internal/Reader.ts"
import type { LabelMatcher } from "../history/range/RangeQuery.ts"
import type { MetricDefinition } from "../metrics/MetricDefinition.ts"
import { conditionOf, matchersOf } from "./internal/decode.ts"

/** What is compared: which figure of the series, over `window` milliseconds before the moment of evaluation. */
export type AlertFigure =
  /** How much a counter, or the number of a histogram's observations, rose. */
  | { readonly of: "increase"; readonly window: number }
  /** The same per second. */
  | { readonly of: "rate"; readonly window: number }
  /** The newest value of a gauge or up-down counter. */
  | { readonly of: "last" }
  /** From a histogram's buckets, or a summary's own; `quantile` is 0 to 1. */
  | { readonly of: "quantile"; readonly quantile: number; readonly window: number }

export type AlertCondition =
  /**
   * The figure stands in `comparison` to `threshold`. With `clear` an alert that fires goes on until the figure stands no longer in it
   * to `clear` either (hysteresis).
   */
  | {
    readonly kind: "threshold"
    readonly figure: AlertFigure
    readonly comparison: ">" | ">=" | "<" | "<="
    readonly threshold: number
    readonly clear: number | undefined
  }
  /** Nothing was recorded into the metric for `window` milliseconds. */
  | { readonly kind: "absent"; readonly window: number }
  /**
   * An error budget is spent too fast: the share of bad events is above `factor * (1 - objective)` over the long and the short window
   * of one of the pairs (Site Reliability Workbook, chapter 5, multiwindow, multi-burn-rate alerts).
   */
  | {
    readonly kind: "burnRate"
    readonly bad: BadEvents
    /** Share of good events promised: above 0, below 1. */
    readonly objective: number
    readonly windows: ReadonlyArray<{ readonly long: number; readonly short: number; readonly factor: number }>
  }

/** Which events of the metric are bad: those of a counter that carry these labels, or those of a histogram above one of its bounds. */
export type BadEvents =
  | { readonly labels: Readonly<Record<string, string | LabelMatcher>> }
  | { readonly above: number }

export type AlertSeverity = "info" | "warning" | "critical"

/**
 * When somebody is to be told. The same rule is evaluated in the process, over the history, and as a generated Prometheus rule.
 *
 * The figure is computed for each label set of `groupBy`: series that differ only in other labels are added up (counters, up-down
 * counters, histograms) or the greatest of them counts (gauges, summaries; the least when the comparison is `<` or `<=`).
 */
export interface AlertRule {
  /** `[A-Za-z][A-Za-z0-9_]*`, unique. */
  readonly name: string
  readonly metric: string
  /** Only series that carry all of these. */
  readonly labels: Readonly<Record<string, string | LabelMatcher>>
  readonly groupBy: ReadonlyArray<string>
  readonly condition: AlertCondition
  /** Milliseconds the condition must hold before the alert fires; 0 fires at once. */
  readonly for: number
  /** Milliseconds an alert goes on firing after the condition held last. */
  readonly keepFor: number
  readonly severity: AlertSeverity
  readonly summary: string
  /** Names of rules: while one of them fires, nobody is told about this one. */
  readonly inhibitedBy: ReadonlyArray<string>
}

/** A rule as it is written in a configuration: durations in seconds or as text, and defaults for what is left out. */
export interface AlertRuleInput {
  readonly name: string
  readonly metric: string | { readonly name: string }
  readonly labels?: Readonly<Record<string, string | LabelMatcher>>
  /** Default: none, the whole metric. */
  readonly groupBy?: ReadonlyArray<string>
  readonly increase?: Duration.Input
  readonly rate?: Duration.Input
  readonly last?: true
  readonly quantile?: number
  /** Of `quantile`. Default: 5 minutes. */
  readonly window?: Duration.Input
  readonly above?: number
  readonly atLeast?: number
  readonly below?: number
  readonly atMost?: number
  readonly clear?: number
  readonly absent?: Duration.Input
  readonly burnRate?: {
    readonly objective: number
    readonly bad: BadEvents
    /** Default: 1 h / 5 min at 14.4 and 6 h / 30 min at 6. */
    readonly windows?: ReadonlyArray<{ readonly long: Duration.Input; readonly short: Duration.Input; readonly factor: number }>
  }
  readonly for?: Duration.Input
  readonly keepFor?: Duration.Input
  /** Default `"warning"`. */
  readonly severity?: AlertSeverity
  readonly summary?: string
  readonly inhibitedBy?: ReadonlyArray<string>
}

/** A rule that cannot be used; each line names the field and the fix. */
export class AlertRuleError extends Schema.TaggedError<AlertRuleError>()("AlertRuleError", {
  message: Schema.String
}) {}

const ruleName = /^[A-Za-z][A-Za-z0-9_]{0,199}$/
const metricName = /^[a-zA-Z_][a-zA-Z0-9_]{0,254}$/
const labelName = /^(?!__)(?!(?:le|quantile)$)[a-zA-Z_][a-zA-Z0-9_]{0,127}$/

/**
 * A rule with its defaults filled in. Throws `AlertRuleError`.
 *
 * @example
 * ```ts
 * const slow = AlertRule.make({ name: "CheckoutSlow", metric: "checkout_duration_seconds", quantile: 0.99, above: 2, for: "5 minutes" })
 * ```
 */
export const make = (input: AlertRuleInput): AlertRule => {
  const problems: Array<Problem> = []
  const rule = decodeRule(input, "rule", problems)
  if (problems.length > 0) throw new AlertRuleError({ message: problems.map(({ message, path }) => `${path}: ${message}`).join("\n") })
  return rule
}

/** Reads a rule of unknown shape; what is wrong is added to `problems`, with its path. */
export const decodeRule = (input: unknown, path: string, problems: Array<Problem>): AlertRule => {
  const reader = new Reader(input, path, problems)
  const metric = reader.get("metric")
  const rule: AlertRule = {
    name: reader.string("name", "", ruleName, "a name: [A-Za-z][A-Za-z0-9_]*, at most 200 characters"),
    metric: nameOf(metric),
    labels: matchersOf(reader, "labels"),
    groupBy: reader.strings("groupBy", [], labelName, "a list of label names"),
    condition: conditionOf(reader),
    for: reader.get("for") === 0 ? 0 : reader.duration("for", 0),
    keepFor: reader.get("keepFor") === 0 ? 0 : reader.duration("keepFor", 0),
    severity: reader.oneOf("severity", "warning", ["info", "warning", "critical"]),
    summary: reader.string("summary", ""),
    inhibitedBy: reader.strings("inhibitedBy", [], ruleName, "a list of rule names")
  }
  if (reader.get("name") === undefined) reader.wrong("name", "is needed: [A-Za-z][A-Za-z0-9_]*")
  if (!metricName.test(rule.metric)) reader.wrong("metric", "is needed: the name of a metric, [a-zA-Z_][a-zA-Z0-9_]*")
  reader.close()
  return rule
}

const nameOf = (metric: unknown): string => {
  if (typeof metric === "string") return metric
  const name: unknown = typeof metric === "object" && metric !== null && "name" in metric ? metric.name : undefined
  return typeof name === "string" ? name : ""
}

/** Milliseconds that a definition's own threshold looks back. */
export const thresholdWindow = 300_000

/**
 * The rule that a definition's `alertThreshold` stands for (over the whole metric): a counter's increase over five minutes, a gauge's
 * newest value, the 0.99 quantile of a histogram or summary. `undefined` without a threshold.
 */
export const ofDefinition = (definition: MetricDefinition): AlertRule | undefined => {
  const { alertThreshold: threshold, name, type } = definition
  if (threshold === undefined) return undefined
  const figure: AlertFigure = type === "counter"
    ? { of: "increase", window: thresholdWindow }
    : type === "histogram" || type === "summary"
    ? { of: "quantile", quantile: 0.99, window: thresholdWindow }
    : { of: "last" }
  const what = figure.of === "increase" ? `rose by more than ${threshold} in five minutes` : figure.of === "last" ? `is above ${threshold}` : `has its p99 above ${threshold}`
  return {
    name: `${camel(name)}High`,
    metric: name,
    labels: {},
    groupBy: [],
    condition: { kind: "threshold", figure, comparison: ">", threshold, clear: undefined },
    for: 0,
    keepFor: 0,
    severity: "warning",
    summary: `${name} ${what}`,
    inhibitedBy: []
  }
}

const camel = (name: string): string =>
  name.split("_").filter((part) => part !== "").map((part) => part[0]!.toUpperCase() + part.slice(1)).join("")
