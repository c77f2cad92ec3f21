/** Values of some series of one writer over successive intervals. */
export interface Block {
  /** End of each interval, milliseconds since the epoch, ascending. */
  readonly ends: Float64Array
  /** Its length in milliseconds; 0 for a single moment. */
  readonly spans: Float64Array
  readonly columns: ReadonlyArray<BlockColumn>
}

export interface BlockColumn {
  /** The cell its values belong to; several columns may share one. */
  readonly cell: number
  /** One per interval; `NaN` where there is none. */
  readonly values: Float64Array
  /** For means over roll-ups: how many samples each value is the sum of; left out, one. */
  readonly weights?: Float64Array
}

/** The times of a question and the windows before them. */
export interface Grid {
  readonly start: number
  readonly step: number
  readonly window: number
  readonly points: number
}

/**
 * The times whose windows `(time - window, time]` meet the interval `(from, to]`: `[first, last]`, empty when `first > last`.
 * A moment (`from = to`) belongs to the windows that hold it.
 */
export const windowsOf = (grid: Grid, from: number, to: number): readonly [first: number, last: number] => {
  const { points, start, step, window } = grid
  // A window meets it when time > from (time >= to for a moment) and time - window < to.
  const first = from === to ? Math.ceil((to - start) / step) : Math.floor((from - start) / step) + 1
  const last = Math.ceil((to + window - start) / step) - 1
  return [Math.max(0, first), Math.min(points - 1, last)]
}
