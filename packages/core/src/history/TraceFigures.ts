import type { Difference, Latency, LatencyPoint, SpanFigures } from "./TraceHistory.ts"
import type { LatencyQuestion } from "./TraceQuestions.ts"

// The arithmetic of answers about many spans, the same for every provider. A provider counts spans per duration bucket; a
// bucket is 2^(1/16) wide, so that its middle is at most 2.2 % away from any duration in it.

const perOctave = 16

/** Bucket `i` holds durations above `2^((i-1)/16)` and up to `2^(i/16)` nanoseconds; 0 and 1 ns are in bucket 0. */
export const bucketOf = (nanos: number): number => (nanos <= 1 ? 0 : Math.ceil(Math.log(nanos) * bucketScale))

/** Buckets per unit of the natural logarithm, for providers that count elsewhere. */
export const bucketScale = perOctave / Math.LN2

const middleOf = (bucket: number): number => (bucket === 0 ? 1 : 2 ** ((bucket - 0.5) / perOctave))

/** Weighted counts by duration bucket. */
export type Durations = ReadonlyMap<number, number>

/** Nearest rank over weighted buckets; `NaN` when there are none. */
export const quantile = (durations: Durations, q: number): number => quantiles(durations, [q])[0]!

const quantiles = (durations: Durations, wanted: ReadonlyArray<number>): ReadonlyArray<number> => {
  const sorted = [...durations].filter(([, weight]) => weight > 0).sort(([a], [b]) => a - b)
  const total = sorted.reduce((sum, [, weight]) => sum + weight, 0)
  return wanted.map((q) => {
    if (sorted.length === 0) return NaN
    // One part in a million million: sums of weights carry rounding errors.
    const rank = q * total * (1 - 1e-12)
    let below = 0
    for (const [bucket, weight] of sorted) {
      below += weight
      if (below >= rank) return middleOf(bucket)
    }
    return middleOf(sorted.at(-1)![0])
  })
}

/** Counts of one group of spans, in one duration bucket. */
export interface Counted {
  readonly bucket: number
  /** Weighted. */
  readonly count: number
  readonly errorCount: number
  /** Weighted sum of durations, nanoseconds. */
  readonly totalDuration: number
}

export const figures = (counted: ReadonlyArray<Counted>): SpanFigures => {
  const durations = new Map<number, number>()
  let count = 0
  let errorCount = 0
  let totalDuration = 0
  for (const one of counted) {
    durations.set(one.bucket, (durations.get(one.bucket) ?? 0) + one.count)
    count += one.count
    errorCount += one.errorCount
    totalDuration += one.totalDuration
  }
  const [p50, p90, p99] = quantiles(durations, [0.5, 0.9, 0.99])
  return { count, errorCount, p50: p50!, p90: p90!, p99: p99!, totalDuration }
}

/** Buckets of one row of the heatmap: half an octave. */
const perRow = perOctave / 2

/** `step` of a count is its place in the range, from 0. */
export const latencyOf = (question: LatencyQuestion, counted: ReadonlyArray<Counted & { readonly step: number }>): Latency => {
  const rowOf = (bucket: number) => Math.ceil(bucket / perRow)
  const rows = counted.map((one) => rowOf(one.bucket))
  const lowest = rows.reduce((least, row) => Math.min(least, row), Infinity)
  const highest = rows.reduce((most, row) => Math.max(most, row), -Infinity)
  const bounds = counted.length === 0 ? [] : Array.from({ length: highest - lowest + 1 }, (_, i) => 2 ** (((lowest + i) * perRow) / perOctave))
  const byStep = Map.groupBy(counted, (one) => one.step)
  const points = Array.from({ length: question.steps }, (_, step): LatencyPoint => {
    const all = byStep.get(step) ?? []
    const counts = bounds.map(() => 0)
    const durations = new Map<number, number>()
    let count = 0
    let errorCount = 0
    for (const one of all) {
      counts[rowOf(one.bucket) - lowest]! += one.count
      durations.set(one.bucket, (durations.get(one.bucket) ?? 0) + one.count)
      count += one.count
      errorCount += one.errorCount
    }
    return {
      time: Number(question.filter.from + BigInt(step) * question.step) / 1e6,
      count,
      errorCount,
      quantiles: quantiles(durations, question.quantiles),
      counts
    }
  })
  return { step: Number(question.step) / 1e6, quantiles: question.quantiles, bounds, points }
}

/** How many spans carry one value of one attribute. */
export interface Carried {
  readonly key: string
  readonly value: string
  /** Spans, unweighted: they decide what is sure. */
  readonly selected: number
  readonly rest: number
  readonly selectedWeight: number
  readonly restWeight: number
}

/** How many spans there are in all, of both sides. */
export interface Population {
  readonly selected: number
  readonly rest: number
  readonly selectedWeight: number
  readonly restWeight: number
}

/** Values that at least so many selected spans carry are looked at. */
export const leastCarried = 2

/**
 * Values that the selected carry more often than the rest, by the likelihood ratio G² (Dunning 1993), which unlike the
 * difference of shares does not take two of three for two hundred of three hundred, and unlike chi squared holds for rare
 * values. Of values that the same spans carry, the one that fewer of the rest carry comes first.
 */
export const rank = (population: Population, carried: ReadonlyArray<Carried>, limit: number): ReadonlyArray<Difference> =>
  // With nothing on one side there is nothing to compare.
  population.selected === 0 || population.rest === 0 ? [] : carried.flatMap((one): ReadonlyArray<Difference & { readonly carriers: number }> => {
    const selectedShare = share(one.selected, population.selected)
    const restShare = share(one.rest, population.rest)
    if (one.selected < leastCarried || selectedShare <= restShare) return []
    return [{
      carriers: one.rest,
      key: one.key,
      value: one.value,
      selectedShare: share(one.selectedWeight, population.selectedWeight),
      restShare: share(one.restWeight, population.restWeight),
      score: likelihoodRatio(one.selected, population.selected, one.rest, population.rest)
    }]
  }).sort((a, b) =>
    b.score - a.score || a.carriers - b.carriers || (a.key < b.key ? -1 : a.key > b.key ? 1 : a.value < b.value ? -1 : 1)
  ).slice(0, limit).map(({ carriers: _, ...difference }) => difference)

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

/** G² of a two-by-two table: `a` of `n` against `b` of `m`. */
const likelihoodRatio = (a: number, n: number, b: number, m: number): number => {
  const expected = (part: number, whole: number, row: number) => (part === 0 ? 0 : part * Math.log((part * (n + m)) / (whole * row)))
  const carriers = a + b
  const others = n + m - carriers
  return Math.max(0, 2 * (expected(a, n, carriers) + expected(b, m, carriers) + expected(n - a, n, others) + expected(m - b, m, others)))
}
