import { MetricDefinition } from "@effect-observability/core"
import type { MetricFrame, Series } from "@effect-observability/core"

/**
 * The synthetic set of the design (`store.md` 6): three eighths counters that rise by 0 to 19, two eighths gauges that walk by up to
 * half a unit at two decimals, three eighths values from 0 to 1 at three decimals; five labels of about 115 bytes of JSON.
 */

const labelNames = ["service", "region", "method", "route", "status"] as const
const help = "synthetic"
const Counters = Array.from({ length: 3 }, (_, i) => MetricDefinition.counter(`synthetic_${i}_total`, { help, labelNames, maxSeries: 100_000 }))
const Walks = Array.from({ length: 2 }, (_, i) => MetricDefinition.gauge(`synthetic_walk_${i}`, { help, labelNames, maxSeries: 100_000 }))
const Ratios = Array.from({ length: 3 }, (_, i) => MetricDefinition.gauge(`synthetic_ratio_${i}`, { help, labelNames, maxSeries: 100_000 }))

const labelValues = (i: number): ReadonlyArray<string> => [
  `checkout-service-${i % 7}`, `eu-central-${i % 3}`, ["GET", "POST", "PUT"][i % 3]!, `/api/v1/resource/${i}/items`, String(200 + (i % 5))
]

export const labelsOf = (series: Series): Record<string, string> =>
  Object.fromEntries(series.definition.labelNames.map((name, i) => [name, series.labelValues[i]!]))

const seeded = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) >>> 0
  let t = Math.imul(seed ^ (seed >>> 15), seed | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

export class Synthetic {
  readonly counters: ReadonlyArray<Series>
  readonly gauges: ReadonlyArray<Series>
  private readonly walks: Float64Array
  private readonly random = seeded(42)

  constructor(size: number) {
    const make = (definitions: ReadonlyArray<MetricDefinition.MetricDefinition>, count: number, from: number): ReadonlyArray<Series> =>
      Array.from({ length: count }, (_, i) => ({
        index: from + i, definition: definitions[i % definitions.length]!, labelValues: labelValues(from + i), createdAt: 0
      }))
    const counters = Math.round((size * 3) / 8)
    const walks = Math.round(size / 4)
    this.counters = make(Counters, counters, 0)
    this.gauges = [...make(Walks, walks, 0), ...make(Ratios, size - counters - walks, walks)]
    this.walks = Float64Array.from({ length: walks }, () => Math.round(this.random() * 10_000))
  }

  /** What happened in the interval that ends at `end`. */
  frame(end: number, interval: number): MetricFrame {
    const none = new Float64Array(0)
    return {
      startTime: end - interval,
      endTime: end,
      sources: 1,
      generation: 0,
      counters: { series: this.counters, values: Float64Array.from(this.counters, () => Math.floor(this.random() * 20)) },
      gauges: {
        series: this.gauges,
        values: Float64Array.from(this.gauges, (_, i) =>
          i < this.walks.length
            ? (this.walks[i]! += Math.round(this.random() * 100) - 50) / 100
            : Math.round(this.random() * 1_000) / 1_000)
      },
      histograms: { series: [], offsets: new Uint32Array(0), buckets: none, counts: none, sums: none, mins: none, maxs: none, exponentials: [] },
      summaries: { series: [], counts: none, sums: none, quantiles: [] },
      exemplars: []
    }
  }
}
