/**
 * When the values of a segment were taken, shared by all its columns: runs of samples at one distance. A process that
 * flushes on its grid has one run; a start, a stop and a gap add one each.
 */
export interface Axis {
  /** Index of each run's first sample, from 0. */
  readonly firsts: Int32Array
  readonly counts: Int32Array
  /** Of each run's first sample: milliseconds after the segment's start. */
  readonly offsets: Int32Array
  /** Milliseconds from one sample to the next. */
  readonly steps: Int32Array
  /** The interval each sample of the run covers, in milliseconds. */
  readonly spans: Float64Array
}

/** Runs of samples at ascending `times` (milliseconds after the segment's start) that cover `spans` milliseconds each. */
export const axisOf = (times: ArrayLike<number>, spans: ArrayLike<number>): Axis => {
  const firsts: Array<number> = []
  const steps: Array<number> = []
  for (let i = 0; i < times.length; i++) {
    const run = firsts.length - 1
    const first = firsts[run]
    if (first !== undefined && spans[i] === spans[first]) {
      const step = times[i]! - times[i - 1]!
      if (i === first + 1) {
        steps[run] = step
        continue
      }
      if (step === steps[run]) continue
    }
    firsts.push(i)
    steps.push(0)
  }
  return {
    firsts: Int32Array.from(firsts),
    counts: Int32Array.from(firsts, (first, run) => (firsts[run + 1] ?? times.length) - first),
    offsets: Int32Array.from(firsts, (first) => times[first]!),
    steps: Int32Array.from(steps),
    spans: Float64Array.from(firsts, (first) => spans[first]!)
  }
}

export const sizeOf = ({ counts, firsts }: Axis): number => (firsts.length === 0 ? 0 : firsts.at(-1)! + counts.at(-1)!)

/** Every sample's time, in milliseconds after the segment's start. */
export const timesOf = (axis: Axis): Float64Array => expand(axis, (run, k) => axis.offsets[run]! + k * axis.steps[run]!)

export const spansOf = (axis: Axis): Float64Array => expand(axis, (run) => axis.spans[run]!)

const expand = (axis: Axis, value: (run: number, k: number) => number): Float64Array => {
  const out = new Float64Array(sizeOf(axis))
  for (let run = 0, i = 0; run < axis.firsts.length; run++) {
    for (let k = 0; k < axis.counts[run]!; k++) out[i++] = value(run, k)
  }
  return out
}
