import type { MetricFrame } from "../../metrics/MetricFrame.ts"
import type { MetricStore } from "../../metrics/MetricStore.ts"
import { type Alert, fingerprintOf, labelsOf } from "../Alert.ts"
import { type AlertRule, ofDefinition } from "../AlertRule.ts"
import type { AnomalyRule } from "../AnomalyRule.ts"
import { AnomalyWatch } from "./AnomalyWatch.ts"
import { Evaluator } from "./Evaluator.ts"

interface Options {
  readonly store: MetricStore
  readonly identity: Readonly<Record<string, string>>
  readonly rules: () => ReadonlyArray<AlertRule>
  readonly anomalies: ReadonlyArray<AnomalyRule>
  readonly thresholds: boolean
  readonly interval: number
  readonly maxGroups: number
  readonly startedAt: number
}

/** Everything that is watched in this process: rules, thresholds of definitions, anomalies. */
export class Watcher {
  private readonly options: Options
  private readonly evaluator: Evaluator
  private readonly anomalies: AnomalyWatch
  private families = -1
  private rules: ReadonlyArray<AlertRule> = []
  private thresholds = new Set<string>()
  private readonly seen = new Map<string, number>()
  /** Which rules silence which. */
  inhibitions: ReadonlyMap<string, ReadonlyArray<string>> = new Map()

  constructor(options: Options) {
    this.options = options
    this.evaluator = new Evaluator(options)
    this.anomalies = new AnomalyWatch(options.anomalies, options)
    this.renew(options.startedAt)
  }

  /** Metrics are declared while the program runs, and rules may be replaced. */
  private renew(now: number): void {
    const { rules, store, thresholds } = this.options
    const given = rules()
    const families = store.families()
    if (given === this.rules && families.length === this.families) return
    this.rules = given
    this.families = families.length
    const all = new Map<string, AlertRule>()
    if (thresholds) {
      for (const family of families) {
        const rule = ofDefinition(family.definition)
        if (rule !== undefined) all.set(rule.name, rule)
      }
    }
    const own = new Set(given.map(({ name }) => name))
    this.thresholds = new Set([...all.keys()].filter((name) => !own.has(name)))
    for (const rule of given) all.set(rule.name, rule)
    this.evaluator.setRules([...all.values()], now)
    this.inhibitions = new Map([...all.values()].filter(({ inhibitedBy }) => inhibitedBy.length > 0).map(({ inhibitedBy, name }) => [name, inhibitedBy]))
  }

  look(frame: MetricFrame, now: number): ReadonlyArray<Alert> {
    this.renew(now)
    const found = this.evaluator.evaluate(frame, now).map(({ activeAt, firedAt, labels, rule, state, value }): Alert =>
      this.alert(rule, labels, {
        origin: this.thresholds.has(rule.name) ? "threshold" : "rule",
        description: undefined, state, value, activeAt, firedAt
      }))
    const odd = this.anomalies.look(frame, now).map(({ description, labels, rule, since, value }): Alert =>
      this.alert(rule, labels, { origin: "anomaly", description, state: "firing", value, activeAt: since, firedAt: since }))
    return [...found, ...odd]
  }

  private alert(
    rule: Pick<AlertRule, "name" | "severity" | "summary">,
    group: Readonly<Record<string, string>>,
    more: Pick<Alert, "origin" | "description" | "state" | "value" | "activeAt" | "firedAt">
  ): Alert {
    const labels = labelsOf(rule, group, this.options.identity)
    return { fingerprint: fingerprintOf(labels), alertname: rule.name, labels, severity: rule.severity, summary: rule.summary, ...more }
  }

  /** Series that found no group since the last call, by rule. */
  overflows(): ReadonlyArray<readonly [rule: string, rose: number]> {
    return [...this.evaluator.overflows(), ...this.anomalies.overflows()].flatMap(([rule, total]) => {
      const rose = total - (this.seen.get(rule) ?? 0)
      this.seen.set(rule, total)
      return rose > 0 ? [[rule, rose] as const] : []
    })
  }
}
