import type { MetricFrame, Series } from "@effect-observability/core"
import { bucketsOf } from "../PostgresEncoding.ts"

/**
 * Puts the sums, least and greatest values of histograms on a decimal grid (a microsecond for the usual buckets of
 * seconds): as decimals they pack to a third. What a sum loses is carried into the series' next
 * frame, so that the total over time is off by less than one step of the grid; least values go down, greatest up.
 *
 * A batch that is tried again starts from the same remainders and gives the same frames.
 */
export class SumGrid {
  private number = 0
  /** Before the current batch, and after it. By series. */
  private before = new Map<Series, number>()
  private after = new Map<Series, number>()
  /** Of the newest frame, before the current batch and after it. */
  private generationBefore: number | undefined
  private generation: number | undefined

  /** Series with a remainder. */
  get size(): number {
    return this.after.size
  }

  cut(number: number, batch: ReadonlyArray<MetricFrame>): ReadonlyArray<MetricFrame> {
    if (number !== this.number) {
      this.before = this.after
      this.generationBefore = this.generation
      this.number = number
    }
    this.after = new Map(this.before)
    const out = batch.map((frame) => (frame.histograms.series.length === 0 ? frame : this.frame(frame)))
    const last = batch.at(-1)
    this.generation = last?.generation
    if (last !== undefined && last.generation !== this.generationBefore) this.forget(last)
    return out
  }

  /** With a generation go the series that ended before it: their remainders, less than a step each, have no frame to go into. */
  private forget({ histograms }: MetricFrame): void {
    const living = new Set(histograms.series)
    for (const series of this.after.keys()) if (!living.has(series)) this.after.delete(series)
  }

  private frame(frame: MetricFrame): MetricFrame {
    const { counts, series } = frame.histograms
    const sums = frame.histograms.sums.slice()
    const mins = frame.histograms.mins.slice()
    const maxs = frame.histograms.maxs.slice()
    for (let i = 0; i < series.length; i++) {
      if (counts[i] === 0) continue
      const one = series[i]!
      const divisor = divisorOf(one)
      const exact = sums[i]! + (this.after.get(one) ?? 0)
      const cut = Math.round(exact * divisor) / divisor
      // Past what a double counts in such steps, and past all numbers, it stays as it is.
      if (Number.isSafeInteger(Math.round(exact * divisor))) {
        sums[i] = cut
        if (exact === cut) this.after.delete(one)
        else this.after.set(one, exact - cut)
      }
      mins[i] = onGrid(mins[i]!, divisor, Math.floor)
      maxs[i] = onGrid(maxs[i]!, divisor, Math.ceil)
    }
    return { ...frame, histograms: { ...frame.histograms, sums, mins, maxs } }
  }
}

const onGrid = (value: number, divisor: number, away: (value: number) => number): number => {
  const near = Math.round(value * divisor)
  if (!Number.isSafeInteger(near) || near / divisor === value) return value
  return away(value * divisor) / divisor
}

/**
 * Steps per unit, a power of ten: a million, more where the smallest bucket has fewer than a thousand of these steps, fewer where
 * it holds more than a million.
 */
const divisorOf = (series: Series): number => {
  const least = bucketsOf(series.definition).find((bound) => bound > 0) ?? 1
  const magnitude = Math.floor(Math.log10(least))
  return 10 ** Math.min(9, Math.max(0, 6 - Math.max(0, magnitude), 3 - magnitude))
}
