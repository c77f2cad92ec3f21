import { type AlertHistory, AlertQuestions, type StoredAlertEvent } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { sqlNames } from "../internal/names.ts"
import { int4, int8, text, timestamptz } from "../internal/parameters.ts"
import type { Row } from "../internal/session.ts"
import { asking, type HistoryOptions } from "./ask.ts"
import { Parameters } from "./parameters.ts"
import { isOf } from "./resources.ts"

/** Answers from `obs_alert_event`. */
export const alerts = (options: HistoryOptions): AlertHistory["Service"] => {
  const t = sqlNames(options.names)
  const ask = asking(options)
  return {
    searchAlerts: (query) =>
      Effect.flatMap(AlertQuestions.question(query), (filter) => {
        const { parameters, where } = conditions(filter)
        return Effect.map(
          ask(
            `select replace(e.event_id::text, '-', '') as event_id, e.time_ms, e.state, e.fingerprint, e.alertname, e.severity, e.value, e.started_ms, e.summary,
                e.description, e.labels::text as labels, r.service
              from ${t.alert_event} e join ${t.lane} l on l.id = e.lane join ${t.resource} r on r.id = l.resource
              where ${where} order by e.time_ms desc, e.event_id desc limit $${parameters.length + 1}::int4`,
            [...parameters, int4(filter.limit + 1)]
          ),
          (rows) => {
            const events = rows.slice(0, filter.limit).map(eventOf)
            return { events, cursor: rows.length > filter.limit ? AlertQuestions.cursorOf(events.at(-1)!) : undefined }
          }
        )
      })
  }
}

/** Bound parameters only. The day bounds keep partitions out that hold nothing of the range. */
const conditions = (filter: AlertQuestions.AlertFilter): { readonly where: string; readonly parameters: ReadonlyArray<unknown> } => {
  const written = new Parameters()
  const parameters = written.values
  const bound = (value: unknown): string => {
    parameters.push(value)
    return `$${parameters.length}`
  }
  const all = [`e.time_ms >= ${bound(int8(filter.from))}::int8`, `e.time_ms < ${bound(int8(filter.to))}::int8`]
  // A row of a wrong clock lies on another day than its time says: one day to spare.
  const from = filter.from - 86_400_000
  if (from > 0) all.push(`e.ts >= ${bound(timestamptz(new Date(from)))}::timestamptz`)
  const equal: ReadonlyArray<readonly [string, string | undefined]> = [
    ["r.service", filter.serviceName], ["e.fingerprint", filter.fingerprint], ["e.alertname", filter.alertname], ["e.severity", filter.severity], ["e.state", filter.state]
  ]
  for (const [column, value] of equal) if (value !== undefined) all.push(`${column} = ${bound(text(value.replaceAll("\0", "\ufffd").toWellFormed()))}::text`)
  all.push(...isOf(written, filter.resource))
  if (filter.before !== undefined) {
    all.push(`(e.time_ms, e.event_id) < (${bound(int8(filter.before.time))}::int8, ${bound(text(filter.before.eventId))}::uuid)`)
  }
  return { where: all.join(" and "), parameters }
}

const eventOf = (row: Row): StoredAlertEvent => ({
  eventId: String(row["event_id"]),
  time: Number(row["time_ms"]),
  state: row["state"] as StoredAlertEvent["state"],
  fingerprint: String(row["fingerprint"]),
  alertname: String(row["alertname"]),
  labels: JSON.parse(String(row["labels"])) as Readonly<Record<string, string>>,
  severity: row["severity"] as StoredAlertEvent["severity"],
  summary: String(row["summary"]),
  description: (row["description"] as string | null) ?? undefined,
  value: (row["value"] as number | null) ?? undefined,
  startedAt: Number(row["started_ms"]),
  serviceName: String(row["service"])
})
