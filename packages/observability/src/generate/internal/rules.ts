import { AlertRule, type MetricDefinition } from "@effect-observability/core"
import { GenerateError } from "../GenerateError.ts"
import { alertExpression, definitionOf, duration, number, select, type Vocabulary } from "./promql.ts"
import { annotations } from "./ruleTests.ts"
import { goTemplate } from "./text.ts"
import { yaml } from "./yaml.ts"

type Definition = MetricDefinition.MetricDefinition
type Rule = AlertRule.AlertRule

/** What the toolkit says about itself, and what every HTTP service is asked first; only for metrics that are defined. */
export const standardRules: ReadonlyArray<Rule> = [
  AlertRule.make({
    name: "ObsLedgerImbalance",
    metric: "obs_ledger_imbalance_total",
    increase: "15 minutes",
    above: 0,
    severity: "critical",
    summary: "The books of an export queue do not balance: this is a bug in effect-observability"
  }),
  AlertRule.make({
    name: "ObsQueueAgeHigh",
    metric: "obs_queue_age_seconds",
    groupBy: ["backend", "signal"],
    last: true,
    above: 60,
    clear: 10,
    for: "1 minute",
    summary: "A backend has not taken what waits for it for more than a minute"
  }),
  AlertRule.make({
    name: "ObsCardinalityOverflow",
    metric: "obs_cardinality_overflow_total",
    groupBy: ["metric"],
    increase: "10 minutes",
    above: 0,
    severity: "info",
    summary: "A metric has more label sets than its budget: new ones share one series"
  }),
  AlertRule.make({
    name: "HttpErrorBudgetBurn",
    metric: "http_requests_total",
    burnRate: { objective: 0.999, bad: { labels: { status: { prefix: "5" } } } },
    severity: "critical",
    summary: "Answers with a 5xx status spend the error budget of 99.9 % too fast"
  }),
  AlertRule.make({
    name: "HttpLatencyHigh",
    metric: "http_request_duration_seconds",
    quantile: 0.99,
    above: 2.5,
    for: "5 minutes",
    summary: "One request in a hundred takes more than 2.5 seconds"
  })
]

/** The rules of the definitions' thresholds, the standard ones where their metric is defined, and the caller's; names are unique. */
export const allRules = (words: Vocabulary, own: ReadonlyArray<Rule>): ReadonlyArray<Rule> => {
  const rules = new Map<string, Rule>()
  for (const rule of standardRules) if (words.definitions.has(rule.metric)) rules.set(rule.name, rule)
  for (const definition of words.definitions.values()) {
    const rule = AlertRule.ofDefinition(definition)
    if (rule === undefined) continue
    const other = rules.get(rule.name)
    if (other !== undefined && other.metric !== rule.metric) {
      throw new GenerateError({ message: `"${other.metric}" and "${rule.metric}" both give the alert ${rule.name}: take alertThreshold off one of them and write a rule for it` })
    }
    rules.set(rule.name, rule)
  }
  const seen = new Set<string>()
  for (const rule of own) {
    if (seen.has(rule.name)) throw new GenerateError({ message: `rule "${rule.name}" is there twice: rename one` })
    seen.add(rule.name)
    // One of the caller's replaces a standard one of its name.
    rules.set(rule.name, rule)
  }
  for (const rule of rules.values()) {
    definitionOf(rule, words)
    for (const other of rule.inhibitedBy) {
      if (!rules.has(other)) throw new GenerateError({ message: `rule "${rule.name}": inhibitedBy names "${other}", which is no rule` })
    }
  }
  return [...rules.values()]
}

export const alertFile = (rules: ReadonlyArray<Rule>, words: Vocabulary, runbooks: string): string =>
  yaml({
    groups: [{
      name: "effect_observability_alerts",
      rules: rules.map((rule) => ({
        alert: rule.name,
        expr: alertExpression(rule, words),
        for: rule.for === 0 ? undefined : duration(rule.for),
        keep_firing_for: rule.keepFor === 0 ? undefined : duration(rule.keepFor),
        labels: { severity: rule.severity },
        annotations: Object.fromEntries(Object.entries(annotations(rule, runbooks)).map(([name, text]) => [name, goTemplate(text)]))
      }))
    }]
  }, "Alert rules, generated from the metric definitions: change those, not this file.")

/** Figures that dashboards ask for often, ready made: one series per target. */
export const recordingFile = (words: Vocabulary): string =>
  yaml({
    groups: [{
      name: "effect_observability_figures",
      rules: [...words.definitions.values()].flatMap((definition) => recordings(definition, words))
    }]
  }, "Recording rules, generated from the metric definitions: change those, not this file.")

interface Recording {
  readonly record: string
  readonly expr: string
}

const recordings = (definition: Definition, words: Vocabulary): ReadonlyArray<Recording> => {
  const name = words.exposed(definition.name)
  const labels = definition.labelNames.join(", ")
  const base = name.endsWith("_total") ? name.slice(0, -"_total".length) : name
  switch (definition.type) {
    case "counter":
      return [{ record: `target:${base}:rate5m`, expr: `sum without (${labels}) (rate(${select(name)}[5m]))` }]
    case "histogram":
      return [
        { record: `target:${base}:rate5m`, expr: `sum without (${labels}) (rate(${select(`${name}_count`)}[5m]))` },
        ...[0.5, 0.99].map((q) => ({
          record: `target:${base}:p${number(q * 100)}_5m`,
          expr: `histogram_quantile(${q}, sum without (${labels}) (rate(${select(`${name}_bucket`)}[5m])))`
        }))
      ]
    case "summary":
      return [{ record: `target:${base}:rate5m`, expr: `sum without (${labels}) (rate(${select(`${name}_count`)}[5m]))` }]
    case "gauge":
    case "upDownCounter":
      return []
  }
}
