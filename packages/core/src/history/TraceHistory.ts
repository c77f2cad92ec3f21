import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SpanData } from "../tracing/SpanData.ts"
import type { HistoryError } from "./HistoryError.ts"

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

/** Traces kept over time. One provider in a composition: memory, PostgreSQL or ClickHouse. */
export class TraceHistory extends Context.Service<TraceHistory, {
  /** A trace by id (32 hex digits, any case); `undefined` when nothing of it is stored. */
  readonly getTrace: (traceId: string) => Effect.Effect<StoredTrace | undefined, HistoryError>
  /** Traces, newest first. */
  readonly getRecentTraces: (query?: RecentTracesQuery) => Effect.Effect<ReadonlyArray<TraceSummary>, HistoryError>
}>()("@effect-observability/core/TraceHistory") {}
