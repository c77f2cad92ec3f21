import type { Sampled } from "../internal/packing/hours.ts"
import { bitsOf, packedBytes } from "./pages.ts"

/** Columns of histograms from here on are buckets. */
const firstBucket = 16

/** What packing does to the series of one kind, learnt from the columns of some. */
export interface Kind {
  /** Columns a series has, buckets apart. */
  readonly columns: ReadonlyArray<{ readonly bits: number }>
  readonly buckets: ReadonlyArray<{ readonly bits: number }>
  readonly looked: number
  /** By how many bits a code widens when it covers twice as many values. */
  readonly widening: number
  /** Values a column was looked at with. */
  readonly frames: number
  /** Buckets that one frame filled, and those that two did: how many are still to be seen follows from them. */
  readonly once: number
  readonly twice: number
}

export const learn = ({ columns, looked }: Pick<Sampled, "columns" | "looked">, frames: number): Kind => {
  const plain: Array<{ readonly bits: number }> = []
  const buckets: Array<{ readonly bits: number }> = []
  let once = 0
  let twice = 0
  let whole = 0
  let halves = 0
  let compared = 0
  for (const { col, values } of columns) {
    const bits = bitsOf(values)
    if (bits === undefined) continue
    ;(col >= firstBucket ? buckets : plain).push({ bits })
    if (col >= firstBucket) {
      const filled = values.reduce((count, value) => count + (value > 0 ? 1 : 0), 0)
      if (filled === 1) once++
      if (filled === 2) twice++
    }
    const middle = values.length >>> 1
    const one = bitsOf(values.subarray(0, middle))
    const other = bitsOf(values.subarray(middle))
    if (middle < 4 || one === undefined || other === undefined || ![bits, one, other].every(Number.isFinite)) continue
    whole += bits
    halves += (one + other) / 2
    compared++
  }
  return { columns: plain, buckets, looked, widening: compared === 0 ? 0 : Math.min(1, Math.max(0, (whole - halves) / compared)), frames, once, twice }
}

/** Buckets that nothing fell into yet and that `n` values will fill (Chao's estimate of the unseen, and Shen's of how soon they are seen). */
const unseen = ({ frames, once, twice }: Kind, n: number): number => {
  if (once === 0 || n <= frames) return 0
  const hidden = twice > 0 ? (once * once) / (2 * twice) : (once * (once - 1)) / 2
  if (hidden === 0) return 0
  return hidden * (1 - (1 - once / (frames * hidden + once)) ** (n - frames))
}

const widened = (bits: number, kind: Kind, n: number): number =>
  bits === Infinity || n <= 1 ? bits : Math.max(0, bits + kind.widening * Math.max(0, Math.log2(n / Math.max(1, kind.frames))))

/** Bytes of one series' packed rows over `n` values. */
export const seriesBytes = (kind: Kind, n: number): number => {
  if (kind.looked === 0 || n < 1) return 0
  let bytes = 0
  for (const { bits } of [...kind.columns, ...kind.buckets]) bytes += packedBytes(n, widened(bits, kind, n))
  return (bytes + unseen(kind, n) * packedBytes(n, 1)) / kind.looked
}

/** Bytes of one series' roll-ups of a day: 1,440 minutes, and its part of the hours. `perMinute` is how many values a minute has. */
export const rollupBytes = (kind: Kind, isGauge: boolean, perMinute: number): number => {
  if (kind.looked === 0) return 0
  const sum = Math.log2(Math.max(1, perMinute))
  const minutes = (bits: number) => packedBytes(1_440, bits, "rollup")
  let bytes = 0
  for (const { bits } of kind.columns) {
    const wide = widened(bits, kind, 1_440 * perMinute)
    // Last, least, greatest, how many and their sum; a counter has its sum alone.
    bytes += isGauge ? 3 * minutes(wide) + minutes(0) + minutes(wide + sum) : minutes(wide + sum / 2)
    bytes += (isGauge ? 5 : 1) * 24 * (wide === Infinity ? 8 : (wide + 5) / 8)
  }
  for (const { bits } of kind.buckets) bytes += minutes(widened(bits, kind, 1_440 * perMinute) + sum / 2) + 24 * (bits + 5) / 8
  return bytes / kind.looked
}
