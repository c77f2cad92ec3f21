import { parser } from "@prometheus-io/lezer-promql"
import type { MetricDefinition } from "effect-observability"

interface Known {
  readonly definitions: ReadonlyArray<MetricDefinition.MetricDefinition>
  readonly prefix: string
}

/** Labels that Prometheus and its rules add. */
const given = ["job", "instance", "le", "quantile", "alertname", "alertstate", "severity", "__name__"]

/** What is wrong with an expression: it does not parse, or names a metric or label that nobody defines. */
export const promqlProblems = (expression: string, { definitions, prefix }: Known): ReadonlyArray<string> => {
  // Grafana puts these in before Prometheus sees the expression.
  const expr = expression.replaceAll("$__rate_interval", "1m").replaceAll(/\$(job|instance)/g, ".*")
  const labelsOf = new Map<string, ReadonlySet<string>>([["ALERTS", new Set(given)]])
  // Names that recording rules for the OpenTelemetry convention begin from.
  const otel = /^(shop_)?(http_(server|client)|db_client|messaging)_/
  for (const { labelNames, name, type } of definitions) {
    const exposed = name.startsWith("obs_") ? name : `${prefix}${name}`
    const samples = type === "histogram" ? ["_bucket", "_sum", "_count"] : type === "summary" ? ["", "_sum", "_count"] : [""]
    for (const suffix of samples) labelsOf.set(`${exposed}${suffix}`, new Set([...labelNames, ...given]))
  }
  const problems: Array<string> = []
  const labels: Array<string> = []
  const metrics: Array<string> = []
  parser.parse(expr).iterate({
    enter: (node) => {
      const text = expr.slice(node.from, node.to)
      if (node.type.isError) problems.push(`does not parse at ${node.from}: ${expr}`)
      if (node.name === "VectorSelector") {
        const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(text)?.[0]
        if (name !== undefined) metrics.push(name)
      }
      if (node.name === "LabelName" || node.name === "GroupingLabel") labels.push(text)
    }
  })
  for (const metric of metrics) if (!labelsOf.has(metric) && !otel.test(metric)) problems.push(`no metric ${metric}: ${expr}`)
  if (metrics.some((metric) => otel.test(metric) && !labelsOf.has(metric))) return problems
  const allowed = new Set(metrics.flatMap((metric) => [...labelsOf.get(metric) ?? []]))
  for (const label of labels) if (!allowed.has(label)) problems.push(`no label ${label}: ${expr}`)
  return problems
}
