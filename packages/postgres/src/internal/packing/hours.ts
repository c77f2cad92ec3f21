import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Encoding from "../../PostgresEncoding.ts"
import type { Sql } from "../names.ts"
import { int4, int4s, int8s, timestamptz } from "../parameters.ts"
import type { Row, Session } from "../session.ts"
import { type Axis, axisOf } from "./axis.ts"
import { col, type Column, column, store } from "./columns.ts"
import { eachNumber } from "./wire.ts"

export const hour = 3_600_000

/** The form of a segment's rows that this version writes. */
export const format = 1

/** Values in memory at one time, about. */
const maxValues = 500_000
/** Values packed before other fibers get their turn: a few milliseconds. */
const stretch = 50_000

/** Frames of one lane in one hour, `(start, start + 1 h]`. */
export interface LaneHour {
  readonly lane: number
  readonly start: number
}

/** The lanes and hours with frames up to `until`, oldest first. */
export const waiting = (session: Session, t: Sql, until: number): Effect.Effect<ReadonlyArray<LaneHour>, SqlError> =>
  Effect.map(
    session.query(
      `select distinct lane, (extract(epoch from date_trunc('hour', ts - interval '1 microsecond', 'UTC')) * 1000)::int8 as start
        from (${
        [t.metric_frame, t.histogram_frame, t.summary_frame].map((table) => `select ts, lane from ${table} where ts <= $1::timestamptz`).join(" union all ")
      }) f order by 2, 1`,
      [timestamptz(until)]
    ),
    (rows) => rows.map((row) => ({ lane: row["lane"] as number, start: Number(row["start"]) }))
  )

/**
 * Moves the frames of a lane's hour into packed rows. Runs in a transaction of the caller's that sees one snapshot
 * (repeatable read): a frame that comes meanwhile is neither packed nor deleted, and waits for the next pass.
 */
export const packHour = (session: Session, t: Sql, { lane, start }: LaneHour): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const range = [int4(lane), timestamptz(start), timestamptz(start + hour)]
    const frames = yield* framesOf(session, t, range, start)
    if (frames.keys.size === 0) return
    const segment = yield* segmentOf(session, t, { lane, start, hours: 1, axis: axisOf(frames.times, frames.spans) })
    const kinds = yield* listsOf(session, t, lane)
    const parts = new Parts()
    for (const plan of plansOf(t)) {
      const list = kinds.get(plan.kind) ?? []
      for (const places of cut(list, frames.keys.size)) {
        const matrix = yield* read(session, plan, range, places, frames)
        yield* pack(matrix, places, frames.keys.size, parts, plan, (columns) => store(session, t, "metric_pack_hour", start, segment, columns))
      }
    }
    for (const table of [t.metric_frame, t.histogram_frame, t.summary_frame]) {
      yield* session.query(`delete from ${table} where lane = $1::int4 and ts > $2::timestamptz and ts <= $3::timestamptz`, range)
    }
  })

export const segmentOf = (
  session: Session,
  t: Sql,
  segment: { readonly lane: number; readonly start: number; readonly hours: number; readonly axis: Axis }
): Effect.Effect<bigint, SqlError> =>
  Effect.map(
    session.query(
      `insert into ${t.metric_segment} (ts, lane, hours, format, firsts, counts, offsets, steps, spans)
        values ($1::timestamptz, $2::int4, $3::int4, $4::int4, $5::int4[], $6::int4[], $7::int4[], $8::int4[], $9::int8[]) returning id`,
      [
        timestamptz(segment.start),
        int4(segment.lane),
        int4(segment.hours),
        int4(format),
        int4s(segment.axis.firsts),
        int4s(segment.axis.counts),
        int4s(segment.axis.offsets),
        int4s(segment.axis.steps),
        int8s(BigInt64Array.from(segment.axis.spans, BigInt))
      ]
    ),
    (rows) => rows[0]!["id"] as bigint
  )

/** Columns of some series of one kind, as packing would see them. */
export interface Sampled {
  readonly kind: number
  /** Series of the kind in the lane, and how many of them were looked at. */
  readonly series: number
  readonly looked: number
  readonly columns: ReadonlyArray<{ readonly col: number; readonly values: Float64Array }>
}

/** What packing would make of up to about `most` values of a lane's last frames; nothing is written. Buckets that held nothing are left out. */
export const sample = (
  session: Session,
  t: Sql,
  { from, lane, to }: { readonly lane: number; readonly from: number; readonly to: number },
  most: number
): Effect.Effect<{ readonly frames: number; readonly kinds: ReadonlyArray<Sampled> }, SqlError> =>
  Effect.gen(function*() {
    const range = [int4(lane), timestamptz(from), timestamptz(to)]
    const frames = yield* framesOf(session, t, range, from)
    const size = frames.keys.size
    const out: Array<Sampled> = []
    if (size === 0) return { frames: 0, kinds: out }
    const lists = yield* listsOf(session, t, lane)
    for (const plan of plansOf(t)) {
      const list = lists.get(plan.kind) ?? []
      if (list.length === 0) continue
      const width = plan.single.length + list.reduce((sum, place) => sum + place.width, 0) / list.length
      const columns: Array<{ readonly col: number; readonly values: Float64Array }> = []
      let looked = 0
      for (const places of runsOf(list, Math.max(8, Math.floor(most / (4 * size * width))))) {
        const matrix = yield* read(session, plan, range, places, frames)
        eachColumn(matrix, places, size, plan, (_, col, values) => void columns.push({ col, values }))
        looked += places.length
      }
      out.push({ kind: plan.kind, series: list.length, looked, columns })
    }
    return { frames: size, kinds: out }
  })

/** Four pieces of the list, evenly apart, of `wanted` places in all; the whole list when it is not longer. */
const runsOf = (list: ReadonlyArray<Place>, wanted: number): ReadonlyArray<ReadonlyArray<Place>> => {
  if (list.length <= wanted) return [list]
  const size = Math.max(1, Math.floor(wanted / 4))
  return [0, 1, 2, 3].map((i) => Math.floor(((list.length - size) * i) / 3)).map((from) => list.slice(from, from + size))
}

// ------------------------------------------------------------------------------------------------------------------- reading

interface Frames {
  /** A frame's index in time, by what tells it apart in every table. */
  readonly keys: ReadonlyMap<string, number>
  /** Milliseconds after the hour's start. */
  readonly times: ReadonlyArray<number>
  readonly spans: ReadonlyArray<number>
}

const keyOf = (row: Row): string => `${row["at"]} ${row["seq"]} ${row["item"]}`
const key = "(extract(epoch from ts) * 1000)::int8 as at, seq, item"
const within = "lane = $1::int4 and ts > $2::timestamptz and ts <= $3::timestamptz"

const framesOf = (session: Session, t: Sql, range: ReadonlyArray<unknown>, start: number): Effect.Effect<Frames, SqlError> =>
  Effect.map(
    session.query(
      `${
        [t.metric_frame, t.histogram_frame, t.summary_frame].map((table) => `select ${key}, span_ms from ${table} where ${within}`).join(" union ")
      } order by at, seq, item`,
      range
    ),
    (rows) => ({
      keys: new Map(rows.map((row, i) => [keyOf(row), i])),
      times: rows.map((row) => Number(row["at"]) - start),
      spans: rows.map((row) => Number(row["span_ms"]))
    })
  )

/** A series at its place in the lane's list of its kind. */
interface Place {
  readonly series: number
  /** From 1. */
  readonly pos: number
  /** Its buckets or quantiles in the flattened column: from 1, and how many. */
  readonly from: number
  readonly width: number
}

const listsOf = (session: Session, t: Sql, lane: number): Effect.Effect<ReadonlyMap<number, ReadonlyArray<Place>>, SqlError> =>
  Effect.map(
    session.query(
      `select seg.kind, u.series, (seg.pos + u.i)::int4 as pos, coalesce(u.start, 0) + 1 as from,
          case seg.kind when 2 then cardinality(f.bounds) + 1 when 3 then cardinality(f.quantiles) else 0 end as width
        from ${t.lane_series} seg
        cross join lateral unnest(seg.series, seg.starts) with ordinality as u(series, start, i)
        join ${t.series} s on s.id = u.series
        join ${t.family} f on f.id = s.family
        where seg.lane = $1::int4 order by 1, 3`,
      [int4(lane)]
    ),
    (rows) => {
      const lists = new Map<number, Array<Place>>()
      for (const row of rows) {
        const kind = Number(row["kind"])
        const list = lists.get(kind) ?? []
        if (list.length === 0) lists.set(kind, list)
        list.push({ series: row["series"] as number, pos: row["pos"] as number, from: row["from"] as number, width: row["width"] as number })
      }
      return lists
    }
  )

/** How the columns of a kind lie in its frames. */
interface Plan {
  readonly kind: number
  readonly table: string
  /** One number per series. */
  readonly single: ReadonlyArray<{ readonly col: number; readonly sql: ReadonlyArray<string> }>
  /** Several per series, flattened; of several columns one is not null. */
  readonly flat: ReadonlyArray<string>
}

const plansOf = (t: Sql): ReadonlyArray<Plan> => [
  { kind: Encoding.kinds.counters, table: t.metric_frame, single: [{ col: col.value, sql: ["c2", "c4", "c8"] }], flat: [] },
  { kind: Encoding.kinds.gauges, table: t.metric_frame, single: [{ col: col.value, sql: ["g"] }], flat: [] },
  {
    kind: Encoding.kinds.histograms,
    table: t.histogram_frame,
    single: [{ col: col.value, sql: ["sums"] }, { col: col.least, sql: ["mins"] }, { col: col.greatest, sql: ["maxs"] }],
    flat: ["b2", "b4", "b8"]
  },
  {
    kind: Encoding.kinds.summaries,
    table: t.summary_frame,
    single: [{ col: col.value, sql: ["sums"] }, { col: col.count, sql: ["counts"] }],
    flat: ["quantiles"]
  }
]

/** The list in pieces whose values fit into memory. */
function* cut(list: ReadonlyArray<Place>, frames: number): Generator<ReadonlyArray<Place>> {
  for (let from = 0; from < list.length;) {
    let to = from
    let values = 0
    while (to < list.length && (to === from || values < maxValues)) values += frames * (3 + list[to++]!.width)
    yield list.slice(from, to)
    from = to
  }
}

/** For each single column, then for the flattened one: the values of all places, frame by frame in a row of their own. */
type Matrix = ReadonlyArray<Float64Array>

const read = (
  session: Session,
  plan: Plan,
  range: ReadonlyArray<unknown>,
  places: ReadonlyArray<Place>,
  frames: Frames
): Effect.Effect<Matrix, SqlError> => {
  const first = places[0]!
  const last = places.at(-1)!
  const size = frames.keys.size
  const singles = plan.single.flatMap(({ sql }, i) => sql.map((name) => ({ into: i, sql: `array_send(${name}[$4::int4:$5::int4])` })))
  const flats = plan.flat.map((name) => ({ into: plan.single.length, sql: `array_send(${name}[$6::int4:$7::int4])` }))
  const parts = [...singles, ...flats]
  const bounds = flats.length === 0 ? [first.pos, last.pos] : [first.pos, last.pos, first.from, last.from + last.width - 1]
  return Effect.map(
    session.query(
      `select ${key}, ${parts.map(({ sql }, i) => `${sql} as a${i}`).join(", ")} from ${plan.table} where ${within}`,
      [...range, ...bounds.map((bound) => int4(bound))]
    ),
    (rows) => {
      const matrix = [
        ...plan.single.map(() => new Float64Array(places.length * size).fill(NaN)),
        new Float64Array(Math.max(0, last.from + last.width - first.from) * (flats.length === 0 ? 0 : size)).fill(NaN)
      ]
      for (const row of rows) {
        const frame = frames.keys.get(keyOf(row))!
        parts.forEach(({ into }, i) => {
          const bytes = row[`a${i}`] as Uint8Array | null
          const out = matrix[into]!
          if (bytes !== null) eachNumber(bytes, (value, place) => void (out[place * size + frame] = value))
        })
      }
      return matrix
    }
  )
}

// ------------------------------------------------------------------------------------------------------------------- packing

/** Counts how often a column of a series was seen: a lane may list a series twice. */
class Parts {
  private readonly seen = new Map<number, number>()
  next(series: number): number {
    const part = this.seen.get(series) ?? 0
    this.seen.set(series, part + 1)
    return part
  }
}

type Take = (place: Place, col: number, values: Float64Array) => void

/** The columns of one series: its numbers, then those of its buckets that held anything, or its quantiles. */
const columnsOfPlace = (matrix: Matrix, places: ReadonlyArray<Place>, i: number, frames: number, plan: Plan, take: Take): void => {
  const place = places[i]!
  plan.single.forEach(({ col }, j) => take(place, col, matrix[j]!.subarray(i * frames, (i + 1) * frames)))
  for (let j = 0; j < place.width; j++) {
    const at = (place.from - places[0]!.from + j) * frames
    const values = matrix.at(-1)!.subarray(at, at + frames)
    if (plan.kind !== Encoding.kinds.histograms || values.some((value) => value !== 0 && value === value)) take(place, col.first + j, values)
  }
}

const eachColumn = (matrix: Matrix, places: ReadonlyArray<Place>, frames: number, plan: Plan, take: Take): void => {
  for (let i = 0; i < places.length; i++) columnsOfPlace(matrix, places, i, frames, plan, take)
}

const pack = (
  matrix: Matrix,
  places: ReadonlyArray<Place>,
  frames: number,
  parts: Parts,
  plan: Plan,
  write: (columns: ReadonlyArray<Column>) => Effect.Effect<void, SqlError>
): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const columns: Array<Column> = []
    let packed = 0
    for (let i = 0; i < places.length; i++) {
      const part = parts.next(places[i]!.series)
      columnsOfPlace(matrix, places, i, frames, plan, (place, number, values) => {
        const made = column(place.series, number, values, part)
        if (made !== undefined) columns.push(made)
        packed += values.length
      })
      if (packed > stretch) {
        packed = 0
        yield* Effect.yieldNow
      }
    }
    yield* write(columns)
  })
