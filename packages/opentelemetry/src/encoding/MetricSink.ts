import type { ExponentialState, SeriesExemplar } from "@effect-observability/core"

/** `AggregationTemporality`. */
export const temporalities = { delta: 1, cumulative: 2 } as const

/** What a metric is, before its points. */
export interface MetricHead {
  readonly name: string
  readonly description: string
  readonly unit: string
  readonly kind: "gauge" | "sum" | "histogram" | "exponential" | "summary"
  /** Of sums and histograms. */
  readonly temporality: 1 | 2
  readonly monotonic: boolean
}

/** What every point has. Times are nanoseconds since the epoch. */
export interface PointHead {
  readonly start: bigint
  readonly time: bigint
  readonly attributes: ReadonlyArray<readonly [name: string, value: string]>
}

export interface Distribution {
  readonly count: number
  readonly sum: number
  /** `NaN` for none. */
  readonly min: number
  readonly max: number
}

/** Takes points and makes the metrics of one request of them. Calls come in order: `begin`, points of the head's kind, `end`. */
export interface MetricSink {
  /** Bytes so far, about. */
  readonly size: () => number
  readonly begin: (head: MetricHead) => void
  readonly number: (point: PointHead, value: number, exemplars: ReadonlyArray<SeriesExemplar>) => void
  readonly histogram: (
    point: PointHead,
    values: Distribution,
    bounds: ReadonlyArray<number>,
    counts: Float64Array,
    exemplars: ReadonlyArray<SeriesExemplar>
  ) => void
  readonly exponential: (point: PointHead, values: Distribution, state: ExponentialState, exemplars: ReadonlyArray<SeriesExemplar>) => void
  readonly summary: (point: PointHead, values: Distribution, quantiles: ReadonlyArray<number>, at: Float64Array) => void
  readonly end: () => void
  /** The request with all metrics that were ended; the sink begins anew. */
  readonly take: () => Uint8Array<ArrayBuffer>
}
