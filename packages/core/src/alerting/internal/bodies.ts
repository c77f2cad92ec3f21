import type { AlertNotification, NotifiedAlert } from "../AlertSink.ts"

export interface BodyOptions {
  /** As receivers see it. Default `"effect-observability"`. */
  readonly receiver?: string
  /** Where people look at alerts: `externalURL` and the start of `generatorURL`. Default none. */
  readonly externalUrl?: string
  /** Where a rule's runbook lies: its name and `.md` are appended. Default none. */
  readonly runbooks?: string
}

const iso = (millis: number): string => new Date(millis).toISOString()
/** What Go writes for no time at all. */
const never = "0001-01-01T00:00:00Z"

const annotationsOf = (alert: NotifiedAlert, { runbooks }: BodyOptions): Readonly<Record<string, string>> => ({
  summary: alert.summary === "" ? alert.alertname : alert.summary,
  ...(alert.description === undefined ? {} : { description: alert.description }),
  ...(alert.value === undefined ? {} : { value: String(alert.value) }),
  ...(runbooks === undefined || alert.origin === "anomaly" ? {} : { runbook_url: `${runbooks}${alert.alertname}.md` })
})

const generator = ({ alertname }: NotifiedAlert, { externalUrl = "" }: BodyOptions): string =>
  externalUrl === "" ? "" : `${externalUrl.replace(/\/+$/, "")}/alerts?alertname=${encodeURIComponent(alertname)}`

/** Alertmanager's webhook body, version 4 (its documentation, "Configuration", `webhook_config`). */
export const v4Body = (notification: AlertNotification, options: BodyOptions) => {
  const alerts = notification.alerts.map((alert) => ({
    status: alert.status,
    labels: alert.labels,
    annotations: annotationsOf(alert, options),
    startsAt: iso(alert.startsAt),
    endsAt: alert.endsAt === undefined ? never : iso(alert.endsAt),
    generatorURL: generator(alert, options),
    fingerprint: alert.fingerprint
  }))
  return {
    version: "4",
    groupKey: `{}:{alertname=${JSON.stringify(notification.alertname)}}`,
    truncatedAlerts: notification.truncated,
    status: notification.status,
    receiver: options.receiver ?? "effect-observability",
    groupLabels: { alertname: notification.alertname },
    commonLabels: common(alerts.map(({ labels }) => labels)),
    commonAnnotations: common(alerts.map(({ annotations }) => annotations)),
    externalURL: options.externalUrl ?? "",
    alerts
  }
}

const common = (all: ReadonlyArray<Readonly<Record<string, string>>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(all[0] ?? {}).filter(([name, value]) => all.every((one) => one[name] === value)))

/** `postableAlerts` of Alertmanager's API v2; what fires ends by itself when nobody says it again. */
export const v2Body = (notification: AlertNotification, options: BodyOptions, validFor: number) =>
  notification.alerts.map((alert) => {
    const url = generator(alert, options)
    return {
      labels: alert.labels,
      annotations: annotationsOf(alert, options),
      startsAt: iso(alert.startsAt),
      endsAt: iso(alert.endsAt ?? notification.time + validFor),
      ...(url === "" ? {} : { generatorURL: url })
    }
  })
