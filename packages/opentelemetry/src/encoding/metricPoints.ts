import type { MetricDefinition, MetricFrame, Series, SeriesExemplar, SeriesExponential } from "@effect-observability/core"
import { type MetricHead, type MetricSink, temporalities } from "./MetricSink.ts"
import type { Timeline } from "./Timeline.ts"
import { ucum } from "./units.ts"

export type Temporality = "cumulative" | "delta"

export interface PointOptions {
  readonly temporality: Temporality
  /** Precedes every name except `obs_*`. */
  readonly prefix: string
  /** Labels every series carries besides its own. */
  readonly labels: Readonly<Record<string, string>>
  /** A request is closed when it has reached this size. */
  readonly maxBytes: number
}

/** One request and how many data points are in it. */
export interface MetricRequest {
  readonly body: Uint8Array<ArrayBuffer>
  readonly points: number
}

/** Points between two looks at the clock or the size. */
const slice = 500

type Definition = MetricDefinition.MetricDefinition

/**
 * The requests that bring one frame. It pauses after every slice of points, so that a large frame need not hold up the event loop; whoever
 * does not care runs it to its end.
 *
 * Deltas leave out what did not change. Up-down counters are cumulative always (OTLP, "temporality preference"), and so are summaries,
 * which have no temporality.
 */
export function* requests(frame: MetricFrame, sink: MetricSink, timeline: Timeline, options: PointOptions): Generator<void, ReadonlyArray<MetricRequest>> {
  const out: Array<MetricRequest> = []
  const totals = timeline.advance(frame)
  const delta = options.temporality === "delta"
  const view = delta ? frame : totals
  const time = nanos(frame.endTime)
  const examples = byName(frame.exemplars)
  const shared = Object.entries(options.labels)
  let points = 0

  const cut = () => {
    out.push({ body: sink.take(), points })
    points = 0
  }

  function* metric(definition: Definition, kind: MetricHead["kind"], cumulative: boolean, indexes: ReadonlyArray<number>, put: (index: number, head: Point) => boolean): Generator<void> {
    const head: MetricHead = {
      name: exposedName(definition.name, options.prefix),
      description: definition.help,
      unit: ucum(definition.unit),
      kind,
      temporality: cumulative ? temporalities.cumulative : temporalities.delta,
      monotonic: definition.type === "counter"
    }
    const point = new Point(definition, shared, time, nanos(frame.startTime), cumulative ? timeline : undefined)
    let begun = false
    let seen = 0
    for (const index of indexes) {
      if (!begun) {
        sink.begin(head)
        begun = true
      }
      if (put(index, point)) {
        points++
        seen++
      }
      if (seen > 0 && seen % slice === 0) {
        if (sink.size() >= options.maxBytes) {
          sink.end()
          cut()
          begun = false
        }
        yield
      }
    }
    if (begun) sink.end()
    if (sink.size() >= options.maxBytes) cut()
  }

  const { counters, gauges, histograms, summaries } = view
  for (const [definition, indexes] of timeline.families("counters", frame.counters.series)) {
    const changed = delta ? indexes.filter((i) => counters.values[i] !== 0) : indexes
    yield* metric(definition, "sum", !delta, changed, (i, point) => {
      sink.number(point.of(counters.series[i]!), counters.values[i]!, examples.get(counters.series[i]!) ?? none)
      return true
    })
  }
  for (const [definition, indexes] of timeline.families("gauges", frame.gauges.series)) {
    const alive = indexes.filter((i) => gauges.values[i] === gauges.values[i])
    yield* metric(definition, definition.type === "upDownCounter" ? "sum" : "gauge", true, alive, (i, point) => {
      sink.number(point.of(gauges.series[i]!), gauges.values[i]!, none)
      return true
    })
  }
  const exponentials = new Map<Series, SeriesExponential>()
  for (const one of histograms.exponentials) exponentials.set(one.series, one)
  for (const [definition, indexes] of timeline.families("histograms", frame.histograms.series)) {
    const { buckets = [], exponential } = definition
    const changed = indexes.filter((i) =>
      (!delta || histograms.counts[i] !== 0) && (exponential === undefined || exponentials.has(histograms.series[i]!)))
    yield* metric(definition, exponential === undefined ? "histogram" : "exponential", !delta, changed, (i, point) => {
      const series = histograms.series[i]!
      const head = point.of(series)
      const values = { count: histograms.counts[i]!, sum: histograms.sums[i]!, min: histograms.mins[i]!, max: histograms.maxs[i]! }
      if (exponential !== undefined) sink.exponential(head, values, exponentials.get(series)!, examples.get(series) ?? none)
      else {
        const offset = histograms.offsets[i]!
        sink.histogram(head, values, buckets, histograms.buckets.subarray(offset, offset + buckets.length + 1), examples.get(series) ?? none)
      }
      return true
    })
  }
  const sums = totals.summaries
  for (const [definition, indexes] of timeline.families("summaries", frame.summaries.series)) {
    const quantiles = Object.keys(definition.objectives ?? {}).map(Number).sort((a, b) => a - b)
    yield* metric(definition, "summary", true, indexes, (i, point) => {
      const values = { count: sums.counts[i]!, sum: sums.sums[i]!, min: NaN, max: NaN }
      sink.summary(point.of(sums.series[i]!), values, quantiles, summaries.quantiles[i]!)
      return true
    })
  }
  if (points > 0) cut()
  return out
}

/** A metric's name as backends see it. */
const exposedName = (name: string, prefix: string): string =>
  prefix === "" || name.startsWith("obs_") ? name : `${prefix}${prefix.endsWith("_") ? "" : "_"}${name}`

/** The head of one point after the other of one metric, in one object. */
class Point {
  start = 0n
  readonly time: bigint
  attributes: ReadonlyArray<readonly [string, string]> = []
  private readonly names: ReadonlyArray<string>
  private readonly shared: ReadonlyArray<readonly [string, string]>
  private readonly began: bigint
  private readonly timeline: Timeline | undefined

  constructor(definition: Definition, shared: ReadonlyArray<readonly [string, string]>, time: bigint, began: bigint, timeline: Timeline | undefined) {
    this.names = definition.labelNames
    this.shared = shared.filter(([name]) => !definition.labelNames.includes(name))
    this.time = time
    this.began = began
    this.timeline = timeline
  }

  of(series: Series): this {
    this.start = this.timeline === undefined ? this.began : nanos(this.timeline.start(series))
    const attributes: Array<readonly [string, string]> = []
    for (let i = 0; i < this.names.length; i++) {
      const value = series.labelValues[i]!
      // An absent label.
      if (value !== "") attributes.push([this.names[i]!, value])
    }
    for (const one of this.shared) attributes.push(one)
    this.attributes = attributes
    return this
  }
}

const byName = (exemplars: ReadonlyArray<SeriesExemplar>): ReadonlyMap<Series, ReadonlyArray<SeriesExemplar>> => {
  const out = new Map<Series, Array<SeriesExemplar>>()
  for (const exemplar of exemplars) {
    const known = out.get(exemplar.series)
    if (known === undefined) out.set(exemplar.series, [exemplar])
    else known.push(exemplar)
  }
  return out
}

const none: ReadonlyArray<SeriesExemplar> = []

const nanos = (millis: number): bigint => BigInt(Math.round(millis)) * 1_000_000n
