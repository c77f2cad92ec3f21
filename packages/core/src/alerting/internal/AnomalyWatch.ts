import type { MetricFrame } from "../../metrics/MetricFrame.ts"
import type { AlertRule } from "../AlertRule.ts"
import type { AnomalyRule } from "../AnomalyRule.ts"
import { Detector } from "./Detector.ts"
import { Evaluator } from "./Evaluator.ts"

export interface FoundAnomaly {
  readonly rule: AnomalyRule
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly since: number
  readonly description: string
}

interface Options {
  readonly interval: number
  readonly maxGroups: number
  readonly startedAt: number
}

/** Anomaly rules over the frames of one store: the evaluator gives the figures, a detector of each group says what is unusual. */
export class AnomalyWatch {
  private readonly rules: ReadonlyMap<string, AnomalyRule>
  private readonly evaluator: Evaluator
  private readonly detectors = new Map<string, { readonly detector: Detector; seen: number }>()

  constructor(rules: ReadonlyArray<AnomalyRule>, options: Options) {
    this.rules = new Map(rules.map((rule) => [rule.name, rule]))
    this.evaluator = new Evaluator(options)
    this.evaluator.setRules(rules.map(always), options.startedAt)
  }

  look(frame: MetricFrame, now: number): ReadonlyArray<FoundAnomaly> {
    if (this.rules.size === 0) return []
    const found: Array<FoundAnomaly> = []
    for (const { labels, rule: { name }, value } of this.evaluator.evaluate(frame, now)) {
      const rule = this.rules.get(name)
      if (rule === undefined || value === undefined || !Number.isFinite(value)) continue
      const key = JSON.stringify([name, labels])
      let known = this.detectors.get(key)
      if (known === undefined) this.detectors.set(key, known = { detector: new Detector(rule), seen: now })
      known.seen = now
      const odd = known.detector.look(value, now)
      if (odd !== undefined) found.push({ rule, labels, value, since: odd.since, description: explain(rule, odd) })
    }
    // What has had no value for two seasons is forgotten.
    for (const [key, { seen }] of this.detectors) {
      const [name] = JSON.parse(key) as [string]
      if (now - seen > 2 * (this.rules.get(name)?.season ?? 0)) this.detectors.delete(key)
    }
    return found
  }

  overflows(): ReadonlyArray<readonly [rule: string, series: number]> {
    return this.evaluator.overflows()
  }
}

/** Gives the figure of every group. */
const always = ({ figure, groupBy, labels, metric, name, severity, summary }: AnomalyRule): AlertRule => ({
  name, metric, labels, groupBy, severity, summary,
  condition: { kind: "threshold", figure, comparison: ">=", threshold: -Infinity, clear: undefined },
  for: 0,
  keepFor: 0,
  inhibitedBy: []
})

const explain = (rule: AnomalyRule, { high, kind, low, since, value }: { readonly high: number; readonly low: number; readonly since: number; readonly value: number; readonly kind: string }): string =>
  `${rule.metric} (${rule.figure.of}) is ${short(value)}, expected ${short(low)} to ${short(high)} at this time of the ${rule.season > 86_400_000 ? "week" : "day"}, ${
    kind === "shift" ? "at another level" : "far off"
  } since ${new Date(since).toISOString()}`

const short = (value: number): string => String(Number(value.toPrecision(4)))
