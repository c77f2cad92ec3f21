import type { ScalarColumn } from "../MetricFrame.ts"
import { enlarged, gather, grown, increase } from "./arrays.ts"
import { Column } from "./Column.ts"
import type { Slot } from "./Slot.ts"

/**
 * One number per series. Arrays are replaced when they grow and at a compaction: read `cells` at every access, never keep it.
 */
export class Scalars extends Column {
  cells = new Float64Array(64)
  /** Whether a cell's exemplar is due; allocated when the first counter asks for them. */
  due = new Uint8Array(0)
  /** Set for every cell that is written, where somebody wants to know. */
  touched: Uint8Array | undefined = undefined
  private readonly readers = new Set<ScalarReader>()

  add(slot: Slot, exemplars: boolean): void {
    if (slot.index === this.cells.length) {
      this.cells = grown(this.cells)
      if (this.touched !== undefined) this.touched = enlarged(this.touched, this.cells.length)
    }
    if (exemplars && this.due.length < this.cells.length) this.due = enlarged(this.due, this.cells.length)
    this.push(slot)
  }

  /** From now on `touched` is kept: a gauge set to the value it has was written too. */
  watch(): void {
    this.touched ??= new Uint8Array(this.cells.length)
  }

  protected activity(at: number): number {
    if (this.touched === undefined) return this.cells[at]!
    const written = this.touched[at] === 1
    this.touched[at] = 0
    return written ? NaN : 0
  }

  protected move(keep: Uint32Array): void {
    this.cells = gather(this.cells, keep)
    if (this.touched !== undefined) this.touched = Uint8Array.from(gather(Float64Array.from(this.touched), keep))
    // All are due again: the window is opened before a compaction.
    if (this.due.length > 0) this.due = new Uint8Array(this.cells.length)
    for (const reader of this.readers) reader.move(keep)
  }

  /** A reader of increases (`delta`) or of last values. */
  reader(delta: boolean): ScalarReader {
    const reader = new ScalarReader(this, delta, () => this.readers.delete(reader))
    this.readers.add(reader)
    return reader
  }
}

export class ScalarReader {
  readonly close: () => void
  private readonly column: Scalars
  private readonly delta: boolean
  private last = new Float64Array(0)

  constructor(column: Scalars, delta: boolean, close: () => void) {
    this.column = column
    this.delta = delta
    this.close = close
  }

  /** `seen`: the number of the last retirement this reader's former frame had; of those gauges nothing is left to say. */
  take(seen: number): ScalarColumn {
    const { column } = this
    const series = column.list()
    const now = column.cells.slice(0, series.length)
    if (!this.delta) {
      for (const at of column.gone(seen)) now[at] = NaN
      return { series, values: now }
    }
    const values = increase(now, this.last, now.length)
    this.last = now
    return { series, values }
  }

  move(keep: Uint32Array): void {
    if (this.delta) this.last = gather(this.last, keep)
  }
}
