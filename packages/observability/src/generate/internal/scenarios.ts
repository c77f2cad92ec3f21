import { type AlertRule, canonicalNumber, type LabelMatcher, type MetricDefinition } from "@effect-observability/core"

import { number } from "./promql.ts"

type Definition = MetricDefinition.MetricDefinition
type Rule = AlertRule.AlertRule

/** Samples of one series, one per step; `undefined` where it is not on the page. */
export interface Samples {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly values: ReadonlyArray<number | undefined>
}

/** Samples that make a rule fire and end, and its figure at every step. `NaN` where there is none. */
export interface Scenario {
  readonly title: string
  /** Milliseconds. */
  readonly step: number
  readonly series: ReadonlyArray<Samples>
  /** Whether the condition holds at a step; `undefined` where rounding could decide. */
  readonly holds: ReadonlyArray<boolean | undefined>
  /** Whether an alert that fires goes on at a step; as `holds` unless there is a `clear`. */
  readonly stays: ReadonlyArray<boolean | undefined>
  /** Steps at which something could have changed and has not: the ends of the phases. */
  readonly watch: ReadonlyArray<number>
}

/** Steps in a window: fine enough that half or twice the window tells. */
const perWindow = 20

export const scenariosOf = (rule: Rule, definition: Definition): ReadonlyArray<Scenario> => {
  const { condition } = rule
  switch (condition.kind) {
    case "absent":
      return absences(rule, definition, condition.window)
    case "burnRate":
      return condition.windows.flatMap((_, i) => {
        const limit = onLimit(condition, i)
        return [burning(rule, definition, condition, i), ...(limit === undefined ? [] : [burning(rule, definition, condition, i, limit)])]
      })
    case "threshold": {
      const { figure, threshold } = condition
      if (figure.of === "last") return [levels(rule, definition, condition)]
      if (figure.of === "quantile") {
        return definition.type === "summary" ? [levels(rule, definition, condition)] : [mixes(rule, definition, condition, figure)]
      }
      return threshold === 0 ? [jump(rule, definition, condition, figure.window)] : [ramp(rule, definition, condition, figure)]
    }
  }
}

type Threshold = Extract<Rule["condition"], { readonly kind: "threshold" }>

/** Labels that the rule selects; those of `groupBy` and all others have one value. */
const labelsOf = (rule: Rule, definition: Definition, more: Readonly<Record<string, string | LabelMatcher>> = {}, but?: boolean): Record<string, string> => {
  const wanted = { ...rule.labels, ...more }
  return Object.fromEntries(definition.labelNames.map((label) => {
    const matcher = wanted[label]
    return [label, matcher === undefined ? "x" : but === true && label in more ? otherThan(matcher) : valueOf(matcher)]
  }))
}

const valueOf = (matcher: string | LabelMatcher): string =>
  typeof matcher === "string"
    ? matcher
    : "eq" in matcher
    ? matcher.eq
    : "neq" in matcher
    ? `not ${matcher.neq}`
    : "in" in matcher
    ? matcher.in[0]!
    : `${matcher.prefix}x`

const otherThan = (matcher: string | LabelMatcher): string => typeof matcher === "object" && "neq" in matcher ? matcher.neq : `not ${valueOf(matcher)}`

/** The value beyond the threshold, the value short of it. */
const around = ({ comparison, threshold }: Threshold): { readonly beyond: number; readonly short: number } => {
  const off = threshold === 0 ? 1 : Math.abs(threshold) * 0.05
  return comparison.startsWith(">") ? { beyond: threshold + off, short: threshold - off } : { beyond: threshold - off, short: threshold + off }
}

const compare = (value: number, comparison: Threshold["comparison"], threshold: number): boolean =>
  comparison === ">" ? value > threshold : comparison === ">=" ? value >= threshold : comparison === "<" ? value < threshold : value <= threshold

/** Whether figures stand beyond the threshold; within a hundredth of it nobody can say, unless the figures are `exact`. */
const judged = (figures: ReadonlyArray<number>, condition: Threshold, threshold: number, exact: boolean): ReadonlyArray<boolean | undefined> =>
  figures.map((value) =>
    Number.isNaN(value)
      ? false
      : !exact && Math.abs(value - threshold) <= Math.abs(threshold) * 0.002
      ? undefined
      : compare(value, condition.comparison, threshold)
  )

interface Phases<A> {
  readonly steps: Array<A>
  readonly watch: Array<number>
}

const phases = <A>(...parts: ReadonlyArray<readonly [value: A, steps: number]>): Phases<A> => {
  const steps: Array<A> = []
  const watch: Array<number> = []
  for (const [value, times] of parts) {
    if (times <= 0) continue
    steps.push(...repeat(value, times))
    watch.push(steps.length - 1)
  }
  return { steps, watch }
}

const against = (
  title: string,
  step: number,
  series: ReadonlyArray<Samples>,
  figures: ReadonlyArray<number>,
  condition: Threshold,
  watch: ReadonlyArray<number>,
  exact = false
): Scenario => ({
  title,
  step,
  series,
  watch,
  holds: judged(figures, condition, condition.threshold, exact),
  stays: judged(figures, condition, condition.clear ?? condition.threshold, exact)
})

const repeat = <A>(value: A, times: number): Array<A> => Array.from({ length: times }, () => value)

/** Steps that `for` and `keepFor` take. */
const waits = (rule: Rule, step: number) => ({ hold: Math.ceil(rule.for / step), keep: Math.ceil(rule.keepFor / step) })

// ---------------------------------------------------------------------------------------------------------------------- values

/** A value that stands short of the threshold, on it, around the two limits, and beyond. */
const levels = (rule: Rule, definition: Definition, condition: Threshold): Scenario => {
  const step = Math.max(1_000, Math.min(15_000, Math.floor(rule.for / 4_000) * 1_000 || 15_000))
  const { hold, keep } = waits(rule, step)
  const { beyond, short } = around(condition)
  const { clear, threshold } = condition
  const clearing = around({ ...condition, threshold: clear ?? threshold })
  const { steps: values, watch } = phases(
    [short, 4], [threshold, hold + 4], [short, keep + 4],
    // Between the limits an alert does not begin, and does not end.
    [clear === undefined ? short : clearing.beyond, hold + 4], [beyond, hold + 4], [clear === undefined ? beyond : clearing.beyond, keep + 4],
    [clear ?? short, keep + 4], [beyond, hold + 4], [clearing.short, keep + 6]
  )
  const labels = labelsOf(rule, definition)
  const quantile = condition.figure.of === "quantile" ? { quantile: canonicalNumber(condition.figure.quantile) } : {}
  return against("a value", step, [{ name: definition.name, labels: { ...labels, ...quantile }, values }], values, condition, watch, true)
}

// -------------------------------------------------------------------------------------------------------------------- counters

const counted = (definition: Definition): string =>
  definition.type === "histogram" || definition.type === "summary" ? `${definition.name}_count` : definition.name

/**
 * A rise that binary numbers hold: promtool adds up, and a sum that came out a hair above the next value would be the reset of a counter.
 */
const holdable = (rise: number, limit: number): number => {
  const unit = 2 ** Math.max(-30, Math.floor(Math.log2(Math.abs(limit) / 4_096)))
  return Math.round(rise / unit) * unit
}

const summed = (steps: ReadonlyArray<number>, from = 1_000): Array<number> => {
  let total = from
  return [total, ...steps.map((by) => total += by)]
}

/** What a counter rose over the window before each step. */
const increases = (values: ReadonlyArray<number>, window: number): Array<number> =>
  values.map((value, i) => i === 0 ? NaN : value - values[Math.max(0, i - window)]!)

/** What an even rise gives in Prometheus 2 (the sample at the window's far edge counts) and 3 (it does not): both equal, or `undefined`. */
const even = (perStep: number, window: number, perSecond: boolean): number | undefined => {
  const per = (factor: number) => perSecond ? factor / (window / 1_000) : factor
  const [two, three] = [perStep * perWindow * per(1), perStep * (perWindow - 1) * per(perWindow / (perWindow - 1))]
  return two === three ? two : undefined
}

/** A counter that rises a little less than the threshold allows, just as much, a little more for one window, and then less again. */
const ramp = (rule: Rule, definition: Definition, condition: Threshold, figure: { readonly of: string; readonly window: number }): Scenario => {
  const step = figure.window / perWindow
  const { hold, keep } = waits(rule, step)
  const rate = figure.of === "rate"
  const seconds = rate ? figure.window / 1_000 : 1
  const { beyond, short } = around(condition)
  const up = condition.comparison.startsWith(">")
  const limit = condition.threshold * seconds / perWindow
  const per = (value: number) => holdable(value * seconds / perWindow, limit)
  // The threshold itself can be told from what lies beyond only where nothing is rounded.
  const exact = Number.isInteger(limit * 64) && even(limit, figure.window, rate) === condition.threshold
  const { steps, watch } = phases(
    [per(short), 2 * perWindow], [limit, exact ? perWindow + hold + 4 : 0], [per(short), perWindow + keep + 2], [0, up ? 2 * perWindow + keep : 0],
    [per(beyond), perWindow + hold + 1], [up ? per(short) / 4 : per(short), 2 * perWindow + keep + 4]
  )
  const values = summed(steps)
  const figures = increases(values, perWindow).map((value) => value / seconds)
  const onIt = exact ? watch[1]! + 1 : undefined
  const scenario = against("a counter that rises", step, [{ name: counted(definition), labels: labelsOf(rule, definition), values }], figures, condition, watch.map((at) => at + 1))
  const equals = compare(condition.threshold, condition.comparison, condition.threshold)
  const sure = (list: Scenario["holds"]) =>
    list.map((one, i) => i < perWindow ? undefined : onIt !== undefined && i > onIt - hold - 3 && i <= onIt ? equals : one)
  return { ...scenario, holds: sure(scenario.holds), stays: sure(scenario.stays) }
}

/** A counter that may not rise at all, and does once. */
const jump = (rule: Rule, definition: Definition, condition: Threshold, window: number): Scenario => {
  const step = window / perWindow
  const { keep } = waits(rule, step)
  const { steps, watch } = phases([0, 30], [1, 1], [0, 2 * perWindow + keep + 4])
  const values = summed(steps)
  return against("a counter that rises once", step, [{ name: counted(definition), labels: labelsOf(rule, definition), values }], increases(values, perWindow), condition, watch, true)
}

// ------------------------------------------------------------------------------------------------------------------ histograms

/** Observations per step, by bucket, whose quantile is `value`. */
const mixFor = (value: number, quantile: number, bounds: ReadonlyArray<number>): Array<number> => {
  const at = Math.max(0, bounds.findIndex((bound) => value <= bound))
  const lower = at === 0 ? Math.min(0, bounds[0]!) : bounds[at - 1]!
  const share = (value - lower) / (bounds[at]! - lower)
  const counts = repeat(0, bounds.length + 1)
  counts[at] = 1_000
  if (share <= quantile && at > 0) counts[0] = counts[0]! + Math.round(1_000 * (quantile - share) / (1 - quantile))
  else if (share > quantile) counts[at + 1] = Math.round(1_000 * (share / quantile - 1))
  return counts
}

/** As Prometheus's `histogram_quantile` computes it, from the counts of each bucket. */
const quantileOf = (quantile: number, counts: ReadonlyArray<number>, bounds: ReadonlyArray<number>): number => {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return NaN
  let rank = quantile * total
  for (let i = 0; i < bounds.length; i++) {
    const count = counts[i]!
    if (rank <= count) {
      const lower = i === 0 ? 0 : bounds[i - 1]!
      return bounds[i]! <= 0 && i === 0 ? bounds[i]! : lower + (bounds[i]! - lower) * (rank / count)
    }
    rank -= count
  }
  return bounds.at(-1)!
}

const mixes = (rule: Rule, definition: Definition, condition: Threshold, figure: { readonly quantile: number; readonly window: number }): Scenario => {
  const step = figure.window / perWindow
  const { hold, keep } = waits(rule, step)
  const bounds = definition.buckets ?? []
  const { beyond, short } = around(condition)
  const calm = mixFor(short, figure.quantile, bounds)
  const bad = mixFor(beyond, figure.quantile, bounds)
  const edge = edgeMix(condition.threshold, figure, bounds)
  const { steps, watch } = phases(
    [calm, 2 * perWindow], [edge ?? calm, edge === undefined ? 0 : perWindow + hold + 4], [calm, edge === undefined ? 0 : perWindow + keep + 4],
    [bad, perWindow + hold + 4], [calm, 2 * perWindow + keep + 4]
  )
  const series = [...bounds, Infinity].map((bound, i) => ({
    name: `${definition.name}_bucket`,
    labels: { ...labelsOf(rule, definition), le: canonicalNumber(bound) },
    values: summed(steps.map((counts) => counts.slice(0, i + 1).reduce((sum, count) => sum + count, 0)), 0)
  }))
  const rises = series.map(({ values }) => increases(values, perWindow))
  const figures = series[0]!.values.map((_, at) =>
    at === 0 ? NaN : quantileOf(figure.quantile, rises.map((one, i) => one[at]! - (i === 0 ? 0 : rises[i - 1]![at]!)), bounds)
  )
  const scenario = against("a distribution that shifts", step, series, figures, condition, watch.map((at) => at + 1))
  const onIt = edge === undefined ? undefined : watch[1]! + 1
  const equals = compare(condition.threshold, condition.comparison, condition.threshold)
  const sure = (list: Scenario["holds"]) => list.map((one, i) => onIt !== undefined && i > onIt - hold - 3 && i <= onIt ? equals : one)
  return { ...scenario, holds: sure(scenario.holds), stays: sure(scenario.stays) }
}

/** A mix whose quantile is the threshold itself, where that is a bound and nothing is rounded. */
const edgeMix = (threshold: number, { quantile, window }: { readonly quantile: number; readonly window: number }, bounds: ReadonlyArray<number>): Array<number> | undefined => {
  const at = bounds.indexOf(threshold)
  if (at < 0) return undefined
  for (let scale = 1; scale <= 64; scale++) {
    const counts = repeat(0, bounds.length + 1)
    counts[at] = Math.round(quantile * 1e3) * scale
    counts[at + 1] = 1e3 * scale - counts[at]!
    const seen = [perWindow, perWindow - 1].map((steps) => {
      const rates = counts.map((_, i) => counts.slice(0, i + 1).reduce((sum, count) => sum + count, 0) * steps * (perWindow / steps / (window / 1_000)))
      return quantileOf(quantile, rates.map((rate, i) => rate - (rates[i - 1] ?? 0)), bounds)
    })
    if (seen.every((value) => value === threshold)) return counts
  }
  return undefined
}

// ------------------------------------------------------------------------------------------------------- absence and burn rate

/** Something is recorded, then nothing for twice the window, then something again; a counter may also leave the page. */
const absences = (rule: Rule, definition: Definition, window: number): ReadonlyArray<Scenario> => {
  const gauge = definition.type === "gauge" || definition.type === "upDownCounter"
  return gauge ? [absence(rule, definition, window, true)] : [absence(rule, definition, window, false), absence(rule, definition, window, true)]
}

const absence = (rule: Rule, definition: Definition, window: number, gone: boolean): Scenario => {
  const step = window / perWindow
  const { hold, keep } = waits(rule, step)
  const silent = 2 * perWindow + hold + 4
  const before = Array.from({ length: 2 * perWindow + 1 }, (_, i) => 1_000 + i)
  const after = Array.from({ length: keep + 6 }, (_, i) => 1_001 + 2 * perWindow + i)
  const values: ReadonlyArray<number | undefined> = [...before, ...repeat(gone ? undefined : before.at(-1), silent), ...after]
  const rising = definition.type !== "gauge" && definition.type !== "upDownCounter"
  const holds = values.map((value, i) => {
    if (i < perWindow) return rising ? undefined : false
    const seen = values.slice(Math.max(0, i - perWindow), i + 1).filter((one) => one !== undefined)
    // One sample alone gives no increase.
    return gone ? seen.length === 0 : seen.every((one) => one === value)
  })
  // Whether the sample at the window's far edge counts differs between versions of Prometheus.
  const unsure = holds.map((one, i) => one === true && holds[i - 1] === false || one === false && holds[i + 1] === true ? undefined : one)
  const series = [{ name: rising ? counted(definition) : definition.name, labels: labelsOf(rule, definition), values }]
  const ends = [before.length - 1, before.length + silent - 1]
  return { title: gone ? "gone" : "silence", step, series, holds: unsure, stays: unsure, watch: ends }
}

type BurnRate = Extract<Rule["condition"], { readonly kind: "burnRate" }>

interface Events {
  readonly all: number
  readonly bad: number
}

/** Events per step whose share of bad ones is the limit of the short window itself, where nothing is rounded, in Prometheus 2 and 3 (see `even`). */
const onLimit = (condition: BurnRate, pair: number): Events | undefined => {
  const { factor, short } = condition.windows[pair]!
  const limit = Number(number(factor * (1 - condition.objective)))
  for (let all = 100; all <= 50_000; all += 100) {
    const bad = Math.round(all * limit)
    if (Math.abs(bad - all * limit) > 1e-9 * all) continue
    const exact = [perWindow, perWindow - 1].every((steps) => {
      const rate = (count: number) => count * steps * (perWindow / steps / (short / 1_000))
      return "labels" in condition.bad
        ? rate(bad) / (rate(bad) + rate(all - bad)) === limit
        : 1 - rate(all - bad) / rate(all) === limit
    })
    if (exact) return { all, bad }
  }
  return undefined
}

/**
 * A share of bad events that spends the budget of one pair of windows, until it stops; or until the short window has just what is allowed, while
 * the long one still has more.
 */
const burning = (rule: Rule, definition: Definition, condition: BurnRate, pair: number, plateau?: Events): Scenario => {
  const { factor, long, short } = condition.windows[pair]!
  const step = short / 20
  const { hold, keep } = waits(rule, step)
  const limit = factor * (1 - condition.objective)
  const share = Math.min(1, limit / 0.6)
  const longest = Math.ceil(Math.max(...condition.windows.map((one) => one.long)) / step)
  // Traffic changes with the errors, so that the windows of both sides of the division tell.
  const { steps, watch } = phases(
    [{ all: 10_000, bad: 0 }, longest], [{ all: 20_000, bad: Math.round(20_000 * share) }, Math.ceil(0.8 * long / step) + hold],
    [plateau ?? { all: 0, bad: 0 }, plateau === undefined ? 0 : perWindow + hold + keep + 6],
    [{ all: 5_000, bad: 0 }, Math.ceil(2 * short / step) + keep + 4]
  )
  // Steps whose short window has nothing but the plateau.
  const level = plateau === undefined ? { from: 0, to: 0 } : { from: watch[1]! + 1 + perWindow, to: watch[2]! + 1 }
  const total = summed(steps.map(({ all }) => all), 0)
  const spent = summed(steps.map(({ bad }) => bad), 0)
  const burns = (window: number) => {
    const steps = Math.round(window / step)
    const of = increases(total, steps)
    return increases(spent, steps).map((value, i) => value / of[i]!)
  }
  const pairs = condition.windows.map((one) => ({ limit: one.factor * (1 - condition.objective), long: burns(one.long), short: burns(one.short) }))
  const holds = total.map((_, i) => {
    if (i === 0) return false
    const above = (value: number, than: number) => Math.abs(value - than) <= than * 0.01 ? undefined : value > than
    const each = pairs.map((one, n) => {
      const [a, b] = [above(one.long[i]!, one.limit), n === pair && i >= level.from && i <= level.to && plateau !== undefined ? false : above(one.short[i]!, one.limit)]
      return a === false || b === false ? false : a === undefined || b === undefined ? undefined : true
    })
    return each.includes(true) ? true : each.includes(undefined) ? undefined : false
  })
  return { title: `${number(factor)} times too fast${plateau === undefined ? "" : ", then just fast enough"}`, step, series: eventSeries(rule, definition, condition.bad, total, spent), holds, stays: holds, watch: watch.map((at) => at + 1) }
}

const eventSeries = (rule: Rule, definition: Definition, bad: AlertRule.BadEvents, total: ReadonlyArray<number>, spent: ReadonlyArray<number>): ReadonlyArray<Samples> => {
  const good = total.map((value, i) => value - spent[i]!)
  if ("labels" in bad) {
    const name = counted(definition)
    return [
      { name, labels: labelsOf(rule, definition, bad.labels), values: spent },
      { name, labels: labelsOf(rule, definition, bad.labels, true), values: good }
    ]
  }
  const labels = labelsOf(rule, definition)
  return [
    { name: `${definition.name}_bucket`, labels: { ...labels, le: canonicalNumber(bad.above) }, values: good },
    { name: `${definition.name}_count`, labels, values: total }
  ]
}
