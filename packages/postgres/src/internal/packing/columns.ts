import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Sql } from "../names.ts"
import { float8s, int2s, int4s, int8, int8s, timestamptz } from "../parameters.ts"
import type { Row, Session } from "../session.ts"
import { type Packed, pack, unpack } from "./column.ts"
import { float8sOf, halvesOf, wordsOf } from "./wire.ts"

/** The columns of a series, as migration 0002 numbers them. */
export const col = { value: 0, least: 1, greatest: 2, count: 3, sum: 4, first: 16 } as const

/** A packed column and where it belongs. `owner` is the segment of a pack, the resource of a roll-up. */
export interface Column {
  readonly series: number
  readonly col: number
  readonly part: number
  /** Index of the first value on the axis. */
  readonly first: number
  readonly packed: Packed
}

/** The column without the absent values at its ends; `undefined` when nothing is left. */
export const column = (series: number, col: number, values: Float64Array, part = 0): Column | undefined => {
  let first = 0
  let end = values.length
  while (first < end && Number.isNaN(values[first])) first++
  while (end > first && Number.isNaN(values[end - 1])) end--
  return first === end ? undefined : { series, col, part, first, packed: pack(values.subarray(first, end)) }
}

/** What `columnOf` needs, of a packed table under the alias `p`. */
export const selected = `p.series, p.col, p.first, p.n, p.bits, p.delta, p.absent, p.base, p.slope, p.unit, p.divisor,
  array_send(p.words) as words, array_send(p.raw) as raw`

export const columnOf = (row: Row): Column => {
  const bytes = (name: string) => row[name] as Uint8Array | null
  const words = bytes("words")
  const raw = bytes("raw")
  return {
    series: row["series"] as number,
    col: row["col"] as number,
    part: Number(row["part"] ?? 0),
    first: row["first"] as number,
    packed: {
      n: row["n"] as number,
      bits: row["bits"] as number,
      delta: row["delta"] === true,
      absent: row["absent"] === true,
      base: Number(row["base"]),
      slope: Number(row["slope"]),
      unit: Number(row["unit"]),
      divisor: row["divisor"] as number,
      words: words === null ? null : halvesOf(words),
      raw: raw === null ? null : float8sOf(raw)
    }
  }
}

/** Writes the column's values into `out`, the one at index `first` to place `at + first`. */
export const spread = (one: Column, out: Float64Array, at = 0): Float64Array => unpack(one.packed, out, at + one.first)

/** Hours of a segment whose columns stand in the table. */
const hours = { metric_pack_hour: 1, metric_pack_day: 24 } as const

const insert = (table: string, owner: "segment" | "resource", length?: number): string => {
  const part = length === undefined ? { name: "", value: "" } : { name: ", part, hours", value: `, u.part::int2, ${length}` }
  return `insert into ${table}
      (ts, ${owner}, series, col${part.name}, first, n, bits, delta, absent, base, slope, unit, divisor, words, raw)
    select $1::timestamptz, $2::int8, u.series, u.col${part.value}, u.first, u.n, u.bits, u.flags & 1 <> 0, u.flags & 2 <> 0,
      u.base, u.slope, u.unit, u.divisor,
      case when u.w2 >= u.w1 then ($3::int8[])[u.w1:u.w2] end, case when u.r2 >= u.r1 then ($4::float8[])[u.r1:u.r2] end
    from unnest($5::int4[], $6::int2[], $7::int4[], $8::int4[], $9::int4[], $10::int2[], $11::int2[], $12::int8[], $13::int8[],
      $14::int8[], $15::float8[], $16::int4[], $17::int4[], $18::int4[], $19::int4[])
      as u(series, col, part, first, n, bits, flags, base, slope, unit, divisor, w1, w2, r1, r2)`
}

/** Values (8 bytes each) of one statement, at most about. */
const maxWords = 200_000

/** Inserts the columns in as few statements as their size allows. `ts` is the start of the segment or of the roll-up's period. */
export const store = (
  session: Session,
  t: Sql,
  table: keyof typeof hours | "rollup_minute" | "rollup_hour" | "rollup_day",
  ts: number,
  owner: number | bigint,
  columns: ReadonlyArray<Column>
): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const sql = table in hours ? insert(t[table], "segment", hours[table as keyof typeof hours]) : insert(t[table], "resource")
    for (let from = 0; from < columns.length;) {
      let to = from
      let size = 0
      while (to < columns.length && (to === from || size < maxWords)) size += 8 + sizeOf(columns[to++]!)
      yield* session.query(sql, [timestamptz(ts), int8(owner), ...parameters(columns.slice(from, to))])
      from = to
    }
  })

const sizeOf = ({ packed: { raw, words } }: Column): number => (words === null ? 0 : words.length / 2) + (raw === null ? 0 : raw.length)

const parameters = (columns: ReadonlyArray<Column>): ReadonlyArray<unknown> => {
  const words = slices(columns.map(({ packed }) => packed.words), (length) => new Uint32Array(length), 2)
  const raw = slices(columns.map(({ packed }) => packed.raw), (length) => new Float64Array(length), 1)
  const ints = (pick: (one: Column) => number) => int4s(Int32Array.from(columns, pick))
  const shorts = (pick: (one: Column) => number) => int2s(Int16Array.from(columns, pick))
  const longs = (pick: (packed: Packed) => number) => int8s(BigInt64Array.from(columns, ({ packed }) => BigInt(pick(packed))))
  return [
    int8s(wordsOf(words.all)),
    float8s(raw.all),
    ints((one) => one.series),
    shorts((one) => one.col),
    ints((one) => one.part),
    ints((one) => one.first),
    ints((one) => one.packed.n),
    shorts((one) => one.packed.bits),
    shorts((one) => (one.packed.delta ? 1 : 0) + (one.packed.absent ? 2 : 0)),
    longs((packed) => packed.base),
    longs((packed) => packed.slope),
    longs((packed) => packed.unit),
    float8s(Float64Array.from(columns, (one) => one.packed.divisor)),
    int4s(words.from),
    int4s(words.to),
    int4s(raw.from),
    int4s(raw.to)
  ]
}

/** All arrays one after the other, and `[from:to]` of each, counted from 1 in units of `width` entries; empty when `to < from`. */
const slices = <A extends Uint32Array | Float64Array>(parts: ReadonlyArray<A | null>, make: (length: number) => A, width: number) => {
  const from = new Int32Array(parts.length)
  const to = new Int32Array(parts.length)
  const all = make(parts.reduce((length, part) => length + (part?.length ?? 0), 0))
  let next = 0
  parts.forEach((part, i) => {
    from[i] = next / width + 1
    if (part !== null) all.set(part, next)
    next += part?.length ?? 0
    to[i] = next / width
  })
  return { all, from, to }
}
