import type { MetricDefinition, MetricType } from "../MetricDefinition.ts"
import { defaultBuckets, defaultObjectives, MetricDefinition as Definition, MetricDefinitionError, problem } from "../MetricDefinition.ts"
import type { MetricFamily } from "../MetricStore.ts"
import type { Family } from "./Family.ts"
import { namesOf } from "./labels.ts"
import { lint } from "./lint.ts"
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

/** Which metrics there are, by name and by definition, and what is wrong with those that are not. */
export abstract class Catalogue {
  protected settings: StoreSettings
  private views: Views
  /** By the name that recorders use. */
  private readonly bySource = new Map<string, Family>()
  /** By the name that readers see. */
  private readonly byName = new Map<string, Family>()
  // Weak: a program may make a definition per call.
  private byDefinition = new WeakMap<MetricDefinition, Family>()
  /** Definitions that are of no use, with the reason that records into them are counted under. */
  private useless = new WeakMap<MetricDefinition, string>()
  /** Families that the allowlist took out after they had begun: their values stand still until it lets them in again. */
  private readonly parked = new Map<string, Family>()
  private readonly declared = new Set<(family: MetricFamily) => void>()
  private readonly suggested = new Map<string, MetricDefinition>()
  private readonly wrong = new Set<string>()
  private readonly hints = new Set<string>()

  constructor(settings: StoreSettings) {
    this.settings = settings
    this.views = viewsOf(settings)
  }

  /**
   * Other bounds, allowlist and default labels from now on. A metric that is no longer allowed stands still (handles taken before go on); what
   * labels are kept, and how many series a metric's own definition allows, is settled when it is declared.
   */
  configure(changes: Pick<StoreSettings, "maxSeriesPerMetric" | "maxSeries" | "allow" | "highCardinalityLabels" | "defaultLabels">): void {
    this.settings = { ...this.settings, ...changes }
    this.views = viewsOf(this.settings)
    this.useless = new WeakMap()
    this.byDefinition = new WeakMap()
    for (const [name, family] of [...this.bySource, ...this.parked]) {
      if (this.views.admits(name)) {
        this.bySource.set(name, family)
        this.parked.delete(name)
      } else {
        this.bySource.delete(name)
        this.parked.set(name, family)
      }
      family.maxSeries = family.source.maxSeries ?? changes.maxSeriesPerMetric
    }
  }

  /** Counts a record that could not be kept as given. */
  abstract refuse(reason: string, definition: MetricDefinition | undefined): void

  protected abstract makeFamily(view: View, maxSeries: number, mirrored: boolean): Family

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
    const family = this.makeFamily(view, definition.maxSeries ?? this.settings.maxSeriesPerMetric, mirrored)
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

  /** The family that a metric stands for, if it was declared. */
  protected lookUp(metric: MetricDefinition | string): Family | undefined {
    if (typeof metric === "string") return this.bySource.get(metric)
    return this.byDefinition.get(metric) ?? (isDefinition(metric) ? this.bySource.get(metric.name) : undefined)
  }

  /** As `resolve`, for a record of the kind that the metric is for; by name, a counter where the name is not declared. */
  resolveAny(metric: MetricDefinition | string, labels: Readonly<Record<string, string>> | undefined): Family | undefined {
    const declared = typeof metric !== "string" && isDefinition(metric) ? metric : this.lookUp(metric)?.source
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
}

const viewsOf = (settings: StoreSettings): Views =>
  new Views(settings.allow ?? { metrics: undefined, labels: undefined }, settings.views ?? [], settings.buckets, settings.highCardinalityLabels ?? [])

/** From untyped code anything may come, a revoked proxy too. */
export const isDefinition = (metric: unknown): metric is MetricDefinition => {
  try {
    return metric instanceof Definition
  } catch {
    return false
  }
}
