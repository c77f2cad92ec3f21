import * as Schema from "effect/Schema"
import { type Label, type LabelKey, type LabelsOf, type LowOnly, nameOf, type NameOf } from "./Label.ts"

export { errorTypeOf, type LongTask, longTask, type Operation, operation, type Outcome, outcomeOf, outcomes } from "./bundles.ts"
export { lint, type MetricLint } from "./internal/lint.ts"

/** The kinds of metric (OpenMetrics 1.0, section 4.4, and OpenTelemetry's up-down counter). */
export const MetricType = Schema.Literals(["counter", "upDownCounter", "gauge", "histogram", "summary"])
export type MetricType = typeof MetricType.Type

const metricName = /^[a-zA-Z_][a-zA-Z0-9_]{0,254}$/
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]{0,127}$/
const reservedLabels: ReadonlySet<string> = new Set(["le", "quantile"])

const maxLabels = 64

/** Default buckets of a histogram, in seconds. */
export const defaultBuckets: ReadonlyArray<number> = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Default quantiles of a summary with their allowed rank error. */
export const defaultObjectives: Readonly<Record<string, number>> = { "0.5": 0.05, "0.9": 0.01, "0.99": 0.001 }

/** How far the quantiles of a summary look back, in seconds, and in how many steps old values leave. */
export const defaultMaxAge = 600
export const defaultAgeBuckets = 5

/**
 * What a metric is: declared once, as a value, and then used by recorders, backends, dashboards and alerts.
 *
 * Make one with `counter`, `upDownCounter`, `gauge`, `histogram` or `summary`: they keep the label names (and literal label
 * values) in the type, so that the compiler checks every call.
 *
 * @example
 * ```ts
 * const OrdersPlaced = MetricDefinition.counter("orders_placed_total", {
 *   help: "Orders accepted, by sales channel",
 *   labelNames: ["channel"],
 *   labelValues: { channel: ["web", "shop"] }
 * })
 * ```
 */
export class MetricDefinition extends Schema.Class<MetricDefinition>("MetricDefinition")({
  /** `[a-zA-Z_][a-zA-Z0-9_]*`, at most 255 characters (the document's VARCHAR(255)); no colon, it is kept for recording rules. */
  name: Schema.String,
  type: MetricType,
  help: Schema.String,
  /** Base unit in the plural: `seconds`, `bytes`; empty when it has none. */
  unit: Schema.String,
  labelNames: Schema.Array(Schema.String),
  /** The only values a label may take; others are recorded as `_OTHER`. */
  labelValues: Schema.optionalKey(Schema.Record(Schema.String, Schema.Array(Schema.String))),
  /** Labels that calls may leave out: their values come from the region or from `metrics.defaultLabels`. */
  ambientLabels: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Labels known for many values that are here on purpose. */
  highCardinalityLabels: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Inclusive upper bounds, ascending and finite; +Inf is implied. Histograms only. */
  buckets: Schema.optionalKey(Schema.Array(Schema.Number)),
  /** Asks for base-2 exponential buckets beside the explicit ones. Histograms only. */
  exponential: Schema.optionalKey(Schema.Struct({ maxSize: Schema.Int })),
  /** Quantile (0 to 1) to allowed rank error. Summaries only. */
  objectives: Schema.optionalKey(Schema.Record(Schema.String, Schema.Number)),
  /** Seconds that quantiles look back, and the steps in which old values leave. Summaries only. */
  maxAge: Schema.optionalKey(Schema.Number),
  ageBuckets: Schema.optionalKey(Schema.Int),
  /** Counter: increase over five minutes; gauge: last value; histogram and summary: p99. */
  alertThreshold: Schema.optionalKey(Schema.Number),
  /** Whether changes of its value are logged, as alert thresholds that are crossed are. */
  logChanges: Schema.optionalKey(Schema.Boolean),
  /** Most label sets kept apart; past it new ones share one overflow series. Defaults to the process's setting. */
  maxSeries: Schema.optionalKey(Schema.Int),
  /**
   * Whether values are kept with the sampled span they were recorded in, one per series, bucket and window. Histograms do unless this is
   * `false`, counters when it is `true`; the others have none.
   */
  exemplars: Schema.optionalKey(Schema.Boolean)
}) {}

export declare namespace MetricDefinition {
  type Counter<L> = MetricDefinition & { readonly type: "counter"; readonly "~labels": L }
  type UpDownCounter<L> = MetricDefinition & { readonly type: "upDownCounter"; readonly "~labels": L }
  type Gauge<L> = MetricDefinition & { readonly type: "gauge"; readonly "~labels": L }
  type Histogram<L> = MetricDefinition & { readonly type: "histogram"; readonly "~labels": L }
  type Summary<L> = MetricDefinition & { readonly type: "summary"; readonly "~labels": L }
  type Any = MetricDefinition
}

/** A definition that cannot be used; the message names the metric, the field and the fix. */
export class MetricDefinitionError extends Schema.TaggedError<MetricDefinitionError>()("MetricDefinitionError", {
  metric: Schema.String,
  field: Schema.String,
  message: Schema.String
}) {}

export interface DefinitionOptions<K extends LabelKey, V> {
  readonly help: string
  readonly unit?: string
  /** Names, or keys declared with `Label`; at most those with few values. */
  readonly labelNames?: ReadonlyArray<K> & ReadonlyArray<LowOnly<K>>
  readonly labelValues?: V
  readonly alertThreshold?: number
  /** Logs every change of a series' value, as far as it is seen at the log's interval. Default `false`. */
  readonly logChanges?: boolean
  readonly maxSeries?: number
  /** Default: `true` for histograms, `false` for counters. */
  readonly exemplars?: boolean
}

type Values<K extends LabelKey> = { readonly [Name in NameOf<K>]?: ReadonlyArray<string> }

export interface HistogramOptions {
  readonly buckets?: ReadonlyArray<number>
  /**
   * Counts also in base-2 exponential buckets, for backends that can use them; their resolution follows the values. `maxSize` buckets
   * at most per sign (2 to 1,024).
   */
  readonly exponential?: { readonly maxSize: number }
}

export interface SummaryOptions {
  readonly objectives?: Readonly<Record<string, number>>
  /** Seconds that quantiles look back. Default 600. */
  readonly maxAge?: number
  /** In how many steps old values leave (1 to 60). Default 5. */
  readonly ageBuckets?: number
}

/** A value that only rises; its name ends in `_total`. Throws `MetricDefinitionError` when the definition is invalid. */
export const counter = <const K extends LabelKey = never, const V extends Values<K> = {}>(
  name: string,
  options: DefinitionOptions<K, V>
): MetricDefinition.Counter<LabelsOf<K, V>> => build(name, "counter", options)

/** A value that rises and falls by steps and may be added up over processes. Throws `MetricDefinitionError`. */
export const upDownCounter = <const K extends LabelKey = never, const V extends Values<K> = {}>(
  name: string,
  options: DefinitionOptions<K, V>
): MetricDefinition.UpDownCounter<LabelsOf<K, V>> => build(name, "upDownCounter", options)

/** A value that is set. Throws `MetricDefinitionError` when the definition is invalid. */
export const gauge = <const K extends LabelKey = never, const V extends Values<K> = {}>(
  name: string,
  options: DefinitionOptions<K, V>
): MetricDefinition.Gauge<LabelsOf<K, V>> => build(name, "gauge", options)

/** A distribution in fixed buckets; may be added up over processes. Throws `MetricDefinitionError`. */
export const histogram = <const K extends LabelKey = never, const V extends Values<K> = {}>(
  name: string,
  options: DefinitionOptions<K, V> & HistogramOptions
): MetricDefinition.Histogram<LabelsOf<K, V>> =>
  build(name, "histogram", options, {
    buckets: options.buckets ?? defaultBuckets,
    ...(options.exponential === undefined ? {} : { exponential: { maxSize: options.exponential.maxSize } })
  })

/**
 * Quantiles computed in the process, within 1 % of the true value, over the last `maxAge` seconds; count and sum are of all time. They
 * cannot be added up over processes: prefer a histogram where there are several. Throws `MetricDefinitionError`.
 */
export const summary = <const K extends LabelKey = never, const V extends Values<K> = {}>(
  name: string,
  options: DefinitionOptions<K, V> & SummaryOptions
): MetricDefinition.Summary<LabelsOf<K, V>> =>
  build(name, "summary", options, {
    objectives: options.objectives ?? defaultObjectives,
    ...(options.maxAge === undefined ? {} : { maxAge: options.maxAge }),
    ...(options.ageBuckets === undefined ? {} : { ageBuckets: options.ageBuckets })
  })

/** The quantiles of a summary's objectives, ascending: the order in which frames and backends have them; none for other types. */
export const quantilesOf = (definition: Pick<MetricDefinition, "objectives">): ReadonlyArray<number> =>
  Object.keys(definition.objectives ?? {}).map(Number).sort((a, b) => a - b)

/** What is wrong with a definition, or `undefined`: for names that come from data and must not throw. */
export const problem = (
  definition: Pick<MetricDefinition, "name" | "type" | "labelNames"> & Partial<MetricDefinition>
): MetricDefinitionError | undefined => {
  const wrong = (field: string, message: string) => wrongField(definition.name, field, message)
  const { buckets, labelNames, labelValues, name, objectives, type } = definition
  if (typeof name !== "string" || !metricName.test(name) || /^_+$/.test(name) || name.startsWith("__")) {
    return wrong("name", "must match [a-zA-Z_][a-zA-Z0-9_]* (at most 255 characters, not underscores alone, no leading __)")
  }
  if (labelNames.length > maxLabels) return wrong("labelNames", `has ${labelNames.length} labels: at most ${maxLabels}`)
  const seen = new Set<string>()
  for (const label of labelNames) {
    if (typeof label !== "string" || !labelName.test(label) || label.startsWith("__") || /^_+$/.test(label)) {
      return wrong("labelNames", `has ${quote(label)}: a label name must match [a-zA-Z_][a-zA-Z0-9_]* and not start with __`)
    }
    if (reservedLabels.has(label)) return wrong("labelNames", `has ${quote(label)}, which Prometheus reserves: choose another name`)
    if (seen.has(label)) return wrong("labelNames", `has ${quote(label)} twice: keep one`)
    seen.add(label)
  }
  for (const label of Object.keys(labelValues ?? {})) {
    if (!seen.has(label)) return wrong("labelValues", `names ${quote(label)}, which is not in labelNames: add it there`)
  }
  const { maxSeries } = definition
  if (maxSeries !== undefined && !(Number.isInteger(maxSeries) && maxSeries >= 1)) {
    return wrong("maxSeries", `is ${quote(maxSeries)}: use a whole number from 1, or leave it out`)
  }
  if (type === "histogram") {
    const { exponential } = definition
    if (exponential !== undefined && !(Number.isInteger(exponential.maxSize) && exponential.maxSize >= 2 && exponential.maxSize <= 1024)) {
      return wrong("exponential", `has maxSize ${quote(exponential.maxSize)}: use a whole number from 2 to 1024`)
    }
    if (buckets === undefined || buckets.length === 0) return wrong("buckets", "needs at least one bound")
    if (buckets.length > 512) return wrong("buckets", `has ${buckets.length} bounds: at most 512`)
    for (let i = 0; i < buckets.length; i++) {
      const bound = buckets[i]!
      if (!Number.isFinite(bound)) return wrong("buckets", "must be finite (+Inf is implied)")
      if (i > 0 && bound <= buckets[i - 1]!) return wrong("buckets", `must ascend: ${bound} comes after ${buckets[i - 1]}`)
    }
  }
  if (type === "summary") {
    const { ageBuckets, maxAge } = definition
    if (maxAge !== undefined && !(maxAge > 0 && maxAge <= 604_800)) return wrong("maxAge", `is ${quote(maxAge)}: use seconds above 0, at most 604800`)
    if (ageBuckets !== undefined && !(Number.isInteger(ageBuckets) && ageBuckets >= 1 && ageBuckets <= 60)) {
      return wrong("ageBuckets", `is ${quote(ageBuckets)}: use a whole number from 1 to 60`)
    }
    const quantiles = new Set<number>()
    for (const [q, error] of Object.entries(objectives ?? {})) {
      if (q.trim() === "" || !(Number(q) >= 0 && Number(q) <= 1)) return wrong("objectives", `has quantile ${quote(q)}: use 0 to 1`)
      if (quantiles.has(Number(q))) return wrong("objectives", `has the quantile ${Number(q)} twice: keep one`)
      quantiles.add(Number(q))
      if (!(error >= 0 && error <= 1)) return wrong("objectives", `has error ${error} for ${q}: use 0 to 1`)
    }
  }
  return undefined
}

interface BuildOptions {
  readonly help: string
  readonly unit?: string
  readonly labelNames?: ReadonlyArray<LabelKey>
  readonly labelValues?: Readonly<Record<string, ReadonlyArray<string> | undefined>>
  readonly alertThreshold?: number
  readonly logChanges?: boolean
  readonly maxSeries?: number
  readonly exemplars?: boolean
}

const build = (
  name: string,
  type: MetricType,
  options: BuildOptions,
  extra: Partial<Pick<MetricDefinition, "buckets" | "exponential" | "objectives" | "maxAge" | "ageBuckets">> = {}
): any => {
  const keys = options.labelNames ?? []
  const labels = keys.filter((key): key is Label => typeof key === "object" && key !== null)
  const high = labels.find((label) => label.cardinality === "high")
  if (high !== undefined) {
    throw wrongField(name, "labelNames", `has ${quote(high.name)}, declared with Label.high: put it on spans and logs, or say Label.allowed(${quote(high.name)})`)
  }
  const named = (pick: (label: Label) => boolean) => labels.filter(pick).map((label) => label.name)
  const ambientLabels = named((label) => label.ambient)
  const highCardinalityLabels = named((label) => label.allowed)
  const labelValues = {
    ...Object.fromEntries(labels.flatMap(({ name, values }) => values === undefined ? [] : [[name, values]])),
    ...options.labelValues
  } as Record<string, ReadonlyArray<string>>
  const fields = {
    name,
    type,
    help: options.help,
    unit: options.unit ?? "",
    labelNames: keys.map(nameOf),
    ...(Object.keys(labelValues).length === 0 ? {} : { labelValues }),
    ...(ambientLabels.length === 0 ? {} : { ambientLabels }),
    ...(highCardinalityLabels.length === 0 ? {} : { highCardinalityLabels }),
    ...(options.alertThreshold === undefined ? {} : { alertThreshold: options.alertThreshold }),
    ...(options.logChanges === undefined ? {} : { logChanges: options.logChanges }),
    ...(options.maxSeries === undefined ? {} : { maxSeries: options.maxSeries }),
    ...(options.exemplars === undefined ? {} : { exemplars: options.exemplars }),
    ...extra
  }
  const found = problem(fields)
  if (found !== undefined) throw found
  return Object.freeze(new MetricDefinition(fields))
}

const wrongField = (metric: string, field: string, message: string): MetricDefinitionError =>
  new MetricDefinitionError({ metric: quote(metric), field, message: `metric ${quote(metric)}: ${field} ${message}` })

const quote = (text: unknown): string => {
  const short = JSON.stringify(String(text)) ?? ""
  return short.length > 80 ? `${short.slice(0, 80)}…"` : short
}
