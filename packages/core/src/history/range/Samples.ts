import type { Block, BlockColumn, Grid } from "./Block.ts"

/** A value is taken to hold for twice the interval it came with, so that one late or lost frame makes no gap; at most this long. */
export const longestHold = 600_000

/**
 * Calls `visit` for every column and time with a value in the window, or one that still holds. Values `low` to `high`
 * (exclusive) lie in the window, `newest` is the last there is; one that is held lies before the window, alone.
 */
const eachWindow = (
  { columns, ends, spans }: Block,
  { points, start, step, window }: Grid,
  visit: (at: number, column: BlockColumn, low: number, high: number, newest: number, held: boolean, inWindow: boolean) => void
): void => {
  const lows = new Int32Array(points)
  const highs = new Int32Array(points)
  for (let w = 0, low = 0, high = 0; w < points; w++) {
    const time = start + w * step
    while (high < ends.length && ends[high]! <= time) high++
    while (low < high && ends[low]! <= time - window) low++
    lows[w] = low
    highs[w] = high
  }
  for (const column of columns) {
    const { values } = column
    for (let w = 0; w < points; w++) {
      const low = lows[w]!
      const high = highs[w]!
      if (high === 0) continue
      let newest = high - 1
      // A series that came later, or had no value yet.
      while (newest >= low && Number.isNaN(values[newest]!)) newest--
      const inWindow = newest >= low
      // Another lane of the same instance may have written in between.
      if (!inWindow) while (newest >= 0 && Number.isNaN(values[newest]!) && start + w * step - ends[newest]! < longestHold) newest--
      if (newest < 0 || Number.isNaN(values[newest]!)) continue
      const span = spans[newest]!
      const held = start + w * step - ends[newest]! < (span > 0 ? Math.min(2 * span, longestHold) : window)
      if (inWindow || held) visit(column.cell * points + w, column, inWindow ? low : newest, high, newest, held, inWindow)
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
    eachWindow(block, this.grid, (at, { values }, low, high, newest, held) => {
      switch (this.name) {
        case "sum":
        case "count":
          if (held) this.put(at, this.name === "sum" ? values[newest]! : 1)
          return
        case "newest":
          return this.replace(at, values[newest]!, block.ends[newest]!)
        default:
          for (let i = low; i < high; i++) this.compare(at, values[i]!)
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
    eachWindow(block, this.grid, (at, { values, weights }, low, high, _newest, _held, inWindow) => {
      if (!inWindow) return
      for (let i = low; i < high; i++) {
        const value = values[i]!
        if (value !== value) continue
        this.sums[at]! += value
        this.counts[at]! += weights === undefined ? 1 : weights[i]!
      }
    })
    this.held.add({ ...block, columns: block.columns.map(averaged) })
  }

  /** Of one cell at one time; `NaN` when there is none. */
  at(index: number): number {
    return this.counts[index]! > 0 ? this.sums[index]! / this.counts[index]! : this.held.values[index]!
  }
}

const averaged = (column: BlockColumn): BlockColumn =>
  column.weights === undefined ? column : { cell: column.cell, values: column.values.map((value, i) => value / column.weights![i]!) }
