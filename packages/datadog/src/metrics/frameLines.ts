import type { MetricFrame, Series } from "@effect-observability/core"
import { hash, number, seriesName, tag, type Tag, tagField } from "../DatadogEncoding.ts"
import { type Interval, rateOf, weighted } from "./distribution.ts"
import type { ValuesBySeries } from "./FrameValues.ts"

export interface LineOptions {
  readonly tags: ReadonlyArray<Tag>
  /** `|c:…` and its like, on every line. */
  readonly originFields: string
  /** Before every name but `obs_*`. */
  readonly prefix: () => string
  /** Bytes that a line should not be longer than. */
  readonly maxLine: number
}

interface Words {
  readonly head: string
  readonly tail: string
}

/** A frame as lines of DogStatsD, one after the other as they are asked for. */
export class FrameLines {
  private readonly options: LineOptions
  private readonly words = new WeakMap<Series, Words>()
  private readonly names = new Map<string, string>()
  /** Which metric has a name on the wire. */
  private readonly taken = new Map<string, string>()

  constructor(options: LineOptions) {
    this.options = options
  }

  /** `time`, seconds since the epoch: counters and gauges carry it. */
  *of(frame: MetricFrame, values: ValuesBySeries, time?: number): Generator<string> {
    const at = time === undefined ? "" : `|T${time}`
    const { counters, gauges, histograms, summaries } = frame
    for (let i = 0; i < counters.values.length; i++) {
      const value = counters.values[i]!
      if (value === 0 || !Number.isFinite(value)) continue
      const { head, tail } = this.wordsOf(counters.series[i]!, "")
      yield `${head}${number(value)}|c${at}${tail}`
    }
    for (let i = 0; i < gauges.values.length; i++) {
      const value = gauges.values[i]!
      if (!Number.isFinite(value)) continue
      const { head, tail } = this.wordsOf(gauges.series[i]!, "")
      yield `${head}${number(value)}|g${at}${tail}`
    }
    for (let i = 0; i < histograms.counts.length; i++) {
      const count = histograms.counts[i]!
      if (!(count > 0)) continue
      const series = histograms.series[i]!
      const bounds = series.definition.buckets!
      const from = histograms.offsets[i]!
      yield* this.distribution(series, {
        bounds,
        buckets: histograms.buckets.subarray(from, from + bounds.length + 1),
        count,
        sum: histograms.sums[i]!,
        least: histograms.mins[i]!,
        greatest: histograms.maxs[i]!
      }, values.get(series) ?? [])
    }
    for (let i = 0; i < summaries.counts.length; i++) {
      const count = summaries.counts[i]!
      if (!(count > 0)) continue
      const series = summaries.series[i]!
      const counted = this.wordsOf(series, ".count")
      yield `${counted.head}${number(count)}|c${at}${counted.tail}`
      const summed = this.wordsOf(series, ".sum")
      if (Number.isFinite(summaries.sums[i]!)) yield `${summed.head}${number(summaries.sums[i]!)}|c${at}${summed.tail}`
      const objectives = Object.keys(series.definition.objectives ?? {}).map(Number).toSorted((a, b) => a - b)
      for (let q = 0; q < objectives.length; q++) {
        const value = summaries.quantiles[i]?.[q]
        if (value === undefined || !Number.isFinite(value)) continue
        const { head, tail } = this.make(series, ".quantile", [tag("quantile", String(objectives[q]))])
        yield `${head}${number(value)}|g${at}${tail}`
      }
    }
  }

  /** Equal counts share a line, as many values as fit (protocol 1.1). */
  private *distribution(series: Series, interval: Interval, values: ReadonlyArray<number>): Generator<string> {
    const { head, tail } = this.wordsOf(series, "")
    const byCount = new Map<number, Array<number>>()
    for (const { count, value } of weighted(interval, values)) {
      const list = byCount.get(count)
      if (list === undefined) byCount.set(count, [value])
      else list.push(value)
    }
    for (const [count, list] of byCount) {
      const end = count === 1 ? `|d${tail}` : `|d|@${rateOf(count)}${tail}`
      const room = this.options.maxLine - Buffer.byteLength(head) - Buffer.byteLength(end)
      let packed = ""
      for (const value of list) {
        const text = number(value)
        if (packed === "") packed = text
        else if (packed.length + 1 + text.length <= room) packed += `:${text}`
        else {
          yield `${head}${packed}${end}`
          packed = text
        }
      }
      yield `${head}${packed}${end}`
    }
  }

  private wordsOf(series: Series, suffix: string): Words {
    if (suffix !== "") return this.make(series, suffix, [])
    let found = this.words.get(series)
    if (found === undefined) this.words.set(series, found = this.make(series, suffix, []))
    return found
  }

  private make({ definition, labelValues }: Series, suffix: string, more: ReadonlyArray<Tag>): Words {
    const own: Array<Tag> = []
    for (let i = 0; i < labelValues.length; i++) {
      const value = labelValues[i]!
      if (value !== "") own.push(tag(definition.labelNames[i]!, value))
    }
    const { originFields, tags } = this.options
    return { head: `${this.nameOf(definition)}${suffix}:`, tail: `${tagField(tags, [...own, ...more])}${originFields}` }
  }

  private nameOf({ name }: Series["definition"]): string {
    let shown = this.names.get(name)
    if (shown === undefined) {
      shown = seriesName(name.startsWith("obs_") ? name : `${this.options.prefix()}${name}`)
      // A name that another metric has is told apart.
      const owner = this.taken.get(shown)
      if (owner !== undefined && owner !== name) shown = `${shown.slice(0, 191)}_${hash(name)}`
      this.taken.set(shown, name)
      this.names.set(name, shown)
    }
    return shown
  }
}
