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

/** One series of the page, with what its contributors made of it. Counts stay when a worker ends; what only a living one has leaves with it. */
export class MergedSeries implements Series {
  /** -1 once it left the page. */
  index = 0
  readonly definition: MetricDefinition.MetricDefinition
  readonly labelValues: ReadonlyArray<string>
  readonly createdAt: number
  /** Increases added up: a counter's total; a histogram's buckets and sum; a summary's count and sum. */
  readonly totals: Float64Array
  /** Gauges: the value by contributor. */
  readonly values = new Map<Contributor, number>()
  last = NaN
  /** Summaries: the quantiles of the latest report. */
  quantiles: ReadonlyArray<number> = []
  /** By bucket, a counter's at 0. */
  exemplars: Array<Exemplar | undefined> = []

  constructor(definition: MetricDefinition.MetricDefinition, labelValues: ReadonlyArray<string>, createdAt: number) {
    this.definition = definition
    this.labelValues = labelValues
    this.createdAt = createdAt
    this.totals = new Float64Array(totalsOf(definition))
  }
}

const totalsOf = ({ buckets, type }: MetricDefinition.MetricDefinition): number =>
  type === "histogram" ? buckets!.length + 2 : type === "summary" ? 2 : type === "counter" ? 1 : 0

export const isGauge = ({ type }: MetricDefinition.MetricDefinition): boolean => type === "gauge" || type === "upDownCounter"

/** Stands for every label value past the budget: totals stay exact. */
const overflow = "_overflow"

/** One metric of the page. */
export class MergedFamily implements MetricFamily {
  readonly definition: MetricDefinition.MetricDefinition
  readonly rule: Rule
  series: ReadonlyArray<MergedSeries> = []
  /** Whether label sets had to share a series. */
  overflowed = false
  private readonly byLabels = new Map<string, MergedSeries>()
  private readonly quantiles: ReadonlyArray<number>
  private readonly maxSeries: number

  constructor(declared: MetricDefinition.MetricDefinition, rule: Rule, maxSeries: number) {
    this.definition = rule === "perWorker"
      ? new MetricDefinition.MetricDefinition({ ...declared, labelNames: [...declared.labelNames, workerLabel(declared)] })
      : declared
    this.rule = rule
    this.maxSeries = maxSeries
    this.quantiles = Object.keys(declared.objectives ?? {}).map(Number).sort((a, b) => a - b)
  }

  /** The series a contributor's values go to; `full` says that the page may hold no more of them. */
  find(labelValues: ReadonlyArray<string>, { label }: Contributor, createdAt: number, full: boolean): MergedSeries {
    const values = this.rule === "perWorker" ? [...labelValues, label] : labelValues
    const key = JSON.stringify(values)
    const known = this.byLabels.get(key)
    if (known !== undefined) return known
    if ((full || this.series.length >= this.maxSeries) && values.length > 0 && !values.every((value) => value === overflow)) {
      this.overflowed = true
      return this.find(labelValues.map(() => overflow), { label: overflow }, createdAt, full)
    }
    const made = new MergedSeries(this.definition, values, createdAt)
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
      this.byLabels.delete(JSON.stringify(series.labelValues))
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
    return (series as MergedSeries).exemplars[Math.max(bucket, 0)]
  }
}

const workerLabel = ({ labelNames }: MetricDefinition.MetricDefinition): string => {
  let label = "worker"
  while (labelNames.includes(label)) label = `obs_${label}`
  return label
}
