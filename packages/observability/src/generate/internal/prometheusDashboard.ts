import { canonicalNumber, type MetricDefinition } from "@effect-observability/core"
import { type Dashboard, DatasourceVariableBuilder, QueryVariableBuilder, VariableRefresh } from "@grafana/grafana-foundation-sdk/dashboard"
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus"
import { areasOf, dashboard, type Figure, fromZero, leadingLabel, type Target, unitOf, zeroIsGood } from "./panels.ts"
import { quoted, type Vocabulary } from "./promql.ts"
import { markdown } from "./text.ts"

type Definition = MetricDefinition.MetricDefinition

const source = { type: "prometheus", uid: "${datasource}" }
const scope = `job=~"$job", instance=~"$instance"`

export const prometheusDashboard = (words: Vocabulary, title: string): Dashboard =>
  dashboard({
    title: `${title} (Prometheus)`,
    uid: "effect-observability-prometheus",
    tags: ["effect-observability", "generated"],
    datasource: source.type,
    variables: [
      new DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"),
      choice("job", `label_values(obs_series, job)`),
      choice("instance", `label_values(obs_series{job=~"$job"}, instance)`)
    ],
    rows: areasOf(words.definitions.values()).map(([area, definitions]) => [area, definitions.map((one) => figureOf(one, words))])
  })

const choice = (name: string, query: string): QueryVariableBuilder =>
  new QueryVariableBuilder(name).label(name).datasource(source).query(query).refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true).includeAll(true).allValue(".*")

const figureOf = (definition: Definition, words: Vocabulary): Figure => {
  const name = words.exposed(definition.name)
  const label = leadingLabel(definition)
  const by = label === undefined ? "" : ` by (${label})`
  const legend = label === undefined ? definition.name : `{{${label}}}`
  const zero = zeroIsGood(definition) ? ` or on () (0 * count(obs_series{${scope}}))` : ""
  const rate = (sample: string) => `rate(${sample}{${scope}}[$__rate_interval])`
  const of = (targets: ReadonlyArray<Target>, perSecond = false, what = ""): Figure => ({
    title: `${definition.name}${what}`,
    description: markdown(definition.help),
    unit: unitOf(definition, perSecond),
    fromZero: fromZero(definition),
    targets
  })
  switch (definition.type) {
    case "counter":
      return of([line("A", `sum${by} (${rate(name)})${zero}`, legend)], true, " per second")
    case "gauge":
      return of([line("A", `max${by} (${name}{${scope}})${zero}`, legend)])
    case "upDownCounter":
      return of([line("A", `sum${by} (${name}{${scope}})`, legend)])
    case "histogram":
      return of([0.5, 0.95, 0.99].map((q, i) => line("ABC"[i]!, `histogram_quantile(${q}, sum by (le) (${rate(`${name}_bucket`)}))`, `p${q * 100}`)))
    case "summary":
      return of(Object.keys(definition.objectives ?? {}).map((q, i) =>
        line(String.fromCharCode(65 + i), `max (${name}{${scope}, quantile=${quoted(canonicalNumber(Number(q)))}})`, `p${Number(q) * 100}`)
      ))
  }
}

const line = (refId: string, expr: string, legend: string): Target =>
  new DataqueryBuilder().refId(refId).expr(expr).legendFormat(legend).range().datasource(source)
