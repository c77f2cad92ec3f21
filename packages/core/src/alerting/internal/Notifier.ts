import type { Alert } from "../Alert.ts"
import type { AlertNotification, AlertSink, NotifiedAlert } from "../AlertSink.ts"

/** Most alerts in one notification. */
const maxAlerts = 100

interface Told {
  /** What the sink believes to be firing. */
  alerts: ReadonlyMap<string, Alert>
  triedAt: number
  sentAt: number
  waiting: boolean
}

export interface NotifierOptions {
  /** Milliseconds between two notifications of one rule. */
  readonly groupInterval: number
  /** Milliseconds after which what goes on firing is told again. */
  readonly repeatInterval: number
}

/**
 * What one sink was told, by rule, and what is due: at most one notification a rule and `groupInterval`, however often its alerts come and
 * go in between. What is sent is what is true when it is sent.
 */
export class Notifier {
  private readonly sink: AlertSink
  private readonly options: NotifierOptions
  private readonly told = new Map<string, Told>()
  private firing = new Map<string, Map<string, Alert>>()
  private muted: ReadonlySet<string> = new Set()

  constructor(sink: AlertSink, options: NotifierOptions) {
    this.sink = sink
    this.options = { ...options, repeatInterval: sink.repeatInterval ?? options.repeatInterval }
  }

  /** Fingerprints of what some sink was to hear and has not, and what it believes to fire and does not any more. */
  owed(): { readonly untold: ReadonlyArray<string>; readonly unended: ReadonlyArray<Alert> } {
    const untold: Array<string> = []
    for (const [rule, alerts] of this.firing) {
      const told = this.told.get(rule)?.alerts
      for (const fingerprint of alerts.keys()) if (!this.muted.has(fingerprint) && told?.has(fingerprint) !== true) untold.push(fingerprint)
    }
    const unended: Array<Alert> = []
    for (const [rule, { alerts }] of this.told) {
      for (const [fingerprint, alert] of alerts) if (this.firing.get(rule)?.has(fingerprint) !== true) unended.push(alert)
    }
    return { untold, unended }
  }

  /** Nothing was said of it, and it may be at once. */
  withdrawn(rule: string): void {
    const told = this.told.get(rule)
    if (told !== undefined) told.waiting = false
  }

  /** What a former leader has told. */
  seed(alerts: ReadonlyArray<Alert>, now: number): void {
    this.told.clear()
    for (const [rule, all] of Map.groupBy(alerts.filter((alert) => this.wants(alert)), (alert) => alert.alertname)) {
      this.told.set(rule, { alerts: new Map(all.map((alert) => [alert.fingerprint, alert])), triedAt: -Infinity, sentAt: now, waiting: false })
    }
  }

  /** Rules of which something is to be told now. `muted` are the fingerprints of alerts that are silenced or inhibited. */
  due(firing: ReadonlyArray<Alert>, muted: ReadonlySet<string>, now: number): ReadonlyArray<string> {
    this.muted = muted
    this.firing = new Map()
    for (const alert of firing) {
      if (!this.wants(alert)) continue
      const of = this.firing.get(alert.alertname)
      if (of === undefined) this.firing.set(alert.alertname, new Map([[alert.fingerprint, alert]]))
      else of.set(alert.fingerprint, alert)
    }
    const found: Array<string> = []
    for (const rule of new Set([...this.firing.keys(), ...this.told.keys()])) {
      const told = this.told.get(rule)
      if (told?.waiting === true || now - (told?.triedAt ?? -Infinity) < this.options.groupInterval) continue
      const repeats = told !== undefined && told.alerts.size > 0 && now - told.sentAt >= this.options.repeatInterval
      if (repeats || this.changed(rule)) found.push(rule)
      // Nothing fires and nobody believes it does: forgotten once a new notification would be allowed anyway.
      else if (told !== undefined && told.alerts.size === 0 && !this.firing.has(rule)) this.told.delete(rule)
    }
    return found
  }

  private changed(rule: string): boolean {
    const told = this.told.get(rule)?.alerts
    const firing = this.firing.get(rule)
    for (const fingerprint of firing?.keys() ?? []) if (!this.muted.has(fingerprint) && told?.has(fingerprint) !== true) return true
    for (const fingerprint of told?.keys() ?? []) if (firing?.has(fingerprint) !== true) return true
    return false
  }

  queued(rule: string): void {
    const told = this.told.get(rule)
    if (told === undefined) this.told.set(rule, { alerts: new Map(), triedAt: -Infinity, sentAt: -Infinity, waiting: true })
    else told.waiting = true
  }

  /** The rule as it stands now; `undefined` when there is nothing to tell any more. */
  render(rule: string, now: number): { readonly notification: AlertNotification; readonly alerts: ReadonlyMap<string, Alert> } | undefined {
    const told = this.told.get(rule)?.alerts ?? new Map<string, Alert>()
    const current = this.firing.get(rule) ?? new Map<string, Alert>()
    const next = new Map<string, Alert>()
    const all: Array<NotifiedAlert> = []
    for (const [fingerprint, alert] of current) {
      // Who was told goes on believing it while the alert is muted.
      if (this.muted.has(fingerprint)) {
        if (told.has(fingerprint)) next.set(fingerprint, alert)
        continue
      }
      next.set(fingerprint, alert)
      all.push({ ...alert, status: "firing", startsAt: alert.firedAt ?? alert.activeAt, endsAt: undefined })
    }
    for (const [fingerprint, alert] of told) {
      if (!current.has(fingerprint)) all.push({ ...alert, status: "resolved", startsAt: alert.firedAt ?? alert.activeAt, endsAt: now })
    }
    if (all.length === 0) return undefined
    // What ended comes first: it will not be said again.
    const alerts = all.toSorted((a, b) => a.status === b.status ? 0 : a.status === "resolved" ? -1 : 1)
    // An end that found no room is said the next time.
    for (const alert of alerts.slice(maxAlerts)) if (alert.status === "resolved") next.set(alert.fingerprint, told.get(alert.fingerprint)!)
    return {
      alerts: next,
      notification: {
        time: now,
        alertname: rule,
        status: all.some((alert) => alert.status === "firing") ? "firing" : "resolved",
        alerts: alerts.slice(0, maxAlerts),
        truncated: Math.max(0, all.length - maxAlerts)
      }
    }
  }

  /** How sending ended: `alerts` is what the sink knows now, `undefined` when it heard nothing. */
  settled(rule: string, now: number, alerts?: ReadonlyMap<string, Alert>): void {
    const told = this.told.get(rule)
    if (told === undefined) return
    told.waiting = false
    told.triedAt = now
    if (alerts === undefined) return
    told.alerts = alerts
    told.sentAt = now
  }

  private wants(alert: Alert): boolean {
    try {
      return this.sink.wants?.(alert) ?? true
    } catch {
      return true
    }
  }
}
