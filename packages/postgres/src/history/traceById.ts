import { type SpanEvent, type SpanLinkData, type StoredSpan } from "@effect-observability/core"
import type { Sql } from "../internal/names.ts"
import type { Row } from "../internal/session.ts"
import { attributesAt } from "./spanSql.ts"
import * as Encoding from "../PostgresEncoding.ts"

/** Spans of one answer; a trace that has more is cut. */
export const maxSpans = 500_000

/** `$1` the trace's id, 32 digits. Packed rows are not unpacked: only what belongs to the trace is taken out of them. */
export const traceById = (t: Sql): string =>
  `with found as materialized (
    select p.ts, p.chunk, (p.first + k - 1)::int2 as part, p.base_ns + p.starts[k] as start_ns,
      p.span_ids[coalesce(p.ends[k - 1], 0) + 1 : p.ends[k]] as span_ids
    from ${t.trace_pack} p cross join lateral unnest(array_positions(p.trace_ids, $1::text::uuid)) as k
    where ${t.hashes}(p.trace_ids) @> array[uuid_hash($1::text::uuid)]
  )
  select x.*, o.name, o.service, o.kind from (
    select span_id, parent_id, operation, start_ns, duration, status, message, attributes::text, events, links, weight, state,
      lost_attributes, lost_events, lost_links
    from ${t.hot_span} where replace(trace_id::text, '-', '') = $1::text
    union all
    select f.span_ids[s.places[i]],
      case when s.parents[i] > 0 then f.span_ids[s.parents[i]] when s.parents[i] < 0 then s.strangers[-s.parents[i]] else 0 end,
      coalesce(s.operations[i], s.operation), f.start_ns + coalesce(s.s8[i], s.s4[i]) * s.unit, coalesce(s.d8[i], s.d4[i]) * s.unit,
      coalesce(s.statuses[i], 0::int2), ${t.entry}(s.messages, i)::jsonb #>> '{}',
      ${attributesAt(t)},
      ${t.entry}(s.events, i)::jsonb, ${t.entry}(s.links, i)::jsonb, coalesce(s.weights[i], 1), coalesce(${t.entry}(s.states, i)::jsonb #>> '{}', ''),
      coalesce(s.lost_attributes[i], 0), coalesce(s.lost_events[i], 0), coalesce(s.lost_links[i], 0)
    from found f
    join ${t.span_pack} s on s.chunk = f.chunk and s.ts = f.ts and s.parts @> array[f.part]
    cross join lateral unnest(array_positions(s.parts, f.part)) as i
  ) x join ${t.operation} o on o.id = x.operation
  limit ${maxSpans}`

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
