import type { Block, Grid } from "./Block.ts"

export type SampleFunction = "avg" | "min" | "max" | "last" | "sum" | "count"

/** A value is taken to hold for twice the interval it came with, so that one late or lost frame makes no gap; at most this long. */
export const longestHold = 600_000

/**
 * Values that are set, per cell and time. Each column of a block is one writer's series: first its values in the window become
 * one, then the series of a cell become one. A window without a value takes the one that still holds.
 */
export class Samples {
  readonly values: Float64Array
  private readonly counts: Float64Array
  private readonly grid: Grid
  private readonly name: SampleFunction
  private readonly adding: boolean

  /** `adding`: `last` of several series is their sum (up-down counters), else the newest. */
  constructor(grid: Grid, cells: number, name: SampleFunction, adding: boolean) {
    this.grid = grid
    this.name = name
    this.adding = adding
    this.values = new Float64Array(cells * grid.points).fill(NaN)
    // For `last`, the time of the newest value.
    this.counts = new Float64Array(cells * grid.points)
  }

  add(block: Block): void {
    const { points, start, step, window } = this.grid
    const { ends } = block
    let low = 0
    let high = 0
    for (let w = 0; w < points; w++) {
      const time = start + w * step
      while (high < ends.length && ends[high]! <= time) high++
      while (low < high && ends[low]! <= time - window) low++
      if (high === 0) continue
      for (let c = 0; c < block.cells.length; c++) this.window(block, c, low, high, time, block.cells[c]! * points + w)
    }
  }

  /** The mean of what was added per cell; other functions are finished as they are. */
  finish(): Float64Array {
    if (this.name === "avg") for (let i = 0; i < this.values.length; i++) this.values[i]! /= this.counts[i]!
    return this.values
  }

  private window(block: Block, column: number, low: number, high: number, time: number, at: number): void {
    const { cells, ends, spans, values, weights } = block
    const width = cells.length
    let newest = high - 1
    // A series that came later, or had no value yet.
    while (newest >= low && Number.isNaN(values[newest * width + column]!)) newest--
    const inWindow = newest >= low
    if (!inWindow) newest = high - 1
    const value = values[newest * width + column]!
    if (value !== value) return
    const age = time - ends[newest]!
    const span = spans[newest]!
    const held = age < (span > 0 ? Math.min(2 * span, longestHold) : this.grid.window)
    switch (this.name) {
      case "sum":
        if (held) this.put(at, value)
        return
      case "count":
        if (held) this.put(at, 1)
        return
      case "last":
        if (this.adding) {
          if (held) this.put(at, value)
        } else if (inWindow || held) this.newest(at, value, ends[newest]!)
        return
    }
    if (!inWindow) {
      if (!held) return
      low = newest
    }
    if (this.name === "avg") {
      let sum = 0
      let count = 0
      for (let i = low, from = low * width + column; i < high; i++, from += width) {
        const one = values[from]!
        if (one !== one) continue
        sum += one
        count += weights === undefined ? 1 : weights[from]!
      }
      this.put(at, sum / count)
      return
    }
    const sign = this.name === "max" ? 1 : -1
    let most = this.values[at]!
    for (let i = low, from = low * width + column; i < high; i++, from += width) {
      const one = values[from]!
      if (one === one && (most !== most || sign * (one - most) > 0)) most = one
    }
    this.values[at] = most
  }

  private put(at: number, value: number): void {
    this.values[at] = this.counts[at] === 0 ? value : this.values[at]! + value
    this.counts[at]!++
  }

  private newest(at: number, value: number, time: number): void {
    const before = this.values[at]!
    if (before !== before || time > this.counts[at]! || (time === this.counts[at] && value > before)) {
      this.values[at] = value
      this.counts[at] = time
    }
  }
}
