import type { MetricDefinition } from "../MetricDefinition.ts"
import type { Exemplar, Series } from "../MetricFrame.ts"
import type { MetricFamily } from "../MetricStore.ts"
import { wanted } from "./Exemplars.ts"
import type { Registry } from "./Registry.ts"

/** Longest label value kept; the rest is cut when its series is made. */
const maxLabelLength = 1024

/** Stands for every label value past the budget: totals stay exact. */
export const overflowValue = "_overflow"
/** Stands for a value outside the literal values of a label. */
export const otherValue = "_OTHER"

type Labels = Readonly<Record<string, string>>
type Branch = Map<string, any>

/**
 * One metric and its series, found by a trie of Maps over the label values in declared order: a lookup builds no string and
 * allocates nothing.
 */
export class Family implements MetricFamily {
  readonly definition: MetricDefinition
  readonly series: Array<Series> = []
  readonly maxSeries: number
  readonly exemplars: boolean
  private readonly registry: Registry
  private readonly names: ReadonlyArray<string>
  private readonly allowed: ReadonlyArray<ReadonlySet<string> | undefined> | undefined
  private readonly root: Branch = new Map()
  private single: Series | undefined
  private overflow: Series | undefined

  constructor(registry: Registry, definition: MetricDefinition, maxSeries: number) {
    this.registry = registry
    this.definition = definition
    this.maxSeries = maxSeries
    this.exemplars = wanted(definition)
    this.names = definition.labelNames
    const literals = definition.labelValues
    this.allowed = literals === undefined
      ? undefined
      : this.names.map((name) => Object.hasOwn(literals, name) ? new Set(literals[name]) : undefined)
  }

  /** The series of these labels, made when it is new; never fails. */
  find(labels: Labels | undefined): Series {
    const names = this.names
    const n = names.length
    if (labels === undefined || labels === null) return n === 0 && this.single !== undefined ? this.single : this.miss(labels)
    let given = 0
    for (const _ in labels) given++
    if (given === n) {
      let node: any
      switch (n) {
        case 0:
          node = this.single
          break
        case 1:
          node = this.root.get(labels[names[0]!]!)
          break
        case 2:
          node = this.root.get(labels[names[0]!]!)
          if (node !== undefined) node = node.get(labels[names[1]!]!)
          break
        case 3:
          node = this.root.get(labels[names[0]!]!)
          if (node !== undefined) {
            node = node.get(labels[names[1]!]!)
            if (node !== undefined) node = node.get(labels[names[2]!]!)
          }
          break
        default:
          node = this.root
          for (let i = 0; i < n && node !== undefined; i++) node = node.get(labels[names[i]!]!)
      }
      if (node !== undefined) return node
    }
    return this.miss(labels)
  }

  private miss(labels: Labels | undefined): Series {
    const { names, registry } = this
    const n = names.length
    const values: Array<string> = []
    let known = 0
    for (let i = 0; i < n; i++) {
      const name = names[i]!
      let value = read(labels, name)
      if (value === undefined) {
        registry.refuse("missing_label", this.definition)
        value = ""
      } else known++
      if (value.length > maxLabelLength) {
        registry.refuse("long_label", this.definition)
        value = value.slice(0, maxLabelLength)
      }
      const allowed = this.allowed?.[i]
      if (allowed !== undefined && value !== "" && !allowed.has(value)) {
        registry.refuse("unlisted_label_value", this.definition)
        value = otherValue
      }
      values.push(value)
    }
    if (countKeys(labels) > known) registry.refuse("unknown_label", this.definition)
    if (n === 0) return this.single ??= this.create(values)
    let node: Branch = this.root
    for (let i = 0; i < n - 1; i++) {
      let next: Branch | undefined = node.get(values[i]!)
      if (next === undefined) {
        if (this.full) return this.spill()
        next = new Map()
        node.set(values[i]!, next)
      }
      node = next
    }
    const last = values[n - 1]!
    const found: Series | undefined = node.get(last)
    if (found !== undefined) return found
    if (this.full) return this.spill()
    const made = this.create(values)
    node.set(last, made)
    return made
  }

  private get full(): boolean {
    return this.series.length >= this.maxSeries || this.registry.full
  }

  private spill(): Series {
    this.registry.refuse("cardinality", this.definition)
    return this.overflow ??= this.create(this.names.map(() => overflowValue))
  }

  private create(labelValues: ReadonlyArray<string>): Series {
    const series = this.registry.addSeries(this.definition, labelValues)
    this.series.push(series)
    return series
  }

  value(series: Series): number {
    return this.registry.scalarsOf(this.definition.type).cells[series.index]!
  }

  count(series: Series): number {
    return this.definition.type === "summary" ? this.registry.summaries.counts[series.index]! : this.registry.histograms.count(series)
  }

  sum(series: Series): number {
    return this.definition.type === "summary" ? this.registry.summaries.sums[series.index]! : this.registry.histograms.sums[series.index]!
  }

  bucket(series: Series, i: number): number {
    const { histograms } = this.registry
    return histograms.buckets[histograms.offsets[series.index]! + i]!
  }

  exemplar(series: Series, bucket = -1): Exemplar | undefined {
    return this.registry.exemplars.newest(series, bucket)
  }

  quantile(series: Series, q: number): number {
    return this.registry.summaries.sketches[series.index]!.quantile(q)
  }
}

/** Labels may come from untyped code: whatever it is becomes a string, and nothing a getter does gets out. */
const read = (labels: Labels | undefined, name: string): string | undefined => {
  if (labels === undefined || labels === null) return undefined
  try {
    if (!Object.hasOwn(labels, name)) return undefined
    const value: unknown = labels[name]
    return value === undefined || value === null ? undefined : typeof value === "string" ? value : String(value)
  } catch {
    return undefined
  }
}

const countKeys = (labels: Labels | undefined): number => {
  let keys = 0
  for (const _ in labels) keys++
  return keys
}
