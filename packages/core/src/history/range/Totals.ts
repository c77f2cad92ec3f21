import { type Block, type BlockColumn, type Grid, windowsOf } from "./Block.ts"

/**
 * Increases added up per cell and time. An interval that lies in a window in part counts in proportion: what was counted in
 * it is taken to have come evenly.
 */
export class Totals {
  readonly values: Float64Array
  /** 1 where an interval met the window. */
  readonly seen: Uint8Array
  private readonly grid: Grid

  constructor(grid: Grid, cells: number) {
    this.grid = grid
    this.values = new Float64Array(cells * grid.points)
    this.seen = new Uint8Array(cells * grid.points)
  }

  add({ columns, ends, spans }: Block): void {
    const { points, start, step, window } = this.grid
    // Columns of one cell are added up before they are spread over the windows.
    const sums = [...Map.groupBy(columns, ({ cell }) => cell)].map(([cell, parts]) => ({ base: cell * points, values: added(parts) }))
    for (let i = 0; i < ends.length; i++) {
      const to = ends[i]!
      const from = to - spans[i]!
      const [first, last] = windowsOf(this.grid, from, to)
      for (let w = first; w <= last; w++) {
        const time = start + w * step
        const share = to === from ? 1 : (Math.min(time, to) - Math.max(time - window, from)) / (to - from)
        for (const { base, values } of sums) {
          const value = values[i]!
          if (value !== value) continue
          this.values[base + w]! += share === 1 ? value : value * share
          this.seen[base + w] = 1
        }
      }
    }
  }
}

/** Column by column; `NaN` only where all are. */
const added = (columns: ReadonlyArray<BlockColumn>): Float64Array => {
  const [first, ...rest] = columns
  if (rest.length === 0) return first!.values
  const out = first!.values.slice()
  for (const { values } of rest) {
    for (let i = 0; i < out.length; i++) {
      const value = values[i]!
      if (value === value) out[i] = out[i] === out[i] ? out[i]! + value : value
    }
  }
  return out
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

  add({ columns, ends, spans }: Block): void {
    const { points } = this.grid
    for (let i = 0; i < ends.length; i++) {
      const [first, last] = windowsOf(this.grid, ends[i]! - spans[i]!, ends[i]!)
      for (const { cell, values } of columns) {
        const value = values[i]!
        if (value !== value) continue
        for (let at = cell * points + first; at <= cell * points + last; at++) {
          const before = this.values[at]!
          if (before !== before || this.sign * (value - before) > 0) this.values[at] = value
        }
      }
    }
  }
}
