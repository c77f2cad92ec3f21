import { h, type VNode } from "preact"
import { useState } from "preact/hooks"
import { ask, query, useAnswer } from "../api.ts"
import { bytes, clock, count, moment, ms, short } from "../format.ts"
import { go, hrefTo, hrefWith, params, tick } from "../state.ts"
import { badge, field, link, Panel, stat, table, told, waiting } from "../ui.ts"

export const Errors = (): VNode<any> => {
  const text = params.value.get("text") ?? ""
  const id = params.value.get("error")
  const answer = useAnswer(`errors?${query({ text })}`)
  const groups: ReadonlyArray<any> = answer.data?.groups ?? []
  return h("div", { class: "stack" },
    h("div", { class: "filters" }, field("Text", text, (value) => go(hrefWith({ text: value })), { id: "search", placeholder: "press /" })),
    h(Panel, { title: "Errors by fingerprint", question: answer.data?.query },
      waiting(answer, groups.length === 0, "No errors in this time.") ?? table("Errors", [
        { name: "Error", cell: (one) => link(hrefWith({ error: one.lastErrorId }), told(one.errorType)) },
        { name: "Message", cell: (one) => told(short(one.message)) },
        { name: "Service", cell: (one) => told(one.serviceName) },
        { name: "Kind", cell: (one) => badge(one.kind === "defect" ? "bad" : "warn", one.kind) },
        { name: "Count", number: true, cell: (one) => count(one.count) },
        { name: "First", cell: (one) => clock(one.firstSeen) },
        { name: "Last", cell: (one) => clock(one.lastSeen) }
      ], groups)),
    id === null ? null : h(ErrorDetail, { id }))
}

const ErrorDetail = ({ id }: { id: string }): VNode<any> => {
  const answer = useAnswer(`error?${query({ id })}`, false)
  const one = answer.data
  return h(Panel, { title: "Last of this kind" }, waiting(answer, false, "") ?? h("div", { class: "detail" },
    h("h3", { class: "big" }, told(one.errorType), ": ", told(short(one.message, 1000))),
    h("p", null, moment(one.time), " ", one.traceId === undefined ? null : link(hrefTo("trace", { id: one.traceId, span: one.spanId }), "Open its trace")),
    one.causes.map((cause: any, i: number) => h("div", { key: i }, i === 0 ? null : h("h3", null, "Caused by ", told(cause.type), ": ", told(short(cause.message, 500))), cause.stack === undefined ? null : h("pre", { tabIndex: 0 }, cause.stack.slice(0, 20_000))))))
}

export const Alerts = (): VNode<any> => {
  const now = useAnswer("alerts", false)
  const past = useAnswer("alert-events")
  const [problem, setProblem] = useState("")
  const change = (path: string, init: RequestInit) => ask(path, init).then(() => { setProblem(""); tick.value++ }, (error: Error) => setProblem(error.message))
  const silence = (labels: Record<string, string>) =>
    change("silences", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ matchers: labels, endsAt: Date.now() + 3_600_000, createdBy: "dashboard" }) })
  const alerts: ReadonlyArray<any> = now.data?.alerts ?? [], silences: ReadonlyArray<any> = now.data?.silences ?? [], events: ReadonlyArray<any> = past.data?.events ?? []
  return h("div", { class: "stack" },
    problem === "" ? null : h("p", { class: "note bad", role: "alert" }, problem),
    h(Panel, { title: "Now" }, waiting(now, alerts.length === 0, "Nothing fires and nothing is pending.") ?? table("Alerts", [
      { name: "Alert", cell: (one) => told(one.alertname) },
      { name: "State", cell: (one) => badge(one.silencedBy !== undefined ? "plain" : one.state === "firing" ? "bad" : "warn", one.silencedBy !== undefined ? "silenced" : one.state) },
      { name: "Severity", cell: (one) => one.severity },
      { name: "Summary", cell: (one) => told(short(one.summary)) },
      { name: "Value", number: true, cell: (one) => count(one.value) },
      { name: "Since", cell: (one) => clock(one.activeAt) },
      { name: "Silence", cell: (one) => one.silencedBy !== undefined ? "" : h("button", { type: "button", onClick: () => silence(one.labels), "aria-label": `Silence ${one.alertname} for an hour` }, "1 hour") }
    ], alerts)),
    silences.length === 0 ? null : h(Panel, { title: "Silences" }, table("Silences", [
      { name: "Labels", cell: (one) => told(JSON.stringify(one.matchers)) },
      { name: "Until", cell: (one) => moment(one.endsAt) },
      { name: "Comment", cell: (one) => told(one.comment) },
      { name: "End", cell: (one) => h("button", { type: "button", onClick: () => change(`silences/${encodeURIComponent(one.id)}`, { method: "DELETE" }) }, "End now") }
    ], silences)),
    h(Panel, { title: "History", question: past.data?.query }, waiting(past, events.length === 0, "No alert began or ended in this time.") ?? table("History", [
      { name: "Time", cell: (one) => moment(one.time) },
      { name: "Alert", cell: (one) => told(one.alertname) },
      { name: "State", cell: (one) => badge(one.state === "firing" ? "bad" : "good", one.state) },
      { name: "Summary", cell: (one) => told(short(one.summary)) }
    ], events)))
}

const books = [
  ["accepted", "Accepted"], ["exported", "Exported"], ["unconfirmed", "Unconfirmed"], ["queued", "Queued"], ["spooled", "On disk"], ["inFlight", "In flight"], ["rejected", "Rejected"], ["dropped", "Dropped"]
] as const

const kindOf = (status: string) => status === "up" ? "good" : status === "down" ? "bad" : "warn"

export const Health = (): VNode<any> => {
  const health = useAnswer("health", false)
  const diagnostics = useAnswer("diagnostics", false)
  const report = diagnostics.data
  const signals = (report?.components ?? []).flatMap((component: any) => (component.signals ?? []).map((signal: any) => ({ component: component.name, ...signal })))
  return h("div", { class: "stack" },
    h("div", { class: "stats" },
      stat("Status", health.data === undefined ? "–" : badge(kindOf(health.data.status), health.data.status)),
      stat("Metric series", count(report?.metrics.series)),
      stat("Open spans", count(report?.openSpans.open)),
      stat("Books", report === undefined ? "–" : report.imbalances.length === 0 ? badge("good", "balance") : badge("bad", "do not balance"))),
    h(Panel, { title: "Components" }, waiting(health, health.data?.components.length === 0, "No backend and no check is there: provide one, such as Postgres.layer().") ?? table("Components", [
      { name: "Name", cell: (one: any) => told(one.name) },
      { name: "Group", cell: (one) => told(one.group) },
      { name: "Status", cell: (one) => badge(kindOf(one.status), one.status) },
      { name: "Reason", cell: (one) => told(short(one.reason ?? one.lastError?.message ?? "")) }
    ], health.data?.components ?? [])),
    h(Panel, { title: "Ledger: what became of everything recorded" }, waiting(diagnostics, signals.length === 0, "No backend listens.") ?? table("Ledger", [
      { name: "Backend", cell: (one: any) => told(one.component) },
      { name: "Signal", cell: (one) => one.signal },
      ...books.map(([name, title]) => ({ name: title, number: true, cell: (one: any) => amount(one.ledger[name]) })),
      { name: "Waiting bytes", number: true, cell: (one) => bytes(one.queuedBytes) },
      { name: "Last error", cell: (one) => told(short(one.lastError?.message ?? "")) }
    ], signals)),
    report === undefined ? null : h(Panel, { title: "Storage forecast" }, report.capacity.length === 0 ? h("p", { class: "note" }, "No forecast yet: a store tells it once it has grown for a minute or two.") : table("Storage forecast", [
      { name: "Store", cell: (one: any) => told(one.backend) },
      { name: "Used", number: true, cell: (one) => bytes(one.usedBytes) },
      { name: "Grows a day by", number: true, cell: (one) => `${bytes(one.bytesPerDay?.total)} (${bytes(one.bytesPerDay?.least)} to ${bytes(one.bytesPerDay?.most)})` },
      { name: "Spans a day", number: true, cell: (one) => count(one.spansPerDay) },
      { name: "Samples a day", number: true, cell: (one) => count(one.samplesPerDay) },
      { name: "Series", number: true, cell: (one) => count(one.series) },
      { name: "Kept", number: true, cell: (one) => one.keptDays === undefined ? "–" : `${count(one.keptDays)} days` },
      { name: "Disk is full", cell: (one) => one.fullAt === undefined ? "not foreseen" : moment(one.fullAt) },
      { name: "Notes", cell: (one) => told((one.notes ?? []).join(" ")) }
    ], report.capacity)),
    report === undefined ? null : h(Panel, { title: "Queues of the program" }, report.queues.length === 0 ? h("p", { class: "note" }, "No queue reports itself.") : table("Queues", [
      { name: "Backend", cell: (one: any) => told(one.backend) },
      { name: "Signal", cell: (one) => one.signal },
      { name: "Waiting", number: true, cell: (one) => `${count(one.items)} of ${count(one.maxItems)}` },
      { name: "Bytes", number: true, cell: (one) => `${bytes(one.bytes)} of ${bytes(one.maxBytes)}` },
      { name: "Oldest", number: true, cell: (one) => ms(one.oldestAgeMillis) },
      { name: "Failures in a row", number: true, cell: (one) => count(one.failures) },
      { name: "Last success", cell: (one) => one.lastSuccessAt === undefined ? "none yet" : clock(one.lastSuccessAt) },
      { name: "Lost", number: true, cell: (one) => one.lost > 0 ? badge("bad", count(one.lost)) : "0" }
    ], report.queues)))
}

/** A figure of the ledger: a number, or numbers by reason. */
const amount = (value: unknown): string =>
  typeof value === "object" && value !== null ? count(Object.values(value).reduce((sum: number, one) => sum + (typeof one === "number" ? one : 0), 0)) : count(Number(value ?? 0))
