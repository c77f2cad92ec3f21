import type { MetricRange } from "@effect-observability/core"
import type { Row } from "../internal/session.ts"
import type { Piece } from "./pieces.ts"
import type { SelectedSeries } from "./selection.ts"

/** Rows written by hand, a piece per series: moments without an interval; of a histogram or summary each is one observation. */
export const writtenPieces = (
  rows: ReadonlyArray<Row>,
  reading: MetricRange.Reading,
  series: ReadonlyArray<SelectedSeries>,
  cellOf: (series: SelectedSeries) => number
): ReadonlyArray<Piece> => {
  if (rows.length === 0) return []
  const byId = new Map(series.map((one) => [one.id, one]))
  return [...Map.groupBy(rows, (row) => row["owner"] as number)].map(([id, own]) => {
    const one = byId.get(id)!
    own.sort((a, b) => (a["at"] as number) - (b["at"] as number))
    const values = Float64Array.from(own, (row) => row["divisor"] as number)
    return {
      owner: `row ${id}`,
      resource: undefined,
      writer: `row ${id}`,
      ends: Float64Array.from(own, (row) => row["at"] as number),
      spans: new Float64Array(own.length),
      columns: columnsOf(reading, one, values).map(({ offset, values }) => ({ key: `${id}:${offset}`, cell: cellOf(one) + offset, values }))
    }
  })
}

const columnsOf = (reading: MetricRange.Reading, { bounds }: SelectedSeries, values: Float64Array) => {
  switch (reading) {
    case "count":
      return [{ offset: 0, values: new Float64Array(values.length).fill(1) }]
    case "buckets": {
      const buckets = values.map((value) => {
        const bucket = bounds.findIndex((bound) => value <= bound)
        return bucket < 0 ? bounds.length : bucket
      })
      return [...new Set(buckets)].map((bucket) => ({ offset: bucket, values: buckets.map((one) => (one === bucket ? 1 : 0)) }))
    }
    default:
      return [{ offset: 0, values }]
  }
}
