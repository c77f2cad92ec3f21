import { isHighCardinality } from "../Label.ts"
import { MetricDefinition, MetricDefinitionError } from "../MetricDefinition.ts"

/** Which metrics and labels are kept. Names, or patterns that begin or end with `*`; `obs_*` metrics always are. */
export interface MetricAllow {
  /** `undefined`: all. */
  readonly metrics: ReadonlyArray<string> | undefined
  /** A label that is not listed is added up, so that totals stay exact. `undefined`: all. */
  readonly labels: ReadonlyArray<string> | undefined
}

/** What is changed about the metrics of a name (or a pattern, as above) before anybody reads them. */
export interface MetricView {
  readonly name: string
  /** Refuses the metric; the other fields then say nothing. */
  readonly drop?: boolean
  readonly rename?: string
  /** By label: its new name, or `false` to add it up. */
  readonly labels?: Readonly<Record<string, string | false>>
  /** Labels with one value; one that the metric has already gets this value and is added up. */
  readonly constantLabels?: Readonly<Record<string, string>>
  /** Histograms only. */
  readonly buckets?: ReadonlyArray<number>
}

/** A definition as its recorders have it, and what becomes of it. */
export interface View {
  readonly source: MetricDefinition
  readonly definition: MetricDefinition
  /** Positions of the source's labels that tell series apart, in the order in which the definition begins. */
  readonly kept: ReadonlyArray<number>
  /** Values of the labels with which the definition ends. */
  readonly constants: ReadonlyArray<string>
}

/** A name, or one with `*` at either end: compared in one pass, whatever arrives. */
export const matches = (pattern: string, name: string): boolean => {
  if (pattern === "*") return true
  const open = pattern.startsWith("*")
  const close = pattern.endsWith("*")
  if (open && close) return name.includes(pattern.slice(1, -1))
  if (open) return name.endsWith(pattern.slice(1))
  return close ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}

export class Views {
  private readonly allow: MetricAllow
  private readonly views: ReadonlyArray<MetricView>
  private readonly buckets: Readonly<Record<string, ReadonlyArray<number>>>

  private readonly highCardinality: ReadonlyArray<string>

  constructor(
    allow: MetricAllow,
    views: ReadonlyArray<MetricView>,
    buckets: Readonly<Record<string, ReadonlyArray<number>>>,
    highCardinality: ReadonlyArray<string>
  ) {
    this.highCardinality = highCardinality
    this.allow = allow
    this.views = views
    this.buckets = buckets
  }

  /** Whether a metric is kept at all. */
  admits(name: string): boolean {
    if (name.startsWith("obs_")) return true
    const { metrics } = this.allow
    return (metrics === undefined || metrics.some((pattern) => matches(pattern, name))) &&
      !this.views.some((view) => view.drop === true && matches(view.name, name))
  }

  /** Labels that would have a value for every user or request, and that nobody allowed: they are added up, so that totals stay. */
  barred({ highCardinalityLabels, labelNames }: MetricDefinition): ReadonlyArray<string> {
    return labelNames.filter((name) => isHighCardinality(name) && !highCardinalityLabels?.includes(name) && !this.highCardinality.includes(name))
  }

  of(source: MetricDefinition): View | MetricDefinitionError {
    const { labelNames, name } = source
    const own = name.startsWith("obs_")
    const views = own ? [] : this.views.filter((view) => matches(view.name, name))
    const allowed = own ? undefined : this.allow.labels
    const renamed = new Map<string, string | false>(views.flatMap((view) => Object.entries(view.labels ?? {})))
    const constants = new Map(views.flatMap((view) => Object.entries(view.constantLabels ?? {})))
    const barred = this.barred(source)
    const kept: Array<number> = []
    const names: Array<string> = []
    labelNames.forEach((label, i) => {
      const name = renamed.get(label) ?? label
      if (name === false || barred.includes(label) || constants.has(name) || !(allowed === undefined || allowed.some((pattern) => matches(pattern, label)))) return
      kept.push(i)
      names.push(name)
    })
    const buckets = views.findLast((view) => view.buckets !== undefined)?.buckets ??
      (Object.hasOwn(this.buckets, name) ? this.buckets[name] : undefined)
    const rename = views.findLast((view) => view.rename !== undefined)?.rename ?? name
    const rebucketed = source.type === "histogram" && buckets !== undefined
    if (rename === name && !rebucketed && constants.size === 0 && names.length === labelNames.length && names.every((one, i) => one === labelNames[i])) {
      return { source, definition: source, kept, constants: [] }
    }
    names.push(...constants.keys())
    const twice = names.find((one, i) => names.indexOf(one) !== i)
    if (twice !== undefined) {
      return new MetricDefinitionError({
        metric: name,
        field: "labelNames",
        message: `metric "${name}": a view gives it the label "${twice}" twice: rename to another, or drop one (metrics.views)`
      })
    }
    const labelValues = source.labelValues === undefined ? undefined : Object.fromEntries(
      kept.flatMap((from, to) => {
        const values = source.labelValues![labelNames[from]!]
        return values === undefined ? [] : [[names[to]!, values]]
      })
    )
    const definition = new MetricDefinition({
      ...source,
      name: rename,
      labelNames: names,
      ...(labelValues === undefined ? {} : { labelValues }),
      ...(rebucketed ? { buckets } : {})
    })
    return { source, definition: Object.freeze(definition), kept, constants: [...constants.values()] }
  }
}
