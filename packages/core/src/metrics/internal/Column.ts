import { gather, resized } from "./arrays.ts"
import type { Slot } from "./Slot.ts"

/** A series that was retired: it keeps its place until every reader of frames has its last values. */
interface Leaving {
  readonly at: number
  /** Number of its retirement. */
  readonly stamp: number
}

/** Series looked at in one go, and what one that ends counts for: less than a millisecond of work. */
const slice = 8_192
const costOfEnd = 32

/** The series of one kind, in order of creation; their numbers are in typed arrays of subclasses, at the same positions. */
export abstract class Column {
  series: Array<Slot> = []
  private leaving: Array<Leaving> = []
  private listed: ReadonlyArray<Slot> = []
  /** What `activity` said at the last sweep, and the number of the sweep that saw it change last. */
  private noted = new Float64Array(0)
  private changed = new Float64Array(0)

  /** What arrays a subclass has for a series' position must be there when this is called. */
  protected push(slot: Slot): void {
    this.series.push(slot)
  }

  /** The series as frames carry them: the same array as long as none was added. */
  list(): ReadonlyArray<Slot> {
    if (this.listed.length !== this.series.length) this.listed = this.series.slice()
    return this.listed
  }

  retire(slot: Slot, stamp: number): void {
    this.leaving.push({ at: slot.index, stamp })
    slot.index = -1
  }

  /** Positions of series retired up to number `stamp`. */
  gone(stamp: number): ReadonlyArray<number> {
    return this.leaving.filter((one) => one.stamp <= stamp).map((one) => one.at)
  }

  /** How many places would be freed by `compact`. */
  wasted(stamp: number): number {
    let wasted = 0
    for (const one of this.leaving) if (one.stamp <= stamp) wasted++
    return wasted
  }

  /** Gives up the places of the series retired up to number `stamp`; all others move together. Returns those that went. */
  compact(stamp: number): ReadonlyArray<Slot> {
    const gone = Float64Array.from(this.gone(stamp)).sort()
    const went = Array.from(gone, (at) => this.series[at]!)
    if (went.length === 0) return went
    const { series } = this
    const keep = new Uint32Array(series.length - gone.length)
    let n = 0
    let next = 0
    for (let at = 0; at < series.length; at++) {
      if (at === gone[next]) next++
      else keep[n++] = at
    }
    this.move(keep)
    this.noted = gather(this.noted, keep)
    this.changed = gather(this.changed, keep)
    const staying = new Array<Slot>(n)
    for (let to = 0; to < n; to++) {
      const slot = staying[to] = series[keep[to]!]!
      if (slot.index >= 0) slot.index = to
    }
    this.series = staying
    this.listed = []
    // Those that left later have moved by as many places as were given up before them.
    const before = (at: number) => {
      let low = 0
      let high = gone.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if (gone[middle]! < at) low = middle + 1
        else high = middle
      }
      return low
    }
    this.leaving = this.leaving.filter((one) => one.stamp > stamp).map((one) => ({ at: one.at - before(one.at), stamp: one.stamp }))
    return went
  }

  /**
   * Sweep number `sweep`: hands over each living series with the number of the sweep that saw it written last, and is told whether it
   * ended. Yields now and then.
   */
  *sweep(sweep: number, visit: (slot: Slot, written: number) => boolean): Generator<void> {
    let spent = slice
    for (let at = 0; at < this.series.length; at++) {
      if (spent++ >= slice) {
        spent = 0
        if (at > 0) yield
        if (this.noted.length < this.series.length) {
          const room = this.series.length * 2
          this.noted = resized(this.noted, room, NaN)
          this.changed = resized(this.changed, room)
        }
      }
      const activity = this.activity(at)
      if (activity !== this.noted[at]) {
        this.noted[at] = activity
        this.changed[at] = sweep
      }
      const slot = this.series[at]!
      if (slot.index >= 0 && visit(slot, this.changed[at]!)) spent += costOfEnd
    }
  }

  /** A number that another record would have changed. */
  protected abstract activity(at: number): number

  /** Brings the numbers at `keep` to the front, in that order. Called before `series` changes. */
  protected abstract move(keep: Uint32Array): void
}
