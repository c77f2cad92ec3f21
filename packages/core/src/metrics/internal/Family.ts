import { MetricDefinition as Definition, type MetricDefinition, MetricDefinitionError, type MetricType } from "../MetricDefinition.ts"
import type { Exemplar, ExponentialState, Series } from "../MetricFrame.ts"
import type { MetricFamily } from "../MetricStore.ts"
import { wanted } from "./Exemplars.ts"
import { merged } from "./ExponentialHistogram.ts"
import { countKeys, has, type Labels, read } from "./labels.ts"
import type { Registry } from "./Registry.ts"
import { Branch, type Owner, prune, type Slot } from "./Slot.ts"
import { cut, detached } from "./text.ts"
import type { Totals } from "./Totals.ts"
import type { View } from "./views.ts"

/** Longest label value kept; the rest is cut when its series is made. */
const maxLabelLength = 1024

/** Stands for every label value past the budget: totals stay exact. */
export const overflowValue = "_overflow"
/** Stands for a value outside the literal values of a label. */
export const otherValue = "_OTHER"


/**
 * One metric and its series. A series is found by the label values alone: first they are compared with those of a series found lately,
 * then they lead through a trie of Maps, in declared order. Neither builds a string or allocates.
 */
export class Family implements MetricFamily, Owner {
  /** What it is called and looks like for those who read. */
  definition: MetricDefinition
  /** What those who record have. */
  source: MetricDefinition
  /** What records may go in; `undefined` when the values come from elsewhere and records into it would mix with them. */
  readonly accepts: MetricType | undefined
  maxSeries: number
  readonly exemplars: boolean
  /** Whether records are added up to a total that only rises. */
  readonly rises: boolean
  private readonly registry: Registry
  /** Labels that calls give; as `for … in` yields them, so that comparing them is comparing pointers. */
  private names: ReadonlyArray<string>
  /** Positions of `names` that tell series apart; the other labels are added up. */
  private kept: ReadonlyArray<number>
  private whole: boolean
  /** The toolkit's own metrics have a place when the process has no more: they say so. */
  private readonly own: boolean
  readonly constants: ReadonlyArray<string>
  readonly epoch: number
  private readonly allowed: ReadonlyArray<ReadonlySet<string> | undefined> | undefined
  private root: Branch
  /** A series found lately and its values; none as long as there are no values. */
  private recent: Slot | undefined
  private recentValues: ReadonlyArray<string> = []
  private finds = 0
  private list: Array<Slot> = []
  /** How many of the list were retired. */
  private retired = 0
  private single: Slot | undefined
  private overflow: Slot | undefined
  /** What series had counted before they were retired and came back. */
  private bases: Map<Series, Totals> | undefined

  constructor(registry: Registry, view: View, maxSeries: number, mirrored = false) {
    const { constants, definition, kept, source } = view
    this.registry = registry
    this.accepts = mirrored ? undefined : source.type
    this.definition = definition
    this.source = source
    this.maxSeries = maxSeries
    this.exemplars = wanted(definition)
    this.rises = definition.type === "counter"
    this.names = Object.keys(Object.fromEntries(source.labelNames.map((name) => [name, 0])))
    this.kept = kept
    this.whole = kept.length === this.names.length
    this.constants = constants
    this.own = definition.name.startsWith("obs_")
    const literals = source.labelValues
    this.allowed = literals === undefined
      ? undefined
      : this.names.map((name) => Object.hasOwn(literals, name) ? new Set(literals[name]) : undefined)
    this.epoch = registry.epoch
    this.root = new Branch(this, undefined, "")
  }

  /** Another list after some were retired: who goes through it in turns keeps the one he began with. */
  get series(): ReadonlyArray<Slot> {
    if (this.retired > 0) {
      this.list = this.list.filter((slot) => slot.index >= 0)
      this.retired = 0
    }
    return this.list
  }

  /** The series of these labels, made when it is new; never fails. */
  find(labels: Labels | undefined): Slot {
    try {
      return this.look(labels) ?? this.miss(labels)
    } catch {
      // A proxy or a getter that throws.
      this.registry.refuse("unreadable_labels", this.definition)
      return this.miss(undefined)
    }
  }

  private look(labels: Labels | undefined): Slot | undefined {
    const { names, recentValues: values } = this
    if (labels === undefined || labels === null) return names.length === 0 ? this.single : undefined
    if (!this.whole) return this.lookByName(labels)
    // Walking the keys also finds out whether there are too many of them.
    let node: any = undefined
    let i = 0
    for (const key in labels) {
      if (key !== names[i]) return this.lookByName(labels)
      const value = labels[key]!
      if (node === undefined) {
        if (value === values[i] && value !== undefined) {
          i++
          continue
        }
        node = this.root
        for (let k = 0; k < i; k++) node = node.get(values[k]!)
      }
      node = node.get(value)
      if (node === undefined) return undefined
      i++
    }
    if (i !== names.length) return undefined
    if (node === undefined) return i === 0 ? this.single : this.recent
    // Not each time: with many series in turn it would only be a write.
    if ((this.finds = (this.finds + 1) & 63) === 0) {
      this.recent = node as Slot
      this.recentValues = node.ownValues
    }
    return node
  }

  /** The keys come in another order than they were declared, or not all of them count. */
  private lookByName(labels: Labels): Slot | undefined {
    const { kept, names } = this
    let given = 0
    for (const _ in labels) given++
    if (given !== names.length) return undefined
    if (kept.length === 0) return this.single
    let node: any = this.root
    for (let i = 0; i < kept.length && node !== undefined; i++) {
      const name = names[kept[i]!]!
      node = Object.hasOwn(labels, name) ? node.get(labels[name]!) : undefined
    }
    return node
  }

  private miss(labels: Labels | undefined): Slot {
    const refuse = (reason: string) => this.registry.refuse(reason, this.definition)
    const values = this.valuesOf(labels, refuse)
    let known = 0
    for (const name of this.names) if (has(labels, name)) known++
    if (countKeys(labels) > known) refuse("unknown_label")
    return this.at(values)
  }

  /** The values that tell the series of these labels apart; `slip` hears of each that had to be put right. */
  private valuesOf(labels: Labels | undefined, slip: (reason: string) => void): ReadonlyArray<string> {
    return this.kept.map((i) => {
      const name = this.names[i]!
      let value = read(labels, name) ?? this.registry.ambientValue(name)
      if (value === undefined) {
        if (this.source.ambientLabels?.includes(name) !== true) slip("missing_label")
        return ""
      }
      if (value.length > maxLabelLength) {
        slip("long_label")
        value = cut(value, maxLabelLength)
      }
      const allowed = this.allowed?.[i]
      if (allowed === undefined || value === "" || allowed.has(value)) return value
      slip("unlisted_label_value")
      return otherValue
    })
  }

  /** The series of these values, one for each label that tells series apart. */
  at(values: ReadonlyArray<string>): Slot {
    const n = values.length
    if (n === 0) return this.single ??= this.create(this.root, undefined)
    let node = this.root
    for (let i = 0; i < n - 1; i++) {
      const next: Branch | undefined = node.get(values[i]!)
      if (next === undefined) return this.full ? this.spill(values) : this.grow(node, values, i)
      node = next
    }
    const found: Slot | undefined = node.get(values[n - 1]!)
    if (found !== undefined) return found
    return this.full ? this.spill(values) : this.grow(node, values, n - 1)
  }

  /** A new series below `node`, to which the first `depth` values lead. */
  private grow(node: Branch, values: ReadonlyArray<string>, depth: number): Slot {
    for (let i = depth; i < values.length - 1; i++) {
      const key = detached(values[i]!)
      const next = new Branch(this, node, key)
      node.set(key, next)
      node = next
    }
    const key = detached(values[values.length - 1]!)
    const made = this.create(node, key)
    node.set(key, made)
    return made
  }

  /** The series of these labels if there is one. */
  known(labels: Labels | undefined): Slot | undefined {
    return this.walk(this.valuesOf(labels, () => {}))
  }

  private walk(values: ReadonlyArray<string>): Slot | undefined {
    if (values.length === 0) return this.single
    let node: any = this.root
    for (const value of values) {
      if (node === undefined) return undefined
      node = node.get(value)
    }
    return node
  }

  /** The series a handle holds, or its successor when it was retired. */
  current(slot: Slot): Slot {
    if (slot.index >= 0) return slot
    return this.at(slot.ownValues)
  }

  /** Adds labels, which the series there are do not have. For mirrored families: who records into others would find the old names. */
  widen(labels: ReadonlyArray<string>): void {
    const added = labels.filter((label) => !this.names.includes(label))
    if (added.length === 0) return
    const view = this.registry.viewOf(new Definition({ ...this.source, labelNames: [...this.names, ...added] }))
    if (view instanceof MetricDefinitionError) return this.registry.report(view.message)
    const { definition, kept, source } = view
    this.definition = definition
    this.source = source
    this.names = source.labelNames
    this.kept = kept
    this.whole = kept.length === this.names.length
    this.single = kept.length === 0 ? this.single : undefined
    const before = this.series.map((slot) => [slot, slot.ownValues] as const)
    this.root = new Branch(this, undefined, "")
    this.recent = undefined
    this.recentValues = []
    for (const [slot, values] of before) {
      const filler = slot === this.overflow ? overflowValue : ""
      if (kept.length > 0) this.put([...values, ...kept.slice(values.length).map(() => filler)], slot)
    }
  }

  private put(values: ReadonlyArray<string>, slot: Slot): void {
    let node = this.root
    for (const value of values.slice(0, -1)) {
      let next: Branch | undefined = node.get(value)
      if (next === undefined) node.set(value, next = new Branch(this, node, value))
      node = next
    }
    node.set(values.at(-1)!, slot)
    slot.move(node, values.at(-1)!)
  }

  /** Whether it is the series of all label sets past the budget. */
  isOverflow(slot: Slot): boolean {
    return slot === this.overflow
  }

  private get full(): boolean {
    return this.list.length - this.retired >= this.maxSeries || (this.registry.full && !this.own)
  }

  private spill(values: ReadonlyArray<string>): Slot {
    this.registry.overflowed(this, values)
    return this.overflow ??= this.overflowAt(values.map(() => overflowValue))
  }

  /** It has a place in the trie like any other: a program may use the very same label values. */
  private overflowAt(values: ReadonlyArray<string>): Slot {
    const known = this.walk(values)
    if (known !== undefined) return known
    let node = this.root
    let depth = 0
    for (; depth < values.length - 1; depth++) {
      const next: Branch | undefined = node.get(values[depth]!)
      if (next === undefined) break
      node = next
    }
    return this.grow(node, values, depth)
  }

  private create(branch: Branch, key: string | undefined): Slot {
    const { registry } = this
    const slot = registry.addSeries(this.definition, branch, key)
    const before = registry.totals.recall(slot)
    if (before !== undefined) {
      slot.resume(before.createdAt)
      ;(this.bases ??= new Map()).set(slot, before)
    }
    this.list.push(slot)
    return slot
  }

  /**
   * Whether an idle series may be retired: one without labels stands for the metric itself, the overflow series is for all, and an up-down
   * counter that is not at 0 still counts something.
   */
  expires(slot: Slot): boolean {
    return slot !== this.single && slot !== this.overflow && (this.definition.type !== "upDownCounter" || this.value(slot) === 0)
  }

  /** Takes a series out; what it counted is remembered. Its last values stay in the columns for those who read frames. */
  retire(slot: Slot): void {
    this.registry.totals.keep(slot, this.totalsOf(slot))
    this.bases?.delete(slot)
    if (slot === this.single) this.single = undefined
    else prune(this.root, slot.ownValues, 0)
    if (slot === this.overflow) this.overflow = undefined
    if (slot === this.recent) {
      this.recent = undefined
      this.recentValues = []
    }
    this.retired++
  }

  private totalsOf(slot: Slot): Totals {
    const { createdAt, definition } = slot
    switch (definition.type) {
      case "histogram":
        return {
          createdAt,
          value: 0,
          count: 0,
          sum: this.sum(slot),
          buckets: Float64Array.from([...definition.buckets!, 0], (_, i) => this.bucket(slot, i)),
          exponential: this.exponential(slot)
        }
      case "summary":
        return { createdAt, value: 0, count: this.count(slot), sum: this.sum(slot), buckets: undefined }
      default:
        return { createdAt, value: this.value(slot), count: 0, sum: 0, buckets: undefined }
    }
  }

  value(series: Series): number {
    const value = this.registry.scalarsOf(this.definition.type).cells[series.index] ?? NaN
    return this.bases === undefined ? value : value + (this.bases.get(series)?.value ?? 0)
  }

  count(series: Series): number {
    const before = this.bases?.get(series)
    if (this.definition.type === "summary") return (this.registry.summaries.counts[series.index] ?? NaN) + (before?.count ?? 0)
    const count = this.registry.histograms.count(series)
    return before?.buckets === undefined ? count : before.buckets.reduce((sum, bucket) => sum + bucket, count)
  }

  sum(series: Series): number {
    const { histograms, summaries } = this.registry
    const sum = (this.definition.type === "summary" ? summaries : histograms).sums[series.index] ?? NaN
    return this.bases === undefined ? sum : sum + (this.bases.get(series)?.sum ?? 0)
  }

  bucket(series: Series, i: number): number {
    const { histograms } = this.registry
    const count = histograms.buckets[histograms.offsets[series.index]! + i] ?? NaN
    return this.bases === undefined ? count : count + (this.bases.get(series)?.buckets?.[i] ?? 0)
  }

  exponential(series: Series): ExponentialState | undefined {
    const state = this.registry.histograms.exponentials.get(series)?.state()
    const before = this.bases?.get(series)?.exponential
    return state === undefined || before === undefined ? state : merged(before, state, series.definition.exponential!.maxSize)
  }

  exemplar(series: Series, bucket = -1): Exemplar | undefined {
    return this.registry.exemplars.newest(series, bucket)
  }

  quantile(series: Series, q: number): number {
    return this.registry.summaries.sketches[series.index]?.quantile(q) ?? NaN
  }
}
