import type * as Duration from "effect/Duration"
import type { MetricType } from "../../metrics/MetricDefinition.ts"
import type { ResourceField, ResourceQuery } from "../ResourceQuery.ts"

/**
 * What is computed over the window before each time, and how the series of one group come together:
 *
 * | function | counter | gauge, up-down counter | histogram, summary |
 * |---|---|---|---|
 * | `increase`, `rate` | sum of the increases; per second | - | of the number of observations |
 * | `sum` | as `increase` | sum over the series of the value at that time | sum of the observed values |
 * | `count` | - | how many series have a value at that time | number of observations |
 * | `avg` | - | mean over the label sets of the mean in the window | sum of the values over their number |
 * | `min`, `max` | - | least, greatest value in the window | of the observed values (histogram) |
 * | `last` | - | newest value (gauge), sum over the series of the newest (up-down counter) | - |
 * | `quantile` | - | - | from the buckets (histogram), linear within one |
 */
export type RangeFunction = "rate" | "increase" | "avg" | "min" | "max" | "last" | "sum" | "count" | "quantile"

/** A label that is absent equals `""`, as in Prometheus. */
export type LabelMatcher =
  | { readonly eq: string }
  | { readonly neq: string }
  /** One of these; at most 1,000. */
  | { readonly in: ReadonlyArray<string> }
  /** Begins with this text, taken literally. */
  | { readonly prefix: string }

export interface RangeQuery {
  /** A name, or the definition that carries it. */
  readonly metric: string | { readonly name: string }
  readonly function: RangeFunction
  /** Series that agree in these labels become one; `[]` makes one of all; left out, every label set stays by itself. */
  readonly groupBy?: ReadonlyArray<string>
  /** Only series that carry all of these: a text is matched exactly. */
  readonly labels?: Readonly<Record<string, string | LabelMatcher>>
  /** Only what these processes recorded. */
  readonly resource?: ResourceQuery
  /**
   * Processes that agree in these are told apart: `["cluster"]` compares clusters, `["instance"]` processes. Left out or `[]`, all processes come
   * together. Increases are taken process by process first, so that a restart is no decrease.
   */
  readonly groupByResource?: ReadonlyArray<ResourceField>
  /** The times are `start`, `start + step`, … up to and including `end`. Milliseconds since the epoch, or a Date. */
  readonly start: number | Date
  readonly end: number | Date
  /** 1 ms or more; a plain number is milliseconds. */
  readonly step: Duration.Input
  /** How far each time looks back: it sees `(time - window, time]`. Default: `step`. */
  readonly window?: Duration.Input
  /** 0 to 1; needed by `quantile`, refused elsewhere. */
  readonly quantile?: number
  /** Keeps at each time only the `k` series with the greatest values (PromQL's `topk`). */
  readonly k?: number
}

export interface RangeSeries {
  /** The labels of `groupBy`, or all of them; absent ones are left out. */
  readonly labels: Readonly<Record<string, string>>
  /** What `groupByResource` names; `""` where a process has none. Absent without it. */
  readonly resource?: { readonly [F in ResourceField]?: string }
  /** One per time; `NaN` where there is nothing to tell. */
  readonly values: ReadonlyArray<number>
}

export interface RangeResult {
  readonly metric: string
  /** `undefined` when nothing is stored under the name. */
  readonly type: MetricType | undefined
  /** Milliseconds since the epoch. */
  readonly times: ReadonlyArray<number>
  /** In the order of their labels; those without any value are left out. */
  readonly series: ReadonlyArray<RangeSeries>
}

/** One value of one series. */
export interface RangePoint {
  readonly labels: Readonly<Record<string, string>>
  readonly resource?: RangeSeries["resource"]
  readonly time: number
  readonly value: number
}

/** What one question may ask for. */
export const rangeLimits = {
  /** Times in one answer (as in Prometheus); a stream goes on for longer. */
  points: 11_000,
  /** Times in one stream. */
  streamedPoints: 1_000_000,
  /** From `start` to `end`, milliseconds: twenty years. */
  range: 20 * 366 * 86_400_000,
  /** Milliseconds. */
  window: 366 * 86_400_000,
  /** Windows that one moment may belong to: `window / step`. */
  overlap: 10_000,
  groupBy: 64,
  matchers: 64,
  values: 1_000,
  /** Groups times times (times buckets): numbers held while one question is answered. */
  cells: 8_000_000,
  /** Stored series one question may touch. */
  series: 100_000,
  /** Stored numbers one question may read. */
  samples: 50_000_000
} as const
