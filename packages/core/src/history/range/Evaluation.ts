import * as Effect from "effect/Effect"
import type { MetricType } from "../../metrics/MetricDefinition.ts"
import type { HistoryError } from "../HistoryError.ts"
import type { Block, Grid } from "./Block.ts"
import { invalid, type Known, labelOf, type RangePlan } from "./plan.ts"
import { histogramQuantile, joined } from "./quantile.ts"
import { type RangeFunction, rangeLimits, type RangeResult, type RangeSeries } from "./RangeQuery.ts"
import { longestHold, Means, Samples } from "./Samples.ts"
import { Extremes, Totals } from "./Totals.ts"

/**
 * A stored column: `increase` of a counter, `value` of a gauge or up-down counter, and of histograms and summaries the `count`
 * and `sum` of an interval, its `min` and `max`, and its `buckets`.
 */
export type Reading = "increase" | "value" | "count" | "sum" | "min" | "max" | "buckets"

type Labels = Readonly<Record<string, string>>

interface Group extends Pick<RangeSeries, "labels" | "resource"> {
  readonly index: number
}

/** Bucket cells of one group and layout: from `first` on, one per bound and one for +Inf. */
interface Layout {
  readonly group: number
  readonly bounds: ReadonlyArray<number>
  readonly first: number
}

const numbers: Partial<Record<RangeFunction, ReadonlyArray<Reading>>> = {
  rate: ["count"], increase: ["count"], count: ["count"], sum: ["sum"], avg: ["sum", "count"]
}

/** What a function reads, by the type of the metric; a pair that is not here has no meaning. */
const readings: Readonly<Record<MetricType, Partial<Record<RangeFunction, ReadonlyArray<Reading>>>>> = {
  counter: { rate: ["increase"], increase: ["increase"], sum: ["increase"] },
  gauge: { avg: ["value"], min: ["value"], max: ["value"], last: ["value"], sum: ["value"], count: ["value"] },
  upDownCounter: { avg: ["value"], min: ["value"], max: ["value"], last: ["value"], sum: ["value"], count: ["value"] },
  histogram: { ...numbers, min: ["min"], max: ["max"], quantile: ["buckets"] },
  summary: numbers
}

/** The columns to read for a plan over a metric of this type. */
export const readingsOf = (plan: RangePlan, type: MetricType): Effect.Effect<ReadonlyArray<Reading>, HistoryError> => {
  const found = readings[type][plan.function]
  return found !== undefined
    ? Effect.succeed(found)
    : invalid("function", `is "${plan.function}", which has no meaning for a ${type}: use ${Object.keys(readings[type]).join(", ")}`)
}

/** The time to read: ends of intervals after `from`, and every interval that begins before `to`. */
export const extentOf = (plan: RangePlan, readings: ReadonlyArray<Reading>): { readonly from: number; readonly to: number } => ({
  from: plan.start - (readings.includes("value") ? Math.max(plan.window, longestHold) : plan.window),
  to: plan.start + (plan.points - 1) * plan.step
})

const timesOf = ({ points, start, step }: RangePlan): ReadonlyArray<number> => Array.from({ length: points }, (_, i) => start + i * step)

/** The answer when nothing is stored under the name. */
export const nothing = (plan: RangePlan): RangeResult => ({ metric: plan.metric, type: undefined, times: timesOf(plan), series: [] })

/**
 * One question being answered: all its series are named first (`cellOf`), then their blocks are added in any order, then
 * `result` gives the answer. Whoever stores values brings blocks; the arithmetic is here, the same for every store.
 */
export class Evaluation {
  private readonly plan: RangePlan
  private readonly type: MetricType
  private readonly groups = new Map<string, Group>()
  private readonly layouts = new Map<string, Layout>()
  private bucketCells = 0
  /** The group of each label set, for means: over the values of a label set first, then over the label sets of a group. */
  private readonly labelSets = new Map<string, { readonly index: number; readonly group: number }>()
  private readonly folds = new Map<Reading, Totals | Extremes | Samples | Means>()

  constructor(plan: RangePlan, type: MetricType) {
    this.plan = plan
    this.type = type
  }

  /** The cell of a series; for `buckets` the first of `bounds.length + 1`. `resource` of the process matters with `groupByResource` alone. */
  cellOf(reading: Reading, labels: Labels, bounds: ReadonlyArray<number> = [], resource: Known = {}): number {
    const group = this.groupOf(labels, resource)
    if (reading === "value" && this.plan.function === "avg") {
      const key = JSON.stringify([group.index, entriesOf(labels)])
      let set = this.labelSets.get(key)
      if (set === undefined) this.labelSets.set(key, set = { index: this.labelSets.size, group: group.index })
      return set.index
    }
    if (reading !== "buckets") return group.index
    const key = `${group.index}:${bounds.join()}`
    let layout = this.layouts.get(key)
    if (layout === undefined) {
      layout = { group: group.index, bounds, first: this.bucketCells }
      this.bucketCells += bounds.length + 1
      this.layouts.set(key, layout)
    }
    return layout.first
  }

  /** Fails when the answer would be larger than one may be. Before the first block. */
  get check(): Effect.Effect<void, HistoryError> {
    const cells = Math.max(this.groups.size, this.bucketCells, this.labelSets.size)
    return cells * this.plan.points > rangeLimits.cells
      ? invalid("groupBy", `leaves ${this.groups.size} series at ${this.plan.points} times, more than one answer holds: group by fewer labels, or use a longer step`)
      : Effect.void
  }

  add(reading: Reading, block: Block): void {
    let fold = this.folds.get(reading)
    if (fold === undefined) this.folds.set(reading, fold = this.foldOf(reading))
    fold.add(block)
  }

  result(): RangeResult {
    const { k, metric, points } = this.plan
    const values = this.values()
    const ordered = [...this.groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
    if (k !== undefined) keepGreatest(values, ordered.map(({ index }) => index), points, k)
    const series = ordered
      .map(({ index, ...named }) => ({ ...named, values: Array.from(values.subarray(index * points, (index + 1) * points)) }))
      .filter((one) => one.values.some((value) => value === value))
    return { metric, type: this.type, times: timesOf(this.plan), series }
  }

  private groupOf(labels: Labels, resource: Known): Group {
    const { groupBy, groupByResource } = this.plan
    const entries = entriesOf(labels, groupBy)
    const process = groupByResource.map((name) => [name, resource[name] ?? ""] as const)
    const key = process.length === 0 ? JSON.stringify(entries) : JSON.stringify([entries, process])
    let group = this.groups.get(key)
    if (group === undefined) {
      group = { index: this.groups.size, labels: Object.fromEntries(entries), ...(process.length === 0 ? {} : { resource: Object.fromEntries(process) }) }
      this.groups.set(key, group)
    }
    return group
  }

  private foldOf(reading: Reading): Totals | Extremes | Samples | Means {
    const grid: Grid = this.plan
    const cells = this.groups.size
    switch (reading) {
      case "value":
        return this.samples(grid, cells)
      case "min":
      case "max":
        return new Extremes(grid, cells, reading)
      default:
        return new Totals(grid, reading === "buckets" ? this.bucketCells : cells)
    }
  }

  private samples(grid: Grid, cells: number): Samples | Means {
    switch (this.plan.function) {
      case "avg":
        return new Means(grid, this.labelSets.size)
      case "last":
        return new Samples(grid, cells, this.type === "upDownCounter" ? "sum" : "newest")
      default:
        return new Samples(grid, cells, this.plan.function as "min" | "max" | "sum" | "count")
    }
  }

  private values(): Float64Array {
    const { points, window } = this.plan
    const size = this.groups.size * points
    const totals = (reading: Reading) => {
      const fold = this.folds.get(reading)
      return fold instanceof Totals ? fold : undefined
    }
    switch (this.plan.function) {
      case "quantile":
        return this.quantiles(totals("buckets"), size)
      case "avg": {
        const [sum, count] = [totals("sum"), totals("count")]
        if (sum === undefined || count === undefined) break
        return sum.values.map((value, i) => (count.values[i]! > 0 ? value / count.values[i]! : NaN))
      }
    }
    const fold = [...this.folds.values()][0]
    if (fold === undefined) return new Float64Array(size).fill(NaN)
    if (fold instanceof Means) return this.means(fold, size)
    if (!(fold instanceof Totals)) return fold.values
    const scale = this.plan.function === "rate" ? 1000 / window : 1
    return fold.values.map((value, i) => (fold.seen[i] === 0 ? NaN : value * scale))
  }

  private means(means: Means, size: number): Float64Array {
    const { points } = this.plan
    const sums = new Float64Array(size)
    const counts = new Float64Array(size)
    for (const { group, index } of this.labelSets.values()) {
      for (let w = 0; w < points; w++) {
        const value = means.at(index * points + w)
        if (value !== value) continue
        sums[group * points + w]! += value
        counts[group * points + w]! += 1
      }
    }
    return sums.map((sum, i) => sum / counts[i]!)
  }

  private quantiles(totals: Totals | undefined, size: number): Float64Array {
    const { points, quantile } = this.plan
    const out = new Float64Array(size).fill(NaN)
    if (totals === undefined) return out
    for (const layouts of Map.groupBy(this.layouts.values(), (layout) => layout.group).values()) {
      for (let w = 0; w < points; w++) {
        const distributions = layouts.map(({ bounds, first }) => ({
          bounds,
          counts: Float64Array.from({ length: bounds.length + 1 }, (_, b) => totals.values[(first + b) * points + w]!)
        }))
        out[layouts[0]!.group * points + w] = histogramQuantile(quantile, joined(distributions))
      }
    }
    return out
  }
}

/** The labels that are present, in one order. */
const entriesOf = (labels: Labels, names: ReadonlyArray<string> = Object.keys(labels).sort()): ReadonlyArray<readonly [string, string]> =>
  names.map((name) => [name, labelOf(labels, name)] as const).filter(([, value]) => value !== "")

/** Leaves at each time only the `k` greatest values; of equals the ones that come first in `order`. */
const keepGreatest = (values: Float64Array, order: ReadonlyArray<number>, points: number, k: number): void => {
  if (k >= order.length) return
  for (let w = 0; w < points; w++) {
    const ranked = order.map((index) => index * points + w).filter((at) => values[at] === values[at])
    ranked.sort((a, b) => values[b]! - values[a]!)
    for (const at of ranked.slice(k)) values[at] = NaN
  }
}
