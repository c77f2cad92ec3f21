import { type HistoryError, type MetricRange, type MetricType, type RangeFunction, rangeLimits } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Sql } from "../internal/names.ts"
import { col, selected } from "../internal/packing/columns.ts"
import { int4, int4s, timestamptz } from "../internal/parameters.ts"
import type { Row } from "../internal/session.ts"
import { type Ask, invalid } from "./ask.ts"
import { frameColumn, framePieces, framesSql, partsOf } from "./framePieces.ts"
import { type PackedColumns, packedColumns, pieceOf, placesOf, segmentOf, type Use } from "./packedPieces.ts"
import type { Piece } from "./pieces.ts"
import type { SelectedSeries } from "./selection.ts"
import { writtenPieces } from "./writtenPieces.ts"

const day = 86_400_000

/** Roll-ups, finest first: what one place covers, and the longest period of a row; milliseconds. */
export const layers = [
  { table: "rollup_minute", step: 60_000, period: day },
  { table: "rollup_hour", step: 3_600_000, period: 31 * day },
  { table: "rollup_day", step: day, period: 366 * day }
] as const
export type Layer = (typeof layers)[number]

/** One reading of some series of a metric. */
export interface Request {
  readonly reading: MetricRange.Reading
  readonly type: MetricType
  readonly function: RangeFunction
  readonly series: ReadonlyArray<SelectedSeries>
  readonly cellOf: (series: SelectedSeries) => number
  /** Intervals that end after `from` and begin before `to`, milliseconds. */
  readonly from: number
  readonly to: number
  /** The processes whose values are meant, by their ids; `undefined`: all. */
  readonly resources: ReadonlySet<number> | undefined
  /** The roll-up to read where there is one; `undefined`: the samples themselves. */
  readonly layer: Layer | undefined
}

/**
 * Frames, packed rows and roll-ups in one statement, so that all of it is one moment's state: what the worker packs meanwhile is
 * seen once. Whatever is older than the oldest of them is looked for in the coarser roll-ups, which live longer.
 */
export const readPieces = (ask: Ask, t: Sql, request: Request): Effect.Effect<ReadonlyArray<Piece>, HistoryError> =>
  Effect.gen(function*() {
    const { from, layer, reading, resources, series, to, type } = request
    const column = frameColumn(reading, type)
    const lanes = partsOf(series, column, reading, request.cellOf).filter(({ resource }) => resources === undefined || resources.has(resource))
    const chosen = resources === undefined ? null : int4s(Int32Array.from(resources))
    const most = Math.ceil(rangeLimits.samples / Math.max(1, ...lanes.map(({ parts }) => parts.length)))
    const packed = packedColumns(reading, type)
    const rolled = packedColumns(reading, type, request.function)
    const ids = int4s(Int32Array.from(series, ({ id }) => id))
    const rows = yield* ask(statement(t, framesSql(t, column), layer), [
      timestamptz(from),
      timestamptz(to),
      int4s(Int32Array.from(lanes, ({ lane }) => lane)),
      int4s(Int32Array.from(lanes, ({ first }) => first + 1)),
      int4s(Int32Array.from(lanes, ({ last }) => last + 1)),
      int4(most + 1),
      ids,
      ...columnParameters(packed),
      chosen,
      ...(layer === undefined ? [] : columnParameters(rolled))
    ])
    const byKind = Map.groupBy(rows, (row) => row["kind"] as number)
    const of = (kind: number) => byKind.get(kind) ?? []
    if (Math.max(of(kinds.frame).length, of(kinds.written).length) > most || samplesIn(rows) > rangeLimits.samples) {
      return yield* invalid("start", "and end hold too many values of this metric: narrow the range or the labels")
    }
    const cells = new Map(series.map((one) => [one.id, request.cellOf(one)]))
    const use: Use = { reading, from, to, cellOf: (id) => cells.get(id)! }
    const found = [
      ...framePieces(of(kinds.frame), lanes),
      ...segmentPieces(of(kinds.segment), of(kinds.pack), use),
      ...(layer === undefined ? [] : rolledPieces(of(kinds.rollUp), layer, use))
    ]
    const written = resources === undefined ? writtenPieces(of(kinds.written), reading, series, request.cellOf) : []
    return [...found, ...written, ...yield* older(ask, t, use, { ids, chosen, layer, rolled, oldest: oldest(found, to) })]
  })

const kinds = { frame: 0, segment: 1, pack: 2, rollUp: 3, written: 4 } as const

const columnParameters = ({ cols, flattened }: PackedColumns) => [int4s(Int32Array.from(cols)), int4(flattened ? col.first : 32_767)]

const samplesIn = (rows: ReadonlyArray<Row>): number => rows.reduce((sum, row) => sum + ((row["n"] as number | null) ?? 0), 0)

// ----------------------------------------------------------------------------------------------------------------- statements

const unpackedBut = (divisor: string) => `null::int4 as series, null::int2 as col, null::int4 as first, null::int4 as n, null::int2 as bits, null::bool as delta,
  null::bool as absent, null::int8 as base, null::int8 as slope, null::int8 as unit, ${divisor} as divisor`
const unpacked = unpackedBut("null::float8")

/**
 * `$7` series, `$8` columns and `$9` the first of the flattened ones, `$10` processes or null; with a roll-up `$11` and `$12` for its own columns,
 * and of the samples only those of days that are not rolled up.
 */
const statement = (t: Sql, frames: string, layer: Layer | undefined): string => {
  const none = "null::bytea as b1, null::bytea as b2, null::bytea as b3"
  const fresh = layer === undefined ? "" : "and g.hours < 24"
  return `with segment as materialized (
    select g.*, coalesce(l.resource, -g.lane) as resource from ${t.metric_segment} g left join ${t.lane} l on l.id = g.lane
    where g.ts > $1::timestamptz - interval '24 hours' and g.ts <= $2::timestamptz ${fresh}
      and ($10::int4[] is null or l.resource = any($10::int4[]))
  )
  select ${kinds.frame} as kind, lane, lane::float8 as owner, ended as at, span, 0::int2 as part, ${unpacked}, v as words, null::bytea as raw, ${none}
    from (${frames}) f
  union all
  select ${kinds.segment}, lane, id::float8, extract(epoch from ts)::float8 * 1000, resource::float8, 0::int2, ${unpacked}, array_send(firsts), array_send(counts),
    array_send(offsets), array_send(steps), array_send(spans::float8[])
    from segment
  union all
  select ${kinds.pack}, null, p.segment::float8, null, null, p.part, ${selected}, ${none}
    from ${t.metric_pack} p join segment g on g.id = p.segment and g.ts = p.ts
    where p.series = any($7::int4[]) and p.ts > $1::timestamptz - interval '24 hours' and p.ts <= $2::timestamptz
      and (p.col = any($8::int4[]) or p.col >= $9::int4) ${layer === undefined ? "" : "and p.hours < 24"}
  union all
  (select ${kinds.written}, null, r.series::float8, extract(epoch from r.ts)::float8 * 1000, 0, 0::int2, ${unpackedBut("r.value")}, null, null, ${none}
    from ${t.metric_row} r where r.series = any($7::int4[]) and r.ts > $1::timestamptz and r.ts <= $2::timestamptz limit $6::int4)
  ${layer === undefined ? "" : `union all ${rollUpSql(t, layer, { series: 7, cols: 11, first: 12, resources: 10 })}`}`
}

const rollUpSql = (t: Sql, layer: Layer, at: { readonly series: number; readonly cols: number; readonly first: number; readonly resources: number }): string =>
  `select ${kinds.rollUp} as kind, null::int4 as lane, p.resource::float8 as owner, extract(epoch from p.ts)::float8 * 1000 as at, null::float8 as span,
    0::int2 as part, ${selected}, null::bytea as b1, null::bytea as b2, null::bytea as b3
    from ${t[layer.table]} p
    where p.series = any($${at.series}::int4[]) and p.ts > $1::timestamptz - interval '${layer.period / day} days' and p.ts <= $2::timestamptz
      and (p.col = any($${at.cols}::int4[]) or p.col >= $${at.first}::int4)
      and ($${at.resources}::int4[] is null or p.resource = any($${at.resources}::int4[]))`

// --------------------------------------------------------------------------------------------------------------------- pieces

const segmentPieces = (segments: ReadonlyArray<Row>, packs: ReadonlyArray<Row>, use: Use): ReadonlyArray<Piece> => {
  const bySegment = Map.groupBy(packs, (row) => row["owner"] as number)
  return segments.flatMap((row) => {
    const own = bySegment.get(row["owner"] as number)
    const piece = own === undefined ? undefined : pieceOf(segmentOf(row), own, use)
    return piece === undefined ? [] : [piece]
  })
}

const rolledPieces = (rows: ReadonlyArray<Row>, { step }: Layer, use: Use): ReadonlyArray<Piece> =>
  [...Map.groupBy(rows, (row) => `${row["owner"]} ${row["at"]}`).values()].flatMap((own) => {
    const places = own.reduce((most, row) => Math.max(most, (row["first"] as number) + (row["n"] as number)), 0)
    const piece = pieceOf(placesOf(own[0]!["owner"] as number, own[0]!["at"] as number, step, places), own, use)
    return piece === undefined ? [] : [piece]
  })

/** A moment in the first interval: an end at midnight belongs to the day before, whatever its interval reaches back to. */
const oldest = (pieces: ReadonlyArray<Piece>, otherwise: number): number =>
  pieces.reduce((least, { ends }) => Math.min(least, ends[0]! - 1), otherwise)

/** Where the samples of the whole store begin, and the finer roll-ups: what lies before is told by the next coarser one. */
const beginnings = (ask: Ask, t: Sql): Effect.Effect<Readonly<Record<"samples" | Layer["table"], number>>, HistoryError> => {
  const first = (...tables: ReadonlyArray<string>) =>
    `(extract(epoch from date_trunc('day', least(${tables.map((table) => `(select min(ts) from ${table})`).join(", ")}), 'UTC')) * 1000)::float8`
  return Effect.map(
    ask(`select ${first(t.metric_segment, t.metric_frame, t.histogram_frame, t.summary_frame)} as samples,
      ${layers.map(({ table }) => `${first(t[table])} as ${table}`).join(", ")}`, []),
    ([row]) => {
      const at = (name: string) => (row?.[name] as number | null) ?? Infinity
      return { samples: at("samples"), rollup_minute: at("rollup_minute"), rollup_hour: at("rollup_hour"), rollup_day: at("rollup_day") }
    }
  )
}

/** What is left of days whose samples, or finer roll-ups, are gone. */
const older = (
  ask: Ask,
  t: Sql,
  use: Use,
  options: { readonly ids: unknown; readonly chosen: unknown; readonly layer: Layer | undefined; readonly rolled: PackedColumns; readonly oldest: number }
): Effect.Effect<ReadonlyArray<Piece>, HistoryError> =>
  Effect.gen(function*() {
    if (Math.floor(options.oldest / day) * day <= use.from) return []
    const begins = yield* beginnings(ask, t)
    const found: Array<Piece> = []
    let until = Math.min(use.to, options.layer === undefined ? begins.samples : begins[options.layer.table])
    for (const layer of layers) {
      if (options.layer !== undefined && layer.step <= options.layer.step) continue
      if (until <= use.from) break
      const rows = yield* ask(
        rollUpSql(t, layer, { series: 3, cols: 4, first: 5, resources: 6 }),
        [timestamptz(use.from), timestamptz(until), options.ids, ...columnParameters(options.rolled), options.chosen]
      )
      found.push(...rolledPieces(rows, layer, { ...use, to: until }))
      until = Math.min(until, begins[layer.table])
    }
    return found
  })
