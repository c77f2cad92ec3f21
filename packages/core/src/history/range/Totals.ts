import { type Block, type Grid, windowsOf } from "./Block.ts"

/**
 * Increases added up per cell and time. An interval that lies in a window in part counts in proportion: what was counted in
 * it is taken to have come evenly.
 */
export class Totals {
  readonly values: Float64Array
  /** 1 where an interval met the window. */
  readonly seen: Uint8Array
  private readonly grid: Grid
  private readonly row: Float64Array
  private readonly present: Uint8Array

  constructor(grid: Grid, cells: number) {
    this.grid = grid
    this.values = new Float64Array(cells * grid.points)
    this.seen = new Uint8Array(cells * grid.points)
    this.row = new Float64Array(cells)
    this.present = new Uint8Array(cells)
  }

  add({ cells, ends, spans, values }: Block): void {
    const { points, start, step, window } = this.grid
    const { present, row } = this
    const touched = Int32Array.from(new Set(cells))
    const width = cells.length
    for (let i = 0; i < ends.length; i++) {
      const to = ends[i]!
      const from = to - spans[i]!
      const [first, last] = windowsOf(this.grid, from, to)
      if (first > last) continue
      // Columns of one cell are added up before they are spread over the windows.
      for (const cell of touched) row[cell] = present[cell] = 0
      for (let c = 0, at = i * width; c < width; c++, at++) {
        const value = values[at]!
        if (value !== value) continue
        const cell = cells[c]!
        row[cell]! += value
        present[cell] = 1
      }
      for (let w = first; w <= last; w++) {
        const time = start + w * step
        const share = to === from ? 1 : (Math.min(time, to) - Math.max(time - window, from)) / (to - from)
        for (const cell of touched) {
          if (present[cell] === 0) continue
          this.values[cell * points + w]! += share === 1 ? row[cell]! : row[cell]! * share
          this.seen[cell * points + w] = 1
        }
      }
    }
  }
}

/** The least or greatest value of all intervals that meet a window, per cell and time. */
export class Extremes {
  readonly values: Float64Array
  private readonly grid: Grid
  private readonly sign: 1 | -1

  constructor(grid: Grid, cells: number, which: "min" | "max") {
    this.grid = grid
    this.sign = which === "max" ? 1 : -1
    this.values = new Float64Array(cells * grid.points).fill(NaN)
  }

  add({ cells, ends, spans, values }: Block): void {
    const { points } = this.grid
    for (let i = 0; i < ends.length; i++) {
      const [first, last] = windowsOf(this.grid, ends[i]! - spans[i]!, ends[i]!)
      for (let c = 0; c < cells.length; c++) {
        const value = values[i * cells.length + c]!
        if (value !== value) continue
        for (let at = cells[c]! * points + first; at <= cells[c]! * points + last; at++) {
          const before = this.values[at]!
          if (before !== before || this.sign * (value - before) > 0) this.values[at] = value
        }
      }
    }
  }
}
