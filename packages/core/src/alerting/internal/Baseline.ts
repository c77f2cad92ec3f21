/** Places of a season, and values remembered of each: 30 minutes of a day, 3.5 hours of a week. */
const places = 48
const remembered = 9

/**
 * What a figure usually is, by place in the season: the median of what it was there before, and the median deviation from it. One value
 * (a median too) is remembered of each visit; `places * remembered` numbers, whatever comes.
 */
export class Baseline {
  private readonly season: number
  private readonly values = new Float32Array(places * remembered)
  private readonly counts = new Uint16Array(places)
  private visit = -1
  /** A few values of the present visit. */
  private current: Array<number> = []
  private seenOfVisit = 0

  constructor(season: number) {
    this.season = season
  }

  learn(value: number, time: number): void {
    const visit = Math.floor(time / (this.season / places))
    if (visit !== this.visit) this.settle()
    this.visit = visit
    // A sample of fixed size, spread over the visit: each later value takes the place of an older one now and then.
    this.seenOfVisit++
    if (this.current.length < 16) this.current.push(value)
    else this.current[this.seenOfVisit % 16] = value
  }

  private settle(): void {
    if (this.current.length === 0) return
    const place = ((this.visit % places) + places) % places
    this.values[place * remembered + (this.counts[place]! % remembered)] = median(this.current)
    this.counts[place]!++
    // The ring goes on where it was, whatever the number.
    if (this.counts[place]! > 60_000) this.counts[place]! -= remembered * 6_000
    this.current = []
    this.seenOfVisit = 0
  }

  /** What is usual at a time; `undefined` before two visits of the place. */
  expected(time: number): { readonly middle: number; readonly deviation: number } | undefined {
    const length = this.season / places
    const position = time / length - 0.5
    const first = Math.floor(position)
    const share = position - first
    const at = (n: number) => this.of(((n % places) + places) % places)
    const [a, b] = [at(first), at(first + 1)]
    if (a.length < 2 || b.length < 2) return undefined
    const [ma, mb] = [median(a), median(b)]
    const middle = ma * (1 - share) + mb * share
    // What the neighbours deviate by counts too: a few values alone say little about it.
    const off: Array<number> = []
    for (let n = first - 1; n <= first + 2; n++) {
      const values = at(n)
      const m = median(values)
      for (const value of values) off.push(Math.abs(value - m))
    }
    // 1.4826 makes of a median deviation the standard deviation of a normal distribution.
    return { middle, deviation: 1.4826 * median(off) }
  }

  private of(place: number): ReadonlyArray<number> {
    const count = Math.min(this.counts[place]!, remembered)
    return Array.from(this.values.subarray(place * remembered, place * remembered + count))
  }

  static readonly bytes = places * remembered * 4 + places * 2 + 16 * 8 + 200
}

export const median = (values: ReadonlyArray<number>): number => {
  if (values.length === 0) return 0
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
