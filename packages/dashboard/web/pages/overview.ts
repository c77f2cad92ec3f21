import { h, type VNode } from "preact"
import { query, useAnswer } from "../api.ts"
import { Chart } from "../chart.ts"
import { count, ms, ns, percent } from "../format.ts"
import { hrefTo, hrefWith, go, params, timeOf } from "../state.ts"
import { badge, Panel, select, stale, stat, table, told, waiting } from "../ui.ts"
import { link } from "../ui.ts"

interface Operation {
  readonly serviceName: string
  readonly name: string
  readonly kind: string
  readonly count: number
  readonly errorCount: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly totalDuration: number
}

/** Rate, errors and duration of services and operations; what costs most time comes first. */
export const Overview = (): VNode<any> => {
  const service = params.value.get("service") ?? ""
  const kind = params.value.get("kind") ?? ""
  const answer = useAnswer(`operations?${query({ limit: "500" })}`)
  const all: ReadonlyArray<Operation> = answer.data?.operations ?? []
  const services = [...new Set(all.map(({ serviceName }) => serviceName))].sort()
  const rows = all.filter((one) => (service === "" || one.serviceName === service) && (kind === "" || one.kind === kind))
  const { from, to } = timeOf()
  const seconds = (to - from) / 1000
  const entry = all.filter((one) => (one.kind === "server" || one.kind === "consumer") && (service === "" || one.serviceName === service))
  const sum = (of: (one: Operation) => number) => entry.reduce((total, one) => total + of(one), 0)
  const longest = Math.max(1, ...rows.map(({ totalDuration }) => totalDuration))
  return h("div", { class: "stack" },
    h("div", { class: "stats" },
      stat("Requests", count(sum((one) => one.count))),
      stat("Requests per second", count(sum((one) => one.count) / seconds)),
      stat("Failed", `${percent(sum((one) => one.errorCount), sum((one) => one.count))}`, sum((one) => one.errorCount) > 0 ? "bad" : ""),
      stat("Services", count(services.length)),
      stat("Operations", count(all.length))),
    h("div", { class: "filters" },
      select("Service", service, [["", "All services"], ...services.map((name) => [name, name] as const)], (value) => go(hrefWith({ service: value }))),
      select("Kind", kind, [["", "All kinds"], ...["server", "client", "consumer", "producer", "internal"].map((name) => [name, name] as const)], (value) => go(hrefWith({ kind: value })))),
    h(Latency, { service, operation: "", kind: kind === "" ? "server" : kind }),
    h(Panel, { title: "Operations by impact", question: answer.data?.query },
      stale(answer),
      waiting(answer, rows.length === 0, "No spans in this time. Send the program a request, or choose a longer time above.") ??
        table("Operations", [
          { name: "Operation", cell: (one) => link(hrefTo("operation", { service: one.serviceName, operation: one.name, kind: one.kind }), told(one.name)) },
          { name: "Service", cell: (one) => told(one.serviceName) },
          { name: "Kind", cell: (one) => one.kind },
          { name: "Time spent", cell: (one) => h("span", { class: "meter" }, h("i", { style: { width: `${100 * one.totalDuration / longest}%` } }), h("span", null, ns(one.totalDuration))) },
          { name: "Count", number: true, cell: (one) => count(one.count) },
          { name: "Per second", number: true, cell: (one) => count(one.count / seconds) },
          { name: "Failed", number: true, cell: (one) => one.errorCount > 0 ? badge("bad", percent(one.errorCount, one.count)) : "0 %" },
          { name: "p50", number: true, cell: (one) => ns(one.p50) },
          { name: "p90", number: true, cell: (one) => ns(one.p90) },
          { name: "p99", number: true, cell: (one) => ns(one.p99) }
        ], rows)))
}

export const Latency = ({ kind, operation, service }: { service: string; operation: string; kind: string }): VNode<any> => {
  const answer = useAnswer(`latency?${query({ service, operation, kind })}`)
  const points: ReadonlyArray<{ time: number; count: number; errorCount: number; quantiles: ReadonlyArray<number | null> }> = answer.data?.points ?? []
  const step = (answer.data?.step ?? 1000) / 1000
  const times = points.map(({ time }) => time)
  const body = (make: () => VNode<any>) => waiting(answer, points.every((point) => point.count === 0), "Nothing happened in this time.") ?? make()
  const what = operation === "" ? kind === "server" ? "Requests" : `Spans of kind ${kind}` : "Calls"
  return h("div", { class: "pair" },
    h(Panel, { title: `${what} per second`, question: answer.data?.query }, body(() =>
      h(Chart, { label: `${what} and failures per second over time`, times, format: count, lines: [{ name: "all", values: points.map((point) => point.count / step) }, { name: "failed", values: points.map((point) => point.errorCount / step) }] }))),
    h(Panel, { title: "Duration", question: answer.data?.query }, body(() =>
      h(Chart, {
        label: "Duration quantiles over time", times, format: ms,
        lines: (answer.data.quantiles as ReadonlyArray<number>).map((quantile, i) => ({ name: `p${+(quantile * 100).toFixed(1)}`, values: points.map(({ quantiles }) => { const value = quantiles[i]; return typeof value === "number" ? value / 1e6 : null }) }))
      }))))
}

export const Operation = (): VNode<any> => {
  const operation = params.value.get("operation") ?? ""
  const service = params.value.get("service") ?? ""
  const kind = params.value.get("kind") ?? ""
  const differs = useAnswer(`differs?${query({ service, operation, kind, status: "ERROR" })}`)
  const found: ReadonlyArray<{ key: string; value: string; selectedShare: number; restShare: number; score: number }> = differs.data?.differences ?? []
  return h("div", { class: "stack" },
    h("div", { class: "title" }, h("h2", null, told(operation)), h("p", null, told(service), " · ", kind, " · ", link(hrefTo("traces", { service, operation }), "Traces"), " · ", link(hrefTo("traces", { service, operation, status: "ERROR" }), "Failed traces"))),
    h(Latency, { service, operation, kind }),
    h(Panel, { title: "What failed calls have in common", question: differs.data?.query },
      waiting(differs, found.length === 0, "No attribute tells failed calls from the others, or none failed.") ??
        table("Differences", [
          { name: "Attribute", cell: (one) => told(one.key) },
          { name: "Value", cell: (one) => told(one.value.slice(0, 200)) },
          { name: "Of failed", number: true, cell: (one) => percent(one.selectedShare, 1) },
          { name: "Of others", number: true, cell: (one) => percent(one.restShare, 1) },
          { name: "Score", number: true, cell: (one) => count(one.score) }
        ], found)))
}
