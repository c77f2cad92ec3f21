import type { MetricRange, MetricType, RangeFunction } from "@effect-observability/core"
import { type Axis, spansOf, timesOf } from "../internal/packing/axis.ts"
import { unpack } from "../internal/packing/column.ts"
import { col, type Column, columnOf } from "../internal/packing/columns.ts"
import { eachNumber, float8sOf } from "../internal/packing/wire.ts"
import type { Row } from "../internal/session.ts"
import type { Piece, PieceColumn } from "./pieces.ts"

/** What a reading takes of a packed series: these columns, and with `flattened` one per bucket. */
export interface PackedColumns {
  readonly cols: ReadonlyArray<number>
  readonly flattened: boolean
}

/** `name` for roll-ups, where a set value has more columns than one. */
export const packedColumns = (reading: MetricRange.Reading, type: MetricType, name?: RangeFunction): PackedColumns => {
  const only = (...cols: ReadonlyArray<number>): PackedColumns => ({ cols, flattened: false })
  switch (reading) {
    case "increase":
    case "sum":
      return only(col.value)
    case "value":
      return name === "avg" ? only(col.count, col.sum) : only(name === "min" ? col.least : name === "max" ? col.greatest : col.value)
    case "min":
      return only(col.least)
    case "max":
      return only(col.greatest)
    case "count":
      // The sum is there whenever the histogram is: a bucket without a row held nothing.
      return type === "summary" ? only(col.count) : { cols: [col.value], flattened: true }
    case "buckets":
      return { cols: [], flattened: true }
  }
}

/** Intervals of a segment or of a period of a roll-up, and who they belong to. */
export interface Stretch extends Pick<Piece, "owner" | "resource" | "writer"> {
  readonly ends: Float64Array
  readonly spans: Float64Array
}

/** The intervals of a segment; `row` holds its axis as sent arrays. */
export const segmentOf = (row: Row): Stretch => {
  const ints = (name: string) => {
    const out: Array<number> = []
    eachNumber(row[name] as Uint8Array, (value) => out.push(value))
    return Int32Array.from(out)
  }
  const axis: Axis = { firsts: ints("words"), counts: ints("raw"), offsets: ints("b1"), steps: ints("b2"), spans: float8sOf(row["b3"] as Uint8Array) }
  const start = row["at"] as number
  const resource = row["span"] as number
  return { owner: `resource ${resource}`, resource, writer: `lane ${row["lane"]}`, ends: timesOf(axis).map((time) => start + time), spans: spansOf(axis) }
}

/** Places of `step` milliseconds from `start` on. */
export const placesOf = (resource: number, start: number, step: number, places: number): Stretch => ({
  owner: `resource ${resource}`,
  resource,
  writer: `resource ${resource}`,
  ends: Float64Array.from({ length: places }, (_, i) => start + (i + 1) * step),
  spans: new Float64Array(places).fill(step)
})

/** How the numbers of a stretch are used. */
export interface Use {
  readonly reading: MetricRange.Reading
  /** The cell of a series. */
  readonly cellOf: (series: number) => number
  /** What is looked at: intervals that end after `from` and begin before `to`. */
  readonly from: number
  readonly to: number
}

/** The packed rows of one stretch as a piece, cut to the time looked at; `undefined` when nothing is left. */
export const pieceOf = ({ ends, owner, resource, spans, writer }: Stretch, rows: ReadonlyArray<Row>, use: Use): Piece | undefined => {
  let low = 0
  let high = ends.length
  while (low < high && ends[low]! <= use.from) low++
  while (high > low && ends[high - 1]! - spans[high - 1]! >= use.to) high--
  if (low === high) return undefined
  const columns = new Map<string, PieceColumn>()
  const weights = new Map<string, Float64Array>()
  const additive = use.reading !== "value" && use.reading !== "min" && use.reading !== "max"
  for (const row of rows) {
    const one = columnOf(row)
    const place = cutOf(one, low, high)
    if (one.col === col.count && use.reading === "value") weights.set(`${one.series}:${one.part}`, place)
    else put(columns, one, place, use, additive)
  }
  return {
    owner,
    resource,
    writer,
    ends: ends.subarray(low, high),
    spans: spans.subarray(low, high),
    columns: [...columns.values()].map((column) => ({ ...column, ...(weights.has(column.key) ? { weights: weights.get(column.key)! } : {}) }))
  }
}

const put = (columns: Map<string, PieceColumn>, one: Column, values: Float64Array, use: Use, additive: boolean): void => {
  const isBucket = one.col >= col.first
  const cell = use.cellOf(one.series) + (isBucket && use.reading === "buckets" ? one.col - col.first : 0)
  if (use.reading === "count" && one.col === col.value) for (let i = 0; i < values.length; i++) values[i]! *= 0
  const key = additive ? `cell ${cell}` : `${one.series}:${one.part}`
  const before = columns.get(key)
  if (before === undefined) columns.set(key, { cell, key, values })
  else add(before.values, values)
}

/** `NaN` is nothing to add. */
const add = (to: Float64Array, values: Float64Array): void => {
  for (let i = 0; i < to.length; i++) {
    const value = values[i]!
    if (value === value) to[i] = to[i] === to[i] ? to[i]! + value : value
  }
}

const cutOf = ({ first, packed }: Column, low: number, high: number): Float64Array => {
  const all = unpack(packed)
  const out = new Float64Array(high - low).fill(NaN)
  const from = Math.max(first, low)
  const to = Math.min(first + all.length, high)
  if (from < to) out.set(all.subarray(from - first, to - first), from - low)
  return out
}
