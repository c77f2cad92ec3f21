import { MetricDefinition, type MetricFrame } from "@effect-observability/core"
import { FrameMaker, type Happening } from "@effect-observability/testkit/contract"
import type { Random } from "../support/random.ts"

/** A small fleet over some hours: instances that start, stop, restart, and lose some of their flushes. */

/** Seconds between flushes, and between scrapes. */
export const grid = 15
/** The first moment, in seconds. */
export const begin = 1_790_006_400
/** Moments after it. */
export const moments = 480

export const Counted = MetricDefinition.counter("world_total", { help: "x", labelNames: ["instance", "path"] })
export const Set_ = MetricDefinition.gauge("world_depth", { help: "x", labelNames: ["instance", "path"] })
export const Timed = MetricDefinition.histogram("world_seconds", { help: "x", labelNames: ["instance", "path"], buckets: [0.1, 0.25, 0.5, 1, 2.5] })

export const instances = ["i1", "i2", "i3"]
export const paths = ["/a", "/b", "/c/d", "/e\"f\\"]

/** A process: it started at `from` and was last seen at `to`; it was not seen at the moments in `lost`. */
interface Life {
  readonly instance: string
  readonly from: number
  readonly to: number
  readonly lost: ReadonlySet<number>
}

/** What Prometheus scraped of one series at one moment. */
export interface Sample {
  readonly moment: number
  readonly value: number
  /** Since the last one seen, in moments; 0 for the value a process starts with. */
  readonly span: number
}

/** A series as it was scraped: its name and labels in Prometheus's notation, and its samples. */
export interface Scraped {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly samples: Array<Sample>
}

export interface World {
  /** Frames of each process, as it would write them. */
  readonly writers: ReadonlyArray<readonly [MetricFrame, ...Array<MetricFrame>]>
  readonly scraped: ReadonlyMap<string, Scraped>
}

export const makeWorld = (random: Random, length = moments): World => {
  const scraped = new Map<string, Scraped>()
  const writers = livesOf(random, length).map((life) => live(random, life, scraped))
  return { writers, scraped }
}

const livesOf = (random: Random, moments: number): ReadonlyArray<Life> =>
  instances.flatMap((instance) => {
    const lives: Array<Life> = []
    let from = random.int(0, 40)
    while (from < moments - 10) {
      const to = Math.min(moments, from + random.int(20, 300))
      const lost = new Set<number>()
      // Never the last: it is what a process flushes when it stops.
      for (let moment = from + 2; moment < to - 1; moment++) {
        if (!random.chance(0.02)) continue
        const length = random.int(1, 6)
        for (let i = 0; i < length && moment + i < to - 1; i++) lost.add(moment + i)
        moment += length
      }
      lives.push({ instance, from, to, lost })
      from = to + random.int(1, 30)
    }
    return lives
  })

const live = (random: Random, life: Life, scraped: Map<string, Scraped>): readonly [MetricFrame, ...Array<MetricFrame>] => {
  const maker = new FrameMaker()
  const own = paths.filter(() => random.chance(0.8))
  const totals = new Map<string, number>()
  const note = (name: string, labels: Readonly<Record<string, string>>, moment: number, span: number, value: number) => {
    const key = `${name}${JSON.stringify(labels)}`
    let series = scraped.get(key)
    if (series === undefined) scraped.set(key, series = { name, labels, samples: [] })
    series.samples.push({ moment, span, value })
  }
  const add = (name: string, labels: Readonly<Record<string, string>>, value: number) => {
    const key = `${name}${JSON.stringify(labels)}`
    const total = (totals.get(key) ?? 0) + value
    totals.set(key, total)
    return total
  }
  const scrape = (moment: number, span: number, happened: ReadonlyArray<Happening>) => {
    for (const path of own) {
      const labels = { instance: life.instance, path }
      const of = happened.filter((one) => one.labels?.["path"] === path)
      note("world_total", labels, moment, span, add("world_total", labels, sum(of.filter(({ metric }) => metric === Counted).map(({ value }) => value!))))
      const set = of.findLast(({ metric }) => metric === Set_)
      if (set !== undefined) note("world_depth", labels, moment, span, set.value!)
      const observed = of.flatMap((one) => one.observed ?? [])
      for (const bound of [...Timed.buckets!, Infinity]) {
        const le = { ...labels, le: bound === Infinity ? "+Inf" : String(bound) }
        note("world_seconds_bucket", le, moment, span, add("world_seconds_bucket", le, observed.filter((value) => value <= bound).length))
      }
      note("world_seconds_count", labels, moment, span, add("world_seconds_count", labels, observed.length))
      note("world_seconds_sum", labels, moment, span, add("world_seconds_sum", labels, sum(observed)))
    }
  }
  // A process shows its counters at 0 before anything happens.
  scrape(life.from, 0, [])
  const frames: Array<MetricFrame> = []
  let last = life.from
  let waiting: Array<Happening> = []
  for (let moment = life.from + 1; moment <= life.to; moment++) {
    for (const path of own) {
      const labels = { instance: life.instance, path }
      waiting.push({ metric: Counted, labels, value: random.chance(0.3) ? 0 : random.chance(0.5) ? random.int(1, 100) : random.next() * 10 })
      waiting.push({ metric: Set_, labels, value: Math.round(random.next() * 10_000) / 100 - 20 })
      // Whole microseconds, as sums are stored.
      waiting.push({ metric: Timed, labels, observed: Array.from({ length: random.int(0, 5) }, () => Math.round(random.next() ** 3 * 4e6) / 1e6) })
    }
    if (life.lost.has(moment)) continue
    // What a lost flush held comes with the next one, as one interval; of set values the last.
    frames.push(maker.frame((begin + last * grid) * 1000, (begin + moment * grid) * 1000, waiting))
    scrape(moment, moment - last, waiting)
    last = moment
    waiting = []
  }
  return frames as [MetricFrame, ...Array<MetricFrame>]
}

const sum = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0)

const escaped = (value: string) => value.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"")

/** The scraped samples as OpenMetrics text for `promtool tsdb create-blocks-from openmetrics`. */
export function* openMetrics({ scraped }: World): Generator<string> {
  for (const [family, type] of [["world", "counter"], ["world_depth", "gauge"], ["world_seconds", "histogram"]] as const) {
    yield `# TYPE ${family} ${type}\n`
    for (const { labels, name, samples } of scraped.values()) {
      if (!(type === "counter" ? name === "world_total" : type === "gauge" ? name === family : name.startsWith("world_seconds_"))) continue
      const text = Object.entries(labels).map(([label, value]) => `${label}="${escaped(value)}"`).join(",")
      for (const { moment, value } of samples) yield `${name}{${text}} ${value} ${begin + moment * grid}\n`
    }
  }
  yield "# EOF\n"
}
