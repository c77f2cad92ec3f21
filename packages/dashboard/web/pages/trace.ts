import { h, type VNode } from "preact"
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { query, useAnswer } from "../api.ts"
import { moment, ms, short } from "../format.ts"
import { go, hrefTo, hrefWith, params } from "../state.ts"
import { badge, link, Panel, stat, told, waiting } from "../ui.ts"
import { criticalPath, type Row, rowsOf, type Span } from "./waterfall.ts"

const rowHeight = 26

export const Trace = (): VNode<any> => {
  const id = params.value.get("id") ?? ""
  const answer = useAnswer(`trace?${query({ id })}`, false)
  const spans: ReadonlyArray<Span> = answer.data?.spans ?? []
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set())
  const rows = useMemo(() => rowsOf(spans, closed), [answer.data, closed])
  const critical = useMemo(() => criticalPath(spans), [answer.data])
  const wait = waiting(answer, spans.length === 0, "Nothing of this trace is stored.")
  if (wait !== null) return h(Panel, { title: "Trace" }, wait)
  const services = [...new Set(spans.map(({ service }) => service))]
  const total = Math.max(1e-6, ...spans.slice(0, 1).map(() => spans.reduce((most, { at, ms: length }) => Math.max(most, at + length), 0)))
  const selected = params.value.get("span") ?? rows[0]!.span.id
  return h("div", { class: "stack" },
    h("div", { class: "title" }, h("h2", null, told(short(rows[0]!.span.name))), h("p", null, moment(answer.data.startMs), " · ", h("code", null, id))),
    h("div", { class: "stats" },
      stat("Duration", ms(total)), stat("Spans", spans.length.toLocaleString()), stat("Services", String(services.length)),
      stat("Failed spans", String(spans.filter(({ failed }) => failed).length), spans.some(({ failed }) => failed) ? "bad" : "")),
    h("div", { class: "trace" },
      h(Panel, { title: "Waterfall", question: answer.data.query },
        h(Waterfall, {
          rows, critical, total, selected, hue: (service) => services.indexOf(service) % 8,
          toggle: (one) => { const next = new Set(closed); if (!next.delete(one)) next.add(one); setClosed(next) },
          choose: (one) => go(hrefWith({ span: one }), true)
        }),
        h("ul", { class: "legend" }, services.slice(0, 12).map((name, i) => h("li", { key: name }, h("i", { class: `dot hue${i % 8}` }), told(short(name, 60))))),
        h("p", { class: "hint" }, h("i", { class: "path" }), " on the critical path. Arrow keys move; left and right close and open.")),
      h(Detail, { id, span: selected })))
}

interface WaterfallProps {
  rows: ReadonlyArray<Row>
  critical: ReadonlySet<string>
  total: number
  selected: string
  /** Which of the eight colours a service has. */
  hue: (service: string) => number
  choose: (id: string) => void
  toggle: (id: string) => void
}

/** Only the rows that can be seen are in the document, however many there are. */
const Waterfall = ({ choose, critical, hue, rows, selected, toggle, total }: WaterfallProps): VNode<any> => {
  const place = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  const height = Math.min(560, rows.length * rowHeight)
  const at = Math.max(0, rows.findIndex(({ span }) => span.id === selected))
  useEffect(() => {
    const root = place.current!
    if (at * rowHeight < root.scrollTop) root.scrollTop = at * rowHeight
    else if ((at + 1) * rowHeight > root.scrollTop + height) root.scrollTop = (at + 1) * rowHeight - height
  }, [at, height])
  const from = Math.max(0, Math.floor(top / rowHeight) - 5)
  const shown = rows.slice(from, Math.ceil((top + height) / rowHeight) + 5)
  const onKeyDown = (event: KeyboardEvent) => {
    const to = event.key === "ArrowDown" ? at + 1 : event.key === "ArrowUp" ? at - 1 : event.key === "Home" ? 0 : event.key === "End" ? rows.length - 1 : event.key === "PageDown" ? at + 20 : event.key === "PageUp" ? at - 20 : undefined
    if (to !== undefined) choose(rows[Math.min(rows.length - 1, Math.max(0, to))]!.span.id)
    else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && rows[at]!.children > 0) toggle(rows[at]!.span.id)
    else return
    event.preventDefault()
  }
  const visible = at >= from && at < from + shown.length
  return h("div", {
    ref: place, class: "waterfall", tabIndex: 0, role: "listbox", "aria-label": "Spans", style: { height: `${height}px` }, onKeyDown,
    ...(visible ? { "aria-activedescendant": `row${at}` } : {}),
    onScroll: (event: Event) => setTop((event.target as HTMLElement).scrollTop)
  }, h("div", { role: "presentation", style: { height: `${rows.length * rowHeight}px`, position: "relative" } },
    shown.map(({ children, depth, span }, i) => {
      const left = 100 * span.at / total
      return h("div", {
        key: span.id, id: `row${from + i}`, role: "option", "aria-selected": span.id === selected, class: `row ${span.id === selected ? "chosen" : ""}`,
        style: { top: `${(from + i) * rowHeight}px`, height: `${rowHeight}px` }, onClick: () => choose(span.id), onDblClick: () => toggle(span.id)
      },
        h("span", { class: "name", style: { paddingLeft: `${8 + Math.min(depth, 12) * 14}px` } },
          h("i", { class: `dot hue${hue(span.service)}` }), h("bdi", null, short(span.name, 120)), children > 0 ? h("small", null, ` ${children}`) : null, span.failed ? badge("bad", "failed") : null),
        h("span", { class: "track" },
          h("i", { class: `bar hue${hue(span.service)} ${critical.has(span.id) ? "critical" : ""}`, style: { left: `${Math.min(99.7, left)}%`, width: `${Math.max(0.3, Math.min(100 - left, 100 * span.ms / total))}%` } })),
        h("span", { class: "length" }, ms(span.ms)))
    })))
}

const pairs = (title: string, entries: ReadonlyArray<readonly [string, unknown]>): VNode<any> | null =>
  entries.length === 0 ? null : h("div", null, title === "" ? null : h("h3", null, title), h("dl", null, entries.map(([key, value]) => [h("dt", null, told(key)), h("dd", null, h(Value, { value }))])))

/** Always text, never a link or markup; a long one is cut until asked for. */
const Value = ({ value }: { value: unknown }): VNode<any> => {
  const [whole, setWhole] = useState(false)
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "null"
  return h("span", null, told(whole ? text : text.slice(0, 500)), !whole && text.length > 500 ? h("button", { type: "button", class: "quiet", onClick: () => setWhole(true) }, `Show all ${text.length.toLocaleString()} characters`) : null)
}

const Detail = ({ id, span }: { id: string; span: string }): VNode<any> => {
  const answer = useAnswer(`span?${query({ id, span })}`, false)
  const one = answer.data
  return h(Panel, { title: "Span" }, waiting(answer, false, "") ?? h("div", { class: "detail" },
    h("h3", { class: "big" }, told(short(one.name))),
    h("p", null, told(one.serviceName), " · ", one.kind, " · ", ms(one.endTime - one.startTime), " ", one.status === "error" ? badge("bad", "failed") : null),
    one.statusMessage === undefined ? null : h("p", { class: "note bad" }, told(short(one.statusMessage, 1000))),
    pairs("Attributes", Object.entries(one.attributes)),
    one.events.length === 0 ? null : h("div", null, h("h3", null, "Events"), one.events.map((event: any) => h("div", { class: "event" }, h("b", null, ms(event.time)), " ", told(event.name), pairs("", Object.entries(event.attributes))))),
    one.links.length === 0 ? null : h("div", null, h("h3", null, "Links"), one.links.map((to: any) => h("p", null, link(hrefTo("trace", { id: to.traceId, span: to.spanId }), h("code", null, to.traceId))))),
    pairs("Ids", [["span", one.spanId], ["parent", one.parentSpanId ?? "none"], ["weight", one.weight]])))
}
