import { type ComponentType, h, render, type VNode } from "preact"
import { useEffect } from "preact/hooks"
import { signal } from "@preact/signals"
import { ask } from "./api.ts"
import { moment } from "./format.ts"
import { Metrics } from "./pages/metrics.ts"
import { Operation, Overview } from "./pages/overview.ts"
import { Trace } from "./pages/trace.ts"
import { Traces } from "./pages/traces.ts"
import { Alerts, Errors, Health } from "./pages/troubles.ts"
import { go, hrefTo, hrefWith, isFixed, isLive, params, ranges, timeOf } from "./state.ts"
import { field, link, select } from "./ui.ts"

/** What the navigation shows, and what it shows it for. */
const pages: ReadonlyArray<readonly [string, string, ComponentType]> = [
  ["overview", "Overview", Overview], ["traces", "Traces", Traces], ["metrics", "Metrics", Metrics], ["errors", "Errors", Errors], ["alerts", "Alerts", Alerts], ["health", "Health", Health]
]
const inner: ReadonlyArray<readonly [string, string, ComponentType, string]> = [["operation", "Operation", Operation, "overview"], ["trace", "Trace", Trace, "traces"]]

const service = signal("")
ask("session").then((session) => { service.value = session.service }, () => {})

const App = (): VNode<any> => {
  const name = params.value.get("page") ?? "overview"
  const within = inner.find(([one]) => one === name)
  const [, title, Page] = within ?? pages.find(([one]) => one === name) ?? pages[0]!
  useEffect(() => { document.title = `${title} · ${service.value || "Observability"}` }, [title, service.value])
  const current = within?.[3] ?? name
  const { from, to } = timeOf()
  return h("div", { class: "page" },
    h("a", { class: "skip", href: "#main" }, "Skip to the content"),
    h("header", { class: "top" },
      h("span", { class: "brand" }, h("i", { "aria-hidden": "true" }), h("span", null, service.value || "Observability")),
      h("nav", { "aria-label": "Pages" }, pages.map(([one, text]) => link(hrefTo(one), text, one === current ? { "aria-current": "page" } : {}))),
      h("div", { class: "time" },
        field("Processes", params.value.get("resource") ?? "", (value) => go(hrefWith({ resource: value, cursor: undefined })), { placeholder: "cluster=east, env=live", size: 18 }),
        isFixed.value
          ? h("span", null, `${moment(from)} – ${moment(to)} `, link(hrefWith({ from: undefined, to: undefined, cursor: undefined }), "Back to now"))
          : select("Last", params.value.get("range") ?? "15m", ranges.map(([key, text]) => [key, text] as const), (value) => go(hrefWith({ range: value, cursor: undefined }))),
        isFixed.value ? null : h("button", { type: "button", "aria-pressed": isLive.value, class: isLive.value ? "live" : "", onClick: () => go(hrefWith({ live: isLive.value ? "0" : undefined }), true) }, isLive.value ? "Live" : "Paused"))),
    h("main", { id: "main", tabIndex: -1 }, h("h1", null, title), h(Page, { key: name })))
}

addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test((event.target as HTMLElement).tagName)
  if (typing || event.metaKey || event.ctrlKey || event.altKey) return
  if (event.key === "/") {
    const search = document.getElementById("search")
    if (search !== null) { event.preventDefault(); search.focus() }
  } else if (/^[1-6]$/.test(event.key)) go(hrefTo(pages[Number(event.key) - 1]![0]))
})

render(h(App, null), document.getElementById("app")!)
