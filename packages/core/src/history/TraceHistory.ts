import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { SpanData, SpanKind } from "../tracing/SpanData.ts"
import type { HistoryError } from "./HistoryError.ts"
import type { ResourceQuery } from "./ResourceQuery.ts"

export interface StoredSpan extends SpanData {
  readonly serviceName: string
}

export interface StoredTrace {
  readonly traceId: string
  /** By start time; parents may come after children when clocks differ. */
  readonly spans: ReadonlyArray<StoredSpan>
}

export interface RecentTracesQuery {
  /** Most traces returned, newest first; 1 to 1,000, default 20. */
  readonly limit?: number
  /** Traces with a span of this service. */
  readonly serviceName?: string
  /** `"ERROR"`: at least one span failed; `"OK"`: none did. */
  readonly status?: "OK" | "ERROR"
}

export interface TraceSummary {
  readonly traceId: string
  /** Name and service of the root, or of the earliest span when the root is not stored. */
  readonly name: string
  readonly serviceName: string
  /** Nanoseconds since the epoch. */
  readonly startTime: bigint
  /** Nanoseconds from the first start to the last end. */
  readonly duration: bigint
  readonly spanCount: number
  readonly errorCount: number
  readonly status: "OK" | "ERROR"
}

/** Which spans are meant: those that meet every condition given. Without any, all of the time range. */
export interface SpanFilter {
  readonly serviceName?: string
  /** Spans of these processes. */
  readonly resource?: ResourceQuery
  /** The span's name. */
  readonly operation?: string
  readonly kind?: SpanKind
  /** `"ERROR"`: the span failed; `"OK"`: it did not. */
  readonly status?: "OK" | "ERROR"
  /** Of the span itself, both ends included. */
  readonly minDuration?: Duration.Input
  readonly maxDuration?: Duration.Input
  /** The span carries every one of these; `500` and `"500"` are the same. At most 16. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
  /**
   * Part of the span's name, its status message, or the key or value of an attribute. Taken literally; the case of the letters A
   * to Z does not matter. At most 256 characters.
   */
  readonly text?: string
  /** The span started at or after it: milliseconds since the epoch, or a Date. */
  readonly startTime?: number | Date
  /** The span started before it. */
  readonly endTime?: number | Date
}

export interface SearchTracesQuery extends SpanFilter {
  /**
   * By the spans that pass: the trace whose newest one started last (default), whose oldest one started first, or whose longest
   * one took longest comes first.
   */
  readonly order?: "newest" | "oldest" | "slowest"
  /** Most traces of one page; 1 to 1,000, default 20. */
  readonly limit?: number
  /** `cursor` of the page before, to go on where it ended; the rest of the question must be the same. */
  readonly cursor?: string
}

export interface TracePage {
  readonly traces: ReadonlyArray<TraceSummary>
  /** For the next page; `undefined` when there is none. */
  readonly cursor: string | undefined
}

/** What is asked over a stretch of time: the hour before `endTime` when `startTime` is left out, until now without `endTime`. */
export interface OperationsQuery {
  readonly serviceName?: string
  /** Spans of these processes. */
  readonly resource?: ResourceQuery
  readonly startTime?: number | Date
  readonly endTime?: number | Date
  /** Most operations returned, those with the most time spent first; 1 to 1,000, default 100. */
  readonly limit?: number
}

/**
 * Counts and durations of many spans. Counts are weighted: a span that sampling kept stands for `weight` spans. Durations are
 * nanoseconds; quantiles are exact to 2.2 %.
 */
export interface SpanFigures {
  readonly count: number
  readonly errorCount: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  /** Weighted sum of all durations. */
  readonly totalDuration: number
}

/** Spans of one service, name and kind. */
export interface OperationSummary extends SpanFigures {
  readonly serviceName: string
  readonly name: string
  readonly kind: SpanKind
}

export interface DependenciesQuery {
  /** Calls that were answered by these processes. */
  readonly resource?: ResourceQuery
  readonly startTime?: number | Date
  readonly endTime?: number | Date
  /** Most pairs returned, those with the most calls first; 1 to 1,000, default 100. */
  readonly limit?: number
}

/** Calls from one service to another: spans whose parent belongs to another service. Durations are those of the callee. */
export interface Dependency extends SpanFigures {
  readonly caller: string
  readonly callee: string
}

export interface LatencyQuery extends SpanFilter {
  /** Width of one point; default a sixtieth of the range, at least a second; at most 2,000 points. */
  readonly step?: Duration.Input
  /** 0 to 1, at most 10; default 0.5, 0.9 and 0.99. */
  readonly quantiles?: ReadonlyArray<number>
}

export interface LatencyPoint {
  /** Milliseconds since the epoch: the begin of the step. */
  readonly time: number
  /** Weighted. */
  readonly count: number
  readonly errorCount: number
  /** One per quantile asked for, nanoseconds; `NaN` without spans. Exact to 2.2 %. */
  readonly quantiles: ReadonlyArray<number>
  /** One weighted count per bound of the heatmap. */
  readonly counts: ReadonlyArray<number>
}

export interface Latency {
  /** Milliseconds. */
  readonly step: number
  readonly quantiles: ReadonlyArray<number>
  /** Rows of the heatmap: inclusive upper bounds in nanoseconds, each √2 times the one before. */
  readonly bounds: ReadonlyArray<number>
  /** All steps of the range, empty ones included. */
  readonly points: ReadonlyArray<LatencyPoint>
}

export interface DiffersQuery {
  /** The spans compared; default those of the last hour. */
  readonly among?: SpanFilter
  /** Which of them stand out: the slow ones, the failed ones. Its time range cuts into that of `among`. */
  readonly selection: SpanFilter
  /** Most attributes returned; 1 to 100, default 20. */
  readonly limit?: number
  /**
   * Attribute keys left out. Those that `selection` names are always left out, and what only says again that a span failed
   * (`error.type` and the like) when it asks for failed ones.
   */
  readonly ignore?: ReadonlyArray<string>
}

/** An attribute value that the selected spans carry more often than the rest. */
export interface Difference {
  /** `service.name` and `span.name` stand for service and name of the span. */
  readonly key: string
  readonly value: string
  /** Weighted share of the spans that carry it, 0 to 1: of the selected ones, and of the rest. */
  readonly selectedShare: number
  readonly restShare: number
  /**
   * How surely it differs: the likelihood ratio G² of the two shares (Dunning 1993). Above 11 is rarer than one in a thousand
   * for one value looked at alone.
   */
  readonly score: number
}

export interface Differences {
  /** Weighted counts of the spans compared. */
  readonly selected: number
  readonly rest: number
  /** `false` when there were too many spans and a random part of them was looked at. */
  readonly complete: boolean
  /** Most telling first. */
  readonly differences: ReadonlyArray<Difference>
}

/** What to delete: one trace, all traces with a span that carries an attribute (a tenant), or all spans of a service. */
export type TraceDeletion =
  | { readonly traceId: string }
  | { readonly attribute: { readonly key: string; readonly value: string | number | boolean } }
  | { readonly serviceName: string; readonly instance?: string; readonly env?: string }

export interface Deleted {
  readonly spans: number
  /** Traces that lost a span, whether or not something of them is left. */
  readonly traces: number
}

/** Traces kept over time. One provider in a composition: memory, PostgreSQL or ClickHouse. */
export class TraceHistory extends Context.Service<TraceHistory, {
  /** A trace by id (32 hex digits, any case); `undefined` when nothing of it is stored. */
  readonly getTrace: (traceId: string) => Effect.Effect<StoredTrace | undefined, HistoryError>
  /** Traces, newest first. */
  readonly getRecentTraces: (query?: RecentTracesQuery) => Effect.Effect<ReadonlyArray<TraceSummary>, HistoryError>
  /** Traces with at least one span that passes the filter, page by page. */
  readonly searchTraces: (query?: SearchTracesQuery) => Effect.Effect<TracePage, HistoryError>
  /** All pages of `searchTraces`, fetched as they are read; `limit` is the size of a page. */
  readonly streamTraces: (query?: SearchTracesQuery) => Stream.Stream<TraceSummary, HistoryError>
  /**
   * The traces for which something was stored since the stream began, as they are then: again with each part that comes. It may
   * miss some when thousands come in a moment; a search finds them.
   */
  readonly liveTraces: Stream.Stream<TraceSummary, HistoryError>
  /** Rate, errors and duration per operation. */
  readonly operations: (query?: OperationsQuery) => Effect.Effect<ReadonlyArray<OperationSummary>, HistoryError>
  /** Which service calls which. */
  readonly dependencies: (query?: DependenciesQuery) => Effect.Effect<ReadonlyArray<Dependency>, HistoryError>
  /** Rate, errors, quantiles and heatmap of the spans that pass, over time. The range as in `OperationsQuery`. */
  readonly latency: (query?: LatencyQuery) => Effect.Effect<Latency, HistoryError>
  /** What the selected spans have that the others have not: attribute values ranked by how surely they differ. */
  readonly whatDiffers: (query: DiffersQuery) => Effect.Effect<Differences, HistoryError>
  /** Deletes for good and returns what was deleted. */
  readonly deleteTraces: (what: TraceDeletion) => Effect.Effect<Deleted, HistoryError>
}>()("@effect-observability/core/TraceHistory") {}
