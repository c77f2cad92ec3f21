import type { MetricDefinition, MetricType } from "../MetricDefinition.ts"
import type { FrameReader, MetricStore, Tap } from "../MetricStore.ts"
import { newGeneration } from "./align.ts"
import { ambientLabels, ambientModule } from "./ambient.ts"
import { Catalogue, type StoreSettings } from "./Catalogue.ts"
import * as Exemplars from "./Exemplars.ts"
import { Expiry } from "./Expiry.ts"
import { Family } from "./Family.ts"
import { type CardinalityReport, Firewall } from "./Firewall.ts"
import { Histograms } from "./Histograms.ts"
import { Scalars } from "./Scalars.ts"
import { type Branch, Slot } from "./Slot.ts"
import { Summaries } from "./Summaries.ts"
import { RingTap } from "./Taps.ts"
import { RetiredTotals } from "./Totals.ts"
import type { View } from "./views.ts"

/** Milliseconds between two calls of `maintain`: exemplars are taken anew, idle series end, free places are given up. One usual scrape. */
export const maintenanceInterval = 15_000

/** Free places are given up when they are a quarter of all. */
const wastedShare = 4

/** The store behind `MetricStore` and the recorder: families, cells and taps. */
export class Registry extends Catalogue implements MetricStore {
  readonly counters = new Scalars()
  readonly gauges = new Scalars()
  readonly histograms = new Histograms()
  readonly summaries: Summaries
  readonly exemplars: Exemplars.Exemplars
  /** Places that got their exemplar in this window. */
  private takenCounters: Array<number> = []
  private takenBuckets: Array<number> = []
  private readonly now: () => number
  /** Milliseconds since the epoch when the store began. */
  readonly epoch: number
  private readonly refused = new Map<string, number>()
  private hooks: ReadonlyArray<{ readonly hook: () => void }> = []
  readonly totals = new RetiredTotals()
  private readonly firewall = new Firewall()
  private readonly expiry: Expiry | undefined
  private generation = 0
  private retirements = 0
  /** Readers of frames with the number of the last retirement that their newest frame had. */
  private readonly readers = new Set<{ seen: number }>()
  /** Who wants single values of counters and gauges, and who those of histograms and summaries: a record asks its own list alone. */
  private scalarTaps: ReadonlyArray<RingTap> = []
  private observationTaps: ReadonlyArray<RingTap> = []

  constructor(settings: StoreSettings, now: () => number, monotonic: () => number = now) {
    super(settings)
    this.now = now
    this.epoch = now()
    this.summaries = new Summaries(monotonic)
    this.exemplars = new Exemplars.Exemplars(now)
    const { seriesTimeToLive } = settings
    if (seriesTimeToLive !== undefined) {
      this.expiry = new Expiry(seriesTimeToLive, maintenanceInterval)
      this.gauges.watch()
    }
  }

  protected makeFamily(view: View, maxSeries: number, mirrored: boolean): Family {
    return new Family(this, view, maxSeries, mirrored)
  }

  get full(): boolean {
    return this.size >= this.settings.maxSeries
  }

  /** Places taken by series, those included that wait for their last frame. */
  get size(): number {
    const { counters, gauges, histograms, summaries } = this
    return counters.series.length + gauges.series.length + histograms.series.length + summaries.series.length
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

  /** What the region, or else the process, says of a label that a call left out. */
  ambientValue(name: string): string | undefined {
    const region = ambientLabels()
    if (region !== undefined && Object.hasOwn(region, name)) return region[name]
    const part = name === "module" ? ambientModule() : undefined
    if (part !== undefined) return part
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
    if (this.scalarTaps.length !== 0) this.tell(this.scalarTaps, series, value)
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
    if (this.scalarTaps.length !== 0) this.tell(this.scalarTaps, series, value)
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
    if (this.observationTaps.length !== 0) this.tell(this.observationTaps, series, value)
  }

  /** From now on every series and bucket may have one exemplar more. */
  openExemplarWindow(): void {
    for (const at of this.takenCounters) this.counters.due[at] = Exemplars.due
    for (const at of this.takenBuckets) this.histograms.due[at] = Exemplars.due
    this.takenCounters = []
    this.takenBuckets = []
  }

  /** Takes a series out; frames still carry its last values, once to each reader. */
  retire(family: Family, slot: Slot): void {
    family.retire(slot)
    this.columnOf(family.definition.type).retire(slot, ++this.retirements)
  }

  /** The series of these labels ends: readers get its last value, and a later record begins a new one. `false` when there is none. */
  remove(metric: MetricDefinition | string, labels?: Readonly<Record<string, string>>): boolean {
    const family = this.lookUp(metric)
    const slot = family?.known(labels)
    if (family === undefined || slot === undefined) return false
    this.retire(family, slot)
    return true
  }

  /** What is due every `maintenanceInterval`, in turns of a millisecond or so; a compaction is one turn. */
  *maintain(): Generator<void> {
    this.openExemplarWindow()
    if (this.expiry !== undefined) {
      yield* this.expiry.sweep(this.columns, (slot) => this.family(slot.definition.name), (family, slot) => this.retire(family, slot))
      yield
    }
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

  tap(options: {
    readonly capacity: number
    readonly matches?: (definition: MetricDefinition) => boolean
    readonly types?: ReadonlyArray<MetricType>
  }): Tap {
    const { capacity, matches, types } = options
    const wanted = matches === undefined || types === undefined
      ? matches ?? (types === undefined ? undefined : (definition: MetricDefinition) => types.includes(definition.type))
      : (definition: MetricDefinition) => types.includes(definition.type) && matches(definition)
    const others = (taps: ReadonlyArray<RingTap>) => taps.filter((other) => other !== tap)
    const tap: RingTap = new RingTap(capacity, wanted, () => {
      this.scalarTaps = others(this.scalarTaps)
      this.observationTaps = others(this.observationTaps)
    })
    const observed = (type: MetricType) => type === "histogram" || type === "summary"
    if (types === undefined || !types.every(observed)) this.scalarTaps = [...this.scalarTaps, tap]
    if (types === undefined || types.some(observed)) this.observationTaps = [...this.observationTaps, tap]
    return tap
  }

  private tell(taps: ReadonlyArray<RingTap>, series: Slot, value: number): void {
    for (const tap of taps) tap.offer(series, value)
  }
}
