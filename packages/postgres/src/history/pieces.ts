import type { MetricRange } from "@effect-observability/core"

/** Values of some series over a stretch of time, as they were read. */
export interface Piece {
  /** The instance they are of: its pieces become one block, whichever lanes it wrote through. */
  readonly owner: string
  /** Its id in `obs_resource`; `undefined` for rows that were written by hand. */
  readonly resource: number | undefined
  /** The lane they came through. */
  readonly writer: string
  /** End of each interval, milliseconds since the epoch, ascending. */
  readonly ends: Float64Array
  readonly spans: Float64Array
  readonly columns: ReadonlyArray<PieceColumn>
}

export interface PieceColumn extends MetricRange.BlockColumn {
  /** The same for one series of one instance in all pieces. */
  readonly key: string
}

/** The pieces of each instance one after the other, so that a value that holds at the end of one ends where the next begins. */
export const joined = (pieces: ReadonlyArray<Piece>): ReadonlyArray<MetricRange.Block> =>
  [...Map.groupBy(pieces, ({ owner }) => owner).values()].map((own) => (own.length === 1 ? own[0]! : join(own)))

const join = (pieces: ReadonlyArray<Piece>): MetricRange.Block => {
  const rows = pieces.flatMap((piece) => Array.from(piece.ends, (end, i) => ({ end, span: piece.spans[i]!, piece, i })))
  // Stretches follow each other, except for what came late.
  rows.sort((a, b) => a.end - b.end)
  const places = new Map(pieces.map((piece) => [piece, new Int32Array(piece.ends.length)]))
  rows.forEach(({ i, piece }, place) => void (places.get(piece)![i] = place))
  // Of roll-ups and samples together, a sample weighs one.
  const weighted = pieces.some((piece) => piece.columns.some(({ weights }) => weights !== undefined))
  const columns = new Map<string, PieceColumn>()
  for (const piece of pieces) {
    const place = places.get(piece)!
    for (const { cell, key, values, weights } of piece.columns) {
      let column = columns.get(key)
      if (column === undefined) {
        const none = new Float64Array(rows.length).fill(NaN)
        column = { cell, key, values: none, ...(weighted ? { weights: new Float64Array(rows.length).fill(1) } : {}) }
        columns.set(key, column)
      }
      for (let i = 0; i < values.length; i++) {
        column.values[place[i]!] = values[i]!
        if (weights !== undefined) column.weights![place[i]!] = weights[i]!
      }
    }
  }
  return { ends: Float64Array.from(rows, ({ end }) => end), spans: Float64Array.from(rows, ({ span }) => span), columns: [...columns.values()] }
}
