import * as Effect from "effect/Effect"
import type { ExportError } from "../pipe/Exporter.ts"
import type { Alert } from "./Alert.ts"

/** An alert in a notification. */
export interface NotifiedAlert extends Alert {
  readonly status: "firing" | "resolved"
  /** Milliseconds since the epoch. */
  readonly startsAt: number
  /** When it ended; `undefined` while it fires. */
  readonly endsAt: number | undefined
}

/** All alerts of one rule, as they stand when it is sent. */
export interface AlertNotification {
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly alertname: string
  /** `firing` when at least one alert fires. */
  readonly status: "firing" | "resolved"
  /** At most 100. */
  readonly alerts: ReadonlyArray<NotifiedAlert>
  /** How many more there are. */
  readonly truncated: number
}

/** Where people are told. Queue, retry, grouping and de-duplication belong to `Alerts`. */
export interface AlertSink {
  /** Unique: `log`, `webhook`, `alertmanager`, …. */
  readonly name: string
  /** Milliseconds after which what goes on firing is told again; default: `Alerts.layer`'s. */
  readonly repeatInterval?: number
  /** Whether the sink is told about the alert at all. Default: yes. */
  readonly wants?: (alert: Alert) => boolean
  /** One at a time. Fails with `Exporter.unavailable` to be tried again, `Exporter.refused` not to be. */
  readonly send: (notification: AlertNotification) => Effect.Effect<void, ExportError>
}

/** What the log sink needs to know. */
export interface LogOptions {
  /**
   * Whether alerts of definitions' `alertThreshold` are logged too. Default `false`: `Logs.layer` logs each crossing already.
   */
  readonly thresholds?: boolean
}

/** A structured log line for each notification, at a level after the severity. */
export const log = (options: LogOptions = {}): AlertSink => ({
  name: "log",
  wants: (alert) => options.thresholds === true || alert.origin !== "threshold",
  send: (notification) =>
    Effect.forEach(notification.alerts, (alert) => {
      const line = `alert ${alert.alertname} ${alert.status === "firing" ? "fires" : "has ended"}${alert.summary === "" ? "" : `: ${alert.summary}`}`
      const write = alert.status === "resolved" || alert.severity === "info"
        ? Effect.logInfo(line)
        : alert.severity === "warning"
        ? Effect.logWarning(line)
        : Effect.logError(line)
      return Effect.annotateLogs(write, {
        alertname: alert.alertname,
        status: alert.status,
        labels: alert.labels,
        startedAt: alert.startsAt,
        ...(alert.value === undefined ? {} : { value: alert.value }),
        ...(alert.description === undefined ? {} : { description: alert.description })
      })
    }, { discard: true })
})
