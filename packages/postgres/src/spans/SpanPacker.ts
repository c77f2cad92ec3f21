import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { type Sql, sqlNames } from "../internal/names.ts"
import { float8s, int2s, int4, int4s, int8, int8s, text, texts, uuids } from "../internal/parameters.ts"
import * as Partitions from "../internal/partitions.ts"
import type { Row, Session } from "../internal/session.ts"
import { attributesOf, durationsOf, operationsOf, parentsOf, startsOf } from "../migrations/0005_hot_spans.ts"
import type { Names } from "../PostgresConfig.ts"
import * as Packing from "./packing.ts"

/**
 * Repacks the spans of `obs_trace_part` that nobody adds to any more, chunk by chunk. A chunk is one transaction: the packed
 * rows come, are read back and compared with the rows they stand for, and those go; whoever reads sees either, never both and
 * never neither, and a crash leaves everything as it was. Any number of processes may try at once: one works.
 */

export interface PackerOptions {
  readonly names: Names
  /** Keys of attributes that get an index. */
  readonly searchable: ReadonlySet<string>
  /** Spans of one chunk. */
  readonly chunkSpans?: number
  /** Rows younger than this stay as they are, in seconds: a trace's last spans come late. */
  readonly minAge?: number
  /** Packs what there is, also if it fills no chunk. */
  readonly eager?: boolean
}

export interface Packed {
  readonly chunks: number
  readonly spans: number
  /** Why rows were left as they are although it was their turn; empty unless there is a bug in this toolkit. */
  readonly problems: ReadonlyArray<string>
}

const defaultChunkSpans = 16_384
const defaultMinAge = 600
/** Rows fetched at once, and how large their compressed texts may be to come with them; larger ones come span by span. */
const batch = 400
const largeText = 50_000
/** Characters held in memory for one chunk, about. */
const chunkCharacters = 24_000_000

/** One pass over all days. The session is the pass's alone. */
export const pass = (session: Session, options: PackerOptions): Effect.Effect<Packed, SqlError> =>
  Effect.gen(function*() {
    const total = { chunks: 0, spans: 0, problems: [] as Array<string> }
    for (const day of yield* days(session, options)) {
      let from = "(0,0)"
      while (true) {
        const done = yield* chunk(session, options, day, from)
        if (done === undefined) break
        from = done.last
        if (done.problem !== undefined) total.problems.push(done.problem)
        else {
          total.chunks++
          total.spans += done.spans
        }
      }
    }
    return total
  })

interface Day {
  /** The partitioned table: a role that may write there need not have rights on a partition that was made later. */
  readonly table: string
  /** What holds for the rows of the one partition: their places (`ctid`) tell them apart. */
  readonly within: string
  readonly day: string
  /** Its beginning, as the server reads it. */
  readonly start: string
  readonly finished: boolean
}

const days = (session: Session, { names }: PackerOptions): Effect.Effect<ReadonlyArray<Day>, SqlError> => {
  const t = sqlNames(names)
  return Effect.map(
    session.query(
      `select right(c.relname, 8) as day, to_char(to_date(right(c.relname, 8), 'YYYYMMDD'), 'YYYY-MM-DD') as start,
          to_char(to_date(right(c.relname, 8), 'YYYYMMDD') + 1, 'YYYY-MM-DD') as next, right(c.relname, 8) < to_char(now() at time zone 'UTC', 'YYYYMMDD') as finished
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        join pg_class p on p.oid = i.inhparent
        join pg_namespace n on n.oid = p.relnamespace
        where n.nspname = $1 and p.relname = 'obs_trace_part' and c.relname ~ '_p[0-9]{8}$' order by c.relname`,
      [text(names.schema)]
    ),
    (rows) => rows.map((row) => {
      const start = `${row["start"]} 00:00:00+00`
      // Constants, so that the planner sees the one partition.
      const within = `ts >= '${start}' and ts < '${row["next"]} 00:00:00+00'`
      return { table: t.trace_part, within, day: String(row["day"]), start, finished: row["finished"] === true }
    })
  )
}

interface Found extends Packing.Part {
  readonly ctid: string
}

interface Done {
  /** Where the next chunk begins. */
  readonly last: string
  readonly spans: number
  readonly problem: string | undefined
}

/** Packs the next chunk after `from`; `undefined` when there is none, or when another process is at it. */
const chunk = (session: Session, options: PackerOptions, day: Day, from: string): Effect.Effect<Done | undefined, SqlError> => {
  const { names } = options
  const wanted = options.chunkSpans ?? defaultChunkSpans
  const minAge = options.minAge ?? defaultMinAge
  return Partitions.ensure(session, names, new Map([["trace_pack", new Set([day.day])], ["span_pack", new Set([day.day])]] as const)).pipe(
    Effect.andThen(Partitions.transaction(
      session,
      Effect.gen(function*() {
        const mine = yield* session.query("select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as mine", [text(lockName(names))])
        if (mine[0]?.["mine"] !== true) return undefined
        if (!day.finished && options.eager !== true) {
          const waiting = yield* session.query(
            `select coalesce(sum(span_count), 0)::int8 as spans
              from (select span_count from ${day.table} where ${day.within} and ctid > $1::tid and ts < now() - make_interval(secs => $2::int4) limit $3::int4) w`,
            [text(from), int4(minAge), int4(wanted)]
          )
          if (Number(waiting[0]!["spans"]) < wanted) return undefined
        }
        const found = yield* collect(session, sqlNames(names), day, from, minAge, wanted)
        if (found.length === 0) return undefined
        const last = found.at(-1)!.ctid
        const parts = found.toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
        const spans = parts.reduce((sum, part) => sum + part.spanIds.length, 0)
        const problem = yield* exchange(session, options, day, parts)
        return { last, spans, problem }
      })
    ))
  )
}

/** What deletion and packing take in turn, so that nobody packs what is being deleted. */
export const lockName = (names: Names): string => `effect-observability spans ${names.schema}`

export interface Trial {
  readonly spans: number
  /** Of each. */
  readonly bytes: number
}

/**
 * Packs up to `most` spans that wait into tables that go with the transaction, and gives the bytes each takes there. `undefined` when none
 * waits. The spans stay as they are; no writer waits. Fails in a transaction that may only read, or without the right to temporary tables.
 */
export const trial = (session: Session, { names, searchable }: PackerOptions, most: number): Effect.Effect<Trial | undefined, SqlError> =>
  Effect.gen(function*() {
    const t = sqlNames(names)
    let found: ReadonlyArray<Found> = []
    let start = ""
    for (const day of (yield* days(session, { names, searchable })).toReversed()) {
      // Also what came a moment ago.
      found = yield* collect(session, t, day, "(0,0)", -3 * 86_400, most)
      start = day.start
      if (found.length > 0) break
    }
    if (found.length === 0) return undefined
    const parts = found.toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
    yield* session.execute("begin")
    const spans = parts.reduce((sum, part) => sum + part.spanIds.length, 0)
    const size = Effect.map(
      session.query("select (pg_total_relation_size('pg_temp.obs_trial_trace_pack') + pg_total_relation_size('pg_temp.obs_trial_span_pack'))::int8 as bytes"),
      (rows) => Number(rows[0]!["bytes"])
    )
    return yield* Effect.gen(function*() {
      for (const table of ["trace_pack", "span_pack"] as const) {
        yield* session.execute(`create temporary table obs_trial_${table} (like ${t[table]} including storage including compression including indexes) with (toast_tuple_target = 128)`)
      }
      const empty = yield* size
      const there = { ...t, trace_pack: "pg_temp.obs_trial_trace_pack", span_pack: "pg_temp.obs_trial_span_pack" }
      for (const row of Packing.packTraces(parts)) yield* session.query(insertTraces(there), traceParameters(start, 0n, row))
      for (const row of Packing.packSpans(parts, searchable)) yield* session.query(insertSpans(there), spanParameters(start, 0n, row))
      return { spans, bytes: ((yield* size) - empty) / spans }
    }).pipe(Effect.ensuring(Effect.ignore(session.execute("rollback"))))
  })

/** Inserts the packed rows, compares, deletes. A difference undoes it all and is returned as a sentence. */
const exchange = (session: Session, options: PackerOptions, day: Day, parts: ReadonlyArray<Found>): Effect.Effect<string | undefined, SqlError> =>
  Effect.gen(function*() {
    const t = sqlNames(options.names)
    yield* session.execute("savepoint packing")
    const chunk = (yield* session.query(`select nextval(${t.rowId}) as id`))[0]!["id"] as bigint
    yield* agreeOnSearchable(session, options, chunk)
    for (const row of Packing.packTraces(parts)) yield* session.query(insertTraces(t), traceParameters(day.start, chunk, row))
    for (const row of Packing.packSpans(parts, options.searchable)) yield* session.query(insertSpans(t), spanParameters(day.start, chunk, row))
    const ctids = texts(parts.map((part) => part.ctid))
    const compared = (yield* session.query(compare(t), [text(day.start), int8(chunk), ctids]))[0]!
    const spans = parts.reduce((sum, part) => sum + part.spanIds.length, 0)
    const equal = ["parts", "same_parts"].every((field) => Number(compared[field]) === parts.length) &&
      ["spans", "same_spans"].every((field) => Number(compared[field]) === spans)
    const deleted = equal
      ? (yield* session.query(`delete from ${day.table} where ${day.within} and ctid = any($1::text[]::tid[]) returning 1`, [ctids])).length
      : 0
    if (deleted === parts.length) return undefined
    yield* session.execute("rollback to savepoint packing")
    return equal
      ? "rows went away while they were packed"
      : `${spans} spans of ${day.day} read back differently when packed (${JSON.stringify(compared, (_, one) => typeof one === "bigint" ? Number(one) : one)}): left as they are`
  })

/** Chunks from this one on have an index for exactly these keys. */
const agreeOnSearchable = (session: Session, options: PackerOptions, chunk: bigint): Effect.Effect<void, SqlError> => {
  const t = sqlNames(options.names)
  const keys = texts([...options.searchable].sort())
  return Effect.andThen(
    session.query(`delete from ${t.searchable} where key <> all ($1::text[])`, [keys]),
    session.query(`insert into ${t.searchable} (key, since) select key, $2::int8 from unnest($1::text[]) as key on conflict do nothing`, [keys, int8(chunk)])
  )
}

const collect = (session: Session, t: Sql, day: Day, from: string, minAge: number, wanted: number): Effect.Effect<ReadonlyArray<Found>, SqlError> =>
  Effect.gen(function*() {
    const found: Array<Found> = []
    let after = from
    let spans = 0
    let characters = 0
    while (spans < wanted && characters < chunkCharacters) {
      const rows = yield* session.query(selectParts(t, day), [text(after), int4(minAge), int4(Math.min(batch, wanted - spans))])
      for (const row of rows) {
        const part = partOf(row, row["small"] === true ? row : yield* largeTexts(session, t, day, String(row["ctid"])))
        found.push(part)
        spans += part.spanIds.length
        for (const attributes of part.attributes) characters += attributes.length
        for (const events of part.events ?? []) characters += events?.length ?? 0
      }
      if (rows.length === 0) break
      after = String(rows.at(-1)!["ctid"])
    }
    return found
  })

const selectParts = (t: Sql, day: Day): string =>
  `select ctid::text, id, (extract(epoch from ts) * 1000000)::int8 as time, start_ns, end_ns, replace(trace_id::text, '-', '') as trace_id, lane,
    root_operation, root, error_count, span_ids, ${parentsOf} as parent_ids, ${operationsOf} as operations, ${startsOf} as starts, ${durationsOf} as durations,
    coalesce(statuses, array_fill(0::int2, array[span_count])) as statuses, weights, lost_attributes, lost_events, lost_links, small, messages, states,
    case when small then (${attributesOf(t)})::text[] end as attributes,
    case when small then events::text[] end as events,
    case when small then links::text[] end as links
  from (
    select *, coalesce(pg_column_size(attributes), 0) + coalesce(pg_column_size(texts), 0) + coalesce(pg_column_size(events), 0)
      + coalesce(pg_column_size(links), 0) < ${largeText} as small, ctid
    from ${day.table} where ${day.within} and ctid > $1::tid and ts < now() - make_interval(secs => $2::int4) limit $3::int4) p`

/** The texts of a row that would be too large for one message. */
const largeTexts = (session: Session, t: Sql, day: Day, ctid: string): Effect.Effect<Row, SqlError> =>
  Effect.map(
    session.query(
      `select s.attributes::text, s.events::text, s.links::text, s.message, s.state
        from ${day.table} p cross join lateral unnest(${attributesOf(t)}, p.events, p.links, p.messages, p.states) with ordinality
          as s(attributes, events, links, message, state, i)
        where ${day.within} and p.ctid = $1::tid order by s.i`,
      [text(ctid)]
    ),
    (rows) => {
      const column = (name: string) => rows.map((row) => row[name])
      return {
        attributes: column("attributes"), events: column("events"), links: column("links"), messages: column("message"), states: column("state")
      }
    }
  )

const partOf = (row: Row, texts: Row): Found => ({
  ctid: String(row["ctid"]),
  id: row["id"] as bigint,
  time: row["time"] as bigint,
  start: row["start_ns"] as bigint,
  end: row["end_ns"] as bigint,
  traceId: String(row["trace_id"]),
  lane: row["lane"] as number,
  rootOperation: row["root_operation"] as number,
  root: row["root"] === true,
  errors: row["error_count"] as number,
  spanIds: row["span_ids"] as Array<bigint>,
  parentIds: row["parent_ids"] as Array<bigint>,
  operations: row["operations"] as Array<number>,
  starts: row["starts"] as Array<bigint>,
  durations: row["durations"] as Array<bigint>,
  statuses: row["statuses"] as Array<number>,
  weights: row["weights"] as Array<number> | null,
  lostAttributes: row["lost_attributes"] as Array<number> | null,
  lostEvents: row["lost_events"] as Array<number> | null,
  lostLinks: row["lost_links"] as Array<number> | null,
  attributes: texts["attributes"] as Array<string>,
  events: texts["events"] as Array<string | null> | null,
  links: texts["links"] as Array<string | null> | null,
  messages: texts["messages"] as Array<string | null> | null,
  states: texts["states"] as Array<string | null> | null
})

const insertTraces = (t: Sql): string =>
  `insert into ${t.trace_pack} (ts, chunk, first, format, base_id, base_ns, ids, trace_ids, starts, lengths, lanes, operations, roots, ends, errors,
    times, span_ids)
  values ($1::text::timestamptz, $2::int8, $3::int4, 1, $4::int8, $5::int8, $6::int8[], $7::uuid[], $8::int8[], $9::int8[], $10::int4[], $11::int4[],
    $12::bool[], $13::int4[], $14::int4[], $15::int8[], $16::int8[])`

const traceParameters = (ts: string, chunk: bigint, row: Packing.TracePack): ReadonlyArray<unknown> => [
  text(ts), int8(chunk), int4(row.first), int8(row.baseId), int8(row.baseNs), int8s(row.ids), uuids(row.traceIds), int8s(row.starts),
  int8s(row.lengths), int4s(row.lanes), int4s(row.operations), row.roots, int4s(row.ends), int4s(row.errors), int8s(row.times), int8s(row.spanIds)
]

const insertSpans = (t: Sql): string =>
  `insert into ${t.span_pack} (ts, chunk, operation, n, least_ns, most_ns, longest, errors, parts, places, parents, strangers, operations, unit,
    s4, s8, d4, d8, statuses, weights, lost_attributes, lost_events, lost_links, fixed, names, cols, messages, events, links, states, keys)
  values ($1::text::timestamptz, $2::int8, $3::int4, $4::int4, $5::int8, $6::int8, $7::int8, $8::int4, $9::int2[], $10::int2[], $11::int2[], $12::int8[],
    $13::int4[], $14::int8, $15::int4[], $16::int8[], $17::int4[], $18::int8[], $19::int2[], $20::float8[], $21::int4[], $22::int4[], $23::int4[],
    $24::text, $25::text[], $26::text[], $27::text, $28::text, $29::text, $30::text, $31::int4[])`

const spanParameters = (ts: string, chunk: bigint, row: Packing.SpanPack): ReadonlyArray<unknown> => [
  text(ts), int8(chunk), int4(row.operation), int4(row.n), int8(row.leastNs), int8(row.mostNs), int8(row.longest), int4(row.errors), int2s(row.parts),
  int2s(row.places), int2s(row.parents), int8s(row.strangers), int4s(row.operations), int8(row.unit), int4s(row.s4), int8s(row.s8), int4s(row.d4),
  int8s(row.d8), int2s(row.statuses), float8s(row.weights), int4s(row.lostAttributes), int4s(row.lostEvents), int4s(row.lostLinks), text(row.fixed),
  texts(row.names), texts(row.cols), text(row.messages), text(row.events), text(row.links), text(row.states), int4s(row.keys)
]

/**
 * `$1` day, `$2` chunk, `$3` the rows it stands for. Counts what the chunk holds, and what of it is the same in both forms, to
 * the letter: reading goes through the views that everybody reads through.
 */
const compare = (t: Sql): string => {
  const partColumns = "ts, trace_id, start_ns, end_ns, lane, root_operation, root, span_count, error_count"
  const spanColumns = `ts, trace_id, lane, span_id, parent_id, operation, start_ns, duration, status, message, attributes::text, events::text, links::text,
    weight, state, lost_attributes, lost_events, lost_links`
  const of = (alias: string, columns: string) => columns.split(",").map((column) => `${alias}.${column.trim()}`).join(", ")
  const rows = `h.ts >= $1::text::timestamptz and h.ts < $1::text::timestamptz + interval '1 day' and h.at = any($3::text[]::tid[])`
  return `with
    parts as materialized (select * from ${t.cold_part} where day = $1::text::timestamptz and chunk = $2::int8),
    spans as materialized (select * from ${t.cold_span} where day = $1::text::timestamptz and chunk = $2::int8),
    hot_parts as materialized (select * from ${t.hot_part} h where ${rows}),
    hot_spans as materialized (select * from ${t.hot_span} h where ${rows})
  select
    (select count(*) from parts) as parts,
    (select count(*) from parts c join hot_parts h on h.id = c.id and (${of("h", partColumns)}) is not distinct from (${of("c", partColumns)})) as same_parts,
    (select count(*) from spans) as spans,
    (select count(*) from spans c join hot_spans h on h.part_id = c.part_id and h.place = c.place
      and (${of("h", spanColumns)}) is not distinct from (${of("c", spanColumns)})) as same_spans`
}
