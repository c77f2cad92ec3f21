import type { Block, Grid } from "./Block.ts"

/** A value is taken to hold for twice the interval it came with, so that one late or lost frame makes no gap; at most this long. */
export const longestHold = 600_000

/**
 * Calls `visit` for every column and time with a value in the window, or one that still holds. Rows `low` to `high` (exclusive)
 * lie in the window, `newest` is the last with a value; a row before `low` is one that is held.
 */
const eachWindow = (
  { cells, ends, spans, values }: Block,
  { points, start, step, window }: Grid,
  visit: (at: number, column: number, low: number, high: number, newest: number, held: boolean) => void
): void => {
  const width = cells.length
  for (let w = 0, low = 0, high = 0; w < points; w++) {
    const time = start + w * step
    while (high < ends.length && ends[high]! <= time) high++
    while (low < high && ends[low]! <= time - window) low++
    if (high === 0) continue
    for (let column = 0; column < width; column++) {
      let newest = high - 1
      // A series that came later, or had no value yet.
      while (newest >= low && Number.isNaN(values[newest * width + column]!)) newest--
      const inWindow = newest >= low
      if (!inWindow) newest = high - 1
      if (Number.isNaN(values[newest * width + column]!)) continue
      const span = spans[newest]!
      const held = time - ends[newest]! < (span > 0 ? Math.min(2 * span, longestHold) : window)
      if (inWindow || held) visit(cells[column]! * points + w, column, inWindow ? low : newest, high, newest, held)
    }
  }
}

/** Values that are set, per cell and time: one function over all values in a window, or over those that hold at its end. */
export class Samples {
  readonly values: Float64Array
  /** How many were added up; for the newest, its time. */
  private readonly notes: Float64Array
  private readonly grid: Grid
  private readonly name: "min" | "max" | "newest" | "sum" | "count"

  constructor(grid: Grid, cells: number, name: Samples["name"]) {
    this.grid = grid
    this.name = name
    this.values = new Float64Array(cells * grid.points).fill(NaN)
    this.notes = new Float64Array(cells * grid.points)
  }

  add(block: Block): void {
    const { ends, values } = block
    const width = block.cells.length
    eachWindow(block, this.grid, (at, column, low, high, newest, held) => {
      const value = values[newest * width + column]!
      switch (this.name) {
        case "sum":
        case "count":
          if (held) this.put(at, this.name === "sum" ? value : 1)
          return
        case "newest":
          return this.replace(at, value, ends[newest]!)
        default:
          for (let i = low; i < high; i++) this.compare(at, values[i * width + column]!)
      }
    })
  }

  private put(at: number, value: number): void {
    this.values[at] = this.notes[at] === 0 ? value : this.values[at]! + value
    this.notes[at]!++
  }

  private compare(at: number, value: number): void {
    const most = this.values[at]!
    if (value === value && (most !== most || (this.name === "max" ? value > most : value < most))) this.values[at] = value
  }

  /** Of two of one moment the greater, so that the order of the blocks does not matter. */
  private replace(at: number, value: number, time: number): void {
    const before = this.values[at]!
    if (before !== before || time > this.notes[at]! || (time === this.notes[at] && value > before)) {
      this.values[at] = value
      this.notes[at] = time
    }
  }
}

/** Means over all values of a cell in a window, whoever wrote them; without one, the newest that still holds. */
export class Means {
  private readonly sums: Float64Array
  private readonly counts: Float64Array
  private readonly held: Samples
  private readonly grid: Grid

  constructor(grid: Grid, cells: number) {
    this.grid = grid
    this.sums = new Float64Array(cells * grid.points)
    this.counts = new Float64Array(cells * grid.points)
    this.held = new Samples(grid, cells, "newest")
  }

  add(block: Block): void {
    const { ends, values, weights } = block
    const width = block.cells.length
    const { start, step, points, window } = this.grid
    eachWindow(block, this.grid, (at, column, low, high) => {
      if (ends[low]! <= start + (at % points) * step - window) return
      for (let i = low; i < high; i++) {
        const value = values[i * width + column]!
        if (value !== value) continue
        this.sums[at]! += value
        this.counts[at]! += weights === undefined ? 1 : weights[i * width + column]!
      }
    })
    this.held.add(weights === undefined ? block : { ...block, values: values.map((value, i) => value / weights[i]!) })
  }

  /** Of one cell at one time; `NaN` when there is none. */
  at(index: number): number {
    return this.counts[index]! > 0 ? this.sums[index]! / this.counts[index]! : this.held.values[index]!
  }
}
