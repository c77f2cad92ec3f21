import { type Exemplar, MetricDefinition, type MetricFamily, type Series } from "@effect-observability/core"

/**
 * How the values of several workers become one. Counters, histograms and summaries know `sum` and `perWorker`; gauges and up-down counters
 * all of them.
 */
export type Rule = "sum" | "max" | "min" | "last" | "perWorker"

/** Who contributes to a series: one lifetime of a worker's layer. */
export interface Contributor {
  /** Value of the label that tells workers apart. */
  readonly label: string
}

const none: ReadonlyArray<number> = []
const noValues = new Map<Contributor, number>()

/** One series of the page, with what its contributors made of it. Counts stay when a worker ends; what only a living one has leaves with it. */
export class MergedSeries implements Series {
  /** -1 once it left the page. */
  index = 0
  readonly definition: MetricDefinition.MetricDefinition
  /** Grows when the family gets more labels. */
  readonly labelValues: Array<string>
  readonly createdAt: number
  /** Increases added up: a counter's total; a histogram's buckets and sum; a summary's count and sum. */
  readonly totals: Array<number>
  /** Gauges: the value by contributor; nothing is put there for others. */
  readonly values: Map<Contributor, number>
  last = NaN
  /** Summaries: the quantiles of the latest report. */
  quantiles = none
  /** By bucket, a counter's at 0. */
  exemplars: Array<Exemplar | undefined> | undefined

  constructor(definition: MetricDefinition.MetricDefinition, labelValues: Array<string>, createdAt: number) {
    this.definition = definition
    this.labelValues = labelValues
    this.createdAt = createdAt
    this.totals = new Array<number>(totalsOf(definition)).fill(0)
    this.values = isGauge(definition) ? new Map() : noValues
  }
}

const totalsOf = ({ buckets, type }: MetricDefinition.MetricDefinition): number =>
  type === "histogram" ? buckets!.length + 2 : type === "summary" ? 2 : type === "counter" ? 1 : 0

export const isGauge = ({ type }: MetricDefinition.MetricDefinition): boolean => type === "gauge" || type === "upDownCounter"

/** Stands for every label value past the budget: totals stay exact. */
const overflow = "_overflow"

/** The label that tells workers apart; a label of that name is moved, as Prometheus moves those of a target. */
const workerLabel = "worker"
const movedLabel = "exported_worker"

/** Most labels of one metric: those of all its definitions together. */
const maxLabels = 64

/** One metric of the page. Who declares it with other labels than others leaves theirs empty. */
export class MergedFamily implements MetricFamily {
  definition: MetricDefinition.MetricDefinition
  readonly rule: Rule
  series: ReadonlyArray<MergedSeries> = []
  /** Whether label sets had to share a series. */
  overflowed = false
  private readonly byLabels = new Map<string, MergedSeries>()
  private readonly quantiles: ReadonlyArray<number>
  private readonly maxSeries: number

  constructor(declared: MetricDefinition.MetricDefinition, rule: Rule, maxSeries: number) {
    this.definition = new MetricDefinition.MetricDefinition({ ...declared, labelNames: rule === "perWorker" ? [workerLabel] : [] })
    this.rule = rule
    this.maxSeries = maxSeries
    this.quantiles = Object.keys(declared.objectives ?? {}).map(Number).sort((a, b) => a - b)
    this.places(declared.labelNames)
  }

  /** Where labels stand here; those that are new get a place. Throws when there are too many of them. */
  places(labelNames: ReadonlyArray<string>): ReadonlyArray<number> {
    const names = labelNames.map((label) => this.rule === "perWorker" && label === workerLabel ? movedLabel : label)
    const known = this.definition.labelNames
    const added = names.filter((name, i) => !known.includes(name) && names.indexOf(name) === i)
    if (known.length + added.length > maxLabels) throw new Error(`${this.definition.name} would have more than ${maxLabels} labels`)
    if (added.length > 0) {
      this.definition = new MetricDefinition.MetricDefinition({ ...this.definition, labelNames: [...known, ...added] })
      for (const series of this.series) for (const _ of added) series.labelValues.push("")
    }
    return names.map((name) => this.definition.labelNames.indexOf(name))
  }

  /** The series a contributor's values go to; `full` says that the page may hold no more of them. */
  find(places: ReadonlyArray<number>, values: ReadonlyArray<string>, { label }: Contributor, createdAt: number, full: boolean): MergedSeries {
    const labelValues = this.definition.labelNames.map(() => "")
    if (this.rule === "perWorker") labelValues[0] = label
    places.forEach((place, i) => {
      labelValues[place] = values[i]!
    })
    const key = keyOf(labelValues)
    const known = this.byLabels.get(key)
    if (known !== undefined) return known
    if ((full || this.series.length >= this.maxSeries) && labelValues.length > 0 && !values.every((value) => value === overflow)) {
      this.overflowed = true
      return this.find(places, values.map(() => overflow), { label: overflow }, createdAt, full)
    }
    const made = new MergedSeries(this.definition, labelValues, createdAt)
    this.byLabels.set(key, made)
    // Pushed in place: a page being made has a copy.
    ;(this.series as Array<MergedSeries>).push(made)
    return made
  }

  /** Takes gauges without contributors off the page. */
  prune(): void {
    if (!isGauge(this.definition) || this.rule === "last") return
    const gone = this.series.filter(({ values }) => values.size === 0)
    if (gone.length === 0) return
    for (const series of gone) {
      series.index = -1
      this.byLabels.delete(keyOf(series.labelValues))
    }
    this.series = this.series.filter(({ index }) => index >= 0)
  }

  value(series: Series): number {
    const { last, totals, values } = series as MergedSeries
    if (this.definition.type === "counter") return totals[0]!
    if (this.rule === "last") return last
    let folded: number | undefined
    for (const value of values.values()) {
      folded = folded === undefined ? value : this.rule === "max" ? Math.max(folded, value) : this.rule === "min" ? Math.min(folded, value) : folded + value
    }
    return folded ?? NaN
  }

  count(series: Series): number {
    const { totals } = series as MergedSeries
    if (this.definition.type === "summary") return totals[0]!
    let count = 0
    for (let i = 0; i < totals.length - 1; i++) count += totals[i]!
    return count
  }

  sum(series: Series): number {
    const { totals } = series as MergedSeries
    return totals[totals.length - 1]!
  }

  bucket(series: Series, i: number): number {
    return (series as MergedSeries).totals[i]!
  }

  /** Quantiles of several workers cannot be made one: there are some per worker only. */
  quantile(series: Series, q: number): number {
    return this.rule === "perWorker" ? (series as MergedSeries).quantiles[this.quantiles.indexOf(q)] ?? NaN : NaN
  }

  /** No page shows them: workers send explicit buckets only. */
  exponential(): undefined {
    return undefined
  }

  exemplar(series: Series, bucket = -1): Exemplar | undefined {
    return (series as MergedSeries).exemplars?.[Math.max(bucket, 0)]
  }
}

/** The same before and after the family got more labels. */
const keyOf = (labelValues: ReadonlyArray<string>): string => JSON.stringify(labelValues.slice(0, labelValues.findLastIndex((value) => value !== "") + 1))
