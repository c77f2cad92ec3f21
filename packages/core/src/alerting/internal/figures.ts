import { type LabelTest } from "../../history/range/plan.ts"
import { histogramQuantile } from "../../history/range/quantile.ts"
import type { LabelMatcher } from "../../history/range/RangeQuery.ts"
import type { MetricDefinition } from "../../metrics/MetricDefinition.ts"
import type { MetricFrame, Series } from "../../metrics/MetricFrame.ts"
import type { AlertCondition, AlertRule } from "../AlertRule.ts"

export type Threshold = Extract<AlertCondition, { readonly kind: "threshold" }>
type Matchers = Readonly<Record<string, string | LabelMatcher>>

export const testsOf = (matchers: Matchers): ReadonlyArray<LabelTest> =>
  Object.entries(matchers).map(([label, matcher]) => {
    if (typeof matcher === "string") return { label, op: "eq", value: matcher }
    if ("eq" in matcher) return { label, op: "eq", value: matcher.eq }
    if ("neq" in matcher) return { label, op: "neq", value: matcher.neq }
    if ("in" in matcher) return { label, op: "in", values: matcher.in }
    return { label, op: "prefix", value: matcher.prefix }
  })

export const compares = (value: number, comparison: Threshold["comparison"], limit: number): boolean =>
  comparison === ">" ? value > limit : comparison === ">=" ? value >= limit : comparison === "<" ? value < limit : value <= limit

/** Whether the rule looks for too little. */
export const looksBelow = (condition: AlertCondition): boolean => condition.kind === "threshold" && condition.comparison.startsWith("<")

/** Lengths of the windows that a rule needs, longest first; none when it looks at the newest value. */
export const lengthsOf = (condition: AlertCondition): ReadonlyArray<number> => {
  if (condition.kind === "absent") return [condition.window]
  if (condition.kind === "burnRate") return [...new Set(condition.windows.flatMap(({ long, short }) => [long, short]))].sort((a, b) => b - a)
  return condition.figure.of === "last" ? [] : [condition.figure.window]
}

/** How many numbers a moment of the window holds: buckets of a quantile, all and bad events of a burn rate. */
export const widthOf = ({ condition }: AlertRule, definition: MetricDefinition): number =>
  condition.kind === "burnRate" ? 2 : isQuantile(condition) && definition.type === "histogram" ? (definition.buckets?.length ?? 0) + 1 : 1

export const isQuantile = (condition: AlertCondition): boolean => condition.kind === "threshold" && condition.figure.of === "quantile"

/** A series of a frame: `at` is its place in the column. */
export interface Place {
  readonly series: Series
  readonly at: number
}

/** Adds what the series rose by in the frame to the totals of its group. */
export const addTo = (totals: Float64Array, rule: AlertRule, frame: MetricFrame, { at, series }: Place, isBad: boolean): void => {
  const { condition } = rule
  const { type } = series.definition
  if (type === "histogram") {
    const { buckets, counts, offsets } = frame.histograms
    const bounds = series.definition.buckets ?? []
    if (isQuantile(condition)) {
      for (let b = 0; b <= bounds.length && b < totals.length; b++) totals[b]! += buckets[offsets[at]! + b]!
      return
    }
    totals[0]! += counts[at]!
    if (condition.kind !== "burnRate") return
    if ("above" in condition.bad) {
      let within = 0
      for (let b = 0; b < bounds.length && bounds[b]! <= condition.bad.above; b++) within += buckets[offsets[at]! + b]!
      totals[1]! += counts[at]! - within
    } else if (isBad) totals[1]! += counts[at]!
    return
  }
  const rose = type === "counter" ? frame.counters.values[at]! : frame.summaries.counts[at]!
  totals[0]! += rose
  if (condition.kind === "burnRate" && isBad) totals[1]! += rose
}

/** The newest value of a series: a gauge's, or a summary's quantile. */
export const newest = (rule: AlertRule, frame: MetricFrame, { at, series }: Place): number => {
  if (series.definition.type !== "summary") return frame.gauges.values[at]!
  const { condition } = rule
  if (condition.kind !== "threshold" || condition.figure.of !== "quantile") return NaN
  const { quantile } = condition.figure
  const objectives = Object.keys(series.definition.objectives ?? {}).map(Number).sort((a, b) => a - b)
  return frame.summaries.quantiles[at]?.[objectives.indexOf(quantile)] ?? NaN
}

/** What rose in a window, as the figure that is compared. */
export const figureOf = (rule: AlertRule, definition: MetricDefinition, rose: Float64Array): number => {
  const { condition } = rule
  if (condition.kind !== "threshold") return rose[0]!
  const { figure } = condition
  if (figure.of === "rate") return rose[0]! / (figure.window / 1000)
  return figure.of === "quantile" ? histogramQuantile(figure.quantile, { bounds: definition.buckets ?? [], counts: rose }) : rose[0]!
}
