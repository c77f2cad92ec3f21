import type { MetricType } from "@effect-observability/core"
import { col } from "./columns.ts"

/**
 * Sums of a day's samples over fixed steps. Place `i` of a step of `s` milliseconds holds what happened in
 * `(i * s, (i + 1) * s]` after the start of the day; `NaN` where nothing was taken.
 */

/** A column of one series as one process took it. */
export interface Samples {
  readonly col: number
  /** Milliseconds after the start of the day, ascending. */
  readonly times: Float64Array
  /** `NaN` where there is none. */
  readonly values: Float64Array
  /** What makes every value whole, or 0 when nothing does. */
  readonly divisor: number
}

const minute = 60_000
export const minutesPerDay = 1_440

/** The roll-up columns of a series from all its columns in a day, by minute. */
export const minutes = (type: MetricType, samples: ReadonlyArray<Samples>): ReadonlyMap<number, Float64Array> => {
  const out = new Map<number, Float64Array>()
  for (const [number, parts] of Map.groupBy(samples, (one) => one.col)) {
    if (type === "gauge" || type === "upDownCounter") {
      out.set(col.value, last(parts))
      out.set(col.least, fold(parts, Math.min))
      out.set(col.greatest, fold(parts, Math.max))
      out.set(col.count, count(parts))
      out.set(col.sum, sum(parts))
    } else if (number === col.least) out.set(number, fold(parts, Math.min))
    else if (number === col.greatest) out.set(number, fold(parts, Math.max))
    else out.set(number, type === "summary" && number >= col.first ? last(parts) : sum(parts))
  }
  return out
}

/** The same columns over a coarser step: `per` places become one. */
export const coarser = (type: MetricType, number: number, fine: Float64Array, per: number): Float64Array => {
  const out = new Float64Array(fine.length / per).fill(NaN)
  const join = joining(type, number)
  // Sums of decimals stay decimals: added as whole numbers of the twelfth digit they would overflow, so by what they have.
  const divisor = join === add ? divisorOf(fine) : 0
  for (let i = 0; i < fine.length; i++) {
    const value = fine[i]!
    if (value !== value) continue
    const at = Math.floor(i / per)
    const before = out[at]!
    const scaled = divisor === 0 ? value : Math.round(value * divisor)
    out[at] = before === before ? join(before, scaled) : scaled
  }
  if (divisor > 1) for (let i = 0; i < out.length; i++) out[i]! /= divisor
  return out
}

const add = (a: number, b: number): number => a + b
const later = (_: number, b: number): number => b

const joining = (type: MetricType, number: number): (a: number, b: number) => number => {
  if (number === col.least) return Math.min
  if (number === col.greatest) return Math.max
  const isLast = type === "summary" ? number >= col.first : (type === "gauge" || type === "upDownCounter") && number === col.value
  return isLast ? later : add
}

const placeOf = (time: number): number => Math.min(minutesPerDay - 1, Math.max(0, Math.ceil(time / minute) - 1))

const each = (parts: ReadonlyArray<Samples>, use: (place: number, value: number, time: number) => void): void => {
  for (const { times, values } of parts) {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      if (value === value) use(placeOf(times[i]!), value, times[i]!)
    }
  }
}

const empty = (): Float64Array => new Float64Array(minutesPerDay).fill(NaN)

const fold = (parts: ReadonlyArray<Samples>, pick: (a: number, b: number) => number): Float64Array => {
  const out = empty()
  each(parts, (place, value) => {
    const before = out[place]!
    out[place] = before === before ? pick(before, value) : value
  })
  return out
}

const count = (parts: ReadonlyArray<Samples>): Float64Array => {
  const out = empty()
  each(parts, (place) => void (out[place] = (out[place]! || 0) + 1))
  return out
}

const last = (parts: ReadonlyArray<Samples>): Float64Array => {
  const out = empty()
  const when = new Float64Array(minutesPerDay).fill(-1)
  each(parts, (place, value, time) => {
    if (time < when[place]!) return
    when[place] = time
    out[place] = value
  })
  return out
}

/** Decimals are added as whole numbers: their sum is the decimal it should be, and packs like one. */
const sum = (parts: ReadonlyArray<Samples>): Float64Array => {
  const divisor = parts.every((one) => one.divisor > 0) ? Math.max(...parts.map((one) => one.divisor)) : 1
  const out = empty()
  each(parts, (place, value) => void (out[place] = (out[place]! || 0) + (divisor === 1 ? value : Math.round(value * divisor))))
  if (divisor > 1) for (let i = 0; i < out.length; i++) out[i]! /= divisor
  return out
}

/** The least power of ten, up to a million, that makes every value whole; 0 when none does. */
const divisorOf = (values: Float64Array): number => {
  let divisor = 1
  for (const value of values) {
    while (value === value && Math.round(value * divisor) / divisor !== value) {
      divisor *= 10
      if (divisor > 1e6) return 0
    }
  }
  return divisor
}
