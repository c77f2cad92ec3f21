import type { MetricDefinition, MetricType } from "../MetricDefinition.ts"
import { defaultBuckets, defaultObjectives, MetricDefinition as Definition, MetricDefinitionError, problem } from "../MetricDefinition.ts"
import type { Series } from "../MetricFrame.ts"
import type { FrameReader, MetricFamily, MetricStore, Tap } from "../MetricStore.ts"
import { Histograms, scalarReader, Scalars, Summaries } from "./columns.ts"
import * as Exemplars from "./Exemplars.ts"
import { Family } from "./Family.ts"

/** What the store needs to know of the world, and may be told anew while running. */
export interface StoreSettings {
  readonly maxSeriesPerMetric: number
  readonly maxSeries: number
  readonly maxMetrics: number
  readonly buckets: Readonly<Record<string, ReadonlyArray<number>>>
}

/** Most messages about wrong definitions kept: names may come from data. */
const maxProblems = 100

/** The store behind `MetricStore` and the recorder: families, cells and taps. */
export class Registry implements MetricStore {
  readonly counters = new Scalars()
  readonly gauges = new Scalars()
  readonly histograms = new Histograms()
  readonly summaries = new Summaries()
  readonly exemplars: Exemplars.Exemplars
  /** Places that got their exemplar in this window. */
  private takenCounters: Array<number> = []
  private takenBuckets: Array<number> = []
  private readonly settings: StoreSettings
  private readonly now: () => number
  private readonly byName = new Map<string, Family>()
  /** `undefined` marks a definition that conflicts with another: found once, refused from then on. */
  private readonly byDefinition = new Map<MetricDefinition, Family | undefined>()
  private readonly refused = new Map<string, number>()
  private readonly declared = new Set<(family: MetricFamily) => void>()
  private readonly suggested = new Set<string>()
  private readonly wrong = new Set<string>()
  private seriesCount = 0
  private taps: ReadonlyArray<RingTap> = []

  constructor(settings: StoreSettings, now: () => number) {
    this.settings = settings
    this.now = now
    this.exemplars = new Exemplars.Exemplars(now)
  }

  get full(): boolean {
    return this.seriesCount >= this.settings.maxSeries
  }

  get size(): number {
    return this.seriesCount
  }

  families(): ReadonlyArray<MetricFamily> {
    return [...this.byName.values()]
  }

  family(name: string): Family | undefined {
    return this.byName.get(name)
  }

  declare(definition: MetricDefinition): MetricDefinitionError | undefined {
    const known = this.byDefinition.get(definition)
    if (known !== undefined) return undefined
    this.yieldTo(definition)
    const wrong = problem(definition) ?? this.conflict(definition)
    if (wrong !== undefined) {
      this.byDefinition.set(definition, undefined)
      if (this.wrong.size < maxProblems) this.wrong.add(wrong.message)
      return wrong
    }
    const existing = this.byName.get(definition.name)
    if (existing !== undefined) {
      this.byDefinition.set(definition, existing)
      return undefined
    }
    if (this.byName.size >= this.settings.maxMetrics) {
      return new MetricDefinitionError({
        metric: definition.name,
        field: "name",
        message: `metric "${definition.name}": the process already has ${this.byName.size} metrics; put what varies into labels`
      })
    }
    const buckets = definition.type === "histogram" && Object.hasOwn(this.settings.buckets, definition.name)
      ? this.settings.buckets[definition.name]
      : undefined
    const effective = buckets === undefined ? definition : new Definition({ ...definition, buckets })
    const family = new Family(this, effective, definition.maxSeries ?? this.settings.maxSeriesPerMetric)
    this.byName.set(definition.name, family)
    this.byDefinition.set(definition, family)
    for (const listener of this.declared) {
      try {
        listener(family)
      } catch {
        // Declaring may happen inside a record call, which never throws.
      }
    }
    return undefined
  }

  /** Declares a metric that gives way to another definition of its name, as long as nothing was recorded into it. */
  suggest(definition: MetricDefinition): void {
    if (this.byName.has(definition.name) || this.declare(definition) !== undefined) return
    this.suggested.add(definition.name)
  }

  private yieldTo(definition: MetricDefinition): void {
    const family = this.byName.get(definition.name)
    if (family === undefined || !this.suggested.delete(definition.name) || family.series.length > 0) return
    this.byName.delete(definition.name)
    for (const [known, its] of this.byDefinition) if (its === family) this.byDefinition.delete(known)
  }

  /** Definitions that could not be used, in words. */
  problems(): ReadonlyArray<string> {
    return [...this.wrong]
  }

  onDeclare(listener: (family: MetricFamily) => void): () => void {
    this.declared.add(listener)
    return () => this.declared.delete(listener)
  }

  private conflict(definition: MetricDefinition): MetricDefinitionError | undefined {
    const declared = this.byName.get(definition.name)?.definition
    if (declared === undefined) return undefined
    const differs = (field: "type" | "labelNames", was: string, is: string) =>
      new MetricDefinitionError({
        metric: definition.name,
        field,
        message: `metric "${definition.name}": ${field} is ${is}, but it was declared before with ${was}: use one definition, or another name`
      })
    if (declared.type !== definition.type) return differs("type", declared.type, definition.type)
    const was = declared.labelNames.join(", ")
    const is = definition.labelNames.join(", ")
    return was === is ? undefined : differs("labelNames", `[${was}]`, `[${is}]`)
  }

  /** The family to record into, declared on first use; `undefined` when the record must be refused (and is counted). */
  resolve(metric: MetricDefinition | string, type: MetricType, labels: Readonly<Record<string, string>> | undefined): Family | undefined {
    const family = typeof metric === "string" ? this.byName.get(metric) : this.byDefinition.get(metric)
    if (family !== undefined) {
      const declared = family.definition.type
      if (declared === type || (type === "counter" && declared === "upDownCounter")) return family
      this.refuse("wrong_type", family.definition)
      return undefined
    }
    return this.declareOnUse(metric, type, labels)
  }

  private declareOnUse(metric: MetricDefinition | string, type: MetricType, labels: Readonly<Record<string, string>> | undefined): Family | undefined {
    if (typeof metric !== "string") {
      if (!(metric instanceof Definition)) {
        this.refuse("invalid_name", undefined)
        return undefined
      }
      if (this.byDefinition.has(metric)) {
        this.refuse("conflict", metric)
        return undefined
      }
      if (this.declare(metric) !== undefined) {
        this.refuse("conflict", metric)
        return undefined
      }
      return this.resolve(metric, type, labels)
    }
    const fields = {
      name: metric,
      type,
      help: "",
      unit: "",
      labelNames: labels === undefined || labels === null ? [] : Object.keys(labels),
      ...(type === "histogram" ? { buckets: this.settings.buckets[metric] ?? defaultBuckets } : {}),
      ...(type === "summary" ? { objectives: defaultObjectives } : {})
    }
    if (problem(fields) !== undefined) {
      this.refuse("invalid_name", undefined)
      return undefined
    }
    if (this.declare(Object.freeze(new Definition(fields))) !== undefined) {
      this.refuse("too_many_metrics", undefined)
      return undefined
    }
    return this.byName.get(metric)
  }

  addSeries(definition: MetricDefinition, labelValues: ReadonlyArray<string>): Series {
    const { type } = definition
    const column = type === "histogram" ? this.histograms : type === "summary" ? this.summaries : this.scalarsOf(type)
    const series: Series = { index: column.series.length, definition, labelValues, createdAt: this.now() }
    column.add(series, Exemplars.wanted(definition))
    this.seriesCount++
    return series
  }

  scalarsOf(type: MetricType): Scalars {
    return type === "counter" ? this.counters : this.gauges
  }

  increment(metric: MetricDefinition | string, value: number, labels: Readonly<Record<string, string>> | undefined): void {
    const family = this.resolve(metric, "counter", labels)
    if (family !== undefined) this.add(family, family.find(labels), value)
  }

  add(family: Family, series: Series, value: number): void {
    if (typeof value !== "number" || !(value < Infinity && value >= 0)) {
      if (family.definition.type === "counter" || !Number.isFinite(value)) {
        this.refuse(Number.isFinite(value) ? "negative_increment" : "invalid_value", family.definition)
        return
      }
    }
    if (family.definition.type === "counter") {
      this.counters.cells[series.index]! += value
      if (family.exemplars && this.counters.due[series.index] === Exemplars.due && this.exemplars.capture(series, -1, value)) {
        this.counters.due[series.index] = Exemplars.taken
        this.takenCounters.push(series.index)
      }
    } else this.gauges.cells[series.index]! += value
    if (this.taps.length !== 0) this.tell(series, value)
  }

  setGauge(metric: MetricDefinition | string, value: number, labels: Readonly<Record<string, string>> | undefined): void {
    const family = this.resolve(metric, "gauge", labels)
    if (family !== undefined) this.set(family, family.find(labels), value)
  }

  set(family: Family, series: Series, value: number): void {
    if (!Number.isFinite(value)) {
      this.refuse("invalid_value", family.definition)
      return
    }
    this.gauges.cells[series.index] = value
    if (this.taps.length !== 0) this.tell(series, value)
  }

  observe(metric: MetricDefinition | string, type: "histogram" | "summary", value: number, labels: Readonly<Record<string, string>> | undefined): void {
    const family = this.resolve(metric, type, labels)
    if (family !== undefined) this.observeIn(family, family.find(labels), value)
  }

  observeIn(family: Family, series: Series, value: number): void {
    if (!Number.isFinite(value)) {
      this.refuse("invalid_value", family.definition)
      return
    }
    const { definition } = family
    if (definition.type === "histogram") {
      const { histograms } = this
      const at = histograms.observe(series.index, definition.buckets!, value)
      if (histograms.due[at] === Exemplars.due && this.exemplars.capture(series, at - histograms.offsets[series.index]!, value)) {
        histograms.due[at] = Exemplars.taken
        this.takenBuckets.push(at)
      }
    } else this.summaries.observe(series.index, value)
    if (this.taps.length !== 0) this.tell(series, value)
  }

  /** From now on every series and bucket may have one exemplar more. */
  openExemplarWindow(): void {
    for (const at of this.takenCounters) this.counters.due[at] = Exemplars.due
    for (const at of this.takenBuckets) this.histograms.due[at] = Exemplars.due
    this.takenCounters = []
    this.takenBuckets = []
  }

  refuse(reason: string, _definition: MetricDefinition | undefined): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1)
  }

  refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.refused)
  }

  frames(): FrameReader {
    const counters = scalarReader(this.counters, true)
    const gauges = scalarReader(this.gauges, false)
    const histograms = this.histograms.reader()
    const summaries = this.summaries.reader()
    const exemplars = this.exemplars.reader()
    return {
      take: (startTime, endTime) => ({
        startTime,
        endTime,
        sources: 1,
        counters: counters.take(),
        gauges: gauges.take(),
        histograms: histograms.take(),
        summaries: summaries.take(),
        exemplars: exemplars()
      })
    }
  }

  tap(options: { readonly capacity: number; readonly matches?: (definition: MetricDefinition) => boolean }): Tap {
    const tap = new RingTap(options.capacity, options.matches, () => {
      this.taps = this.taps.filter((other) => other !== tap)
    })
    this.taps = [...this.taps, tap]
    return tap
  }

  private tell(series: Series, value: number): void {
    for (const tap of this.taps) tap.offer(series, value)
  }
}

class RingTap implements Tap {
  private readonly capacity: number
  private readonly matches: ((definition: MetricDefinition) => boolean) | undefined
  private readonly onClose: () => void
  private held: Array<{ readonly series: Series; readonly value: number }> = []
  private missed = 0

  constructor(capacity: number, matches: ((definition: MetricDefinition) => boolean) | undefined, onClose: () => void) {
    this.capacity = capacity
    this.matches = matches
    this.onClose = onClose
  }

  offer(series: Series, value: number): void {
    try {
      if (this.matches !== undefined && !this.matches(series.definition)) return
    } catch {
      this.missed++
      return
    }
    if (this.held.length < this.capacity) this.held.push({ series, value })
    else this.missed++
  }

  take(): ReadonlyArray<{ readonly series: Series; readonly value: number }> {
    const taken = this.held
    this.held = []
    return taken
  }

  lost(): number {
    return this.missed
  }

  close(): void {
    this.onClose()
  }
}
