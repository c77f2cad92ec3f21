import { type HistoryError, type MetricRange, rangeLimits } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Sql } from "../internal/names.ts"
import { int4, int4s, timestamptz } from "../internal/parameters.ts"
import { type Ask, invalid } from "./ask.ts"
import type { Piece } from "./pieces.ts"
import type { SelectedSeries } from "./selection.ts"

/** One interval of one series in base-2 exponential buckets. */
interface State {
  readonly series: number
  readonly lane: number
  readonly resource: number | undefined
  readonly end: number
  readonly span: number
  readonly scale: number
  readonly zero: number
  readonly low: number
  readonly positive: ReadonlyArray<bigint>
  readonly negativeLow: number
  readonly negative: ReadonlyArray<bigint>
}

/** Most buckets of one sign in an answer: what is finer is read at a coarser scale. */
const mostBuckets = 320

export interface Exponentials {
  /** The series that have them, and the begin of the first interval of each. */
  readonly since: ReadonlyMap<number, number>
  /** The buckets as others have them: upper bounds, ascending. The same for all series of an answer. */
  readonly bounds: ReadonlyArray<number>
  readonly pieces: (cellOf: (series: number) => number) => ReadonlyArray<Piece>
}

/** What is stored of the series in exponential buckets; `undefined` when there is nothing. */
export const exponentials = (
  ask: Ask,
  t: Sql,
  series: ReadonlyArray<SelectedSeries>,
  { from, resources, to }: { readonly from: number; readonly to: number; readonly resources: ReadonlySet<number> | undefined }
): Effect.Effect<Exponentials | undefined, HistoryError> =>
  Effect.gen(function*() {
    const most = 200_000
    const rows = yield* ask(
      `select e.series, e.lane, l.resource, (extract(epoch from e.ts) * 1000)::float8 as ended, e.span_ms::float8 as span, e.scale, e.zero::float8 as zero,
        e.low, e.positive, e.negative_low, e.negative
      from ${t.every_exponential} e left join ${t.lane} l on l.id = e.lane
      where e.series = any($1::int4[]) and e.ts > $2::timestamptz and e.day > $2::timestamptz - interval '1 hour'
        and e.day < $3::timestamptz + interval '1 day' and e.ts - e.span_ms * interval '1 millisecond' < $3::timestamptz
        and ($5::int4[] is null or l.resource = any($5::int4[]))
      order by e.ts limit $4::int4`,
      [int4s(Int32Array.from(series, ({ id }) => id)), timestamptz(from), timestamptz(to), int4(most + 1), resources === undefined ? null : int4s(Int32Array.from(resources))]
    )
    if (rows.length > most) return yield* invalid("start", "and end hold too many values of this metric: narrow the range or the labels")
    if (rows.length === 0) return undefined
    const states = rows.map((row): State => ({
      series: row["series"] as number, lane: row["lane"] as number, resource: (row["resource"] as number | null) ?? undefined, end: row["ended"] as number, span: row["span"] as number, scale: row["scale"] as number,
      zero: row["zero"] as number, low: row["low"] as number, positive: row["positive"] as ReadonlyArray<bigint>,
      negativeLow: row["negative_low"] as number, negative: row["negative"] as ReadonlyArray<bigint>
    }))
    const layout = layoutOf(states)
    if (layout.bounds.length * rows.length > rangeLimits.samples) {
      return yield* invalid("start", "and end hold too many values of this metric: narrow the range or the labels")
    }
    const since = new Map<number, number>()
    for (const { end, series, span } of states) since.set(series, Math.min(since.get(series) ?? Infinity, end - span))
    return { since, bounds: layout.bounds, pieces: (cellOf) => piecesOf(states, layout, cellOf) }
  })

interface Layout {
  readonly scale: number
  readonly bounds: ReadonlyArray<number>
  /** The place of the bucket of zeros; positive bucket `low` follows after the one below it, negative ones stand before. */
  readonly zero: number
  readonly low: number
  readonly negativeLow: number
}

/** The range of one sign at a scale, of all states; empty when `high < low`. */
const extentOf = (states: ReadonlyArray<State>, scale: number, sign: "positive" | "negative") => {
  let low = Infinity
  let high = -Infinity
  for (const state of states) {
    const length = state[sign].length
    if (length === 0) continue
    const first = sign === "positive" ? state.low : state.negativeLow
    const by = state.scale - scale
    low = Math.min(low, first >> by)
    high = Math.max(high, (first + length - 1) >> by)
  }
  return { low, high }
}

const layoutOf = (states: ReadonlyArray<State>): Layout => {
  let scale = states.reduce((least, state) => Math.min(least, state.scale), Infinity)
  const width = (sign: "positive" | "negative") => {
    const { high, low } = extentOf(states, scale, sign)
    return high - low + 1
  }
  while (width("positive") > mostBuckets || width("negative") > mostBuckets) scale--
  const base = (index: number) => Math.min(Number.MAX_VALUE, 2 ** (index * 2 ** -scale))
  const positive = extentOf(states, scale, "positive")
  const negative = extentOf(states, scale, "negative")
  const bounds: Array<number> = []
  // The lower edge of the lowest bucket is a bound of its own: nothing lies below.
  if (negative.high >= negative.low) for (let i = negative.high + 1; i >= negative.low; i--) bounds.push(-base(i))
  const zero = bounds.length
  bounds.push(0)
  if (positive.high >= positive.low) for (let i = positive.low; i <= positive.high + 1; i++) bounds.push(base(i))
  return { scale, bounds, zero, low: positive.low, negativeLow: negative.low }
}

/** A piece for each series of each writer: a column per bucket that ever held something. */
const piecesOf = (states: ReadonlyArray<State>, layout: Layout, cellOf: (series: number) => number): ReadonlyArray<Piece> =>
  [...Map.groupBy(states, ({ lane, series }) => `${lane} ${series}`).values()].map((own) => {
    const { lane, resource, series } = own[0]!
    const first = cellOf(series)
    const columns = new Map<number, Float64Array>()
    const add = (bucket: number, i: number, count: number) => {
      let values = columns.get(bucket)
      if (values === undefined) columns.set(bucket, values = new Float64Array(own.length))
      values[i]! += count
    }
    own.forEach((state, i) => {
      const by = state.scale - layout.scale
      // Something for every interval, so that one with nothing but zeros counts as seen.
      add(layout.zero, i, state.zero)
      state.positive.forEach((count, k) => {
        if (count !== 0n) add(layout.zero + 2 + ((state.low + k) >> by) - layout.low, i, Number(count))
      })
      state.negative.forEach((count, k) => {
        if (count !== 0n) add(layout.zero - 1 - (((state.negativeLow + k) >> by) - layout.negativeLow), i, Number(count))
      })
    })
    return {
      owner: `exponential ${lane}`,
      resource,
      writer: `exponential ${lane}`,
      ends: Float64Array.from(own, ({ end }) => end),
      spans: Float64Array.from(own, ({ span }) => span),
      columns: [...columns].map(([bucket, values]): MetricRange.BlockColumn & { readonly key: string } => ({ cell: first + bucket, key: `cell ${first + bucket}`, values }))
    }
  })
