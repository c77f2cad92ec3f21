import { type LabelTest, passes } from "../../history/range/plan.ts"
import type { MetricDefinition } from "../../metrics/MetricDefinition.ts"
import type { MetricFrame, Series } from "../../metrics/MetricFrame.ts"
import type { AlertRule } from "../AlertRule.ts"
import { addTo, isQuantile, type Place, testsOf } from "./figures.ts"
import { Group } from "./Group.ts"

/** What a rule says about one set of labels at the moment. */
export interface Instance {
  readonly rule: AlertRule
  readonly labels: Readonly<Record<string, string>>
  readonly state: "pending" | "firing"
  readonly value: number | undefined
  readonly activeAt: number
  readonly firedAt: number | undefined
}

interface Options {
  /** Milliseconds between two frames. */
  readonly interval: number
  /** Most groups of one rule; series of more are left out and counted. */
  readonly maxGroups: number
  readonly startedAt: number
}

/** Rules over the frames of one store. Pure: what it knows came with the frames and the times given. */
export class Evaluator {
  private readonly options: Options
  private states = new Map<string, RuleState>()

  constructor(options: Options) {
    this.options = options
  }

  /** Those that stay as they are keep what they know. */
  setRules(rules: ReadonlyArray<AlertRule>, now: number): void {
    const before = this.states
    this.states = new Map(rules.map((rule) => {
      const known = before.get(rule.name)
      return [rule.name, known !== undefined && sameRule(known.rule, rule) ? known : new RuleState(rule, { ...this.options, startedAt: now })]
    }))
  }

  /** Takes a frame in and gives all alerts that are pending or fire at `now`. */
  evaluate(frame: MetricFrame, now: number): ReadonlyArray<Instance> {
    const byMetric = Map.groupBy(this.states.values(), (state) => state.rule.metric)
    for (const state of this.states.values()) state.begin()
    for (const column of [frame.counters, frame.gauges, frame.histograms, frame.summaries]) {
      column.series.forEach((series, at) => {
        for (const state of byMetric.get(series.definition.name) ?? []) state.take(frame, { series, at }, now)
      })
    }
    return [...this.states.values()].flatMap((state) => state.end(now))
  }

  /** Series that found no group, by rule, since the start. */
  overflows(): ReadonlyArray<readonly [rule: string, series: number]> {
    return [...this.states.values()].map((state) => [state.rule.name, state.overflow] as const).filter(([, count]) => count > 0)
  }

  /** Estimated bytes of all windows. */
  get weight(): number {
    return [...this.states.values()].reduce((sum, state) => sum + state.weight, 0)
  }
}

const sameRule = (one: AlertRule, other: AlertRule): boolean => one === other || JSON.stringify(one) === JSON.stringify(other)

class RuleState {
  readonly rule: AlertRule
  overflow = 0
  private readonly options: Options
  private readonly tests: ReadonlyArray<LabelTest>
  private readonly bad: ReadonlyArray<LabelTest>
  private readonly groups = new Map<string, Group>()
  private known = new WeakMap<Series, Group>()
  private readonly refused = new WeakSet<Series>()
  private definition: MetricDefinition | undefined
  /** Whether a series of the rule was in the frame. */
  private present = false
  private seen: number
  private evaluated: number

  constructor(rule: AlertRule, options: Options) {
    this.rule = rule
    this.options = options
    this.tests = testsOf(rule.labels)
    this.bad = rule.condition.kind === "burnRate" && "labels" in rule.condition.bad ? testsOf(rule.condition.bad.labels) : []
    this.seen = this.evaluated = options.startedAt
  }

  begin(): void {
    this.present = false
    for (const group of this.groups.values()) group.begin()
  }

  take(frame: MetricFrame, place: Place, now: number): void {
    const { series } = place
    const { type } = series.definition
    if (this.definition !== series.definition) this.define(series.definition)
    let group = this.known.get(series)
    if (group === undefined) {
      const labels = Object.fromEntries(series.definition.labelNames.map((name, i) => [name, series.labelValues[i]!]))
      if (!passes(labels, this.tests)) return
      group = this.groupOf(series, labels)
      if (group === undefined) return
      this.known.set(series, group)
    }
    if (type === "gauge" || type === "upDownCounter") {
      if (Number.isNaN(frame.gauges.values[place.at]!)) return
      group.take(frame, place, now)
    } else {
      if (type === "summary" && isQuantile(this.rule.condition)) group.take(frame, place, now)
      else addTo(group.totals, this.rule, frame, place, passesBad(series, this.bad))
      group.seen = now
    }
    this.present = true
  }

  /** A metric may be defined anew, with other buckets: what was known is then of no use. */
  private define(definition: MetricDefinition): void {
    if (this.definition !== undefined && JSON.stringify([this.definition.type, this.definition.buckets]) !== JSON.stringify([definition.type, definition.buckets])) {
      this.groups.clear()
      this.known = new WeakMap()
    }
    this.definition = definition
  }

  private groupOf(series: Series, labels: Readonly<Record<string, string>>): Group | undefined {
    const chosen = Object.fromEntries(this.rule.groupBy.map((name) => [name, labels[name] ?? ""]))
    const key = JSON.stringify(this.rule.groupBy.map((name) => chosen[name]))
    const found = this.groups.get(key)
    if (found !== undefined) return found
    if (this.groups.size >= this.options.maxGroups) {
      if (!this.refused.has(series)) {
        this.refused.add(series)
        this.overflow++
      }
      return undefined
    }
    // What is in its first frame happened since the one before.
    const group = new Group(this.rule, series.definition, chosen, this.evaluated, this.options.interval)
    this.groups.set(key, group)
    return group
  }

  end(now: number): ReadonlyArray<Instance> {
    const { condition, groupBy } = this.rule
    if (this.present) this.seen = now
    this.evaluated = now
    const found: Array<Instance> = []
    for (const [key, group] of this.groups) {
      group.push(now)
      const alive = group.seen === now || (this.rule.groupBy.length === 0 && condition.kind === "absent")
      const within = alive || now - group.seen <= group.memory
      group.step(within && group.holds(this.definition, now), now)
      if (group.activeAt !== undefined) found.push(this.instance(group))
      else if (!within) {
        this.groups.delete(key)
        this.known = new WeakMap()
      }
    }
    if (condition.kind === "absent" && this.groups.size === 0) {
      // Nobody has recorded anything yet, or all of it has ended: one alert for the whole metric.
      const group = this.nobody ??= new Group(this.rule, undefined, Object.fromEntries(groupBy.map((name) => [name, ""])), this.seen, this.options.interval)
      group.step(group.holds(undefined, now), now)
      if (group.activeAt !== undefined) found.push(this.instance(group))
    } else this.nobody = undefined
    return found
  }

  private nobody: Group | undefined

  private instance(group: Group): Instance {
    return {
      rule: this.rule,
      labels: group.labels,
      state: group.firedAt === undefined ? "pending" : "firing",
      value: group.figure,
      activeAt: group.activeAt!,
      firedAt: group.firedAt
    }
  }

  get weight(): number {
    return [...this.groups.values()].reduce((sum, group) => sum + group.weight, 0)
  }
}

const passesBad = (series: Series, tests: ReadonlyArray<LabelTest>): boolean =>
  tests.length > 0 && passes(Object.fromEntries(series.definition.labelNames.map((name, i) => [name, series.labelValues[i]!])), tests)
