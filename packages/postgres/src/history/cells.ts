import type { MetricRange } from "@effect-observability/core"
import type { Piece } from "./pieces.ts"
import type { Resource } from "./resources.ts"
import type { SelectedSeries } from "./selection.ts"

/** One reading, as it was read. */
export interface Answer {
  readonly reading: MetricRange.Reading
  readonly pieces: ReadonlyArray<Piece>
}

/** Where the values of series go. */
export interface Cells {
  /** For reading: the cell of a series, or the first of its buckets. */
  readonly cellOf: (reading: MetricRange.Reading, series: SelectedSeries, bounds: ReadonlyArray<number>) => number
  /** What was read, at the cells of the answer. */
  readonly settled: (answers: ReadonlyArray<Answer>) => ReadonlyArray<Answer>
}

/** All processes come together: a series tells its cell. */
export const together = (evaluation: MetricRange.Evaluation): Cells => ({
  cellOf: (reading, { labels }, bounds) => evaluation.cellOf(reading, labels, bounds),
  settled: (answers) => answers
})

/**
 * Processes are told apart: which have a series, only its values tell. Every series is read into places of its own, and those are moved to the
 * cells of the answer, process by process.
 */
export const apart = (evaluation: MetricRange.Evaluation, resources: ReadonlyMap<number, Resource>): Cells => {
  interface Place {
    readonly first: number
    readonly reading: MetricRange.Reading
    readonly series: SelectedSeries
    readonly bounds: ReadonlyArray<number>
    /** The cell of each process. */
    readonly cells: Map<number | undefined, number>
  }
  const places = new Map<string, Place>()
  /** The place that each number belongs to. */
  const owners: Array<Place> = []
  const cellOf: Cells["cellOf"] = (reading, series, bounds) => {
    const key = `${series.id}:${reading}:${bounds === series.bounds}`
    let place = places.get(key)
    if (place === undefined) {
      places.set(key, place = { first: owners.length, reading, series, bounds, cells: new Map() })
      for (let i = reading === "buckets" ? bounds.length : 0; i >= 0; i--) owners.push(place)
    }
    return place.first
  }
  const moved = (piece: Piece): Piece => ({
    ...piece,
    columns: piece.columns.map((column) => {
      const { bounds, cells, first, reading, series } = owners[column.cell]!
      let cell = cells.get(piece.resource)
      // Rows written by hand, and those of a process nobody knows any more, are nobody's.
      if (cell === undefined) cells.set(piece.resource, cell = evaluation.cellOf(reading, series.labels, bounds, resources.get(piece.resource ?? -1)))
      return { ...column, cell: cell + column.cell - first }
    })
  })
  return { cellOf, settled: (answers) => answers.map(({ pieces, reading }) => ({ reading, pieces: pieces.map(moved) })) }
}
