import { mergeFrames, type MetricDefinition, type MetricFrame, type Series } from "@effect-observability/core"

type Definition = MetricDefinition.MetricDefinition
type Kind = "counters" | "gauges" | "histograms" | "summaries"

/** A list of series by metric; it is extended as the list grows. */
interface Grouping {
  generation: number
  known: number
  readonly families: Map<Definition, Array<number>>
}

/**
 * What one receiver was told so far: totals since the first frame, and since when each series is counted. Every frame is to be added once, in
 * order, whatever becomes of it: a frame that is lost on the way is still part of the next totals.
 */
export class Timeline {
  private totals: MetricFrame | undefined
  private last: MetricFrame | undefined
  private readonly starts = new WeakMap<Series, number>()
  private readonly groups = new Map<Kind, Grouping>()

  /** Adds a frame; the totals after it, laid out as the frame is. */
  advance(frame: MetricFrame): MetricFrame {
    if (this.last === frame) return this.totals!
    this.last = frame
    for (const kind of kinds) {
      const { series } = frame[kind]
      // Lists grow at their end: what was seen is before what is new, unless a generation began.
      for (let i = series.length - 1; i >= 0; i--) {
        const one = series[i]!
        if (!this.starts.has(one)) this.starts.set(one, frame.startTime)
        else if (this.totals?.generation === frame.generation) break
      }
    }
    return this.totals = this.totals === undefined ? frame : added(this.totals, frame)
  }

  /** Since when a series is counted, in milliseconds since the epoch: the start of the first frame that had it. */
  start(series: Series): number {
    return this.starts.get(series) ?? series.createdAt
  }

  /** Positions in a frame's list by metric; call it after `advance` of that frame. */
  families(kind: Kind, series: ReadonlyArray<Series>): ReadonlyMap<Definition, ReadonlyArray<number>> {
    const generation = this.totals!.generation
    let group = this.groups.get(kind)
    if (group === undefined || group.generation !== generation || group.known > series.length) {
      this.groups.set(kind, group = { generation, known: 0, families: new Map() })
    }
    for (; group.known < series.length; group.known++) {
      const { definition } = series[group.known]!
      const family = group.families.get(definition)
      if (family === undefined) group.families.set(definition, [group.known])
      else family.push(group.known)
    }
    return group.families
  }
}

const kinds = ["counters", "gauges", "histograms", "summaries"] as const

/** The sum of both, in the newer one's layout: series that it no longer has are gone. */
const added = (totals: MetricFrame, frame: MetricFrame): MetricFrame => {
  const sum = mergeFrames(totals, frame)
  const known = new Set<Series>(frame.histograms.series)
  return {
    ...sum,
    generation: frame.generation,
    counters: { series: frame.counters.series, values: sum.counters.values.subarray(0, frame.counters.series.length) },
    // What a gauge was before it ended is no news.
    gauges: frame.gauges,
    histograms: {
      ...sum.histograms,
      series: frame.histograms.series,
      exponentials: sum.histograms.exponentials.filter(({ series }) => known.has(series))
    },
    summaries: { ...sum.summaries, series: frame.summaries.series },
    exemplars: []
  }
}
