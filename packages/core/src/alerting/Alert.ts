import type { AlertRule, AlertSeverity } from "./AlertRule.ts"

/** One alert: a rule and one set of the labels it groups by. */
export interface Alert {
  /** Of all labels, as Alertmanager computes it: 16 hex digits. */
  readonly fingerprint: string
  readonly alertname: string
  /** `alertname`, `severity`, `service`, `env`, `cluster` where they are set, and the labels of `groupBy`. */
  readonly labels: Readonly<Record<string, string>>
  readonly severity: AlertSeverity
  readonly summary: string
  /** What is known beyond the rule, for people: an anomaly's expected range. */
  readonly description: string | undefined
  /** Where the rule came from: a definition's `alertThreshold`, the program's rules, an anomaly. */
  readonly origin: "threshold" | "rule" | "anomaly"
  /** `pending`: the condition holds, but not long enough. */
  readonly state: "pending" | "firing"
  /** The figure last seen; `undefined` when there was none (`absent`). */
  readonly value: number | undefined
  /** Milliseconds since the epoch: when the condition began to hold, and when the alert fired. */
  readonly activeAt: number
  readonly firedAt: number | undefined
}

/** An alert with why nobody is told about it. */
export interface AlertStatus extends Alert {
  /** The rule that fires instead. */
  readonly inhibitedBy: string | undefined
  /** The id of a silence. */
  readonly silencedBy: string | undefined
}

/** An alert began or ended. */
export interface AlertEvent {
  /** 32 hex digits, the same wherever the event is stored twice. */
  readonly eventId: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly state: "firing" | "resolved"
  readonly fingerprint: string
  readonly alertname: string
  readonly labels: Readonly<Record<string, string>>
  readonly severity: AlertSeverity
  readonly summary: string
  readonly description: string | undefined
  readonly value: number | undefined
  /** When the alert fired, milliseconds since the epoch. */
  readonly startedAt: number
}

const utf8 = new TextEncoder()

/** FNV-1a over the sorted labels (prometheus/common, `LabelSet.Fingerprint`). */
export const fingerprintOf = (labels: Readonly<Record<string, string>>): string => {
  let hash = 0xcbf29ce484222325n
  const add = (byte: number) => {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  }
  for (const name of Object.keys(labels).sort()) {
    for (const text of [name, labels[name]!]) {
      for (const byte of utf8.encode(text)) add(byte)
      add(255)
    }
  }
  return hash.toString(16).padStart(16, "0")
}

/** The labels of a rule's alert: its own win over the program's. */
export const labelsOf = (
  rule: Pick<AlertRule, "name" | "severity">,
  group: Readonly<Record<string, string>>,
  identity: Readonly<Record<string, string>>
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries({ ...identity, ...group, alertname: rule.name, severity: rule.severity }).filter(([, value]) => value !== "")
  )
