/** Most places of a window: a longer one is kept at coarser times, and its edge taken in proportion. */
const maxPlaces = 240

/**
 * Totals at moments, for the time of one window. What rose in the window is the newest total less the one at its edge; between two
 * moments a total is taken to have risen evenly. Holds at most `maxPlaces + 2` moments of `width` numbers.
 */
export class Window {
  readonly length: number
  private readonly width: number
  private readonly spacing: number
  private times: Array<number> = []
  private totals: Array<Float64Array> = []

  /** Milliseconds; `began` is when all totals were 0. */
  constructor(length: number, width: number, interval: number, began: number) {
    this.length = length
    this.width = width
    this.spacing = Math.max(1, Math.ceil(length / Math.max(1, interval) / maxPlaces)) * interval
    this.times.push(began)
    this.totals.push(new Float64Array(width))
  }

  /** Totals only grow, times too. */
  push(time: number, totals: Float64Array): void {
    const last = this.times.length - 1
    // The newest moment stands until the next place of the grid is reached.
    if (last > 0 && this.times[last]! - this.times[last - 1]! < this.spacing && time - this.times[last - 1]! <= this.spacing) {
      this.times[last] = time
      this.totals[last]!.set(totals)
    } else {
      this.times.push(time)
      this.totals.push(totals.slice())
    }
    const edge = time - this.length
    let gone = 0
    while (gone + 1 < this.times.length && this.times[gone + 1]! <= edge) gone++
    if (gone > 0) {
      this.times.splice(0, gone)
      this.totals.splice(0, gone)
    }
  }

  /** What rose in the window that ends with the newest moment. */
  increase(): Float64Array {
    const last = this.times.length - 1
    const newest = this.totals[last]!
    const edge = this.times[last]! - this.length
    const [from, oldest] = [this.times[0]!, this.totals[0]!]
    const out = new Float64Array(this.width)
    // Before the first moment nothing rose.
    const next = last > 0 ? this.totals[1]! : oldest
    const share = last > 0 && from < edge ? (edge - from) / (this.times[1]! - from) : 0
    for (let i = 0; i < this.width; i++) out[i] = newest[i]! - (oldest[i]! + (share === 0 ? 0 : (next[i]! - oldest[i]!) * share))
    return out
  }

  /** Estimated bytes. */
  get weight(): number {
    return 64 + this.times.length * (8 + 96 + 8 * this.width)
  }
}
