import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { MetricType } from "../metrics/MetricDefinition.ts"
import type { HistoryError } from "./HistoryError.ts"
import type { ResourceQuery } from "./ResourceQuery.ts"
import type { RangePoint, RangeQuery, RangeResult } from "./range/RangeQuery.ts"

export interface MetricsHistoryQuery {
  readonly name: string
  /** Inclusive. Milliseconds since the epoch, or a Date. */
  readonly startTime: number | Date
  /** Exclusive. */
  readonly endTime: number | Date
  /** Only series that carry all of these labels. */
  readonly labels?: Readonly<Record<string, string>>
  /** Only what these processes recorded. */
  readonly resource?: ResourceQuery
  /** Most points returned, newest first; 1 to 100,000, default 1,000. */
  readonly limit?: number
}

/** One point of one series: counters carry the increase in the interval, gauges the last value, histograms and summaries the sum. */
export interface MetricPoint {
  readonly name: string
  readonly type: MetricType
  readonly value: number
  readonly labels: Readonly<Record<string, string>>
  /** End of the interval, milliseconds since the epoch. */
  readonly timestamp: number
  /** Length of the interval in milliseconds. */
  readonly interval: number
  /** Histograms only: increases in the interval. */
  readonly histogram?: {
    readonly bounds: ReadonlyArray<number>
    /** One per bound and one for +Inf, not cumulative. */
    readonly buckets: ReadonlyArray<number>
    readonly count: number
    readonly sum: number
  }
}

/**
 * Metrics kept over time. One provider in a composition: memory, PostgreSQL or ClickHouse.
 *
 * ```ts
 * const history = yield* MetricsHistory
 * const { series, times } = yield* history.queryRange({
 *   metric: "http_requests_total", function: "rate", groupBy: ["status"],
 *   resource: { env: "production" }, groupByResource: ["cluster"],
 *   start: now - 3_600_000, end: now, step: "1 minute"
 * })
 * ```
 */
export class MetricsHistory extends Context.Service<MetricsHistory, {
  /** Points of a metric, newest first. */
  readonly getMetricsHistory: (query: MetricsHistoryQuery) => Effect.Effect<ReadonlyArray<MetricPoint>, HistoryError>
  /** One value per time and group, computed over the window before each time (`docs/history.md`). */
  readonly queryRange: (query: RangeQuery) => Effect.Effect<RangeResult, HistoryError>
  /** The same values one time after the other; reads as it is consumed, and goes on for longer than one answer may. */
  readonly streamRange: (query: RangeQuery) => Stream.Stream<RangePoint, HistoryError>
}>()("@effect-observability/core/MetricsHistory") {}
