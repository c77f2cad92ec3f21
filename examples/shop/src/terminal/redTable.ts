import { MetricsHistory } from "@effect-observability/core"
import { Effect } from "effect"

interface Row {
  requests: number
  errors: number
  bounds: ReadonlyArray<number>
  buckets: Array<number>
}

/** Rate, errors and duration per route, read back from history. */
export const redTable = (startTime: number, endTime: number) =>
  Effect.gen(function*() {
    const history = yield* MetricsHistory
    const range = { startTime, endTime, limit: 100_000 }
    const requests = yield* history.getMetricsHistory({ name: "http_requests_total", ...range })
    const durations = yield* history.getMetricsHistory({ name: "http_request_duration_seconds", ...range })
    const rows = new Map<string, Row>()
    const rowOf = (labels: Readonly<Record<string, string>>): Row => {
      const key = `${labels["method"]} ${labels["path"]}`
      let row = rows.get(key)
      if (row === undefined) rows.set(key, row = { requests: 0, errors: 0, bounds: [], buckets: [] })
      return row
    }
    let total = 0
    for (const point of requests) {
      const row = rowOf(point.labels)
      row.requests += point.value
      total += point.value
      if (Number(point.labels["status"]) >= 500) row.errors += point.value
    }
    for (const { histogram, labels } of durations) {
      if (histogram === undefined) continue
      const row = rowOf(labels)
      row.bounds = histogram.bounds
      histogram.buckets.forEach((count, i) => {
        row.buckets[i] = (row.buckets[i] ?? 0) + count
      })
    }
    return { total, lines: render(rows, (endTime - startTime) / 1000) }
  })

const render = (rows: ReadonlyMap<string, Row>, seconds: number): ReadonlyArray<string> => {
  const header = ["route", "requests", "per s", "errors", "p50", "p95"]
  const body = [...rows].sort(([, a], [, b]) => b.requests - a.requests).map(([route, row]) => [
    route,
    String(row.requests),
    (row.requests / seconds).toFixed(1),
    row.errors === 0 ? "-" : `${row.errors} (${((100 * row.errors) / row.requests).toFixed(0)} %)`,
    milliseconds(quantile(row, 0.5)),
    milliseconds(quantile(row, 0.95))
  ])
  const widths = header.map((title, i) => Math.max(title.length, ...body.map((cells) => cells[i]!.length)))
  const line = (cells: ReadonlyArray<string>) =>
    `  ${cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")}`
  return [line(header), `  ${widths.map((width) => "─".repeat(width)).join("  ")}`, ...body.map(line)]
}

/** By linear interpolation inside the bucket, as Prometheus's `histogram_quantile` does. */
const quantile = ({ bounds, buckets }: Row, q: number): number => {
  const rank = q * buckets.reduce((sum, count) => sum + count, 0)
  let seen = 0
  for (let i = 0; i < buckets.length; i++) {
    const count = buckets[i]!
    if (count > 0 && seen + count >= rank) {
      const low = i === 0 ? 0 : bounds[i - 1]!
      return i >= bounds.length ? low : low + ((bounds[i]! - low) * (rank - seen)) / count
    }
    seen += count
  }
  return NaN
}

const milliseconds = (seconds: number): string => Number.isNaN(seconds) ? "-" : `${(1000 * seconds).toFixed(1)} ms`
