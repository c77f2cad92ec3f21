import type { AlertRule, LabelMatcher, MetricDefinition } from "@effect-observability/core"
import { alertExpression, duration, number, type Vocabulary } from "./promql.ts"
import { code, codeBlock, markdown, wellFormed } from "./text.ts"

type Definition = MetricDefinition.MetricDefinition
type Rule = AlertRule.AlertRule

/** In every page, so that one whose rule is gone can be told from one of the reader's own. */
export const marker = "Generated from the definitions: change those, not this file."

/** What to do when an alert fires: one page per rule. */
export const runbook = (rule: Rule, words: Vocabulary): string => {
  const definition = words.definitions.get(rule.metric)!
  return `# ${rule.name}

${marker}

${rule.summary === "" ? "" : `${markdown(rule.summary)}${/[.!?]$/.test(rule.summary) ? "" : "."}\n\n`}| | |
|---|---|
| metric | \`${rule.metric}\` (${definition.type}${definition.unit === "" ? "" : `, ${markdown(definition.unit)}`})${definition.help === "" ? "" : `: ${markdown(definition.help)}`} |
| fires when | ${conditionText(rule)} |
| for | ${rule.for === 0 ? "at once" : duration(rule.for)} |
| ends | ${rule.keepFor === 0 ? "when the condition ends" : `${duration(rule.keepFor)} after the condition ended`} |
| severity | ${rule.severity} |
${rule.inhibitedBy.length === 0 ? "" : `| silent while these fire | ${rule.inhibitedBy.map((name) => `[${name}](${name}.md)`).join(", ")} |\n`}
## Look

${codeBlock(alertExpression(rule, words))}

${look(rule, definition)}

## Act

${act(rule)}
`
}

const look = (rule: Rule, definition: Definition): string => {
  const labels = definition.labelNames.filter((label) => !rule.groupBy.includes(label))
  return labels.length === 0
    ? "The metric has no other labels: look at the process itself, its logs and traces of the same minutes."
    : `Which ${labels.map((label) => `\`${label}\``).join(", ")} it comes from is on the dashboard's panel of \`${rule.metric}\`; traces and logs of the same minutes say why.`
}

const advice: ReadonlyArray<readonly [RegExp, string]> = [
  [/^obs_ledger_imbalance/, "Nothing an operator does causes this. Keep the output of `/diagnostics` and report it."],
  [/^obs_(queue_age|metrics_processing)/, "1. `/diagnostics` names the backend, its last error and how long its queue still has room.\n2. Bring the backend back. Nothing is lost while the queue has room: metrics are merged, not dropped.\n3. A backend that is gone for good: take it out of the configuration, its queue is then counted as dropped."],
  [/^obs_dropped/, "1. `/diagnostics` shows what was dropped, by backend, signal and reason.\n2. Reason `overflow`: the backend is away or too slow. `rejected:*` or `poison`: it refuses what it is sent, its last error says why."],
  [/^obs_cardinality/, "1. `/diagnostics` names the label and its most frequent values.\n2. Put that label on spans and logs instead, list its values in the definition, or raise `maxSeries`."],
  [/^http_/, "1. Sort the HTTP panel by `path`: one route, or all of them?\n2. Open a failed or slow trace of that route; its spans show where the time went or what failed.\n3. All routes: look at the database's and the event loop's panels first."],
  [/^db_/, "1. Which `operation` and `table`? The slow-query log has the statement.\n2. Are all connections of the pool in use (`db_connections`)? Then the database is waited for, not slow."],
  [/^cache_/, "1. A drop of hits beside the same number of requests: the cache was emptied or its keys changed.\n2. Rising durations: the cache server or the network."],
  [/^message_/, "1. Published and consumed apart: the consumer is away or too slow.\n2. Traces of the consumer show which message fails."]
]

const act = (rule: Rule): string =>
  advice.find(([pattern]) => pattern.test(rule.metric))?.[1] ??
    "1. Find the label value that stands out.\n2. Compare with the last deployment and with the traces of these minutes.\n3. Keep what helped among your own notes: this page is generated."

const conditionText = (rule: Rule): string => {
  const { condition } = rule
  const of = rule.groupBy.length === 0 ? "" : `, for each ${rule.groupBy.map((label) => `\`${label}\``).join(", ")}`
  const only = Object.entries(rule.labels).map(([label, matcher]) => `\`${label}\` ${matcherText(matcher)}`).join(", ")
  const where = `${only === "" ? "" : `, only ${only}`}${of}`
  switch (condition.kind) {
    case "absent":
      return `nothing was recorded for ${duration(condition.window)}${where}`
    case "burnRate":
      return `${condition.windows.map(({ factor, long, short }) => `the error budget of ${number(condition.objective * 100)} % is spent ${number(factor)} times too fast over ${duration(long)} and ${duration(short)}`).join(", or ")}${where}`
    case "threshold": {
      const { figure } = condition
      const what = figure.of === "last"
        ? "the newest value"
        : figure.of === "quantile"
        ? `the ${figure.quantile} quantile over ${duration(figure.window)}`
        : `the ${figure.of} over ${duration(figure.window)}`
      return `${what} is ${condition.comparison} ${number(condition.threshold)}${condition.clear === undefined ? "" : `, until it is not ${condition.comparison} ${number(condition.clear)}`}${where}`
    }
  }
}

const matcherText = (matcher: string | LabelMatcher): string =>
  typeof matcher === "string" ? `= ${code(matcher)}` : Object.entries(matcher).map(([word, value]) => `${word} ${[value].flat().map((one) => code(String(one))).join(", ")}`).join("")

/** All metrics in one table per area. */
export const reference = (words: Vocabulary, areas: ReadonlyArray<readonly [string, ReadonlyArray<Definition>]>): string =>
  `# Metrics\n\n${marker}\n${
    areas.map(([title, definitions]) =>
      `\n## ${title}\n\n| name | type | unit | labels | |\n|---|---|---|---|---|\n${
        definitions.map((one) =>
          `| \`${words.exposed(one.name)}\` | ${one.type} | ${markdown(one.unit)} | ${one.labelNames.map((label) => `\`${label}\`${valuesText(one, label)}`).join(", ")} | ${helpText(one)} |`
        ).join("\n")
      }\n`
    ).join("")
  }`

const helpText = ({ alertThreshold, help }: Definition): string => {
  const text = markdown(help)
  if (alertThreshold === undefined) return text
  return `${text}${text === "" ? "" : /[.!?]$/.test(text) ? " " : ". "}Alert above ${number(alertThreshold)}.`
}

const valuesText = ({ labelValues }: Definition, label: string): string => {
  const values = labelValues?.[label]
  return values === undefined ? "" : ` (${values.map(code).join(", ")})`
}

/** Characters of the column. */
const longestUnit = 50

/** Rows of the store's metadata table (chapter 9's columns), for a database that is asked before a program has written to it. */
export const metadataSql = (words: Vocabulary, schema: string, table: string): string => {
  const text = (value: string) => `'${wellFormed(value).replaceAll("'", "''")}'`
  const json = (value: unknown) => value === undefined ? "null" : `${text(JSON.stringify(value))}::jsonb`
  return `-- Generated from the metric definitions: change those, not this file.\nset standard_conforming_strings = on;\n${
    [...words.definitions.values()].map((one) =>
      `insert into "${schema}"."${table}" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values (${
        [
          text(one.name), text(one.type), text(one.help), text([...one.unit].slice(0, longestUnit).join("")), json(one.labelNames), json(one.buckets), json(one.objectives),
          one.alertThreshold === undefined ? "null" : String(one.alertThreshold)
        ].join(", ")
      })\n  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,\n    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;`
    ).join("\n")
  }\n`
}
