import type { Registry } from "prom-client"

/** What a metric of prom-client 15 answers when it is asked for its values. */
export interface Answer {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly aggregator?: string
  readonly values: ReadonlyArray<Value>
}

export interface Value {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  readonly metricName?: string
  /** Of a metric with `enableExemplars`. */
  readonly exemplar?: Exemplar | null
}

export interface Exemplar {
  readonly labelSet: Readonly<Record<string, string | number>>
  readonly value: number
  /** Seconds since the epoch. */
  readonly timestamp?: number
}

/** A metric as prom-client's registry sees it. */
export interface Registered {
  name: string
  readonly type: string
  readonly get: () => Promise<Answer>
}

export const membersOf = (registry: Registry): ReadonlyArray<Registered> => registry.getMetricsAsArray() as unknown as ReadonlyArray<Registered>

/** A registry for OpenMetrics takes `_total` off the names of its counters when it renders, and adds it to their samples. */
export const isOpenMetrics = (registry: Registry): boolean => String(registry.contentType).startsWith("application/openmetrics-text")

export const nameIn = (registry: Registry, { name, type }: { readonly name: string; readonly type: string }): string =>
  isOpenMetrics(registry) && type === "counter" ? `${String(name).replace(/_total$/, "")}_total` : String(name)
