import { snakeCase } from "./internal/snakeCase.ts"

/**
 * Keys of labels, declared once and shared by the metrics of a program, with what is known of their values.
 *
 * A plain string in `labelNames` is a key of low cardinality. Names known for their many values (`user_id`, `request_id`, `email`, …)
 * and keys declared `high` belong on spans and logs: on a metric they do not compile, and the store leaves them out.
 *
 * @example
 * ```ts
 * const Channel = Label.low("channel", ["web", "shop"])
 * const Tenant = Label.ambient(Label.allowed("tenant_id"))
 * const Orders = MetricDefinition.counter("orders_total", { help: "Orders taken", labelNames: [Channel, Tenant, "region"] })
 * metrics.incrementCounter(Orders, 1, { channel: "web", region: "eu" })
 * ```
 */
export interface Label<
  out Name extends string = string,
  out Cardinality extends "low" | "high" = "low" | "high",
  out Value extends string = string,
  out Ambient extends boolean = boolean
> {
  readonly name: Name
  readonly cardinality: Cardinality
  /** The only values; others are recorded as `_OTHER`. */
  readonly values: ReadonlyArray<Value> | undefined
  /** Calls may leave it out: it is then taken from the region (`MetricsRecorder.withLabels`) or from `metrics.defaultLabels`. */
  readonly ambient: Ambient
  /** On metrics on purpose, although its name is known for many values. */
  readonly allowed: boolean
}

/** What may stand in `labelNames`. */
export type LabelKey = string | Label

const make = (name: string, fields: Partial<Label>): any =>
  Object.freeze({ name, cardinality: "low", values: undefined, ambient: false, allowed: false, ...fields })

/** A key with few values, or with exactly the ones listed. */
export const low = <const Name extends string, const Value extends string = string>(
  name: Name & LowOnly<Name>,
  values?: ReadonlyArray<Value>
): Label<Name, "low", Value, false> => make(name, { values })

/** A key with many values: for attributes of spans, never for metrics. */
export const high = <const Name extends string>(name: Name): Label<Name, "high", string, false> => make(name, { cardinality: "high" })

/** Lets a key with many values stand on metrics all the same; the budgets of the store still hold. */
export const allowed = <const Name extends string>(key: Name | Label<Name, "high">): Label<Name, "low", string, false> =>
  make(nameOf(key), { allowed: true })

/** A key that calls may leave out: the region or the process gives its value. */
export const ambient = <const Name extends string, const Value extends string = string>(
  key: (Name & LowOnly<Name>) | Label<Name, "low", Value, boolean>
): Label<Name, "low", Value, true> => make(nameOf(key), { ...(typeof key === "string" ? {} : key), ambient: true })

export const nameOf = (key: LabelKey): string => typeof key === "string" ? key : key.name

/** Names whose values are as many as users, requests or moments. */
export const highCardinalityNames = [
  "user_id",
  "tenant_id",
  "customer_id",
  "account_id",
  "session_id",
  "request_id",
  "correlation_id",
  "transaction_id",
  "message_id",
  "order_id",
  "trace_id",
  "span_id",
  "parent_span_id",
  "error_id",
  "email",
  "phone",
  "ip",
  "ip_address",
  "client_ip",
  "client_address",
  "uuid",
  "url",
  "query",
  "user_agent",
  "timestamp"
] as const

const known: ReadonlySet<string> = new Set(highCardinalityNames)

/** Whether a name is known for many values, in `snake_case` or `camelCase`. */
export const isHighCardinality = (name: string): boolean => known.has(snakeCase(name))

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S
type Snake = typeof highCardinalityNames[number]
type HighCardinalityName = Snake | Camel<Snake>

/** Shown by the compiler where such a name is used. */
type TooManyValues<Name extends string> =
  `${Name} has too many values for a metric: put it on spans and logs, or say Label.allowed("${Name}")`

export type LowOnly<K extends LabelKey> = K extends Label<infer Name, infer Cardinality> ? "high" extends Cardinality ? TooManyValues<Name> : K
  : K extends HighCardinalityName ? TooManyValues<K>
  : K

export type NameOf<K extends LabelKey> = K extends Label<infer Name> ? Name : K extends string ? K : never
type AmbientOf<K extends LabelKey> = K extends Label<infer Name, "low" | "high", string, true> ? Name : never
type ValueOf<K extends LabelKey, Name, Values> = Name extends keyof Values ? Values[Name] extends ReadonlyArray<infer V> ? V : string
  : K extends Label<infer Own, "low" | "high", infer V> ? Own extends Name ? V : never
  : K extends Name ? string
  : never

/** Label values by name; literal where they are listed, optional where they are ambient. */
export type LabelsOf<K extends LabelKey, Values> = [K] extends [never] ? {}
  : [AmbientOf<K>] extends [never] ? { readonly [Name in NameOf<K>]: ValueOf<K, Name, Values> }
  : Flat<
    & { readonly [Name in Exclude<NameOf<K>, AmbientOf<K>>]: ValueOf<K, Name, Values> }
    & { readonly [Name in AmbientOf<K>]?: ValueOf<K, Name, Values> }
  >

type Flat<A> = { readonly [Key in keyof A]: A[Key] }
