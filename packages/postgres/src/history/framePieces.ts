import type { MetricRange } from "@effect-observability/core"
import type { Sql } from "../internal/names.ts"
import { eachNumber } from "../internal/packing/wire.ts"
import type { Row } from "../internal/session.ts"
import type { Piece } from "./pieces.ts"
import type { SelectedSeries } from "./selection.ts"

/** Which numbers of a frame a reading takes. */
export interface FrameColumn {
  readonly table: "metric_frame" | "histogram_frame" | "summary_frame"
  /** The array columns it may stand in, of which one is not null. */
  readonly arrays: ReadonlyArray<string>
  /** `true`: a series has one number per bucket. */
  readonly flattened: boolean
}

const scalar = (table: FrameColumn["table"], ...arrays: ReadonlyArray<string>): FrameColumn => ({ table, arrays, flattened: false })
const buckets: FrameColumn = { table: "histogram_frame", arrays: ["b2", "b4", "b8"], flattened: true }

export const frameColumn = (reading: MetricRange.Reading, type: string): FrameColumn => {
  switch (reading) {
    case "increase":
      return scalar("metric_frame", "c2", "c4", "c8")
    case "value":
      return scalar("metric_frame", "g")
    case "count":
      return type === "summary" ? scalar("summary_frame", "counts") : buckets
    case "sum":
      return scalar(type === "summary" ? "summary_frame" : "histogram_frame", "sums")
    case "min":
      return scalar("histogram_frame", "mins")
    case "max":
      return scalar("histogram_frame", "maxs")
    case "buckets":
      return buckets
  }
}

/** The numbers wanted of a lane's frames. */
export interface LaneParts {
  readonly lane: number
  readonly resource: number
  readonly parts: ReadonlyArray<Part>
  /** The least and the greatest index of them. */
  readonly first: number
  readonly last: number
}

/** One number of a frame, the cell it belongs to, and the series' key. */
interface Part {
  readonly index: number
  readonly cell: number
  readonly key: string
}

export const partsOf = (
  series: ReadonlyArray<SelectedSeries>,
  { flattened }: FrameColumn,
  reading: MetricRange.Reading,
  cellOf: (series: SelectedSeries) => number
): ReadonlyArray<LaneParts> => {
  const lanes = new Map<number, { readonly resource: number; readonly parts: Array<Part> }>()
  for (const one of series) {
    const cell = cellOf(one)
    // A lane may list a series twice.
    const seen = new Map<number, number>()
    for (const { lane, position, resource, start } of one.places) {
      let entry = lanes.get(lane)
      if (entry === undefined) lanes.set(lane, entry = { resource, parts: [] })
      const part = seen.get(lane) ?? 0
      seen.set(lane, part + 1)
      const key = `${one.id}:${part}`
      if (!flattened) entry.parts.push({ index: position, cell, key })
      // The number of observations is the sum of the buckets: all of them go into one cell.
      else for (let b = 0; b <= one.bounds.length; b++) entry.parts.push({ index: start + b, cell: reading === "buckets" ? cell + b : cell, key: `${key}:${b}` })
    }
  }
  return [...lanes].map(([lane, { parts, resource }]) => ({
    lane,
    resource,
    parts,
    first: parts.reduce((least, { index }) => Math.min(least, index), Infinity),
    last: parts.reduce((greatest, { index }) => Math.max(greatest, index), 0)
  }))
}

/**
 * Rows `lane, ended, span, v` of the frames that meet the time from `$1` (exclusive) to `$2`: `$3` lanes, `$4` and `$5` the first
 * and last number wanted of each, `$6` the most. Of the frames after the range only a lane's first can reach into it.
 */
export const framesSql = (t: Sql, { arrays, table }: FrameColumn): string => {
  const values = arrays.map((name) => `array_send(f.${name}[l.first:l.last])`)
  const columns = `l.lane, extract(epoch from f.ts)::float8 * 1000 as ended, f.span_ms::float8 as span, ${
    values.length === 1 ? values[0]! : `coalesce(${values.join(", ")})`
  } as v`
  const lanes = "unnest($3::int4[], $4::int4[], $5::int4[]) as l(lane, first, last)"
  return `(select ${columns} from ${lanes} join ${t[table]} f on f.lane = l.lane
    where f.ts > $1::timestamptz and f.ts <= $2::timestamptz limit $6::int4)
  union all
  (select ${columns} from ${lanes} cross join lateral (
      select ts, span_ms, ${arrays.join(", ")} from ${t[table]} n
      where n.lane = l.lane and n.ts > $2::timestamptz and n.ts <= $2::timestamptz + interval '1 day' order by n.ts limit 1) f
    where f.ts - f.span_ms * interval '1 millisecond' < $2::timestamptz)`
}

/** A piece per lane. */
export const framePieces = (rows: ReadonlyArray<Row>, lanes: ReadonlyArray<LaneParts>): ReadonlyArray<Piece> => {
  const byLane = Map.groupBy(rows, (row) => row["lane"] as number)
  return lanes.flatMap((lane) => {
    const own = byLane.get(lane.lane)
    return own === undefined ? [] : [pieceOf(own.sort((a, b) => (a["at"] as number) - (b["at"] as number)), lane)]
  })
}

const pieceOf = (rows: ReadonlyArray<Row>, { first, lane, last, parts, resource }: LaneParts): Piece => {
  const columns = parts.map(({ cell, key }) => ({ cell, key, values: new Float64Array(rows.length).fill(NaN) }))
  const targets: Array<Float64Array | undefined> = Array.from({ length: last - first + 1 })
  parts.forEach(({ index }, i) => void (targets[index - first] = columns[i]!.values))
  rows.forEach((row, at) =>
    eachNumber(row["words"] as Uint8Array, (value, i) => {
      const target = targets[i]
      if (target !== undefined) target[at] = value
    })
  )
  return {
    owner: `resource ${resource}`,
    resource,
    writer: `lane ${lane}`,
    ends: Float64Array.from(rows, (row) => row["at"] as number),
    spans: Float64Array.from(rows, (row) => row["span"] as number),
    columns
  }
}
