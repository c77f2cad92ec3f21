import * as Cause from "effect/Cause"
import type { Alert, AlertEvent, AlertStatus } from "../Alert.ts"
import type { AlertNews } from "../AlertCoordinator.ts"
import { silencing, type Silence } from "../Silence.ts"

/** An alert of which every receiver has heard, `untold` or not all of them yet; `ended` and they do not all know. */
export type Announced = Alert & { readonly untold?: boolean; readonly ended?: boolean }

interface Meeting {
  readonly leads: boolean
  readonly others: ReadonlyArray<AlertNews>
  readonly announced: ReadonlyArray<Announced>
}

export interface Turn {
  /** Whether this process tells people. */
  readonly speaks: boolean
  /** What a former speaker has told, when this process has just become the speaker. */
  readonly inherited: ReadonlyArray<Alert> | undefined
  readonly firing: ReadonlyArray<Alert>
  /** Fingerprints of alerts nobody is told about. */
  readonly muted: ReadonlySet<string>
  readonly changes: ReadonlyArray<Omit<AlertEvent, "eventId">>
  /** How many fire, by `[alertname, severity]` as JSON; 0 once for those that ended. */
  readonly counts: ReadonlyMap<string, number>
  readonly announced: ReadonlyArray<Alert>
}

/** What fires here and elsewhere, what of it was announced, and who speaks. */
export class Board {
  list: ReadonlyArray<AlertStatus> = []
  problem: string | undefined
  private announced = new Map<string, Alert>()
  /** What receivers believe, as a leader said. */
  private heard: ReadonlyArray<Announced> = []
  private speaks = false
  private counts = new Map<string, number>()

  met(meeting: Meeting | undefined): void {
    this.problem = undefined
    // Who speaks later goes on where the leader was.
    if (meeting !== undefined && !meeting.leads) this.inherit(meeting.announced)
  }

  private inherit(announced: ReadonlyArray<Announced>): void {
    this.announced = mapOf(announced.filter(({ ended }) => ended !== true))
    this.heard = announced.filter(({ untold }) => untold !== true)
  }

  alone(cause: Cause.Cause<unknown>): void {
    this.problem = `alerts are not coordinated with other processes: ${messageOf(cause)}`
  }

  failed(cause: Cause.Cause<unknown>): void {
    this.problem = `evaluation failed: ${messageOf(cause)}`
  }

  turn(given: {
    readonly local: ReadonlyArray<Alert>
    readonly meeting: Meeting | undefined
    readonly silences: ReadonlyArray<Silence>
    readonly inhibitions: ReadonlyMap<string, ReadonlyArray<string>>
    readonly now: number
    readonly wall: number
  }): Turn {
    const { inhibitions, local, meeting, now, wall } = given
    const speaks = meeting === undefined || meeting.leads
    const begins = speaks && !this.speaks
    if (begins && meeting !== undefined) this.inherit(meeting.announced)
    this.speaks = speaks

    const merged = new Map<string, Alert>()
    for (const alert of [...local, ...(meeting?.others ?? []).flatMap((news) => news.firing)]) {
      const other = merged.get(alert.fingerprint)
      if (other === undefined || (other.state === "pending" && alert.state === "firing") || (alert.firedAt ?? Infinity) < (other.firedAt ?? Infinity)) {
        merged.set(alert.fingerprint, alert)
      }
    }
    const all = [...merged.values()]
    const firing = all.filter((alert) => alert.state === "firing")
    const rulesFiring = new Set(firing.map((alert) => alert.alertname))
    const silences = [...given.silences, ...(meeting?.others ?? []).flatMap((news) => news.silences)]
    this.list = all.map((alert) => ({
      ...alert,
      inhibitedBy: inhibitions.get(alert.alertname)?.find((rule) => rule !== alert.alertname && rulesFiring.has(rule)),
      silencedBy: silencing(silences, alert.labels, wall)
    }))

    const counts = new Map([...this.counts.keys()].map((key) => [key, 0]))
    for (const { alertname, severity } of firing) {
      const key = JSON.stringify([alertname, severity])
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    this.counts = new Map([...counts].filter(([, count]) => count > 0))

    const muted = new Set(this.list.filter((alert) => alert.inhibitedBy !== undefined || alert.silencedBy !== undefined).map((alert) => alert.fingerprint))
    const inherited = begins ? this.heard : undefined
    if (!speaks) return { speaks, inherited, firing, muted, changes: [], counts, announced: [] }

    const next = new Map(firing.map((alert) => [alert.fingerprint, alert]))
    const changes = [
      ...firing.filter((alert) => !this.announced.has(alert.fingerprint)).map((alert) => eventOf(alert, "firing", alert.firedAt ?? now)),
      ...[...this.announced.values()].filter((alert) => !next.has(alert.fingerprint)).map((alert) => eventOf(alert, "resolved", now))
    ]
    this.announced = next
    return { speaks, inherited, firing, muted, changes, counts, announced: [...next.values()] }
  }
}

/** What the next leader has to know: a receiver that has not heard yet is no receiver that was told. */
export const announcementOf = (firing: ReadonlyArray<Alert>, owed: ReadonlyArray<{ readonly untold: ReadonlyArray<string>; readonly unended: ReadonlyArray<Alert> }>): ReadonlyArray<Announced> => {
  const untold = new Set(owed.flatMap((one) => one.untold))
  const fires = mapOf(firing)
  const ended = [...mapOf(owed.flatMap((one) => one.unended)).values()].filter(({ fingerprint }) => !fires.has(fingerprint))
  return [...firing.map((alert) => untold.has(alert.fingerprint) ? { ...alert, untold: true } : alert), ...ended.map((alert) => ({ ...alert, ended: true }))]
}

export const sameAnnouncement = (one: ReadonlyArray<Announced>, other: ReadonlyArray<Announced>): boolean => {
  const keys = new Set(other.map(keyOf))
  return one.length === other.length && one.every((alert) => keys.has(keyOf(alert)))
}

const keyOf = ({ ended, fingerprint, untold }: Announced): string => `${fingerprint} ${untold === true} ${ended === true}`

const mapOf = (alerts: ReadonlyArray<Alert>) => new Map(alerts.map((alert) => [alert.fingerprint, alert]))

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

const eventOf = (alert: Alert, state: "firing" | "resolved", time: number): Omit<AlertEvent, "eventId"> => ({
  time,
  state,
  fingerprint: alert.fingerprint,
  alertname: alert.alertname,
  labels: alert.labels,
  severity: alert.severity,
  summary: alert.summary,
  description: alert.description,
  value: alert.value,
  startedAt: alert.firedAt ?? time
})
