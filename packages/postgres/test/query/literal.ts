import type { SpanData } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Session from "../../src/internal/session.ts"
import type { Names } from "../../src/PostgresConfig.ts"
import { Database, freshNames, startProcess } from "../support/database.ts"
import { packAt } from "../support/packed.ts"
import type { Random } from "../support/random.ts"
import { begin, grid, makeWorld, type World } from "./world.ts"

/** The document's tables of 9.1.1 as they stand there, `INDEX` inside of `CREATE TABLE` aside, which PostgreSQL does not know. */
const document = (schema: string): ReadonlyArray<string> => [
  `create schema ${schema}`,
  `create table ${schema}.observability_metric_metadata (name varchar(255) primary key, type varchar(50) not null, help text, unit varchar(50),
    label_names jsonb, buckets jsonb, objectives jsonb, alert_threshold float, created_at timestamp with time zone)`,
  `create table ${schema}.observability_metrics (id serial primary key, name varchar(255) not null, type varchar(50) not null, value float not null,
    labels jsonb, timestamp timestamp with time zone)`,
  `create index on ${schema}.observability_metrics (name, timestamp)`,
  `create table ${schema}.observability_spans (id serial primary key, trace_id varchar(36) not null, span_id varchar(36) not null,
    parent_span_id varchar(36), name varchar(255) not null, kind varchar(50) not null, service_name varchar(100) not null,
    start_time double precision not null, end_time double precision, duration double precision, status varchar(50) not null,
    status_message text, attributes jsonb, timestamp timestamp with time zone, unique (trace_id, span_id))`,
  `create table ${schema}.observability_span_events (id serial primary key, trace_id varchar(36) not null, span_id varchar(36) not null,
    name varchar(255) not null, timestamp double precision not null, attributes jsonb, created_at timestamp with time zone)`
]

/** The same data in a store of ours and in the document's tables. */
export interface Twins {
  readonly names: Names
  readonly literal: string
  readonly ask: (sql: string) => Effect.Effect<ReadonlyArray<Session.Row>>
  readonly metricRows: number
  readonly spans: number
}

/** Moments of the world: its first hour gets packed, the rest stays in frames. */
const length = 320

export const makeTwins = (random: Random): Effect.Effect<Twins, never, Database | Scope.Scope> =>
  Effect.gen(function*() {
    const { target } = yield* Database
    const names = freshNames()
    const literal = `${names.schema}_literal`
    const session = yield* Effect.acquireRelease(Session.open(target, 120_000), (open) => open.close)
    const world = makeWorld(random, length)
    const spans = makeSpans(random)
    yield* startProcess(target, names)
    for (const frames of world.writers) {
      yield* Effect.scoped(Effect.flatMap(startProcess(target, names), ({ exportFrames }) => exportFrames(1, ...frames)))
    }
    yield* Effect.scoped(Effect.gen(function*() {
      const { exportSpans } = yield* startProcess(target, names)
      for (let n = 0; n * 50 < spans.length; n++) yield* exportSpans(n + 1, ...spans.slice(n * 50, n * 50 + 50) as [SpanData, ...Array<SpanData>])
    }))
    yield* packAt(target, names, (begin + 4_000) * 1000)
    for (const statement of document(literal)) yield* session.execute(statement)
    const rows = metricRows(world)
    yield* fill(session, `${literal}.observability_metrics`, "name text, type text, value float, labels jsonb, timestamp timestamptz", rows)
    yield* fill(
      session,
      `${literal}.observability_spans`,
      `trace_id text, span_id text, parent_span_id text, name text, kind text, service_name text, start_time float, end_time float, duration float,
        status text, status_message text, attributes jsonb`,
      spans.map(spanRow)
    )
    yield* fill(
      session,
      `${literal}.observability_span_events`,
      "trace_id text, span_id text, name text, timestamp float, attributes jsonb",
      spans.flatMap(({ events, spanId, traceId }) =>
        events.map(({ attributes, name, time }) => ({ trace_id: traceId, span_id: spanId, name, timestamp: Number(time) / 1e9, attributes })))
    )
    for (const table of ["observability_metrics", "observability_spans", "observability_span_events"]) yield* session.execute(`analyze ${literal}.${table}`)
    return { names, literal, ask: (sql: string) => Effect.orDie(session.query(sql)), metricRows: rows.length, spans: spans.length }
  }).pipe(Effect.orDie)

const fill = (session: Session.Session, table: string, columns: string, rows: ReadonlyArray<object>) => {
  const names = columns.split(",").map((column) => column.trim().split(" ")[0]).join(", ")
  return Effect.forEach(
    Array.from({ length: Math.ceil(rows.length / 2_000) }, (_, i) => rows.slice(i * 2_000, i * 2_000 + 2_000)),
    (part) => session.query(`insert into ${table} (${names}) select ${names} from jsonb_to_recordset($1::text::jsonb) as r(${columns})`, [JSON.stringify(part)]),
    { discard: true }
  )
}

/** One row per series and flush: a counter's increase, a gauge's value, the sum of what a histogram observed. */
const metricRows = ({ writers }: World) =>
  writers.flatMap((frames) =>
    frames.flatMap(({ counters, endTime, gauges, histograms }) =>
      [
        ...counters.series.map((series, i) => ({ series, value: counters.values[i]! })),
        ...gauges.series.map((series, i) => ({ series, value: gauges.values[i]! })),
        ...histograms.series.map((series, i) => ({ series, value: histograms.sums[i]! }))
      ].filter(({ value }) => !Number.isNaN(value)).map(({ series: { definition, labelValues }, value }) => ({
        name: definition.name,
        type: definition.type,
        value,
        labels: Object.fromEntries(definition.labelNames.map((name, i) => [name, labelValues[i]!])),
        timestamp: new Date(endTime).toISOString()
      }))
    )
  )

export const operations = ["GET /orders", "POST /orders", "SELECT orders", "publish order"]
const kinds = ["internal", "server", "client", "producer", "consumer"] as const

const makeSpans = (random: Random): ReadonlyArray<SpanData> =>
  Array.from({ length: 400 }, (_, t) => {
    const traceId = (t + 1).toString(16).padStart(32, "c")
    const root = (t + 1).toString(16).padStart(16, "d")
    return Array.from({ length: random.int(1, 6) }, (_, n): SpanData => {
      // Whole microseconds: the document's double precision holds no more.
      const startTime = BigInt(begin + random.int(0, length * grid)) * 1_000_000_000n + BigInt(random.int(0, 999_999)) * 1_000n
      const status = random.pick(["unset", "ok", "error"] as const)
      return {
        traceId,
        spanId: n === 0 ? root : (t * 10 + n).toString(16).padStart(16, "e"),
        parentSpanId: n === 0 ? undefined : root,
        name: random.pick(operations),
        kind: random.pick(kinds),
        startTime,
        endTime: startTime + BigInt(random.int(1, 4_000_000)) * 1_000n,
        status,
        statusMessage: status === "error" ? random.pick(["boom", "it's \"late\"", "%_\\"]) : undefined,
        attributes: new Map<string, unknown>([["route", random.pick(["/a", "/b", null])], ["n", random.int(0, 9)], ["ok", random.chance(0.5)]]),
        events: Array.from({ length: random.chance(0.3) ? random.int(1, 3) : 0 }, (_, i) => ({
          name: random.pick(["exception", "retry", "cache.miss"]), time: startTime + BigInt(i) * 1_000n, attributes: { i, why: random.pick(["a", "b"]) }
        })),
        links: [],
        weight: 1,
        traceState: "",
        droppedAttributes: 0,
        droppedEvents: 0,
        droppedLinks: 0
      }
    })
  }).flat()

const spanRow = (span: SpanData) => ({
  trace_id: span.traceId,
  span_id: span.spanId,
  parent_span_id: span.parentSpanId ?? null,
  name: span.name,
  kind: span.kind.toUpperCase(),
  service_name: "api-service",
  start_time: Number(span.startTime) / 1e9,
  end_time: Number(span.endTime) / 1e9,
  duration: Number(span.endTime - span.startTime) / 1e9,
  status: span.status === "error" ? "ERROR" : "OK",
  status_message: span.statusMessage ?? null,
  attributes: Object.fromEntries(span.attributes)
})
