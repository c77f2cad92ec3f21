/** Counts per bucket of one layout: one per bound and one for +Inf, not cumulative. */
export interface Distribution {
  readonly bounds: ReadonlyArray<number>
  readonly counts: ArrayLike<number>
}

/**
 * The quantile of a histogram as Prometheus computes it: linear within the bucket it falls in, from 0 in the first bucket when
 * its bound is positive, the greatest bound when it falls beyond. `NaN` when nothing was observed.
 */
export const histogramQuantile = (quantile: number, { bounds, counts }: Distribution): number => {
  let total = 0
  for (let b = 0; b <= bounds.length; b++) total += counts[b]!
  if (!(total > 0)) return NaN
  const rank = quantile * total
  let below = 0
  let b = 0
  while (b < bounds.length && below + counts[b]! < rank) below += counts[b++]!
  if (b === bounds.length) return bounds[bounds.length - 1] ?? NaN
  const bound = bounds[b]!
  if (b === 0 && bound <= 0) return bound
  const lower = b === 0 ? 0 : bounds[b - 1]!
  return counts[b] === 0 ? lower : lower + (bound - lower) * ((rank - below) / counts[b]!)
}

/**
 * Several layouts as one over all their bounds: a bucket that another layout cuts in two is taken to be filled evenly. What
 * lies beyond a layout's last bound stays beyond all.
 */
export const joined = (all: ReadonlyArray<Distribution>): Distribution => {
  if (all.length === 1) return all[0]!
  const bounds = [...new Set(all.flatMap((one) => one.bounds))].sort((a, b) => a - b)
  const counts = new Float64Array(bounds.length + 1)
  for (const one of all) {
    let at = 0
    for (let b = 0; b < one.bounds.length; b++) {
      const upper = one.bounds[b]!
      const lower = b > 0 ? one.bounds[b - 1]! : Math.min(0, upper)
      const from = at
      while (bounds[at]! < upper) at++
      at++
      // The bounds of the union in this bucket; below the first bound everything not above 0 belongs to its own bucket.
      let before = lower
      for (let i = from; i < at; i++) {
        const part = upper > lower ? Math.max(0, bounds[i]! - before) / (upper - lower) : i === at - 1 ? 1 : 0
        counts[i]! += one.counts[b]! * part
        before = Math.max(before, bounds[i]!)
      }
    }
    counts[bounds.length]! += one.counts[one.bounds.length]!
  }
  return { bounds, counts }
}
