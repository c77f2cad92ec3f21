import { type AlertFigure, type AlertRule, type AlertRuleInput, AlertRuleError, type AlertSeverity, make as makeRule } from "./AlertRule.ts"

/** A figure whose unusual values are an alert: no threshold, but what it was at this time of the day or week before. */
export interface AnomalyRule {
  readonly name: string
  readonly metric: string
  readonly labels: AlertRule["labels"]
  readonly groupBy: ReadonlyArray<string>
  readonly figure: AlertFigure
  /** Milliseconds after which the figure is expected to repeat itself. */
  readonly season: number
  /** How many times the usual deviation is unusual. */
  readonly sensitivity: number
  /** What of a difference nobody cares about, as a share of what is expected. */
  readonly tolerance: number
  readonly severity: AlertSeverity
  readonly summary: string
}

/** As `AlertRuleInput`, with a figure and no condition. */
export interface AnomalyRuleInput extends Pick<AlertRuleInput, "name" | "metric" | "labels" | "groupBy" | "increase" | "rate" | "last" | "quantile" | "window" | "severity" | "summary"> {
  /** Default `"day"`. */
  readonly season?: "day" | "week"
  /** 3 to 20; default 6. */
  readonly sensitivity?: number
  /** 0 to 1; default 0.05. */
  readonly tolerance?: number
}

const day = 86_400_000

/**
 * A rule with its defaults filled in. Throws `AlertRuleError`.
 *
 * @example
 * ```ts
 * const orders = AnomalyRule.make({ name: "OrdersUnusual", metric: "orders_placed_total", rate: "10 minutes", season: "week" })
 * ```
 */
export const make = (input: AnomalyRuleInput): AnomalyRule => {
  const { season = "day", sensitivity = 6, tolerance = 0.05, ...rest } = input
  const wrong = (field: string, message: string) => new AlertRuleError({ message: `rule.${field}: ${message}` })
  if (season !== "day" && season !== "week") throw wrong("season", "expected day or week")
  if (!(sensitivity >= 3 && sensitivity <= 20)) throw wrong("sensitivity", "expected a number from 3 to 20")
  if (!(tolerance >= 0 && tolerance <= 1)) throw wrong("tolerance", "expected a number from 0 to 1")
  const { condition, groupBy, labels, metric, name, severity, summary } = makeRule({ ...rest, above: 0 })
  if (condition.kind !== "threshold") throw wrong("name", "the rule needs a figure: increase, rate, last or quantile")
  return { name, metric, labels, groupBy, figure: condition.figure, season: season === "day" ? day : 7 * day, sensitivity, tolerance, severity, summary }
}

