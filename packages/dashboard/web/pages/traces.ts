import { h, type VNode } from "preact"
import { query, useAnswer } from "../api.ts"
import { clock, ms, short } from "../format.ts"
import { go, hrefTo, hrefWith, params } from "../state.ts"
import { badge, field, link, Panel, select, stale, table, told, waiting } from "../ui.ts"

interface Summary {
  readonly traceId: string
  readonly name: string
  readonly serviceName: string
  readonly startMs: number
  readonly durationMs: number
  readonly spanCount: number
  readonly errorCount: number
}

export const Traces = (): VNode<any> => {
  const at = (name: string) => params.value.get(name) ?? ""
  const change = (name: string) => (value: string) => go(hrefWith({ [name]: value, cursor: undefined }))
  const names = ["service", "operation", "status", "minMs", "maxMs", "text", "order", "attribute", "cursor"]
  const answer = useAnswer(`traces?${query(Object.fromEntries(names.map((name) => [name, at(name)])))}`)
  const traces: ReadonlyArray<Summary> = answer.data?.traces ?? []
  return h("div", { class: "stack" },
    h("div", { class: "filters" },
      field("Service", at("service"), change("service")),
      field("Operation", at("operation"), change("operation")),
      select("Status", at("status"), [["", "Any"], ["ERROR", "Failed"], ["OK", "Not failed"]], change("status")),
      field("At least, ms", at("minMs"), change("minMs"), { inputMode: "decimal", size: 6 }),
      field("At most, ms", at("maxMs"), change("maxMs"), { inputMode: "decimal", size: 6 }),
      field("Attribute", at("attribute"), change("attribute"), { placeholder: "key=value" }),
      field("Text", at("text"), change("text"), { id: "search", placeholder: "press /" }),
      select("Order", at("order"), [["", "Newest"], ["slowest", "Slowest"], ["oldest", "Oldest"]], change("order"))),
    h(Panel, { title: "Durations", question: answer.data?.query },
      waiting(answer, traces.length === 0, "No trace passes. Loosen the filters above, or choose a longer time.") ?? h(Scatter, { traces })),
    traces.length === 0 ? null : h(Panel, { title: `${traces.length} traces` },
      stale(answer),
      table("Traces", [
        { name: "Started", cell: (one) => clock(one.startMs) },
        { name: "Trace", cell: (one) => link(hrefTo("trace", { id: one.traceId }), told(short(one.name))) },
        { name: "Service", cell: (one) => told(one.serviceName) },
        { name: "Spans", number: true, cell: (one) => one.spanCount },
        { name: "Failed", number: true, cell: (one) => one.errorCount > 0 ? badge("bad", String(one.errorCount)) : "0" },
        { name: "Duration", number: true, cell: (one) => ms(one.durationMs) }
      ], traces),
      h("p", { class: "more" },
        at("cursor") === "" ? null : link(hrefWith({ cursor: undefined }), "First page"), " ",
        answer.data?.cursor === undefined ? null : link(hrefWith({ cursor: answer.data.cursor, from: String(answer.data.query.startTime), to: String(answer.data.query.endTime) }), "Next page"))))
}

/** Each trace a dot: when, and how long (logarithmic). The table below holds the same for the keyboard. */
const Scatter = ({ traces }: { traces: ReadonlyArray<Summary> }): VNode<any> => {
  // The page of traces may be a small part of the time asked for: the dots get all of the width.
  const first = Math.min(...traces.map(({ startMs }) => startMs)), last = Math.max(first + 1, ...traces.map(({ startMs }) => startMs))
  const logs = traces.map(({ durationMs }) => Math.log10(Math.max(0.001, durationMs)))
  const low = Math.floor(Math.min(...logs)), high = Math.max(low + 1, Math.ceil(Math.max(...logs)))
  const y = (log: number) => 150 - 140 * (log - low) / (high - low)
  return h("svg", { class: "scatter", viewBox: "0 0 1000 180", role: "img", "aria-label": `Durations of ${traces.length} traces over time`, preserveAspectRatio: "none" },
    Array.from({ length: high - low + 1 }, (_, i) => h("g", { key: i },
      h("line", { x1: 60, x2: 1000, y1: y(low + i), y2: y(low + i) }),
      h("text", { x: 54, y: y(low + i) + 4 }, ms(10 ** (low + i))))),
    h("text", { x: 60, y: 176, class: "begin" }, clock(first)),
    h("text", { x: 1000, y: 176 }, clock(last)),
    traces.map((one, i) => h("circle", {
      key: one.traceId, r: 5, cx: 60 + 930 * (one.startMs - first) / (last - first), cy: y(logs[i]!), class: one.errorCount > 0 ? "bad" : "",
      onClick: () => go(hrefTo("trace", { id: one.traceId }))
    }, h("title", null, `${short(one.name, 80)} ${ms(one.durationMs)}`))))
}
