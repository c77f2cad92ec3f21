import type { MetricFamily } from "../../metrics/MetricStore.ts"
import type { AlertRule } from "../AlertRule.ts"

/**
 * Rules that can never fire because of a wrong name. A metric may be declared while the program runs, so only its labels are judged at once; a metric
 * that is still unknown after some time is doubted. Everything is said once.
 */
export class Doubts {
  private readonly said = new Set<string>()
  private readonly startedAt: number
  private readonly patience: number
  private rules: ReadonlyArray<AlertRule> = []
  private families = -1
  private patient = true

  constructor(startedAt: number, patience: number) {
    this.startedAt = startedAt
    this.patience = patience
  }

  of(rules: ReadonlyArray<AlertRule>, families: ReadonlyArray<MetricFamily>, now: number): ReadonlyArray<string> {
    const patient = now - this.startedAt < this.patience
    if (rules === this.rules && families.length === this.families && patient === this.patient) return []
    this.rules = rules
    this.families = families.length
    this.patient = patient
    const known = new Map(families.map(({ definition }) => [definition.name, definition]))
    return rules.flatMap((rule) => {
      const definition = known.get(rule.metric)
      if (definition === undefined) {
        return patient || rule.condition.kind === "absent" ? [] : this.once(`alert rule "${rule.name}" watches the metric "${rule.metric}", which nothing has recorded so far: check its name`)
      }
      const labels = [...Object.keys(rule.labels), ...rule.groupBy, ...badLabels(rule)]
      return labels.filter((label) => !definition.labelNames.includes(label)).flatMap((label) =>
        this.once(`alert rule "${rule.name}" names the label "${label}", which the metric "${rule.metric}" does not have: it has ${definition.labelNames.join(", ") || "none"}`)
      )
    })
  }

  private once(words: string): ReadonlyArray<string> {
    if (this.said.has(words)) return []
    // Rules come and go with settings; what was said of them is forgotten when there is too much of it.
    if (this.said.size >= 1_000) this.said.clear()
    this.said.add(words)
    return [words]
  }
}

const badLabels = ({ condition }: AlertRule): ReadonlyArray<string> =>
  condition.kind === "burnRate" && "labels" in condition.bad ? Object.keys(condition.bad.labels) : []
