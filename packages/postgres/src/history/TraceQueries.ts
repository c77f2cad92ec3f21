import type { SpanEvent, SpanLinkData, StoredSpan, StoredTrace, TraceHistory, TraceSummary } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { clean } from "../internal/json.ts"
import { type Sql, sqlNames } from "../internal/names.ts"
import { int4, int4s, text } from "../internal/parameters.ts"
import type { Row } from "../internal/session.ts"
import * as Encoding from "../PostgresEncoding.ts"
import { type Ask, asking, clamp, type HistoryOptions, invalid } from "./ask.ts"

/** Rows read of one trace; a row holds up to 1,024 spans. */
const maxParts = 5_000
/** How far back to look for recent traces, in seconds, step by step until there are enough; the last takes everything. */
const windows = [60, 3_600, 86_400, 30 * 86_400, undefined] as const

export const traces = (options: HistoryOptions): TraceHistory["Service"] => {
  const t = sqlNames(options.names)
  const ask = asking(options)
  const sql = recent(t)
  return {
    getTrace: (traceId) =>
      Effect.gen(function*() {
        if (!/^[0-9a-fA-F]{32}$/.test(traceId)) {
          return yield* invalid("traceId", `is ${JSON.stringify(String(traceId).slice(0, 40))}: pass the trace's 32 hex digits`)
        }
        const id = traceId.toLowerCase()
        const rows = yield* ask(
          `select start_ns, span_ids, parent_ids, operations, starts, durations, statuses, messages, attributes, events, links
            from ${t.trace_part} where replace(trace_id::text, '-', '') = $1::text order by ts limit ${maxParts}`,
          [text(id)]
        )
        if (rows.length === 0) return undefined
        const operations = yield* operationsOf(ask, t, rows)
        const spans = rows.flatMap((row) => spansOf(id, row, operations))
        return { traceId: id, spans: spans.sort((a, b) => (a.startTime < b.startTime ? -1 : a.startTime > b.startTime ? 1 : 0)) } satisfies StoredTrace
      }),
    getRecentTraces: (query = {}) =>
      Effect.gen(function*() {
        const limit = clamp(query.limit, 1, 1_000, 20)
        const status = query.status
        if (status !== undefined && status !== "OK" && status !== "ERROR") return yield* invalid("status", "must be \"OK\" or \"ERROR\"")
        for (const seconds of windows) {
          const rows = yield* ask(sql, [
            int4(seconds ?? null),
            int4(limit),
            text(query.serviceName === undefined ? null : clean(query.serviceName, 255)),
            text(status ?? null)
          ])
          if (rows.length >= limit || seconds === undefined) return rows.map(summaryOf)
        }
        return []
      })
  }
}

/**
 * `$1` seconds to look back or null, `$2` limit, `$3` service or null, `$4` status or null. A trace counts by its first start;
 * its rows are looked for up to a day before the window.
 */
const recent = (t: Sql): string =>
  `with range as materialized (select coalesce(now() - make_interval(secs => $1::int4), '-infinity') as begins),
  candidate as (
    select distinct replace(trace_id::text, '-', '') as id from ${t.trace_part}
    where ts >= (select begins from range)
  ),
  whole as (
    select c.id, min(p.start_ns) as start_ns, max(p.end_ns) as end_ns, sum(p.span_count)::int4 as span_count,
      sum(p.error_count)::int4 as error_count, min(p.ts) as ts,
      (array_agg(p.root_operation order by p.root desc, p.start_ns))[1] as operation,
      bool_or(p.operations && (select array_agg(id) from ${t.operation} where service = $3::text)) as of_service
    from candidate c join ${t.trace_part} p on replace(p.trace_id::text, '-', '') = c.id
    where p.ts >= (select begins - interval '1 day' from range)
    group by c.id
  )
  select w.id, w.start_ns, w.end_ns, w.span_count, w.error_count, o.name, o.service
  from whole w join ${t.operation} o on o.id = w.operation
  where w.ts >= (select begins from range) and ($3::text is null or w.of_service)
    and ($4::text is null or (w.error_count > 0) = ($4::text = 'ERROR'))
  order by w.start_ns desc limit $2::int4`

const summaryOf = (row: Row): TraceSummary => {
  const errorCount = Number(row["error_count"])
  return {
    traceId: String(row["id"]),
    name: String(row["name"]),
    serviceName: String(row["service"]),
    startTime: row["start_ns"] as bigint,
    duration: (row["end_ns"] as bigint) - (row["start_ns"] as bigint),
    spanCount: Number(row["span_count"]),
    errorCount,
    status: errorCount > 0 ? "ERROR" : "OK"
  }
}

const operationsOf = (ask: Ask, t: Sql, rows: ReadonlyArray<Row>) => {
  const ids = new Set(rows.flatMap((row) => row["operations"] as ReadonlyArray<number>))
  return Effect.map(
    ask(`select id, service, name, kind from ${t.operation} where id = any($1::int4[])`, [int4s(Int32Array.from(ids))]),
    (found) => new Map(found.map((row) => [row["id"] as number, row]))
  )
}

const spansOf = (traceId: string, row: Row, operations: ReadonlyMap<number, Row>): ReadonlyArray<StoredSpan> => {
  const column = <A>(name: string) => row[name] as ReadonlyArray<A>
  const optional = <A>(name: string) => row[name] as ReadonlyArray<A> | null
  return column<bigint>("span_ids").map((spanId, i) => {
    const operation = operations.get(column<number>("operations")[i]!)
    const parent = column<bigint>("parent_ids")[i]!
    const startTime = (row["start_ns"] as bigint) + column<bigint>("starts")[i]!
    return {
      traceId,
      spanId: Encoding.fromInt8(spanId),
      parentSpanId: parent === 0n ? undefined : Encoding.fromInt8(parent),
      name: String(operation?.["name"] ?? ""),
      kind: Encoding.spanKinds[Number(operation?.["kind"] ?? 0)] ?? "internal",
      serviceName: String(operation?.["service"] ?? ""),
      startTime,
      endTime: startTime + column<bigint>("durations")[i]!,
      status: Encoding.spanStatuses[column<number>("statuses")[i]!] ?? "unset",
      statusMessage: optional<string | null>("messages")?.[i] ?? undefined,
      attributes: new Map(Object.entries(column<Record<string, unknown>>("attributes")[i]!)),
      events: (optional<ReadonlyArray<StoredEvent> | null>("events")?.[i] ?? []).map((event): SpanEvent => ({
        name: event.n,
        time: startTime + BigInt(event.t),
        attributes: event.a
      })),
      links: (optional<ReadonlyArray<StoredLink> | null>("links")?.[i] ?? []).map((link): SpanLinkData => ({
        traceId: link.t,
        spanId: link.s,
        attributes: link.a
      })),
      // Neither is stored yet.
      droppedAttributes: 0,
      droppedEvents: 0,
      droppedLinks: 0,
      weight: 1,
      traceState: ""
    }
  })
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
