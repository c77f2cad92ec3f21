import type * as Exit from "effect/Exit"
import type { Label, LabelKey, LabelsOf, NameOf } from "./Label.ts"
import { counter, type DefinitionOptions, gauge, histogram, type HistogramOptions, type MetricDefinition, MetricDefinitionError, upDownCounter } from "./MetricDefinition.ts"

/** How an effect ended. */
export const outcomes = ["success", "failure", "defect", "interrupted"] as const
export type Outcome = typeof outcomes[number]

/** How an effect ended: a defect weighs more than a failure, a failure more than an interruption. */
export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome => {
  if (exit._tag === "Success") return "success"
  let outcome: Outcome = "interrupted"
  for (const reason of exit.cause.reasons) {
    if (reason._tag === "Die") return "defect"
    if (reason._tag === "Fail") outcome = "failure"
  }
  return outcome
}

const typeName = /^[A-Za-z_$][A-Za-z0-9_$./@-]{0,63}$/

/** What kind of error ended an effect: its `_tag` or `name` where that looks like one, `_OTHER` where not; empty without an error. */
export const errorTypeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success") return ""
  const reason = exit.cause.reasons.find((one) => one._tag === "Die") ?? exit.cause.reasons.find((one) => one._tag === "Fail")
  if (reason === undefined) return ""
  try {
    const error: any = reason._tag === "Die" ? reason.defect : reason.error
    const name: unknown = error?._tag ?? error?.name ?? (typeof error === "object" ? undefined : typeof error)
    return typeof name === "string" && typeName.test(name) ? name : "_OTHER"
  } catch {
    return "_OTHER"
  }
}

/** What `MetricsRecorder.observe` records of an operation, and the name of its span. */
export interface Operation<L> {
  readonly name: string
  /** `<name>_duration_seconds`. */
  readonly duration: MetricDefinition.Histogram<L>
  /** `<name>_total` with the label `outcome`, and `error_type` where asked for. */
  readonly total: MetricDefinition.Counter<any>
}

/** What `MetricsRecorder.longTask` shows of tasks that are still running. */
export interface LongTask<L> {
  readonly name: string
  /** `<name>_active`: how many run. */
  readonly active: MetricDefinition.UpDownCounter<L>
  /** `<name>_duration_seconds`: how long those that run have been running, added up. */
  readonly duration: MetricDefinition.Gauge<L>
  /** `<name>_max_duration_seconds`: how long the oldest of them has. */
  readonly longest: MetricDefinition.Gauge<L>
}

type Values<K extends LabelKey> = { readonly [Name in NameOf<K>]?: ReadonlyArray<string> }
type Options<K extends LabelKey, V> = Omit<DefinitionOptions<K, V>, "unit" | "alertThreshold">
/** The options once their types have done their work. */
interface Loose {
  readonly help: string
  readonly labelNames?: ReadonlyArray<string | Label<string, "low">>
  readonly labelValues?: {}
  readonly maxSeries?: number
}

/**
 * A unit of work by rate, errors and duration: a histogram `<name>_duration_seconds`, a counter `<name>_total` by `outcome` (`success`,
 * `failure`, `defect`, `interrupted`), and a span of that name. With `errorType` the counter also tells errors apart by their `_tag` or
 * `name`. Throws `MetricDefinitionError` when a definition is invalid.
 *
 * @example
 * ```ts
 * const Checkout = MetricDefinition.operation("checkout", { help: "Orders checked out", labelNames: ["channel"] })
 * const observed = metrics.observe(Checkout, charge(order), { channel: "web" })
 * ```
 */
export const operation = <const K extends LabelKey = never, const V extends Values<K> = {}>(
  name: string,
  options: Options<K, V> & Pick<HistogramOptions, "buckets" | "exponential"> & { readonly errorType?: boolean; readonly alertThreshold?: number }
): Operation<LabelsOf<K, V>> => {
  const { alertThreshold, buckets, errorType = false, exponential, ...common } = options as Loose & HistogramOptions & {
    readonly errorType?: boolean
    readonly alertThreshold?: number
  }
  const labelNames = common.labelNames ?? []
  for (const taken of errorType ? ["outcome", "error_type"] : ["outcome"]) {
    if (labelNames.some((key) => (typeof key === "string" ? key : key.name) === taken)) {
      throw new MetricDefinitionError({
        metric: name,
        field: "labelNames",
        message: `operation "${name}": labelNames has "${taken}", which the operation adds itself: leave it out`
      })
    }
  }
  return Object.freeze({
    name,
    duration: histogram(`${name}_duration_seconds`, {
      ...common,
      unit: "seconds",
      ...(buckets === undefined ? {} : { buckets }),
      ...(exponential === undefined ? {} : { exponential }),
      ...(alertThreshold === undefined ? {} : { alertThreshold })
    }) as MetricDefinition.Histogram<any>,
    total: counter(`${name}_total`, {
      ...common,
      labelNames: [...labelNames, "outcome", ...(errorType ? ["error_type"] : [])],
      labelValues: { ...common.labelValues, outcome: outcomes }
    }) as MetricDefinition.Counter<any>
  })
}

/**
 * Tasks that run long enough to be looked at while they run: how many there are, how long they have been running, and the oldest. Throws
 * `MetricDefinitionError` when a definition is invalid.
 */
export const longTask = <const K extends LabelKey = never, const V extends Values<K> = {}>(
  name: string,
  options: Options<K, V>
): LongTask<LabelsOf<K, V>> => {
  const common = options as Loose
  return Object.freeze({
    name,
    active: upDownCounter(`${name}_active`, common) as MetricDefinition.UpDownCounter<any>,
    duration: gauge(`${name}_duration_seconds`, { ...common, unit: "seconds" }) as MetricDefinition.Gauge<any>,
    longest: gauge(`${name}_max_duration_seconds`, { ...common, unit: "seconds" }) as MetricDefinition.Gauge<any>
  })
}
