import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { describe } from "../internal/errors.ts"
import { type Sql, sqlNames } from "../internal/names.ts"
import * as Hours from "../internal/packing/hours.ts"
import { text, timestamptz } from "../internal/parameters.ts"
import type { Session } from "../internal/session.ts"
import type { Names } from "../PostgresConfig.ts"
import * as SpanPacker from "../spans/SpanPacker.ts"
import { type Kind, learn } from "./columns.ts"

/** Frames of one lane and table within the window. */
export interface LaneRate {
  readonly lane: number
  readonly table: "metric" | "histogram" | "summary"
  readonly frames: number
  /** Milliseconds they cover. */
  readonly covered: number
  /** Of all its frames, by column. */
  readonly bytes: ReadonlyArray<number>
  /** Series in its frames, at the middle of the window and at its end. */
  readonly seriesThen: number
  readonly seriesNow: number
  /** When its first and its last frame ended. */
  readonly first: number
  readonly last: number
}

/** Rows that come one by one, in the older and the newer half of the window. */
export interface RowRate {
  readonly rows: number
  readonly items: number
  /** Of a row's values. */
  readonly rowBytes: number
  readonly older: number
  readonly newer: number
}

/** One look at the store's last minutes. Nothing is written. */
export interface Look {
  readonly now: number
  readonly window: number
  readonly lanes: ReadonlyArray<LaneRate>
  /** By kind, learnt from the lanes with the most series. */
  readonly kinds: ReadonlyMap<number, Kind>
  /** Series by kind in the lists of those lanes. */
  readonly listed: ReadonlyMap<number, number>
  readonly spans: RowRate
  readonly errors: RowRate
  /** Spans packed, in truth or on trial, and what each takes; of a trial also with half as many. */
  readonly packedSpans: (SpanPacker.Trial & { readonly half?: SpanPacker.Trial | undefined }) | undefined
  /** What one more series takes where labels are kept. */
  readonly seriesBytes: number
  readonly storeBytes: number
  readonly databaseBytes: number | undefined
  /** Bytes of WAL ever written by the server. */
  readonly wal: number | undefined
  readonly notes: ReadonlyArray<string>
}

export interface LookOptions {
  readonly names: Names
  readonly searchable: ReadonlySet<string>
  /** Milliseconds; how far back it looks. */
  readonly window: number
  /** Default: the server's clock. */
  readonly now?: number
  /** Whether spans may be packed on trial, which needs temporary tables. */
  readonly trial: boolean
}

/** Values of series that are looked at, over all kinds of a lane. */
const sampled = 120_000
/** Spans that are packed on trial. */
const trialSpans = 4_096
const countedPages = 2_000
/** So many packed today tell what the next ones take. */
const enoughSpans = 3 * 16_384
const lanesLearntFrom = 3

export const look = (session: Session, options: LookOptions): Effect.Effect<Look, SqlError> =>
  Effect.gen(function*() {
    const t = sqlNames(options.names)
    const notes: Array<string> = []
    const now = options.now ?? Number((yield* session.query("select (extract(epoch from now()) * 1000)::int8 as now"))[0]!["now"])
    const range = [timestamptz(now - options.window), timestamptz(now)]
    const lanes: Array<LaneRate> = []
    for (const [table, columns, cards] of tablesOf) {
      const rows = yield* session.query(laneRates(t[`${table}_frame`], columns, cards), [...range, timestamptz(now - options.window / 2)])
      for (const row of rows) {
        const number = (name: string) => Number(row[name] ?? 0)
        lanes.push({
          lane: row["lane"] as number, table, frames: number("frames"), covered: number("covered"), bytes: (row["bytes"] as ReadonlyArray<number>).map(Number),
          seriesThen: number("series_then"), seriesNow: number("series_now"), first: number("first"), last: number("last")
        })
      }
    }
    const { kinds, listed } = yield* learnFrom(session, t, lanes, now - options.window, now)
    // Just after a start the halves are those of what there is.
    const began = Math.max(now - options.window, Math.min(now, ...lanes.map((lane) => lane.first - lane.covered / Math.max(1, lane.frames))))
    const middle = ((lanes.length === 0 ? now - options.window : began) + now) / 2
    const asWritten = yield* rowRate(session, { table: t.trace_part, items: "span_count", columns: spanColumns }, range, middle)
    const saved = asWritten.rows === 0 ? 0 : yield* toBeLearnt(session, t, range, asWritten.rows, Math.max(0.1, (2 * (now - middle)) / 60_000))
    const spans = { ...asWritten, rowBytes: Math.max(0.3 * asWritten.rowBytes, asWritten.rowBytes - saved) }
    const errors = yield* rowRate(session, { table: t.error_event, items: "1 + 0 * seq", columns: errorColumns }, range, middle)
    const packedSpans = spans.items === 0 ? undefined : yield* packedSpanBytes(session, t, options, now).pipe(
      Effect.catch((error) => Effect.sync(() => {
        notes.push(`packed spans are guessed: ${describe(error)}`)
        return undefined
      }))
    )
    const sizes = (yield* session.query(
      `select coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 as bytes,
          coalesce(sum(pg_total_relation_size(c.oid)) filter (where c.relname in ('obs_series', 'obs_lane_series')), 0)::int8 as dictionaries
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r' and c.relname ~ '^obs_'`,
      [text(options.names.schema)]
    ))[0]!
    const known = Number((yield* session.query(`select count(*)::int8 as n from ${t.series}`))[0]!["n"])
    // Asked so that nothing fails: in a transaction of the caller's a failure would end it.
    const server = (yield* session.query(
      `select case when has_database_privilege(current_database(), 'CONNECT') or pg_has_role('pg_read_all_stats', 'USAGE')
          then pg_database_size(current_database()) end::int8 as database,
        case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') end::int8 as wal`
    ))[0]!
    if (server["database"] === null) notes.push("the role may not ask for the size of the database: that of the store stands for it")
    return {
      now,
      window: options.window,
      lanes,
      kinds,
      listed,
      spans,
      errors,
      packedSpans,
      // Empty, the two take a page for each index.
      seriesBytes: Math.min(4_000, Math.max(300, (Number(sizes["dictionaries"]) - 106_496) / Math.max(1, known))),
      storeBytes: Number(sizes["bytes"]),
      databaseBytes: server["database"] === null ? undefined : Number(server["database"]),
      wal: server["wal"] === null ? undefined : Number(server["wal"]),
      notes
    }
  })

const tablesOf = [
  ["metric", ["c2", "c4", "c8", "g"], "coalesce(cardinality(c2), cardinality(c4), cardinality(c8), 0) + coalesce(cardinality(g), 0)"],
  ["histogram", ["b2", "b4", "b8", "sums", "mins", "maxs"], "cardinality(sums)"],
  ["summary", ["counts", "sums", "quantiles"], "cardinality(sums)"]
] as const

const spanColumns = [
  "span_ids", "parent_ids", "operations", "starts", "durations", "statuses", "messages", "attributes", "events", "links", "weights", "states",
  "lost_attributes", "lost_events", "lost_links", "numbers", "strangers", "texts"
]
const errorColumns = [
  "fingerprint", "kind", "class", "level", "type", "message", "trace_id", "span_id", "request_id", "user_id", "tenant_id", "module", "document"
]

const columnBytes = (columns: ReadonlyArray<string>): string => columns.map((column) => `coalesce(pg_column_size(${column}), 0)`).join(" + ")

/** `$1` to `$2` is the window, `$3` its middle. */
const laneRates = (table: string, columns: ReadonlyArray<string>, cards: string): string =>
  `select lane, count(*)::int4 as frames, sum(span_ms)::float8 as covered, array[${columns.map((column) => `sum(${columnBytes([column])})`).join(", ")}]::float8[] as bytes,
      coalesce((array_agg(${cards} order by ts) filter (where ts > $3::timestamptz))[1], 0) as series_then, (array_agg(${cards} order by ts desc))[1] as series_now,
      (extract(epoch from min(ts)) * 1000)::float8 as first, (extract(epoch from max(ts)) * 1000)::float8 as last
    from ${table} where ts > $1::timestamptz and ts <= $2::timestamptz group by lane`

const rowRate = (
  session: Session,
  { columns, items, table }: { readonly table: string; readonly items: string; readonly columns: ReadonlyArray<string> },
  range: ReadonlyArray<unknown>,
  middle: number
): Effect.Effect<RowRate, SqlError> =>
  Effect.map(
    session.query(
      `select count(*)::int8 as rows, coalesce(sum(${items}), 0)::int8 as items, coalesce(avg(${columnBytes(columns)}), 0)::float8 as bytes,
          coalesce(sum(${items}) filter (where ts <= $3::timestamptz), 0)::int8 as older, coalesce(sum(${items}) filter (where ts > $3::timestamptz), 0)::int8 as newer
        from ${table} where ts > $1::timestamptz and ts <= $2::timestamptz`,
      [...range, timestamptz(middle)]
    ),
    (rows): RowRate => {
      const [row] = rows
      return { rows: Number(row!["rows"]), items: Number(row!["items"]), rowBytes: Number(row!["bytes"]), older: Number(row!["older"]), newer: Number(row!["newer"]) }
    }
  )

/** Rows that are looked at for what all spans of a shape have in common. */
const learntRows = 400
/** Spans of a shape that the writer looks at before values that never change go into its template (`spans/Shapes.ts`). */
const untilLearnt = 64
const leastSpans = 8
const leastText = 3

/**
 * Bytes that a row of spans will take less, over an hour, once the writer has put into templates what never changes: a service that makes few spans takes
 * longer than a look sees.
 */
const toBeLearnt = (session: Session, t: Sql, range: ReadonlyArray<unknown>, rows: number, minutes: number): Effect.Effect<number, SqlError> =>
  Effect.map(
    session.query(
      `select numbers[2 * span_count + 1 : 3 * span_count] as shapes, numbers[span_count + 1 : 2 * span_count] as operations, texts from ${t.trace_part}
        where ts > $1::timestamptz and ts <= $2::timestamptz and numbers is not null and pg_column_size(texts) < 4000 order by ts desc limit ${learntRows}`,
      range
    ),
    (found) => {
      // Before it is learnt, operations with the same keys have the same shape.
      const byShape = new Map<string, { count: number; readonly same: Array<string | undefined> }>()
      for (const row of found) {
        const lines = String(row["texts"]).split("\n")
        for (const [i, shape] of (row["shapes"] as ReadonlyArray<number>).entries()) {
          if (shape === 0 || lines[i] === undefined) continue
          const values = lines[i].split("\t")
          const key = `${shape} ${(row["operations"] as ReadonlyArray<number>)[i]}`
          const known = byShape.get(key)
          if (known === undefined) byShape.set(key, { count: 1, same: values })
          else {
            known.count++
            for (let k = 0; k < known.same.length; k++) if (known.same[k] !== values[k]) known.same[k] = undefined
          }
        }
      }
      let saved = 0
      for (const { count, same } of byShape.values()) {
        if (count < leastSpans) continue
        const bytes = same.reduce((sum, value) => sum + (value === undefined || value.length < leastText ? 0 : value.length + 1), 0)
        const perMinute = (count * rows) / found.length / minutes
        saved += count * bytes * Math.max(0, 1 - untilLearnt / perMinute / 60)
      }
      return found.length === 0 ? 0 : saved / found.length
    }
  )

const learnFrom = (session: Session, t: Sql, lanes: ReadonlyArray<LaneRate>, from: number, to: number): Effect.Effect<Pick<Look, "kinds" | "listed">, SqlError> =>
  Effect.gen(function*() {
    const widest = [...Map.groupBy(lanes, ({ lane }) => lane)].map(([lane, parts]) => ({ lane, series: parts.reduce((sum, one) => sum + one.seriesNow, 0) }))
      .toSorted((a, b) => b.series - a.series).slice(0, lanesLearntFrom)
    const kinds = new Map<number, Kind>()
    const listed = new Map<number, number>()
    for (const { lane } of widest) {
      const found = yield* Hours.sample(session, t, { lane, from, to }, sampled / widest.length)
      for (const one of found.kinds) {
        const learnt = learn(one, found.frames)
        const before = kinds.get(one.kind)
        listed.set(one.kind, (listed.get(one.kind) ?? 0) + one.series)
        // The widest lane says most; the next ones add to it where they have as many frames.
        if (before === undefined) kinds.set(one.kind, learnt)
        else if (learnt.frames >= before.frames / 2) {
          kinds.set(one.kind, {
            ...before, columns: [...before.columns, ...learnt.columns], buckets: [...before.buckets, ...learnt.buckets], looked: before.looked + learnt.looked,
            once: before.once + learnt.once, twice: before.twice + learnt.twice
          })
        }
      }
    }
    return { kinds, listed }
  })

/** As it is where enough is packed today; else by packing some that wait, on trial. */
const packedSpanBytes = (session: Session, t: Sql, options: LookOptions, now: number): Effect.Effect<Look["packedSpans"], SqlError> =>
  Effect.gen(function*() {
    const day = new Date(now).toISOString().slice(0, 10)
    const rows = yield* session.query(
      `select coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 as bytes,
          coalesce(max(pg_relation_size(c.oid)) filter (where c.relname = 'obs_span_pack_p' || $2), 0)::int8 / 8192 as pages
        from pg_class c join pg_namespace s on s.oid = c.relnamespace where s.nspname = $1 and c.relname in ('obs_span_pack_p' || $2, 'obs_trace_pack_p' || $2)`,
      [text(options.names.schema), text(day.replaceAll("-", ""))]
    )
    const pages = Number(rows[0]!["pages"])
    if (pages > 0) {
      // The first ones of many: to count them all would be to read them all.
      const share = Math.min(1, countedPages / pages)
      const counted = yield* session.query(
        `select coalesce(sum(n), 0)::int8 as spans from ${t.span_pack} where ts = '${day} 00:00:00+00' and ctid < '(${countedPages},0)'::tid`
      )
      const spans = Number(counted[0]!["spans"])
      if (spans >= enoughSpans) return { spans: Math.round(spans / share), bytes: (Number(rows[0]!["bytes"]) * share) / spans }
    }
    if (!options.trial) return undefined
    const packer = { names: options.names, searchable: options.searchable }
    const whole = yield* SpanPacker.trial(session, packer, trialSpans)
    return whole === undefined ? undefined : { ...whole, half: yield* SpanPacker.trial(session, packer, Math.ceil(whole.spans / 2)) }
  })
