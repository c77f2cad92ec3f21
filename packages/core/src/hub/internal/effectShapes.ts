import type * as Metric from "effect/Metric"
import type { MetricType } from "../../metrics/MetricDefinition.ts"
import { type Unit, unitOf } from "./effectNames.ts"

/** The kind of metric that one of Effect's is here. */
export const typeOf = (metadata: Metric.Metric.Metadata<any, any>, state: any): MetricType => {
  switch (metadata.type) {
    case "Counter":
      return state.incremental === true ? "counter" : "upDownCounter"
    case "Frequency":
      return "counter"
    case "Gauge":
      return "gauge"
    case "Summary":
      return "summary"
    case "Histogram":
      // Without bounds there is no bucket to fill: count and sum are all it has.
      return boundsOf(state, unitOf(undefined)).length === 0 ? "summary" : "histogram"
  }
}

/** Finite bounds in our unit. */
export const boundsOf = (state: Metric.HistogramState, unit: Unit): ReadonlyArray<number> =>
  state.buckets.map(([bound]) => bound).filter((bound) => Number.isFinite(bound)).map((bound) => unit.convert(bound))

/** The quantiles that Effect computes. */
export const objectivesOf = (state: any): Readonly<Record<string, number>> =>
  Object.fromEntries(Array.isArray(state.quantiles) ? state.quantiles.map(([q]: [number]) => [String(q), 0]) : [])
