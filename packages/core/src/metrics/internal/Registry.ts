import type { MetricDefinition, MetricType } from "../MetricDefinition.ts"
import { defaultBuckets, defaultObjectives, MetricDefinition as Definition, MetricDefinitionError, problem } from "../MetricDefinition.ts"
import type { FrameReader, MetricFamily, MetricStore, Tap } from "../MetricStore.ts"
import { newGeneration } from "./align.ts"
import { ambientLabels } from "./ambient.ts"
import * as Exemplars from "./Exemplars.ts"
import { Expiry } from "./Expiry.ts"
import { Family } from "./Family.ts"
import { type CardinalityReport, Firewall } from "./Firewall.ts"
import { Histograms } from "./Histograms.ts"
import { lint } from "./lint.ts"
import { Scalars } from "./Scalars.ts"
import { type Branch, Slot } from "./Slot.ts"
import { Summaries } from "./Summaries.ts"
import { RingTap } from "./Taps.ts"
import { RetiredTotals } from "./Totals.ts"
import { type MetricAllow, type MetricView, type View, Views } from "./views.ts"

/** What the store needs to know of the world, and may be told anew while running. */
export interface StoreSettings {
  readonly maxSeriesPerMetric: number
  readonly maxSeries: number
  readonly maxMetrics: number
  readonly buckets: Readonly<Record<string, ReadonlyArray<number>>>
  readonly allow?: MetricAllow
  readonly views?: ReadonlyArray<MetricView>
  /** Milliseconds after which a series that nothing was recorded into is retired; `undefined`: never. */
  readonly seriesTimeToLive?: number | undefined
  /** Labels with well-known many values that may stand on metrics all the same. */
  readonly highCardinalityLabels?: ReadonlyArray<string>
  /** Values for labels that a metric declares and neither the call nor the region gives. */
  readonly defaultLabels?: Readonly<Record<string, string>>
}

/** Most messages about wrong definitions kept: names may come from data. */
const maxProblems = 100

/** Milliseconds between two calls of `maintain`: exemplars are taken anew, idle series end, free places are given up. One usual scrape. */
export const maintenanceInterval = 15_000

/** Free places are given up when they are a quarter of all. */
const wastedShare = 4

/** The store behind `MetricStore` and the recorder: families, cells and taps. */
export class Registry implements MetricStore {
  readonly counters = new Scalars()
  readonly gauges = new Scalars()
  readonly histograms = new Histograms()
  readonly summaries: Summaries
  readonly exemplars: Exemplars.Exemplars
  /** Places that got their exemplar in this window. */
  private takenCounters: Array<number> = []
  private takenBuckets: Array<number> = []
  private readonly settings: StoreSettings
  private readonly now: () => number
  /** Milliseconds since the epoch when the store began. */
  readonly epoch: number
  private readonly views: Views
  /** By the name that recorders use. */
  private readonly bySource = new Map<string, Family>()
  /** By the name that readers see. */
  private readonly byName = new Map<string, Family>()
  // Weak: a program may make a definition per call.
  private readonly byDefinition = new WeakMap<MetricDefinition, Family>()
  /** Definitions that are of no use, with the reason that records into them are counted under. */
  private readonly useless = new WeakMap<MetricDefinition, string>()
  private readonly refused = new Map<string, number>()
  private readonly declared = new Set<(family: MetricFamily) => void>()
  private readonly suggested = new Map<string, MetricDefinition>()
  private readonly wrong = new Set<string>()
  private readonly hints = new Set<string>()
  private hooks: ReadonlyArray<{ readonly hook: () => void }> = []
  readonly totals = new RetiredTotals()
  private readonly firewall = new Firewall()
  private readonly expiry: Expiry | undefined
  private generation = 0
  private retirements = 0
  /** Readers of frames with the number of the last retirement that their newest frame had. */
  private readonly readers = new Set<{ seen: number }>()
  private taps: ReadonlyArray<RingTap> = []

  constructor(settings: StoreSettings, now: () => number, monotonic: () => number = now) {
    this.settings = settings
    this.now = now
    this.epoch = now()
    this.summaries = new Summaries(monotonic)
    this.views = new Views(
      settings.allow ?? { metrics: undefined, labels: undefined },
      settings.views ?? [],
      settings.buckets,
      settings.highCardinalityLabels ?? []
    )
    this.exemplars = new Exemplars.Exemplars(now)
    const { seriesTimeToLive } = settings
    if (seriesTimeToLive !== undefined) {
      this.expiry = new Expiry(seriesTimeToLive, maintenanceInterval)
      this.gauges.watch()
    }
  }

  get full(): boolean {
    return this.size >= this.settings.maxSeries
  }

  /** Places taken by series, those included that wait for their last frame. */
  get size(): number {
    const { counters, gauges, histograms, summaries } = this
    return counters.series.length + gauges.series.length + histograms.series.length + summaries.series.length
  }

  families(): ReadonlyArray<MetricFamily> {
    return [...this.byName.values()]
  }

  family(name: string): Family | undefined {
    return this.byName.get(name) ?? this.bySource.get(name)
  }

  declare(definition: MetricDefinition): MetricDefinitionError | undefined {
    if (this.byDefinition.has(definition)) return undefined
    const wrong = this.enter(definition, false)
    if (this.byDefinition.has(definition)) this.advise(definition)
    return wrong
  }

  private advise(definition: MetricDefinition): void {
    for (const { message } of lint(definition)) if (this.hints.size < maxProblems) this.hints.add(message)
  }

  /**
   * A family whose values are brought from elsewhere by `add`, `set`, `absorb`; what the program records under its name is refused as
   * a conflict, and so is a name that has values already. `undefined` when it is not wanted.
   */
  mirror(definition: MetricDefinition): Family | MetricDefinitionError | undefined {
    return this.enter(definition, true) ?? this.byDefinition.get(definition)
  }

  private enter(definition: MetricDefinition, mirrored: boolean): MetricDefinitionError | undefined {
    this.yieldTo(definition)
    const wrong = problem(definition) ?? this.conflict(definition, mirrored)
    if (wrong !== undefined) return this.reject(definition, wrong)
    const existing = this.bySource.get(definition.name)
    if (existing !== undefined) {
      this.byDefinition.set(definition, existing)
      return undefined
    }
    if (!this.views.admits(definition.name)) {
      this.useless.set(definition, "allowlist")
      return undefined
    }
    if (this.byName.size >= this.settings.maxMetrics) {
      return new MetricDefinitionError({
        metric: definition.name,
        field: "name",
        message: `metric "${definition.name}": the process already has ${this.byName.size} metrics; put what varies into labels`
      })
    }
    const view = this.viewOf(definition)
    if (view instanceof MetricDefinitionError) return this.reject(definition, view)
    const clash = problem(view.definition) ?? this.clash(view.source, view.definition.name)
    if (clash !== undefined) return this.reject(definition, clash)
    const family = new Family(this, view, definition.maxSeries ?? this.settings.maxSeriesPerMetric, mirrored)
    this.bySource.set(definition.name, family)
    this.byName.set(family.definition.name, family)
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

  /** What becomes of a definition, with a word about labels that a metric should not have. */
  viewOf(definition: MetricDefinition): View | MetricDefinitionError {
    const barred = this.views.barred(definition)
    if (barred.length > 0) {
      this.report(
        `metric "${definition.name}": label ${barred.map((name) => `"${name}"`).join(", ")} is added up, it has too many values for a metric: put it on` +
          " spans and logs, or allow it by Label.allowed or metrics.highCardinalityLabels"
      )
    }
    return this.views.of(definition)
  }

  private reject(definition: MetricDefinition, wrong: MetricDefinitionError): MetricDefinitionError {
    this.useless.set(definition, "conflict")
    this.report(wrong.message)
    return wrong
  }

  /** Two metrics must not look like one. */
  private clash(source: MetricDefinition, name: string): MetricDefinitionError | undefined {
    const holder = this.byName.get(name)
    if (holder === undefined) return undefined
    return new MetricDefinitionError({
      metric: source.name,
      field: "name",
      message: `metric "${source.name}": a view renames it to "${name}", which "${holder.source.name}" is called already: choose another name (metrics.views)`
    })
  }

  /** Declares a metric that gives way to another definition of its name, as long as nothing was recorded into it. */
  suggest(definition: MetricDefinition): void {
    if (this.bySource.has(definition.name) || this.enter(definition, false) !== undefined || !this.bySource.has(definition.name)) return
    this.suggested.set(definition.name, definition)
  }

  private yieldTo(definition: MetricDefinition): void {
    const { name } = definition
    const suggested = this.suggested.get(name)
    const family = this.bySource.get(name)
    if (suggested === undefined || family === undefined) return
    this.suggested.delete(name)
    if (family.series.length > 0) return
    this.bySource.delete(name)
    this.byName.delete(family.definition.name)
    this.byDefinition.delete(suggested)
  }

  /** Notes something that a person has to put right. */
  report(message: string): void {
    if (this.wrong.size < maxProblems) this.wrong.add(message)
  }

  /** Definitions that could not be used, in words. */
  problems(): ReadonlyArray<string> {
    return [...this.wrong]
  }

  lints(): ReadonlyArray<string> {
    return [...this.hints]
  }

  onRead(hook: () => void): () => void {
    // Wrapped: the same function may be given twice.
    const entry = { hook }
    this.hooks = [...this.hooks, entry]
    return () => {
      this.hooks = this.hooks.filter((other) => other !== entry)
    }
  }

  refresh(): void {
    for (const { hook } of this.hooks) {
      try {
        hook()
      } catch {
        this.refuse("read_failed", undefined)
      }
    }
  }

  onDeclare(listener: (family: MetricFamily) => void): () => void {
    this.declared.add(listener)
    return () => this.declared.delete(listener)
  }

  private conflict(definition: MetricDefinition, mirrored: boolean): MetricDefinitionError | undefined {
    const family = this.bySource.get(definition.name)
    if (family === undefined) return undefined
    if (mirrored || family.accepts === undefined) {
      return new MetricDefinitionError({
        metric: definition.name,
        field: "name",
        message: `metric "${definition.name}": the program has two of this name, one of MetricsRecorder and one of another source (such as Effect's Metric): rename one of them`
      })
    }
    const declared = family.source
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
    const family = typeof metric === "string" ? this.bySource.get(metric) : this.byDefinition.get(metric)
    if (family !== undefined) {
      const { accepts } = family
      if (accepts === type || (type === "counter" && accepts === "upDownCounter")) return family
      this.refuse(accepts === undefined ? "conflict" : "wrong_type", family.definition)
      return undefined
    }
    return this.declareOnUse(metric, type, labels)
  }

  /** As `resolve`, for a record of the kind that the metric is for; by name, a counter where the name is not declared. */
  resolveAny(metric: MetricDefinition | string, labels: Readonly<Record<string, string>> | undefined): Family | undefined {
    const declared = typeof metric === "string" ? this.bySource.get(metric)?.source : isDefinition(metric) ? metric : undefined
    return this.resolve(metric, declared?.type ?? "counter", labels)
  }

  private declareOnUse(metric: MetricDefinition | string, type: MetricType, labels: Readonly<Record<string, string>> | undefined): Family | undefined {
    if (typeof metric !== "string") {
      if (!isDefinition(metric)) {
        this.refuse("invalid_name", undefined)
        return undefined
      }
      if (!this.useless.has(metric)) {
        const wrong = this.declare(metric)
        if (this.byDefinition.has(metric)) return this.resolve(metric, type, labels)
        if (wrong !== undefined && !this.useless.has(metric)) {
          this.refuse("too_many_metrics", metric)
          return undefined
        }
      }
      this.refuse(this.useless.get(metric)!, metric)
      return undefined
    }
    const fields = {
      name: metric,
      type,
      help: "",
      unit: "",
      labelNames: namesOf(labels),
      ...(type === "histogram" ? { buckets: defaultBuckets } : {}),
      ...(type === "summary" ? { objectives: defaultObjectives } : {})
    }
    if (problem(fields) !== undefined) {
      this.refuse("invalid_name", undefined)
      return undefined
    }
    if (!this.views.admits(metric)) {
      this.refuse("allowlist", undefined)
      return undefined
    }
    const wrong = this.declare(Object.freeze(new Definition(fields)))
    if (wrong !== undefined) this.refuse(this.byName.size >= this.settings.maxMetrics ? "too_many_metrics" : "conflict", undefined)
    return this.bySource.get(metric)
  }

  /** What the region, or else the process, says of a label that a call left out. */
  ambientValue(name: string): string | undefined {
    const region = ambientLabels()
    if (region !== undefined && Object.hasOwn(region, name)) return region[name]
    const { defaultLabels } = this.settings
    return defaultLabels !== undefined && Object.hasOwn(defaultLabels, name) ? defaultLabels[name] : undefined
  }

  addSeries(definition: MetricDefinition, branch: Branch, key: string | undefined): Slot {
    const column = this.columnOf(definition.type)
    const slot = new Slot(column.series.length, branch, key, this.now())
    column.add(slot, Exemplars.wanted(definition))
    return slot
  }

  private columnOf(type: MetricType): Scalars | Histograms | Summaries {
    return type === "histogram" ? this.histograms : type === "summary" ? this.summaries : this.scalarsOf(type)
  }

  scalarsOf(type: MetricType): Scalars {
    return type === "counter" ? this.counters : this.gauges
  }

  increment(metric: MetricDefinition | string, value: number, labels: Readonly<Record<string, string>> | undefined): void {
    const family = this.resolve(metric, "counter", labels)
    if (family !== undefined) this.add(family, family.find(labels), value)
  }

  add(family: Family, series: Slot, value: number): void {
    // One chain of comparisons lets through what is right in most cases.
    if (!(typeof value === "number" && value >= 0 && value < Infinity) && !this.mayAdd(family, value)) return
    if (family.rises) {
      const { counters } = this
      counters.cells[series.index]! += value
      if (family.exemplars && counters.due[series.index] === Exemplars.due && this.exemplars.capture(series, -1, value)) {
        counters.due[series.index] = Exemplars.taken
        this.takenCounters.push(series.index)
      }
    } else {
      const { gauges } = this
      gauges.cells[series.index]! += value
      if (gauges.touched !== undefined) gauges.touched[series.index] = 1
    }
    if (this.taps.length !== 0) this.tell(series, value)
  }

  private mayAdd(family: Family, value: number): boolean {
    if (!Number.isFinite(value)) this.refuse("invalid_value", family.definition)
    else if (family.rises) this.refuse("negative_increment", family.definition)
    else return true
    return false
  }

  setGauge(metric: MetricDefinition | string, value: number, labels: Readonly<Record<string, string>> | undefined): void {
    const family = this.resolve(metric, "gauge", labels)
    if (family !== undefined) this.set(family, family.find(labels), value)
  }

  set(family: Family, series: Slot, value: number): void {
    if (!Number.isFinite(value)) {
      this.refuse("invalid_value", family.definition)
      return
    }
    const { gauges } = this
    gauges.cells[series.index] = value
    if (gauges.touched !== undefined) gauges.touched[series.index] = 1
    if (this.taps.length !== 0) this.tell(series, value)
  }

  observe(metric: MetricDefinition | string, type: "histogram" | "summary", value: number, labels: Readonly<Record<string, string>> | undefined): void {
    const family = this.resolve(metric, type, labels)
    if (family !== undefined) this.observeIn(family, family.find(labels), value)
  }

  observeIn(family: Family, series: Slot, value: number): void {
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
      if (definition.exponential !== undefined) histograms.exponentials.get(series)?.add(value)
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

  /** Takes series of one family out; frames still carry their last values, once to each reader. */
  retire(family: Family, slots: ReadonlySet<Slot>): void {
    const column = this.columnOf(family.definition.type)
    family.retire(slots)
    this.retirements++
    for (const slot of slots) column.retire(slot, this.retirements)
  }

  /** The series of these labels ends: readers get its last value, and a later record begins a new one. `false` when there is none. */
  remove(metric: MetricDefinition | string, labels?: Readonly<Record<string, string>>): boolean {
    const family = typeof metric === "string"
      ? this.bySource.get(metric)
      : this.byDefinition.get(metric) ?? (isDefinition(metric) ? this.bySource.get(metric.name) : undefined)
    const slot = family?.known(labels)
    if (family === undefined || slot === undefined) return false
    this.retire(family, new Set([slot]))
    return true
  }

  /** What is due every `maintenanceInterval`. */
  maintain(): void {
    this.openExemplarWindow()
    const expired = this.expiry?.sweep(this.columns, (slot) => this.byName.get(slot.definition.name))
    if (expired !== undefined) for (const [family, slots] of expired) this.retire(family, slots)
    this.compact()
  }

  /** A page of all values is read now. */
  pageRead(): void {
    this.expiry?.pageRead()
  }

  private get columns(): ReadonlyArray<Scalars | Histograms | Summaries> {
    return [this.counters, this.gauges, this.histograms, this.summaries]
  }

  /**
   * Moves the series together when enough places are free: those whose last values every reader of frames has. Positions change, and the
   * generation of frames with them.
   */
  compact(): void {
    let seen = this.retirements
    for (const reader of this.readers) seen = Math.min(seen, reader.seen)
    const { columns } = this
    const wasted = columns.reduce((sum, column) => sum + column.wasted(seen), 0)
    if (wasted === 0 || (wasted * wastedShare < this.size && !this.full)) return
    this.openExemplarWindow()
    for (const column of columns) {
      for (const slot of column.compact(seen)) {
        this.exemplars.forget(slot)
        this.histograms.exponentials.delete(slot)
      }
    }
    this.generation = newGeneration()
  }

  /** A label set found no place of its own. */
  overflowed(family: Family, values: ReadonlyArray<string>): void {
    this.refuse("cardinality", family.definition)
    this.firewall.overflowed(family, values)
  }

  cardinality(): ReadonlyArray<CardinalityReport> {
    return this.firewall.reports()
  }

  /** Records in overflow series, by metric. */
  overflows(): ReadonlyMap<string, number> {
    return this.firewall.totals()
  }

  /** Ends a window of the cardinality report; the line to log about it, if there is anything to say. */
  closeCardinalityWindow(): string | undefined {
    return this.firewall.closeWindow()
  }

  refuse(reason: string, _definition: MetricDefinition | undefined): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1)
  }

  refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.refused)
  }

  frames(): FrameReader {
    const counters = this.counters.reader(true)
    const gauges = this.gauges.reader(false)
    const histograms = this.histograms.reader()
    const summaries = this.summaries.reader()
    const exemplars = this.exemplars.reader()
    const progress = { seen: 0 }
    this.readers.add(progress)
    return {
      take: (startTime, endTime) => {
        const { seen } = progress
        progress.seen = this.retirements
        return {
          startTime,
          endTime,
          sources: 1,
          generation: this.generation,
          counters: counters.take(seen),
          gauges: gauges.take(seen),
          histograms: histograms.take(),
          summaries: summaries.take(),
          exemplars: exemplars()
        }
      },
      close: () => {
        this.readers.delete(progress)
        for (const reader of [counters, gauges, histograms, summaries]) reader.close()
      }
    }
  }

  tap(options: { readonly capacity: number; readonly matches?: (definition: MetricDefinition) => boolean }): Tap {
    const tap = new RingTap(options.capacity, options.matches, () => {
      this.taps = this.taps.filter((other) => other !== tap)
    })
    this.taps = [...this.taps, tap]
    return tap
  }

  private tell(series: Slot, value: number): void {
    for (const tap of this.taps) tap.offer(series, value)
  }
}

/** From untyped code anything may come, a revoked proxy too. */
export const isDefinition = (metric: unknown): metric is MetricDefinition => {
  try {
    return metric instanceof Definition
  } catch {
    return false
  }
}

const namesOf = (labels: Readonly<Record<string, string>> | undefined): ReadonlyArray<string> => {
  try {
    return labels === undefined || labels === null ? [] : Object.keys(labels)
  } catch {
    return []
  }
}
