import { type SpanEvent, type SpanLinkData, type StoredSpan } from "@effect-observability/core"
import type { Sql } from "../internal/names.ts"
import type { Row } from "../internal/session.ts"
import * as Encoding from "../PostgresEncoding.ts"

/** Spans of one answer; a trace that has more is cut. */
const maxSpans = 500_000

/** `$1` the trace's id, 32 digits. */
export const traceById = (t: Sql): string => `select * from ${t.trace_by_id}($1::text) limit ${maxSpans}`

export const spanOf = (traceId: string) => (row: Row): StoredSpan => {
  const parent = row["parent_id"] as bigint
  const startTime = row["start_ns"] as bigint
  return {
    traceId,
    spanId: Encoding.fromInt8(row["span_id"] as bigint),
    parentSpanId: parent === 0n ? undefined : Encoding.fromInt8(parent),
    name: String(row["name"]),
    kind: Encoding.spanKinds[row["kind"] as number] ?? "internal",
    serviceName: String(row["service"]),
    startTime,
    endTime: startTime + (row["duration"] as bigint),
    status: Encoding.spanStatuses[row["status"] as number] ?? "unset",
    statusMessage: (row["message"] as string | null) ?? undefined,
    attributes: new Map(Object.entries(JSON.parse(row["attributes"] as string) as Record<string, unknown>)),
    events: ((row["events"] as ReadonlyArray<StoredEvent> | null) ?? []).map((event): SpanEvent => ({
      name: event.n,
      time: startTime + BigInt(event.t),
      attributes: event.a
    })),
    links: ((row["links"] as ReadonlyArray<StoredLink> | null) ?? []).map((link): SpanLinkData => ({ traceId: link.t, spanId: link.s, attributes: link.a })),
    droppedAttributes: row["lost_attributes"] as number,
    droppedEvents: row["lost_events"] as number,
    droppedLinks: row["lost_links"] as number,
    weight: row["weight"] as number,
    traceState: String(row["state"])
  }
}

interface StoredEvent {
  readonly n: string
  readonly t: string
  readonly a: Readonly<Record<string, unknown>>
}
interface StoredLink {
  readonly t: string
  readonly s: string
  readonly a: Readonly<Record<string, unknown>>
}
