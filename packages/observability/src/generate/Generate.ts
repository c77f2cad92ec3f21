import { type AlertRule, identifierProblem, type MetricDefinition, NamingConventions, ObservabilityConfig, StandardMetrics } from "@effect-observability/core"
import { GenerateError } from "./GenerateError.ts"
import { marker, metadataSql, reference, runbook } from "./internal/documents.ts"
import { areasOf } from "./internal/panels.ts"
import { postgresDashboard } from "./internal/postgresDashboard.ts"
import { preview } from "./internal/preview.ts"
import { prometheusDashboard } from "./internal/prometheusDashboard.ts"
import { vocabulary } from "./internal/promql.ts"
import { alertFile, allRules, recordingFile } from "./internal/rules.ts"
import { testFile, testMarker } from "./internal/ruleTests.ts"

export { GenerateError } from "./GenerateError.ts"
export { standardRules } from "./internal/rules.ts"

/** Lines that runbooks and rule tests carry: a file with one of them that is not among `files` was generated from something that is gone. */
export const marks: ReadonlyArray<string> = [marker, testMarker]

export interface GenerateOptions {
  /** The program's own definitions; the standard ones are always there. */
  readonly definitions?: ReadonlyArray<MetricDefinition.MetricDefinition>
  /** Rules beside those of the definitions' `alertThreshold`; one replaces a standard rule of its name. */
  readonly rules?: ReadonlyArray<AlertRule.AlertRule>
  /** `metrics.prefix` of the programs. Default: none. */
  readonly prefix?: string
  /** Schema and metadata table of the PostgreSQL store. Defaults: `observability`, `observability_metric_metadata`. */
  readonly schema?: string
  readonly metadataTable?: string
  /** What dashboards are called. Default: `Service`. */
  readonly title?: string
  /** Where runbooks are read, ending in `/`. Default: `runbooks/`. */
  readonly runbooks?: string
}

export interface GeneratedFile {
  /** Relative, with `/`. */
  readonly path: string
  readonly content: string
}

/**
 * Everything that can be known from metric definitions and alert rules: Grafana dashboards for Prometheus and for the PostgreSQL store,
 * alert and recording rules with their unit tests, a runbook for each alert, the reference of the metrics, and rows for the store's
 * metadata table. The same input gives the same bytes. Throws `GenerateError`.
 *
 * @example
 * ```ts
 * for (const { content, path } of Generate.files({ definitions: [OrdersPlaced] })) writeFileSync(join("generated", path), content)
 * ```
 */
export const files = (options: GenerateOptions = {}): ReadonlyArray<GeneratedFile> => {
  const { metadataTable = "observability_metric_metadata", runbooks = "runbooks/", schema = "observability", title = "Service" } = options
  for (const [field, value] of [["schema", schema], ["metadataTable", metadataTable]] as const) {
    const wrong = identifierProblem(value)
    if (wrong !== undefined) throw new GenerateError({ message: `${field}: ${JSON.stringify(value.slice(0, 70))} ${wrong}` })
  }
  const prefix = options.prefix ?? ""
  if (!/^([a-zA-Z_][a-zA-Z0-9_]{0,99})?$/.test(prefix)) throw new GenerateError({ message: "prefix: use a name like app, [a-zA-Z_][a-zA-Z0-9_]*" })
  const own = options.definitions ?? []
  const replaced = new Set(own.map(({ name }) => name))
  const words = vocabulary([...own, ...StandardMetrics.all.filter(({ name }) => !replaced.has(name))], prefix)
  const rules = allRules(words, options.rules ?? [])
  const [prometheus, postgres] = [prometheusDashboard(words, title), postgresDashboard(words, title, schema)]
  const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`
  return [
    { path: "grafana/prometheus.json", content: json(prometheus) },
    { path: "grafana/prometheus.svg", content: preview(prometheus) },
    { path: "grafana/postgres.json", content: json(postgres) },
    { path: "grafana/postgres.svg", content: preview(postgres) },
    { path: "prometheus/alerts.yml", content: alertFile(rules, words, runbooks) },
    { path: "prometheus/figures.yml", content: recordingFile(words) },
    { path: "prometheus/standard-names.yml", content: NamingConventions.recordingRules("standard", { prefix }) },
    { path: "observability.schema.json", content: json(ObservabilityConfig.jsonSchema) },
    { path: "metrics.md", content: reference(words, areasOf(words.definitions.values())) },
    { path: "postgres/metadata.sql", content: metadataSql(words, schema, metadataTable) },
    ...rules.flatMap((rule) => [
      { path: `prometheus/tests/${rule.name}.yml`, content: testFile(rule, words, "../alerts.yml", runbooks) },
      { path: `runbooks/${rule.name}.md`, content: runbook(rule, words) }
    ])
  ]
}
