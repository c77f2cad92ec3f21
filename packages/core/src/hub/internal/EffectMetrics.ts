import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Family } from "../../metrics/internal/Family.ts"
import type { Quantiles } from "../../metrics/internal/QuantileSketch.ts"
import type { Registry } from "../../metrics/internal/Registry.ts"
import type { Slot } from "../../metrics/internal/Slot.ts"
import { MetricDefinition, MetricDefinitionError } from "../../metrics/MetricDefinition.ts"
import { type Attribute, attributesOf, nameOf, type Unit, unitOf } from "./effectNames.ts"
import { boundsOf, objectivesOf, typeOf } from "./effectShapes.ts"

type Metadata = Metric.Metric.Metadata<any, any>

/** One of Effect's metrics as a family of the store. */
interface Mirrored {
  readonly id: string
  readonly family: Family
  readonly unit: Unit
  readonly bounds: ReadonlyArray<number>
}

/** One of Effect's series and what of it is in the store already. */
interface Mirror {
  readonly metadata: Metadata
  readonly metric: Mirrored
  readonly attributes: ReadonlyArray<Attribute>
  generation: number
  /** The series it goes into; several where labels were left out or the budget is spent. Frequencies have one per word. */
  readonly series: Map<string, Slot>
  /** Count or value; counts by bucket, or by word. */
  readonly before: Map<string | number, number | bigint>
}

/**
 * Effect's own `Metric` registry in the store: read whenever values are read, so that a program which uses `Metric.counter` loses nothing
 * and every backend sees it. Counters and distributions go in by difference, so that readers get each increase once.
 */
export class EffectMetrics {
  private readonly store: Registry
  private readonly context: Context.Context<never>
  private readonly metrics = new Map<string, Mirrored | undefined>()
  private readonly names = new Map<string, string>()
  private readonly mirrors = new Map<Metadata, Mirror | undefined>()
  private readonly owners = new Map<string, Metadata>()
  /** How many mirrors write into a series. */
  private readonly users = new Map<Slot, number>()
  private generation = 0

  /** `context` says which registry is meant: the program's when it was provided around the hub, else the global one. */
  constructor(store: Registry, context: Context.Context<never>) {
    this.store = store
    this.context = context
  }

  refresh(): void {
    const registry = Context.get(this.context, Metric.MetricRegistry)
    this.generation++
    for (const metadata of registry.values()) {
      try {
        const mirror = this.mirrorOf(metadata)
        if (mirror === undefined) continue
        mirror.generation = this.generation
        this.bring(mirror, metadata.hooks.get(this.context))
      } catch {
        this.store.refuse("read_failed", undefined)
      }
    }
    if (this.mirrors.size > registry.size) this.forget(registry)
  }

  /** What left the registry: a value of now ends with it, and a sum over what is there must not count it any longer. */
  private forget(registry: Metric.MetricRegistry): void {
    const left = new Set(registry.values())
    for (const [metadata, mirror] of this.mirrors) {
      if (left.has(metadata)) continue
      this.mirrors.delete(metadata)
      if (mirror === undefined) continue
      this.owners.delete(ownerKey(metadata, mirror.attributes))
      const { family } = mirror.metric
      for (const [key, slot] of mirror.series) {
        const users = this.users.get(slot)! - 1
        if (users === 0) this.users.delete(slot)
        else this.users.set(slot, users)
        const { type } = family.definition
        if (slot.index < 0 || (type !== "upDownCounter" && type !== "gauge")) continue
        if (users === 0) this.store.retire(family, slot)
        else if (type === "upDownCounter") this.store.add(family, slot, -Number(mirror.before.get(key) ?? 0))
      }
    }
  }

  private mirrorOf(metadata: Metadata): Mirror | undefined {
    const known = this.mirrors.get(metadata)
    if (known !== undefined || this.mirrors.has(metadata)) return known
    const made = this.make(metadata)
    this.mirrors.set(metadata, made)
    return made
  }

  private make(metadata: Metadata): Mirror | undefined {
    const attributes = attributesOf(metadata.attributes, metadata.type === "Frequency")
    const owner = this.owners.get(ownerKey(metadata, attributes))
    if (owner !== undefined && this.mirrors.get(owner)?.generation === this.generation) {
      this.store.report(
        `Effect's Metric ${quote(metadata.id)} is there twice with the same attributes (its descriptions differ): the second is left out; use one definition`
      )
      return undefined
    }
    const metric = this.metricOf(metadata, attributes)
    if (metric === undefined) return undefined
    metric.family.widen(attributes.map(({ label }) => label))
    this.owners.set(ownerKey(metadata, attributes), metadata)
    return { metadata, metric, attributes, generation: this.generation, series: new Map(), before: new Map() }
  }

  private metricOf(metadata: Metadata, attributes: ReadonlyArray<Attribute>): Mirrored | undefined {
    const state: unknown = metadata.hooks.get(this.context)
    const type = typeOf(metadata, state)
    const unit = unitOf(metadata.attributes)
    const name = nameOf(metadata.id, type, unit)
    const bounds = type === "histogram" ? boundsOf(state as Metric.HistogramState, unit) : []
    const key = `${type} ${metadata.id}`
    const known = this.metrics.get(key)
    if (known !== undefined) {
      if (known.unit.name === unit.name && known.bounds.join() === bounds.join()) return known
      this.store.report(`Effect's Metric ${quote(metadata.id)} is there with different boundaries or units: the later ones are left out; use one definition`)
      return undefined
    }
    if (this.metrics.has(key)) return undefined
    const other = this.names.get(name)
    if (other !== undefined && other !== key) {
      this.giveUp(key)
      this.store.report(`Effect's Metric ${quote(metadata.id)} would have the name "${name}", which another one (${quote(other)}) has: it is left out; rename one of them`)
      return undefined
    }
    const family = this.store.mirror(
      new MetricDefinition({
        name,
        type,
        help: typeof metadata.description === "string" ? metadata.description : "",
        unit: unit.name,
        labelNames: [...attributes.map(({ label }) => label), ...(metadata.type === "Frequency" ? [wordLabel] : [])],
        ...(type === "histogram" ? { buckets: bounds } : {}),
        ...(type === "summary" ? { objectives: objectivesOf(state) } : {})
      })
    )
    if (family instanceof MetricDefinitionError) this.store.report(family.message)
    const made = family === undefined || family instanceof MetricDefinitionError ? undefined : { id: metadata.id, family, unit, bounds }
    if (made === undefined) this.giveUp(key)
    else {
      this.metrics.set(key, made)
      this.names.set(name, key)
    }
    return made
  }

  /** Does not try this metric again; names may come from data, so that not all can be remembered. */
  private giveUp(key: string): void {
    if (this.metrics.size < maxRemembered) this.metrics.set(key, undefined)
  }

  private bring(mirror: Mirror, state: any): void {
    const { family, unit } = mirror.metric
    switch (mirror.metadata.type) {
      case "Counter":
        return this.rise(mirror, "", state.count)
      case "Gauge": {
        const value = Number(state.value)
        if (Number.isFinite(value)) this.store.set(family, this.slotOf(mirror, ""), unit.convert(value))
        else this.complain(mirror, value)
        return
      }
      case "Frequency":
        return this.words(mirror, state.occurrences)
      case "Histogram":
        return this.distribution(mirror, state)
      case "Summary":
        return this.summary(mirror, state)
    }
  }

  /** Brings a counter up to a total; one that began anew adds what it has. */
  private rise(mirror: Mirror, key: string, total: number | bigint): void {
    const { family, unit } = mirror.metric
    const added = this.increase(mirror, key, total, family.definition.type === "upDownCounter")
    // A series that ended for being idle comes back when there is something to add.
    if (added !== 0 || !mirror.series.has(key)) this.store.add(family, this.slotOf(mirror, key), unit.convert(added))
  }

  private increase(mirror: Mirror, key: string | number, total: number | bigint, mayFall = false): number {
    if (typeof total !== "bigint" && !Number.isFinite(total)) {
      this.complain(mirror, total)
      return 0
    }
    const before = mirror.before.get(key) ?? (typeof total === "bigint" ? 0n : 0)
    mirror.before.set(key, total)
    if (typeof total !== typeof before) return 0
    return !mayFall && total < before ? Number(total) : Number((total as number) - (before as number))
  }

  /** Words past the budget share one series: their sum is all words less those that have a series. */
  private words(mirror: Mirror, occurrences: ReadonlyMap<string, number>): void {
    const { family } = mirror.metric
    let rest = 0
    for (const [word, count] of occurrences) {
      if (mirror.series.has(word) || mirror.series.size < family.maxSeries) this.rise(mirror, word, count)
      else if (Number.isFinite(count)) rest += count
    }
    if (rest > 0) {
      const added = this.increase(mirror, restKey, rest)
      if (added > 0) this.store.add(family, family.find(this.labelsOf(mirror, "_overflow")), added)
    }
  }

  private distribution(mirror: Mirror, state: Metric.HistogramState): void {
    const { bounds, family, unit } = mirror.metric
    const sum = unit.convert(this.increase(mirror, "sum", state.sum, true))
    const count = this.increase(mirror, "count", state.count)
    if (count === 0 && mirror.series.has("")) return
    const { index } = this.slotOf(mirror, "")
    if (family.definition.type === "summary") return this.store.summaries.absorb(index, count, sum, noQuantiles)
    const added: Array<number> = []
    let below = 0
    state.buckets.forEach(([bound, upTo]) => {
      if (!Number.isFinite(bound) || added.length === bounds.length) return
      added.push(Math.max(0, this.increase(mirror, added.length, upTo - below)))
      below = upTo
    })
    added.push(Math.max(0, this.increase(mirror, bounds.length, state.count - below)))
    this.store.histograms.absorb(index, added, sum)
  }

  private summary(mirror: Mirror, state: Metric.SummaryState): void {
    const { unit } = mirror.metric
    const count = this.increase(mirror, "count", state.count)
    const slot = mirror.series.get("")
    if (count === 0 && slot !== undefined && slot.index < 0) return
    const values = new Map(state.quantiles.map(([q, value]) => [q, value === undefined ? NaN : unit.convert(value)]))
    const quantiles: Quantiles = { add: () => {}, quantile: (q) => values.get(q) ?? NaN }
    const sum = unit.convert(this.increase(mirror, "sum", state.sum, true))
    this.store.summaries.absorb(this.slotOf(mirror, "").index, count, sum, quantiles)
  }

  /** The living series of a mirror. */
  private slotOf(mirror: Mirror, word: string): Slot {
    const { family } = mirror.metric
    const known = mirror.series.get(word)
    if (known !== undefined && known.index >= 0) return known
    const slot = known === undefined ? family.find(this.labelsOf(mirror, word)) : family.current(known)
    if (known !== undefined) this.users.delete(known)
    this.users.set(slot, (this.users.get(slot) ?? 0) + 1)
    mirror.series.set(word, slot)
    return slot
  }

  /** Every label of the family: those that this series does not have are absent. */
  private labelsOf({ attributes, metadata, metric: { family } }: Mirror, word: string): Readonly<Record<string, string>> {
    const labels: Record<string, string> = Object.create(null)
    for (const name of family.source.labelNames) labels[name] = ""
    for (const { label, value } of attributes) if (label in labels) labels[label] = value
    if (metadata.type === "Frequency") labels[wordLabel] = word
    return labels
  }

  private complain({ metadata }: Mirror, value: number): void {
    this.store.report(`Effect's Metric ${quote(metadata.id)} holds ${value}, which no backend can use: what it adds from then on is not seen; look for the update that did it`)
  }
}

/** The label for the words of a frequency, as Effect's own exporters call it. */
const wordLabel = "key"
/** Stands for all words without a series; no word is a number. */
const restKey = -1

/** Most metrics remembered: those that are mirrored, of which the store has a limit of its own, and those given up. */
const maxRemembered = 20_000

const noQuantiles: Quantiles = { add: () => {}, quantile: () => NaN }

const ownerKey = ({ id, type }: Metadata, attributes: ReadonlyArray<Attribute>): string =>
  JSON.stringify([type, id, attributes.map(({ label, value }) => [label, value])])

const quote = (text: unknown): string => {
  const short = JSON.stringify(String(text))
  return short.length > 80 ? `${short.slice(0, 80)}…` : short
}
