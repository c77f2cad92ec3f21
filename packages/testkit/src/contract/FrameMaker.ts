import type { MetricDefinition, MetricFrame, Series } from "@effect-observability/core"

type Definition = MetricDefinition.MetricDefinition
type Kind = "counters" | "gauges" | "histograms" | "summaries"

/** What happened to one series in one interval. */
export interface Happening {
  readonly metric: Definition
  readonly labels?: Readonly<Record<string, string>>
  /** The counter's increase, the gauge's value, or the values observed. */
  readonly value?: number
  readonly observed?: ReadonlyArray<number>
}

/** Frames by hand, for tests of stores: the series of one process as a store keeps them, lists that only grow. */
export class FrameMaker {
  readonly lists: Record<Kind, Array<Series>> = { counters: [], gauges: [], histograms: [], summaries: [] }

  private find(metric: Definition, labels: Readonly<Record<string, string>>): Series {
    const list = this.lists[kindOf(metric)]
    const values = metric.labelNames.map((name) => labels[name] ?? "")
    const known = list.find((one) => one.definition === metric && one.labelValues.every((value, i) => value === values[i]))
    if (known !== undefined) return known
    const made = { index: list.length, definition: metric, labelValues: values, createdAt: 0 }
    list.push(made)
    return made
  }

  frame(startTime: number, endTime: number, happenings: ReadonlyArray<Happening>): MetricFrame {
    const found = happenings.map((one) => ({ ...one, series: this.find(one.metric, one.labels ?? {}) }))
    const of = (series: Series) => found.filter((one) => one.series === series)
    const { counters, gauges, histograms, summaries } = this.lists
    const observed = (series: Series) => of(series).flatMap((one) => one.observed ?? [])
    let next = 0
    const offsets = Uint32Array.from(histograms, (series) => {
      const from = next
      next += series.definition.buckets!.length + 1
      return from
    })
    const buckets = new Float64Array(next)
    histograms.forEach((series, i) => {
      for (const value of observed(series)) {
        const found = series.definition.buckets!.findIndex((bound) => value <= bound)
        buckets[offsets[i]! + (found < 0 ? series.definition.buckets!.length : found)]! += 1
      }
    })
    const sum = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0)
    return {
      startTime,
      endTime,
      sources: 1,
      generation: 0,
      counters: { series: [...counters], values: Float64Array.from(counters, (one) => sum(of(one).map((h) => h.value ?? 0))) },
      gauges: { series: [...gauges], values: Float64Array.from(gauges, (one) => of(one).at(-1)?.value ?? NaN) },
      histograms: {
        series: [...histograms],
        offsets,
        buckets,
        counts: Float64Array.from(histograms, (one) => observed(one).length),
        sums: Float64Array.from(histograms, (one) => sum(observed(one))),
        mins: Float64Array.from(histograms, (one) => (observed(one).length === 0 ? NaN : Math.min(...observed(one)))),
        maxs: Float64Array.from(histograms, (one) => (observed(one).length === 0 ? NaN : Math.max(...observed(one)))),
        exponentials: []
      },
      summaries: {
        series: [...summaries],
        counts: Float64Array.from(summaries, (one) => observed(one).length),
        sums: Float64Array.from(summaries, (one) => sum(observed(one))),
        quantiles: summaries.map((one) => Float64Array.from(Object.keys(one.definition.objectives!), () => observed(one)[0] ?? NaN))
      },
      exemplars: []
    }
  }
}

const kindOf = (metric: Definition): Kind =>
  metric.type === "counter" ? "counters" : metric.type === "histogram" ? "histograms" : metric.type === "summary" ? "summaries" : "gauges"
