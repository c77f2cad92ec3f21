import { MetricDefinition, type MetricFrame, type MetricsHistory, type Series } from "@effect-observability/core"
import type * as Arr from "effect/Array"
import { historyOf } from "../../test/support/database.ts"
import { packAt } from "../../test/support/packed.ts"
import { type Prometheus, startPrometheus } from "../../test/support/prometheus.ts"
import { ask, type Server, start, writer } from "./server.ts"
import { labelsOf, Synthetic } from "./synthetic.ts"

export const step = 15_000
const day = 86_400_000
const hour = 3_600_000
const routes = 20
const bounds = MetricDefinition.defaultBuckets
const Latency = MetricDefinition.histogram("synthetic_seconds", { help: "synthetic", labelNames: ["route"], buckets: bounds })

/** A day that is over, and the hour after it, which is not packed yet. */
export const midnight = Math.floor(Date.now() / day) * day - 3 * day
export const end = midnight + day + hour

/** The synthetic set with a histogram beside it: 1,000 series and 20 histograms, every 15 seconds for 25 hours. */
class Samples {
  private readonly synthetic = new Synthetic(1_000)
  private readonly histograms: ReadonlyArray<Series> = Array.from({ length: routes }, (_, i) => ({
    index: i, definition: Latency, labelValues: [`/api/v1/resource/${i}`], createdAt: 0
  }))
  private seed = 7
  readonly scalars = [...this.synthetic.counters, ...this.synthetic.gauges]

  private random(): number {
    this.seed = (Math.imul(this.seed, 1_664_525) + 1_013_904_223) >>> 0
    return this.seed / 4_294_967_296
  }

  frame(i: number): MetricFrame {
    const width = bounds.length + 1
    const buckets = new Float64Array(routes * width)
    const sums = new Float64Array(routes)
    for (let route = 0; route < routes; route++) {
      for (let n = 0; n < 20; n++) {
        const value = Math.round(this.random() ** 4 * 12e6) / 1e6
        const bucket = bounds.findIndex((bound) => value <= bound)
        buckets[route * width + (bucket < 0 ? bounds.length : bucket)]!++
        sums[route]! += value
      }
    }
    return {
      ...this.synthetic.frame(midnight + (i + 1) * step, step),
      histograms: {
        series: this.histograms,
        offsets: Uint32Array.from(this.histograms, (_, route) => route * width),
        buckets,
        counts: new Float64Array(routes).fill(20),
        sums,
        mins: new Float64Array(routes).fill(0.001),
        maxs: new Float64Array(routes).fill(12),
        exponentials: []
      }
    }
  }
}

const frames = (end - midnight) / step

const openMetrics = function*(): Generator<string> {
  const samples = new Samples()
  const counters = samples.scalars.filter(({ definition }) => definition.type === "counter").length
  const columns = samples.scalars.map(() => new Float64Array(frames))
  const width = bounds.length + 1
  const buckets = Array.from({ length: routes * width }, () => new Float64Array(frames))
  for (let i = 0; i < frames; i++) {
    const frame = samples.frame(i)
    const values = [...frame.counters.values, ...frame.gauges.values]
    values.forEach((value, j) => void (columns[j]![i] = j < counters && i > 0 ? value + columns[j]![i - 1]! : value))
    for (let route = 0; route < routes; route++) {
      let below = 0
      for (let b = 0; b < width; b++) {
        below += frame.histograms.buckets[route * width + b]!
        const column = buckets[route * width + b]!
        column[i] = below + (i > 0 ? column[i - 1]! : 0)
      }
    }
  }
  const lines = (name: string, labels: Readonly<Record<string, string>>, column: Float64Array): string => {
    const text = Object.entries(labels).map(([key, value]) => `${key}="${value}"`).join(",")
    let out = ""
    for (let i = 0; i < frames; i++) out += `${name}{${text}} ${column[i]} ${(midnight + (i + 1) * step) / 1_000}\n`
    return out
  }
  for (const [name, members] of Map.groupBy(samples.scalars.map((one, j) => ({ one, j })), ({ one }) => one.definition.name)) {
    const { type } = members[0]!.one.definition
    yield `# TYPE ${type === "counter" ? name.replace(/_total$/, "") : name} ${type}\n`
    for (const { j, one } of members) yield lines(name, labelsOf(one), columns[j]!)
  }
  yield "# TYPE synthetic_seconds histogram\n"
  for (let route = 0; route < routes; route++) {
    for (let b = 0; b < width; b++) {
      yield lines("synthetic_seconds_bucket", { route: `/api/v1/resource/${route}`, le: b < bounds.length ? String(bounds[b]) : "+Inf" }, buckets[route * width + b]!)
    }
  }
  yield "# EOF\n"
}

export interface FleetDay {
  readonly server: Server
  readonly history: MetricsHistory["Service"]
  readonly prometheus: Prometheus | undefined
}

/** The same samples in a store of ours, packed as upkeep does, and in a Prometheus where there is one. */
export const fleetDay = async (withPrometheus: boolean): Promise<FleetDay> => {
  const server = await start()
  const ours = await writer(server)
  const samples = new Samples()
  for (let i = 0; i < frames; i += 40) {
    await ours.send(Array.from({ length: 40 }, (_, k) => samples.frame(i + k)) as Arr.NonEmptyArray<MetricFrame>)
  }
  await server.run(packAt(server.target, ours.names, midnight + day + hour + 30_000))
  await ask(server, "vacuum analyze")
  const history = await server.run(historyOf(server.target, ours.names))
  return { server, history, prometheus: withPrometheus ? await server.run(startPrometheus(openMetrics(), "5m")) : undefined }
}
