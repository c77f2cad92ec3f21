import { Exporter } from "@effect-observability/core"
import type { SpanData } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { fence, type Lane, type Link } from "./internal/Lane.ts"
import { type Sql, sqlNames } from "./internal/names.ts"
import { float8s, hexInt8s, int2s, int4s, int8s, text, texts, uuids } from "./internal/parameters.ts"
import { dayOf } from "./internal/partitions.ts"
import type { Session } from "./internal/session.ts"
import * as Encoding from "./PostgresEncoding.ts"
import type { Names } from "./PostgresConfig.ts"
import { Shapes, type Template } from "./spans/Shapes.ts"
import * as SpanRows from "./spans/spanRows.ts"

export interface SpansOptions {
  readonly names: Names
  readonly lane: Lane
  readonly service: string
  /** Keys whose values stand with their spans only. */
  readonly searchable: ReadonlySet<string>
  readonly retentionDays: () => number
}

/** Stores spans: a row per trace and batch, one statement per batch. */
export const make = (options: SpansOptions): Exporter.Exporter<SpanData> => {
  const t = sqlNames(options.names)
  const sql = insertParts(t)
  const operations = new Operations(t, options.service)
  const shapes = new Shapes(options.searchable)
  const templates = new Templates(t)
  return {
    export: (batch, attempt) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.as(
          options.lane.send(attempt, (link) => {
            const parts = Encoding.parts(batch)
            const lines = SpanRows.lines(parts, shapes)
            return Effect.map(Effect.andThen(operations.resolve(link, batch), templates.resolve(link, lines.templates, now)), () => {
              const ts = Float64Array.from(parts, (part) => clamp(Number(part.start / 1_000n) / 1e6, now / 1e3, options.retentionDays()))
              return {
                sql,
                parameters: parameters(ts, SpanRows.columns(parts, lines, (span) => operations.idOf(span), (template) => templates.idOf(template))),
                partitions: () => new Map([["trace_part", new Set(Array.from(ts, (seconds) => dayOf(seconds * 1_000)))]] as const)
              }
            })
          }),
          Exporter.complete
        )),
    giveUp: options.lane.giveUp
  }
}

const day = 86_400

/**
 * The time that decides a row's partition, in seconds: the trace's start, unless a wrong clock or a very old span would ask for
 * a day that is gone or has not come. The exact start is stored beside it.
 */
const clamp = (seconds: number, now: number, retentionDays: number): number =>
  Math.min(Math.max(seconds, now - Math.max(0, retentionDays - 1) * day), now + day)

const insertParts = (t: Sql): string => {
  const slice = (parameter: number, type: string, flag: number) => `case when u.flags & ${flag} <> 0 then ($${parameter}::${type}[])[a:b] end`
  const { has } = SpanRows
  return `${fence(t)}
, stored as (
  insert into ${t.trace_part} (ts, seq, start_ns, end_ns, trace_id, lane, root_operation, span_count, error_count, root,
    span_ids, numbers, strangers, texts, starts, durations, statuses, messages, events, links, weights, states, lost_attributes, lost_events, lost_links)
  select to_timestamp(u.ts), $2::int8, u.start_ns, u.end_ns, u.trace_id, lane.id, u.root_operation, u.b - u.a + 1, u.errors, u.flags & ${has.root} <> 0,
    ($12::int8[])[a:b], ($13::int4[])[(a - 1) * ${SpanRows.width} + 1 : b * ${SpanRows.width}],
    case when u.c <= u.d then ($14::int8[])[c:d] end, u.texts,
    ${slice(18, "int8", has.wide)}, ${slice(19, "int8", has.wide)}, ${slice(20, "int2", has.statuses)}, ${slice(21, "text", has.messages)},
    ${slice(22, "text", has.events)}::jsonb[], ${slice(23, "text", has.links)}::jsonb[], ${slice(24, "float8", has.weights)}, ${slice(25, "text", has.states)},
    ${slice(26, "int4", has.lostAttributes)}, ${slice(27, "int4", has.lostEvents)}, ${slice(28, "int4", has.lostLinks)}
  from lane, unnest($4::float8[], $5::int8[], $6::int8[], $7::uuid[], $8::int4[], $9::int4[], $10::int4[], $11::int4[], $15::int4[],
    $16::int4[], $17::int4[], string_to_array($29::text, E'\\x1e'))
    as u(ts, start_ns, end_ns, trace_id, root_operation, errors, flags, a, b, c, d, texts)
)
select id from lane`
}

const parameters = (ts: Float64Array, c: SpanRows.SpanColumns): ReadonlyArray<unknown> => [
  float8s(ts),
  int8s(c.start),
  int8s(c.end),
  uuids(c.traceIds),
  int4s(c.rootOperation),
  int4s(c.errors),
  int4s(c.flags),
  int4s(c.from),
  hexInt8s(c.spanIds),
  int4s(c.numbers),
  int8s(c.strangers),
  int4s(c.to),
  int4s(c.strange?.from ?? null),
  int4s(c.strange?.to ?? null),
  int8s(c.starts),
  int8s(c.durations),
  int2s(c.statuses),
  texts(c.messages),
  texts(c.events),
  texts(c.links),
  float8s(c.weights),
  texts(c.states),
  int4s(c.lostAttributes),
  int4s(c.lostEvents),
  int4s(c.lostLinks),
  text(c.texts)
]

/** Operations remembered before the memory starts anew: a program that puts ids into span names must not fill it. */
const remembered = 20_000

class Operations {
  private readonly t: Sql
  private readonly service: string
  /** Numbers are asked for anew on every connection: a server that crashed with commits under way may have lost them. */
  private session: Session | undefined
  /** By kind, then by name: a key of both would be made for every span. */
  private ids = new Map<SpanData["kind"], Map<string, number>>()
  private size = 0

  constructor(t: Sql, service: string) {
    this.t = t
    this.service = service
  }

  idOf(span: SpanData): number {
    return this.ids.get(span.kind)!.get(span.name)!
  }

  resolve(link: Link, batch: ReadonlyArray<SpanData>): Effect.Effect<void, SqlError> {
    if (this.session !== link.session || this.size > remembered) {
      this.ids = new Map()
      this.size = 0
    }
    this.session = link.session
    const wanted = new Map<string, { readonly span: SpanData; readonly row: Encoding.OperationRow }>()
    for (const span of batch) {
      if (this.ids.get(span.kind)?.has(span.name)) continue
      const key = `${span.kind} ${span.name}`
      if (!wanted.has(key)) wanted.set(key, { span, row: Encoding.operation(this.service, span.name, span.kind) })
    }
    if (wanted.size === 0) return Effect.void
    const rows = [...new Map([...wanted.values()].map(({ row }) => [row.hash, row])).values()].sort((a, b) => (a.hash < b.hash ? -1 : 1))
    const hashes = uuids(rows.map((row) => row.hash))
    return link.session.query(
      `insert into ${this.t.operation} (hash, service, name, kind)
        select n.hash, n.service, n.name, n.kind from unnest($1::uuid[], $2::text[], $3::text[], $4::int2[]) as n(hash, service, name, kind)
        where not exists (select 1 from ${this.t.operation} o where o.hash = n.hash)
        on conflict (hash) do nothing`,
      [hashes, texts(rows.map((row) => row.service)), texts(rows.map((row) => row.name)), int2s(Int16Array.from(rows, (row) => row.kind))]
    ).pipe(
      Effect.andThen(link.session.query(
        `select id, replace(hash::text, '-', '') as hash from ${this.t.operation} where hash = any($1::uuid[])`,
        [hashes]
      )),
      Effect.map((found) => {
        const ids = new Map(found.map((row) => [row["hash"], row["id"] as number]))
        for (const { row, span } of wanted.values()) {
          let names = this.ids.get(span.kind)
          if (names === undefined) this.ids.set(span.kind, names = new Map())
          names.set(span.name, ids.get(row.hash)!)
          this.size++
        }
      })
    )
  }
}

/** How long a template is known to be there: the server keeps those that were asked for within days. */
const templateMillis = 86_400_000

/** The numbers of the templates, as the server has them. */
class Templates {
  private readonly t: Sql
  /** Numbers are asked for anew on every connection: a server that crashed with commits under way may have lost them. */
  private session: Session | undefined
  private since = 0
  private ids = new Map<string, number>()

  constructor(t: Sql) {
    this.t = t
  }

  idOf(template: Template): number {
    return this.ids.get(template.hash)!
  }

  resolve(link: Link, used: ReadonlyArray<Template | undefined>, now: number): Effect.Effect<void, SqlError> {
    if (this.session !== link.session || Math.abs(now - this.since) > templateMillis) {
      this.ids = new Map()
      this.since = now
    }
    this.session = link.session
    const wanted = new Map<string, Template>()
    for (const template of used) if (template !== undefined && !this.ids.has(template.hash)) wanted.set(template.hash, template)
    if (wanted.size === 0) return Effect.void
    const rows = [...wanted.values()].sort((a, b) => (a.hash < b.hash ? -1 : 1))
    return Effect.map(
      link.session.query(
        `insert into ${this.t.shape} as s (hash, template) select n.hash, n.template from unnest($1::uuid[], $2::text[]) as n(hash, template)
          on conflict (hash) do update set seen_at = now()
          returning s.id, replace(s.hash::text, '-', '') as hash`,
        [uuids(rows.map((row) => row.hash)), texts(rows.map((row) => row.text))]
      ),
      (found) => {
        for (const row of found) this.ids.set(String(row["hash"]), row["id"] as number)
      }
    )
  }
}
