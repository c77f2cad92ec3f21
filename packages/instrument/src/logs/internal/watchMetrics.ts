import type { MetricFamily, MetricStore, Series } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Counters are judged by their increase in this time, histograms by the values observed in it. Milliseconds. */
const window = 300_000

interface Sample {
  readonly at: number
  /** A counter's total; of a histogram its buckets. */
  readonly values: ReadonlyArray<number>
}

interface Watched {
  readonly samples: Array<Sample>
  above: boolean
  last: number | undefined
}

/**
 * Looks at the metrics every `interval` and logs when one crosses its `alertThreshold`, once per crossing and both ways, and when one
 * marked `logChanges` has changed.
 */
export const watchMetrics = (store: MetricStore, interval: Duration.Input): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const watch = new Watch()
    const pass = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      store.refresh()
      return Effect.forEach(watch.look(store.families(), now), tell, { discard: true })
    })
    return Effect.sleep(interval).pipe(
      Effect.andThen(pass),
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause(() => Effect.void),
      Effect.forever,
      Effect.forkScoped,
      Effect.asVoid
    )
  })

/** What there is to say about a series. */
type News =
  & { readonly metric: string; readonly labels: Readonly<Record<string, string>>; readonly value: number }
  & ({ readonly threshold: number; readonly above: boolean } | { readonly previous: number | undefined })

const tell = (news: News): Effect.Effect<void> => {
  const { labels, metric, value } = news
  const about = { metric, value, ...(Object.keys(labels).length === 0 ? {} : { labels }) }
  if ("threshold" in news) {
    const { above, threshold } = news
    const line = `${metric} ${above ? "crossed" : "is back within"} its alert threshold: ${value} ${above ? ">" : "<="} ${threshold}`
    return Effect.annotateLogs((above ? Effect.logWarning : Effect.logInfo)(line), { ...about, threshold, state: above ? "above" : "within" })
  }
  const { previous } = news
  return Effect.annotateLogs(
    Effect.logInfo(`${metric} changed${previous === undefined ? "" : ` from ${previous}`} to ${value}`),
    previous === undefined ? about : { ...about, previous }
  )
}

/** Remembers what was seen, and finds what is new. */
export class Watch {
  private readonly known = new WeakMap<Series, Watched>()

  look(families: ReadonlyArray<MetricFamily>, now: number): ReadonlyArray<News> {
    const news: Array<News> = []
    for (const family of families) {
      const { alertThreshold, logChanges } = family.definition
      if (alertThreshold === undefined && logChanges !== true) continue
      for (const series of family.series) {
        let watched = this.known.get(series)
        if (watched === undefined) {
          // A series that is new began at nothing; what it has now happened since.
          watched = { samples: [], above: false, last: undefined }
          this.known.set(series, watched)
        }
        const about = { metric: family.definition.name, labels: labelsOf(series) }
        if (alertThreshold !== undefined) {
          const value = figure(family, series, watched, now)
          const above = value > alertThreshold
          if (above !== watched.above) {
            watched.above = above
            news.push({ ...about, value, threshold: alertThreshold, above })
          }
        }
        if (logChanges === true) {
          const value = valueOf(family, series)
          if (value !== watched.last) news.push({ ...about, value, previous: watched.last })
          watched.last = value
        }
      }
    }
    return news
  }
}

const valueOf = (family: MetricFamily, series: Series): number =>
  family.definition.type === "histogram" || family.definition.type === "summary" ? family.count(series) : family.value(series)

/** What is compared with the threshold: a counter's increase over five minutes, a gauge's last value, the others' p99. */
const figure = (family: MetricFamily, series: Series, watched: Watched, now: number): number => {
  switch (family.definition.type) {
    case "gauge":
    case "upDownCounter":
      return family.value(series)
    case "summary":
      return orZero(family.quantile(series, 0.99))
    case "counter":
      return difference(watched, now, [family.value(series)])[0]!
    case "histogram": {
      const bounds = family.definition.buckets ?? []
      return p99(bounds, difference(watched, now, Array.from({ length: bounds.length + 1 }, (_, i) => family.bucket(series, i))))
    }
  }
}

const orZero = (value: number): number => Number.isNaN(value) ? 0 : value

/** What was added within the window, and remembers what is there now. */
const difference = ({ samples }: Watched, now: number, values: ReadonlyArray<number>): ReadonlyArray<number> => {
  // The last one at or before the window's start is where it begins.
  while (samples.length > 1 && samples[1]!.at <= now - window) samples.shift()
  const [first] = samples
  const base = first !== undefined && first.at <= now - window ? first : undefined
  samples.push({ at: now, values })
  // A series younger than the window has got all it has within it.
  return base === undefined ? values : values.map((value, i) => value - base.values[i]!)
}

/** Within a bucket values are taken to be spread evenly, as Prometheus does; above the last bound it is infinite. */
const p99 = (bounds: ReadonlyArray<number>, counts: ReadonlyArray<number>): number => {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total <= 0) return 0
  const rank = 0.99 * total
  let below = 0
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i]!
    if (below + count >= rank) {
      if (i >= bounds.length) return Infinity
      const from = i === 0 ? Math.min(0, bounds[0]!) : bounds[i - 1]!
      return from + (bounds[i]! - from) * ((rank - below) / count)
    }
    below += count
  }
  return Infinity
}

const labelsOf = (series: Series): Readonly<Record<string, string>> =>
  Object.fromEntries(series.definition.labelNames.map((name, i) => [name, series.labelValues[i]!]).filter(([, value]) => value !== ""))
