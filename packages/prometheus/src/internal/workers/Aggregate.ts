import type { MetricDefinition, MetricFamily } from "@effect-observability/core"
import { printable } from "../printable.ts"
import { type Contributor, isGauge, MergedFamily, type MergedSeries, type Rule } from "./Merged.ts"
import { definitionOf, type ExemplarNote, type Report } from "./protocol.ts"

export interface AggregateOptions {
  readonly ruleOf: (definition: MetricDefinition.MetricDefinition) => Rule
  readonly maxSeriesPerMetric: number
  readonly maxSeries: number
}

/** Most messages about unreadable or conflicting reports kept. */
const maxProblems = 20

/**
 * The metrics of all workers as one set of families. Reports are added up as they come, so that a page costs what it shows, and what a
 * worker counted stays when it ends without anything being kept of the worker.
 */
export class Aggregate {
  private readonly options: AggregateOptions
  private readonly byName = new Map<string, MergedFamily>()
  private readonly told = new Set<string>()
  private count = 0

  constructor(options: AggregateOptions) {
    this.options = options
  }

  families(): ReadonlyArray<MetricFamily> {
    return [...this.byName.values()]
  }

  /** In words: what could not be added up as it is. */
  problems(): ReadonlyArray<string> {
    const full = [...this.byName.values()].filter(({ overflowed }) => overflowed).map(({ definition }) => definition.name)
    return full.length === 0 ? [...this.told] : [...this.told, `label sets past the budget share one series: ${full.slice(0, 10).join(", ")}`]
  }

  tell(problem: string): void {
    if (this.told.size < maxProblems) this.told.add(problem)
  }

  /** A new contributor; `label` is its value of the label that tells workers apart. */
  source(label: string): Source {
    return new Source(this, label)
  }

  /** The family of a definition, `undefined` when the page has another metric of that name. */
  family(definition: MetricDefinition.MetricDefinition, from: string): MergedFamily | undefined {
    const known = this.byName.get(definition.name)
    if (known === undefined) {
      const rule = this.options.ruleOf(definition)
      const made = new MergedFamily(definition, rule, this.options.maxSeriesPerMetric)
      this.byName.set(definition.name, made)
      return made
    }
    const same = known.definition.type === definition.type &&
      equal(known.definition.buckets ?? [], definition.buckets ?? []) &&
      equal(Object.keys(known.definition.objectives ?? {}), Object.keys(definition.objectives ?? {}))
    if (same) return known
    this.tell(`${from} declares ${definition.name} with another type or buckets than others: its values are left out`)
    return undefined
  }

  find(family: MergedFamily, places: ReadonlyArray<number>, values: ReadonlyArray<string>, contributor: Contributor, createdAt: number): MergedSeries {
    const before = family.series.length
    const series = family.find(places, values, contributor, createdAt, this.count >= this.options.maxSeries)
    this.count += family.series.length - before
    return series
  }

  prune(family: MergedFamily): void {
    const before = family.series.length
    family.prune()
    this.count += family.series.length - before
  }
}

/** What one worker contributes, from its first report to its end. */
export class Source implements Contributor {
  readonly label: string
  private readonly aggregate: Aggregate
  private readonly families = new Map<number, { readonly family: MergedFamily; readonly places: ReadonlyArray<number> }>()
  private readonly series = new Map<number, { readonly family: MergedFamily; readonly series: MergedSeries }>()
  /** Whose value a gauge, whose quantiles a summary shows: a series that began anew is told before the end of the one it follows. */
  private readonly writers = new Map<MergedSeries, number>()

  constructor(aggregate: Aggregate, label: string) {
    this.aggregate = aggregate
    this.label = label
  }

  /** Takes in a report. It came from another process: what it cannot read is told and left out, and nothing is thrown. */
  accept(report: Report): void {
    try {
      for (const { definition: note, id } of report.families) {
        const definition = definitionOf(note)
        const family = this.aggregate.family(definition, `worker ${this.label}`)
        if (family !== undefined) this.families.set(id, { family, places: family.places(definition.labelNames) })
      }
      for (const { createdAt, family: id, id: number, labelValues } of report.series) {
        const known = this.families.get(id)
        if (known === undefined) continue
        const { family, places } = known
        const values = labelValues.map(String)
        if (values.length !== places.length) throw new Error("a series has too many or too few labels")
        this.series.set(number, { family, series: this.aggregate.find(family, places, values, this, Number(createdAt)) })
      }
      for (const [id, ...figures] of report.values) this.add(id, figures.map(Number))
      for (const exemplar of report.exemplars) this.show(exemplar)
      this.end(report.gone)
    } catch (error) {
      this.aggregate.tell(`worker ${this.label} sent a report that cannot be read: ${printable(String(error))}`)
    }
  }

  private add(id: number, figures: ReadonlyArray<number>): void {
    const known = this.series.get(id)
    if (known === undefined) return
    const { family, series } = known
    if (isGauge(family.definition)) {
      this.writers.set(series, id)
      series.values.set(this, figures[0]!)
      series.last = figures[0]!
      return
    }
    const { totals } = series
    for (let i = 0; i < totals.length; i++) totals[i]! += figures[i] ?? 0
    if (figures.length <= totals.length) return
    this.writers.set(series, id)
    series.quantiles = figures.slice(totals.length)
  }

  private show({ bucket, series: id, ...exemplar }: ExemplarNote): void {
    const series = this.series.get(id)?.series
    if (series === undefined || !/^[0-9a-f]{32} [0-9a-f]{16}$/.test(`${exemplar.traceId} ${exemplar.spanId}`)) return
    const at = Math.max(bucket, 0)
    const exemplars = series.exemplars ??= []
    if (!(at <= series.totals.length) || (exemplars[at]?.time ?? 0) > exemplar.time) return
    exemplars[at] = exemplar
  }

  /** Lets go of series that ended, or of all of them. */
  end(ids: Iterable<number> = this.series.keys()): void {
    const touched = new Set<MergedFamily>()
    for (const id of ids) {
      const known = this.series.get(id)
      if (known === undefined) continue
      this.series.delete(id)
      if (this.writers.get(known.series) !== id) continue
      this.writers.delete(known.series)
      if (!isGauge(known.family.definition)) {
        if (known.family.rule === "perWorker") known.series.quantiles = []
        continue
      }
      known.series.values.delete(this)
      touched.add(known.family)
    }
    for (const family of touched) this.aggregate.prune(family)
  }
}

const equal = (one: ReadonlyArray<unknown>, other: ReadonlyArray<unknown>): boolean =>
  one.length === other.length && one.every((value, i) => value === other[i])
