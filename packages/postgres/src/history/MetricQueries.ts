import { MetricRange, type MetricsHistory } from "@effect-observability/core"
import { sqlNames } from "../internal/names.ts"
import { asking, type HistoryOptions } from "./ask.ts"
import { points } from "./points.ts"
import { queryRange } from "./rangeQueries.ts"

export const metrics = (options: HistoryOptions): MetricsHistory["Service"] => {
  const t = sqlNames(options.names)
  const ask = asking(options)
  const range = queryRange(ask, t)
  return { getMetricsHistory: points(ask, t), queryRange: range, streamRange: MetricRange.streamed(range) }
}
