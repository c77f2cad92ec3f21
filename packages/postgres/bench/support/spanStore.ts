import type { SpanData } from "@effect-observability/core"
import { PgTypes } from "@effect/sql-pg"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { createGzip } from "node:zlib"
import * as Session from "../../src/internal/session.ts"
import type { Names } from "../../src/PostgresConfig.ts"
import * as SpanPacker from "../../src/spans/SpanPacker.ts"
import { freshNames, historyOf, startProcess } from "../../test/support/database.ts"
import { ask, number, type Server } from "./server.ts"
import { jsonLine, type Shop } from "./spanData.ts"

/** Spans of one service, stored by us and by chapter 9's schema on one server. */
export const serviceName = "api-service"

export interface SpanWriter {
  readonly names: Names
  readonly send: (spans: Arr.NonEmptyReadonlyArray<SpanData>) => Promise<void>
}

export const spanWriter = async (server: Server): Promise<SpanWriter> => {
  const names = freshNames()
  const process = await server.run(startProcess(server.target, names, { timeout: 60_000 }))
  let sent = 0
  return { names, send: (spans) => server.run(process.exportSpans(++sent, ...spans)) }
}

export const documentSpans = async (server: Server, schema: string): Promise<void> => {
  await ask(server, `create schema ${schema}`)
  await ask(server, `create table ${schema}.observability_spans (
    id serial primary key, trace_id varchar(36) not null, span_id varchar(36) not null, parent_span_id varchar(36), name varchar(255) not null,
    kind varchar(50) not null, service_name varchar(100) not null, start_time double precision not null, end_time double precision,
    duration double precision, status varchar(50) not null, status_message text, attributes jsonb, timestamp timestamp with time zone,
    unique (trace_id, span_id))`)
  await ask(server, `create index on ${schema}.observability_spans (trace_id)`)
  await ask(server, `create index on ${schema}.observability_spans (timestamp)`)
  await ask(server, `create table ${schema}.observability_span_events (
    id serial primary key, trace_id varchar(36) not null, span_id varchar(36) not null, name varchar(255) not null, timestamp double precision not null,
    attributes jsonb, created_at timestamp with time zone)`)
  await ask(server, `create index on ${schema}.observability_span_events (span_id)`)
  await ask(server, `create index on ${schema}.observability_span_events (trace_id)`)
}

const rowsPerStatement = 100

/** Statements of 100 rows that are not prepared: chapter 9 as it is written. */
export const insertSpans = (server: Server, schema: string, spans: ReadonlyArray<SpanData>): Promise<void> => {
  const seconds = (nanos: bigint) => Number(nanos) / 1e9
  const insert = (table: string, columns: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<unknown>>) =>
    Arr.chunksOf(rows, rowsPerStatement).map((part) => {
      const places = part.map((_, i) => `(${columns.map((__, j) => `$${columns.length * i + j + 1}`).join(", ")})`).join(", ")
      return server.connection.query(`INSERT INTO ${schema}.${table} (${columns.join(", ")}) VALUES ${places}`, part.flat(), false)
    })
  const { float8, jsonb, text, timestamptz, varchar } = PgTypes
  const statements = [
    ...insert(
      "observability_spans",
      ["trace_id", "span_id", "parent_span_id", "name", "kind", "service_name", "start_time", "end_time", "duration", "status", "status_message", "attributes", "timestamp"],
      spans.map((span) => [
        varchar(span.traceId), varchar(span.spanId), varchar(span.parentSpanId ?? null), varchar(span.name), varchar(span.kind.toUpperCase()), varchar(serviceName),
        float8(seconds(span.startTime)), float8(seconds(span.endTime)), float8(seconds(span.endTime - span.startTime)), varchar(span.status === "error" ? "ERROR" : "OK"),
        text(span.statusMessage ?? null), jsonb(Object.fromEntries(span.attributes)), timestamptz(Number(span.startTime / 1_000_000n))
      ])
    ),
    ...insert(
      "observability_span_events",
      ["trace_id", "span_id", "name", "timestamp", "attributes", "created_at"],
      spans.flatMap((span) =>
        span.events.map((event) => [
          varchar(span.traceId), varchar(span.spanId), varchar(event.name), float8(seconds(event.time)), jsonb(event.attributes), timestamptz(Number(event.time / 1_000_000n))
        ])
      )
    )
  ]
  return server.run(Effect.forEach(statements, (statement) => statement, { discard: true }))
}

/** A flow of spans, a little later with each trace. */
export const spanSource = (shop: Shop, end: number, hours: number, traces: number) => {
  let at = BigInt(Math.round(end - hours * 3_600_000)) * 1_000_000n
  let rest: Array<SpanData> = []
  const step = (2 * hours * 3_600e9) / traces
  return {
    take: (count: number): Arr.NonEmptyReadonlyArray<SpanData> => {
      while (rest.length < count) {
        at += BigInt(Math.round(shop.random() * step))
        rest.push(...shop.trace(at))
      }
      const taken = rest.slice(0, count)
      rest = rest.slice(count)
      return taken as unknown as Arr.NonEmptyReadonlyArray<SpanData>
    }
  }
}

export interface Kept {
  readonly spans: number
  readonly traceIds: ReadonlyArray<string>
  readonly users: ReadonlyArray<string>
  /** Of the same spans as JSON lines, in the order in which they were written, by gzip -6. */
  readonly gzipBytes: number
}

/** Writes `count` spans by both ways. */
export const fill = async (server: Server, writer: SpanWriter, schema: string | undefined, shop: Shop, count: number): Promise<Kept> => {
  const source = spanSource(shop, Date.now() - 3_600_000, 40, count / 10)
  const gzip = createGzip({ level: 6 })
  let gzipBytes = 0
  gzip.on("data", (chunk: Buffer) => {
    gzipBytes += chunk.length
  })
  const traceIds = new Set<string>()
  const users = new Set<string>()
  for (let done = 0; done < count; done += 1_000) {
    const spans = source.take(1_000)
    await writer.send(spans)
    if (schema !== undefined) await insertSpans(server, schema, spans)
    if (!gzip.write(spans.map((span) => jsonLine(span, serviceName)).join(""))) await new Promise((drained) => gzip.once("drain", drained))
    traceIds.add(spans[0].traceId)
    for (const span of spans.slice(0, 20)) if (span.attributes.has("user_id")) users.add(String(span.attributes.get("user_id")))
  }
  await new Promise<void>((ended) => {
    gzip.end(() => ended())
  })
  return { spans: count, traceIds: [...traceIds], users: [...users], gzipBytes }
}

export const pack = (server: Server, names: Names, searchable: ReadonlySet<string>): Promise<SpanPacker.Packed> =>
  server.run(Effect.acquireUseRelease(
    Session.open(server.target, 600_000),
    (session) => Effect.tap(SpanPacker.pass(session, { names, searchable, minAge: 0, eager: true }), () => session.execute("analyze")),
    (session) => session.close
  ))

export const history = (server: Server, names: Names) => server.run(historyOf(server.target, names))

/** Bytes of tables with their indexes and large values. */
export const bytesOf = (server: Server, schema: string, pattern: string): Promise<number> =>
  number(server, `select sum(pg_total_relation_size(c.oid))::float8 from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = '${schema}' and c.relkind = 'r' and c.relname ~ '${pattern}'`)
