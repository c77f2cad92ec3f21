import { h, type VNode } from "preact"
import { query, useAnswer } from "../api.ts"
import { Chart } from "../chart.ts"
import { count, ms } from "../format.ts"
import { go, hrefWith, params } from "../state.ts"
import { field, Panel, select, stale, table, told, waiting, link } from "../ui.ts"

interface Metric {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly labels: ReadonlyArray<string>
  readonly series: number
}

const functionsOf = (type: string | undefined): ReadonlyArray<string> =>
  type === "counter" ? ["rate", "increase"] : type === "histogram" || type === "summary" ? ["quantile", "rate", "avg", "max", "count", "sum"] : ["last", "avg", "min", "max", "sum"]

export const Metrics = (): VNode<any> => {
  const at = (name: string) => params.value.get(name) ?? ""
  const change = (name: string) => (value: string) => go(hrefWith({ [name]: value }))
  const list = useAnswer("metrics", false)
  const metrics: ReadonlyArray<Metric> = (list.data?.metrics ?? []).filter(({ series }: Metric) => series > 0)
  const chosen = at("metric") === "" ? metrics.find(({ name }) => name === "http_requests_total") ?? metrics[0] : metrics.find(({ name }) => name === at("metric"))
  const metric = at("metric") || (chosen?.name ?? "")
  const functions = functionsOf(chosen?.type)
  // What this program has not declared may be of another one: its type is not known here.
  const fn = at("function") !== "" && (chosen === undefined || functions.includes(at("function"))) ? at("function") : functions[0]!
  const answer = useAnswer(metric === "" || list.loading ? undefined : `range?${query({ metric, function: fn, by: at("by"), byResource: at("byResource"), label: at("label"), quantile: fn === "quantile" ? at("quantile") || "0.99" : "" })}`)
  const series: ReadonlyArray<{ labels: Record<string, string>; resource?: Record<string, string>; values: ReadonlyArray<number | null> }> = answer.data?.series ?? []
  const name = (labels: Record<string, string>) => Object.entries(labels).map(([key, value]) => `${key}=${value.slice(0, 60)}`).join(" ") || metric
  const format = metric.endsWith("_seconds") && fn !== "rate" && fn !== "count" ? (value: number) => ms(value * 1000) : count
  return h("div", { class: "stack" },
    h("div", { class: "filters" },
      select("Metric", metric, (metrics.some((one) => one.name === metric) || metric === "" ? metrics : [{ name: metric }, ...metrics]).map((one) => [one.name, one.name] as const), (value) => go(hrefWith({ metric: value, function: undefined, by: undefined, label: undefined }))),
      select("Function", fn, functions.map((one) => [one, one] as const), change("function")),
      fn === "quantile" ? select("Quantile", at("quantile") || "0.99", ["0.5", "0.9", "0.95", "0.99"].map((one) => [one, one] as const), change("quantile")) : null,
      select("Group by", at("by"), [["", "All together"], ...(chosen?.labels ?? []).map((one) => [one, one] as const)], change("by")),
      select("Compare", at("byResource"), [["", "All processes"], ...["service", "version", "instance", "cluster", "env"].map((one) => [one, one] as const)], change("byResource")),
      field("Only label", at("label"), change("label"), { placeholder: "key=value" })),
    h(Panel, { title: metric === "" ? "Metrics" : metric, question: answer.data?.query },
      chosen?.help === undefined ? null : h("p", { class: "hint" }, told(chosen.help)),
      stale(answer),
      metric === "" ? waiting(list, true, "Nothing was recorded yet: define a metric and record into it.") :
        waiting(answer, series.length === 0, "No values in this time. Choose a longer one above, or take the label filter out.") ??
        h(Chart, { label: `${fn} of ${metric} over time`, times: answer.data.times, format, lines: series.map(({ labels, resource, values }) => ({ name: name({ ...labels, ...resource }), values })) }),
      answer.data?.seriesLeftOut > 0 ? h("p", { class: "hint" }, `${answer.data.seriesLeftOut} smaller series are left out: group by another label or filter.`) : null),
    h(Panel, { title: "All metrics" },
      waiting(list, metrics.length === 0, "Nothing was recorded yet.") ?? table("Metrics", [
        { name: "Metric", cell: (one) => link(hrefWith({ metric: one.name, function: undefined, by: undefined, label: undefined }), told(one.name)) },
        { name: "Type", cell: (one) => one.type },
        { name: "Series", number: true, cell: (one) => count(one.series) },
        { name: "Meaning", cell: (one) => told(one.help) }
      ], metrics)))
}
