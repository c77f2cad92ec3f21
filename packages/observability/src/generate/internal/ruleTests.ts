import type { AlertRule } from "@effect-observability/core"
import { definitionOf, duration, quoted, type Vocabulary } from "./promql.ts"
import { type Samples, type Scenario, scenariosOf } from "./scenarios.ts"
import { wellFormed } from "./text.ts"
import { yaml } from "./yaml.ts"

type Rule = AlertRule.AlertRule

export const testMarker = "Generated for promtool test rules: change the metric definitions, not this file."

/**
 * Unit tests for `promtool test rules`: samples that make the rule fire and end, with the moments just before and after. They notice a
 * threshold, window or comparison that somebody changed by hand.
 */
export const testFile = (rule: Rule, words: Vocabulary, rulesFile: string, runbooks: string): string => {
  const scenarios = scenariosOf(rule, definitionOf(rule, words))
  return yaml({
    rule_files: [rulesFile],
    // All moments of the tests lie on it.
    evaluation_interval: duration(scenarios.map(({ step }) => step).reduce(divisor)),
    tests: scenarios.map((scenario) => testOf(rule, scenario, words, runbooks))
  }, testMarker)
}

const divisor = (a: number, b: number): number => b === 0 ? a : divisor(b, a % b)

const testOf = (rule: Rule, scenario: Scenario, words: Vocabulary, runbooks: string) => ({
  name: `${rule.name}: ${scenario.title}`,
  interval: duration(scenario.step),
  input_series: scenario.series.map((series) => ({ series: seriesText(series, words), values: valuesText(series.values) })),
  alert_rule_test: checksOf(rule, scenario).map(({ fires, step }) => ({
    eval_time: duration(step * scenario.step),
    alertname: rule.name,
    exp_alerts: fires ? [{ exp_labels: firedLabels(rule, scenario), exp_annotations: annotations(rule, runbooks) }] : []
  }))
})

/** What Prometheus says when the rule fires. */
export const annotations = (rule: Rule, runbooks: string) => ({
  summary: wellFormed(rule.summary === "" ? rule.name : rule.summary),
  runbook_url: wellFormed(`${runbooks}${rule.name}.md`)
})

const firedLabels = (rule: Rule, { series }: Scenario): Readonly<Record<string, string>> => {
  const labels = series[0]!.labels
  // To Prometheus a label without a value is none.
  const grouped = rule.groupBy.map((label) => [label, labels[label] ?? ""] as const).filter(([, value]) => value !== "")
  return { severity: rule.severity, ...Object.fromEntries(grouped) }
}

interface Check {
  readonly step: number
  readonly fires: boolean
}

/** The last moment before each change of the alert, and the first after it. */
export const checksOf = (rule: Rule, scenario: Scenario): ReadonlyArray<Check> => {
  const fired = firing(rule, scenario)
  const wanted = new Set(scenario.watch.filter((step) => fired[step] !== undefined))
  let known: Check | undefined
  fired.forEach((fires, step) => {
    if (fires === undefined) return
    if (known !== undefined && known.fires !== fires) {
      wanted.add(known.step)
      wanted.add(step)
    }
    known = { fires, step }
  })
  if (known !== undefined) wanted.add(known.step)
  // Between two changes one moment more: what fires throughout must not have ended meanwhile.
  const moments = [...wanted].toSorted((a, b) => a - b)
  moments.slice(1).forEach((step, i) => {
    const middle = Math.floor((step + moments[i]!) / 2)
    if (fired[middle] !== undefined) wanted.add(middle)
  })
  return [...wanted].toSorted((a, b) => a - b).map((step) => ({ step, fires: fired[step]! }))
}

/** Whether the alert fires at each step; `undefined` where rounding could decide. */
export const firing = (rule: Rule, scenario: Scenario): ReadonlyArray<boolean | undefined> => {
  const [early, late] = [true, false].map((unsure) => states(rule, scenario, unsure))
  return early!.map((one, i) => one === late![i] ? one : undefined)
}

/** As Prometheus does it ("Alerting rules": `for`, `keep_firing_for`), with what is unsure taken for one thing. */
const states = (rule: Rule, { holds, stays, step }: Scenario, unsure: boolean): ReadonlyArray<boolean> => {
  let pending: number | undefined
  let ended: number | undefined
  let fires = false
  return holds.map((hold, at) => {
    if ((fires ? stays[at] : hold) ?? unsure) {
      ended = undefined
      pending ??= at
      if ((at - pending) * step >= rule.for) fires = true
    } else {
      pending = undefined
      ended ??= at
      if ((at - ended) * step >= rule.keepFor) fires = false
    }
    return fires
  })
}

const seriesText = ({ labels, name }: Samples, words: Vocabulary): string => {
  const text = Object.entries(labels).map(([label, value]) => `${label}=${quoted(value)}`).join(", ")
  return `${words.exposed(name)}${text === "" ? "" : `{${text}}`}`
}

/** Values in promtool's notation: `a+bxn` is `a` and `n` more, each greater by `b`. */
export const valuesText = (values: ReadonlyArray<number | undefined>): string => {
  const out: Array<string> = []
  for (let i = 0; i < values.length;) {
    const first = values[i]
    const next = values[i + 1]
    let end = i + 1
    if (first === undefined) {
      while (end < values.length && values[end] === undefined) end++
      out.push(`_x${end - i}`)
    } else if (next === undefined) out.push(text(first))
    else {
      const by = next - first
      while (end < values.length && values[end] !== undefined && values[end] === first + by * (end - i)) end++
      out.push(`${text(first)}${by < 0 ? "-" : "+"}${text(Math.abs(by))}x${end - i - 1}`)
    }
    i = end
  }
  return out.join(" ")
}

/** The shortest text that is read back as the same number. */
const text = (value: number): string => Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toFixed(0) : String(value)
