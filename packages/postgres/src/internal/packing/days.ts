import type { MetricType } from "@effect-observability/core"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Sql } from "../names.ts"
import { int4, int4s, int8s, timestamptz } from "../parameters.ts"
import type { Row, Session } from "../session.ts"
import { type Axis, axisOf, sizeOf, spansOf, timesOf } from "./axis.ts"
import { col, type Column, column, columnOf, selected, spread, store } from "./columns.ts"
import { hour, segmentOf } from "./hours.ts"
import { coarser, minutes, minutesPerDay, type Samples } from "./rollup.ts"

export const day = 24 * hour

/** Values in memory at one time, about. */
const maxValues = 1_000_000
/** Values worked on before other fibers get their turn: a few milliseconds. */
const stretch = 50_000

/** What one process instance has in one day that starts at `start`. */
export interface ResourceDay {
  readonly resource: number
  readonly start: number
}

/** The finished days, begun before `until`, with hours that are not yet part of one segment. Oldest first. */
export const loose = (session: Session, t: Sql, until: number): Effect.Effect<ReadonlyArray<ResourceDay>, SqlError> =>
  Effect.map(
    session.query(
      `select distinct l.resource, (extract(epoch from date_trunc('day', s.ts, 'UTC')) * 1000)::int8 as start
        from ${t.metric_segment} s join ${t.lane} l on l.id = s.lane where s.hours < 24 and s.ts < $1::timestamptz order by 2, 1`,
      [timestamptz(until)]
    ),
    (rows) => rows.map((row) => ({ resource: row["resource"] as number, start: Number(row["start"]) }))
  )

/**
 * Makes one segment per lane of all it has of the day, and the day's roll-ups. Runs in a transaction of the caller's that sees
 * one snapshot. Hours that come later are added by doing it again: roll-ups are made from all samples of the day, never added to.
 */
export const packDay = (session: Session, t: Sql, { resource, start }: ResourceDay): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const segments = yield* segmentsOf(session, t, resource, start)
    if (segments.every(({ hours }) => hours < 24) && (yield* isRolledUp(session, t, { resource, start }))) return
    const lanes = new Map<number, LaneDay>()
    for (const [lane, parts] of Map.groupBy(segments, (segment) => segment.lane)) {
      const merged = merge(parts)
      const whole = parts.length === 1 && parts[0]!.hours === 24
      lanes.set(lane, {
        ...merged,
        segments: parts,
        segment: whole ? undefined : yield* segmentOf(session, t, { lane, start, hours: 24, axis: axisOf(merged.times, merged.spans) })
      })
    }
    const old = [...lanes.values()].flatMap((lane) => (lane.segment === undefined ? [] : lane.segments))
    const all = int8s(BigInt64Array.from(segments, ({ id }) => id))
    const within = "ts >= $1::timestamptz and ts < $2::timestamptz"
    const range = [timestamptz(start), timestamptz(start + day)]

    const series = yield* session.query(
      `select p.series, p.size, f.type from (
          select series, sum(n)::int8 as size from ${t.metric_pack} where ${within} and segment = any($3::int8[]) group by series
        ) p join ${t.series} s on s.id = p.series join ${t.family} f on f.id = s.family order by 1`,
      [...range, all]
    )
    for (const slice of cut(series)) {
      const ids = int4s(Int32Array.from(slice, (row) => row["series"] as number))
      const rows = yield* session.query(
        `select p.segment, p.part, ${selected} from ${t.metric_pack} p
          where p.ts >= $1::timestamptz and p.ts < $2::timestamptz and p.segment = any($3::int8[]) and p.series = any($4::int4[])`,
        [...range, all, ids]
      )
      const work = yield* join(slice, rows, lanes)
      yield* session.query(
        `delete from ${t.metric_pack} where ${within} and segment = any($3::int8[]) and series = any($4::int4[])`,
        [...range, int8s(BigInt64Array.from(old, ({ id }) => id)), ids]
      )
      for (const { columns, segment } of work.packs) yield* store(session, t, "metric_pack_day", start, segment, columns)
      yield* rollUp(session, t, { resource, start }, ids, work.rollups)
    }
    yield* session.query(
      `delete from ${t.metric_segment} where ${within} and id = any($3::int8[])`,
      [...range, int8s(BigInt64Array.from(old, ({ id }) => id))]
    )
  })

/** The day's samples were rolled up, and are gone since: what comes so late cannot be added to the roll-ups, and goes too. */
const isRolledUp = (session: Session, t: Sql, { resource, start }: ResourceDay): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    session.query(`select from ${t.rollup_minute} where ts = $1::timestamptz and resource = $2::int4 limit 1`, [timestamptz(start), int4(resource)]),
    (rows) => rows.length > 0
  )

// ------------------------------------------------------------------------------------------------------------------ segments

interface Segment {
  readonly id: bigint
  readonly lane: number
  readonly hours: number
  /** Milliseconds after the start of the day. */
  readonly offset: number
  readonly axis: Axis
}

/** All samples of a lane in a day. */
interface LaneDay {
  readonly segments: ReadonlyArray<Segment>
  /** The new segment, or nothing where the old one is already the day's. */
  readonly segment: bigint | undefined
  readonly times: Float64Array
  readonly spans: Float64Array
  /** For each old segment, where its samples stand among all. */
  readonly places: ReadonlyMap<bigint, Int32Array>
}

const segmentsOf = (session: Session, t: Sql, resource: number, start: number): Effect.Effect<ReadonlyArray<Segment>, SqlError> =>
  Effect.map(
    session.query(
      `select s.id, s.lane, s.hours, (extract(epoch from s.ts) * 1000)::int8 as start, s.firsts, s.counts, s.offsets, s.steps, s.spans
        from ${t.metric_segment} s join ${t.lane} l on l.id = s.lane
        where l.resource = $1::int4 and s.ts >= $2::timestamptz and s.ts < $3::timestamptz order by s.lane, s.ts, s.id`,
      [int4(resource), timestamptz(start), timestamptz(start + day)]
    ),
    (rows) => rows.map((row) => ({
      id: row["id"] as bigint,
      lane: row["lane"] as number,
      hours: row["hours"] as number,
      offset: Number(row["start"]) - start,
      axis: axisIn(row)
    }))
  )

const axisIn = (row: Row): Axis => {
  const ints = (name: string) => Int32Array.from(row[name] as ReadonlyArray<number>)
  return {
    firsts: ints("firsts"),
    counts: ints("counts"),
    offsets: ints("offsets"),
    steps: ints("steps"),
    spans: Float64Array.from(row["spans"] as ReadonlyArray<bigint>, Number)
  }
}

const merge = (segments: ReadonlyArray<Segment>): Pick<LaneDay, "times" | "spans" | "places"> => {
  const all = segments.flatMap((segment) => {
    const spans = spansOf(segment.axis)
    return Array.from(timesOf(segment.axis), (time, i) => ({ id: segment.id, i, time: segment.offset + time, span: spans[i]! }))
  }).sort((a, b) => a.time - b.time)
  const places = new Map(segments.map(({ axis, id }) => [id, new Int32Array(sizeOf(axis))]))
  all.forEach(({ i, id }, place) => void (places.get(id)![i] = place))
  return { times: Float64Array.from(all, ({ time }) => time), spans: Float64Array.from(all, ({ span }) => span), places }
}

// ------------------------------------------------------------------------------------------------------------------- columns

function* cut(rows: ReadonlyArray<Row>): Generator<ReadonlyArray<Row>> {
  for (let from = 0; from < rows.length;) {
    let to = from
    let values = 0
    while (to < rows.length && (to === from || values < maxValues)) values += Number(rows[to++]!["size"])
    yield rows.slice(from, to)
    from = to
  }
}

interface RollUp {
  readonly series: number
  readonly type: MetricType
  /** By minute. */
  readonly columns: ReadonlyMap<number, Float64Array>
}

interface Work {
  readonly packs: ReadonlyArray<{ readonly segment: bigint; readonly columns: Array<Column> }>
  readonly rollups: ReadonlyArray<RollUp>
}

const join = (slice: ReadonlyArray<Row>, rows: ReadonlyArray<Row>, lanes: ReadonlyMap<number, LaneDay>): Effect.Effect<Work> =>
  Effect.gen(function*() {
    const laneOf = new Map([...lanes.values()].flatMap((lane) => lane.segments.map(({ id }) => [id, lane] as const)))
    const packs = new Map([...lanes.values()].flatMap(({ segment }) =>
      segment === undefined ? [] : [[segment, { segment, columns: [] as Array<Column> }] as const]
    ))
    const rollups: Array<RollUp> = []
    const bySeries = Map.groupBy(rows, (row) => row["series"] as number)
    let worked = 0
    for (const row of slice) {
      const series = row["series"] as number
      const type = row["type"] as MetricType
      const samples: Array<Samples> = []
      for (const [lane, parts] of Map.groupBy(bySeries.get(series) ?? [], (part) => laneOf.get(part["segment"] as bigint)!)) {
        for (const group of Map.groupBy(parts, (part) => `${part["col"]} ${part["part"]}`).values()) {
          const made = gather(lane, group, type)
          worked += lane.times.length
          if (made === undefined) continue
          if (lane.segment !== undefined) packs.get(lane.segment)!.columns.push(made)
          const { divisor, raw } = made.packed
          samples.push({
            col: made.col,
            times: lane.times.subarray(made.first, made.first + made.packed.n),
            values: spread(made, new Float64Array(made.packed.n), -made.first),
            divisor: raw === null ? divisor : 0
          })
        }
      }
      rollups.push({ series, type, columns: minutes(type, samples) })
      if (worked > stretch) {
        worked = 0
        yield* Effect.yieldNow
      }
    }
    return { packs: [...packs.values()], rollups }
  })

/** One column of a lane's day from its segments. */
const gather = (lane: LaneDay, rows: ReadonlyArray<Row>, type: MetricType): Column | undefined => {
  const columns = rows.map((row) => ({ segment: row["segment"] as bigint, column: columnOf(row) }))
  const { col: number, part, series } = columns[0]!.column
  if (lane.segment === undefined) return columns[0]!.column
  const values = new Float64Array(lane.times.length).fill(NaN)
  for (const { column: one, segment } of columns) {
    const places = lane.places.get(segment)!
    spread(one, new Float64Array(one.packed.n), -one.first).forEach((value, i) => void (values[places[one.first + i]!] = value))
  }
  if (type === "histogram" && number >= col.first) zeroed(values)
  return column(series, number, values, part)
}

/** A bucket that is missing held nothing: between its first and last value 0 is cheaper to say than absence. */
const zeroed = (values: Float64Array): void => {
  let end = values.length
  while (end > 0 && Number.isNaN(values[end - 1])) end--
  for (let i = 0, seen = false; i < end; i++) {
    if (!Number.isNaN(values[i])) seen = true
    else if (seen) values[i] = 0
  }
}

// ------------------------------------------------------------------------------------------------------------------ roll-ups

const rollUp = (
  session: Session,
  t: Sql,
  { resource, start }: ResourceDay,
  ids: unknown,
  rollups: ReadonlyArray<RollUp>
): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const date = DateTime.makeUnsafe(start)
    const month = DateTime.toEpochMillis(DateTime.startOf(date, "month"))
    const year = DateTime.toEpochMillis(DateTime.startOf(date, "year"))
    const layers = [
      { table: "rollup_minute", ts: start, at: 0, per: 1 },
      { table: "rollup_hour", ts: month, at: (start - month) / hour, per: 60 },
      { table: "rollup_day", ts: year, at: (start - year) / day, per: minutesPerDay }
    ] as const
    for (const { at, per, table, ts } of layers) {
      const key = [ids, timestamptz(ts), int4(resource)]
      const where = "series = any($1::int4[]) and ts = $2::timestamptz and resource = $3::int4"
      // The other days of the month or year.
      const kept = new Map<string, Column>()
      if (per > 1) {
        for (const row of yield* session.query(`select ${selected} from ${t[table]} p where ${where}`, key)) {
          kept.set(`${row["series"]} ${row["col"]}`, columnOf(row))
        }
      }
      const columns: Array<Column> = []
      for (const { columns: fine, series, type } of rollups) {
        for (const [number, values] of fine) {
          const places = coarser(type, number, values, per)
          const before = kept.get(`${series} ${number}`)
          kept.delete(`${series} ${number}`)
          const made = column(series, number, before === undefined ? shifted(places, at) : replaced(before, places, at))
          if (made !== undefined) columns.push(made)
        }
        yield* Effect.yieldNow
      }
      yield* session.query(`delete from ${t[table]} where ${where}`, key)
      yield* store(session, t, table, ts, resource, [...columns, ...kept.values()])
    }
  })

const shifted = (values: Float64Array, at: number): Float64Array => {
  const out = new Float64Array(at + values.length).fill(NaN)
  out.set(values, at)
  return out
}

const replaced = (before: Column, values: Float64Array, at: number): Float64Array => {
  const out = new Float64Array(Math.max(at + values.length, before.first + before.packed.n)).fill(NaN)
  spread(before, out)
  out.set(values, at)
  return out
}
