import { MetricDefinition, type MetricsHistory, MetricsRecorder } from "@effect-observability/core"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type { Bench } from "../../../test/bench/Bench.ts"
import * as Postgres from "../src/Postgres.ts"
import { freshNames, historyOf } from "../test/support/database.ts"
import { ask, documentTable, type Server, start, writer } from "./support/server.ts"
import { labelsOf, Synthetic } from "./support/synthetic.ts"

// Points of a metric (E1 to E3 of the design): 20,000 series with 50 samples each, a million rows of the document's table. And what
// a service that records 10,000 events a second pays for keeping them.

const size = 20_000
const samples = 50
const interval = 15_000

class World {
  private server: Server | undefined
  private users = 0
  private history: MetricsHistory["Service"] | undefined
  private series: Synthetic | undefined
  private at = 0
  private readonly end = Math.floor(Date.now() / interval) * interval - 3_600_000

  readonly setup = async (): Promise<void> => {
    if (this.users++ > 0) return
    const server = this.server = await start()
    const synthetic = this.series = new Synthetic(size)
    const ours = await writer(server)
    await documentTable(server, "document")
    const all = [...synthetic.counters, ...synthetic.gauges]
    await ask(server, "create table document.series (i int, name text, type text, labels jsonb)")
    const rows = all.map((one, i) => ({ i, name: one.definition.name, type: one.definition.type, labels: labelsOf(one) }))
    await ask(server, `insert into document.series select * from jsonb_to_recordset('${JSON.stringify(rows)}') as r(i int, name text, type text, labels jsonb)`)
    for (let n = samples - 1; n >= 0; n--) {
      await ours.send([synthetic.frame(this.end - n * interval, interval)])
      await ask(server, `insert into document.observability_metrics (name, type, value, labels, timestamp)
        select name, type, random(), labels, to_timestamp(${(this.end - n * interval) / 1_000}) from document.series order by i`)
    }
    await ask(server, "vacuum analyze")
    this.history = await server.run(historyOf(server.target, ours.names))
  }

  readonly teardown = async (): Promise<void> => {
    if (--this.users === 0) await this.server!.stop()
  }

  private async millis(times: number, run: (i: number) => Promise<unknown>): Promise<ReadonlyArray<number>> {
    const all: Array<number> = []
    for (let n = 0; n < times; n++) {
      const began = performance.now()
      await run(this.at += 7_919)
      all.push(performance.now() - began)
    }
    return all.sort((a, b) => a - b)
  }

  private pick(i: number) {
    const all = [...this.series!.counters, ...this.series!.gauges]
    return all[i % all.length]!
  }

  private question(i: number, labels: ReadonlyArray<string>, share: number, limit: number) {
    const one = this.pick(i)
    const whole = labelsOf(one)
    const startTime = this.end - Math.round(samples * share) * interval
    return { name: one.definition.name, labels: Object.fromEntries(labels.map((label) => [label, whole[label]!])), startTime, endTime: this.end + 1, limit }
  }

  /** Milliseconds: the median of `times` questions, or the 95th of a hundred. */
  async ours(labels: ReadonlyArray<string>, share: number, limit: number, times = 15, place = 0.5): Promise<number> {
    const sorted = await this.millis(times, (i) => this.server!.run(this.history!.getMetricsHistory(this.question(i, labels, share, limit))))
    return sorted[Math.floor(sorted.length * place)]!
  }

  async document(labels: ReadonlyArray<string>, share: number, limit: number): Promise<number> {
    const sorted = await this.millis(5, (i) => {
      const { endTime, labels: wanted, name, startTime } = this.question(i, labels, share, limit)
      return ask(this.server!, `select * from document.observability_metrics where name = '${name}' and labels @> '${JSON.stringify(wanted)}'
        and timestamp > to_timestamp(${startTime / 1_000}) and timestamp <= to_timestamp(${endTime / 1_000}) order by timestamp desc limit ${limit}`)
    })
    return sorted[2]!
  }

  async roundTrip(): Promise<number> {
    const sorted = await this.millis(100, () => ask(this.server!, "select 1"))
    return sorted[95]!
  }
}

const every = ["service", "region", "method", "route", "status"]
const some = ["service", "region", "status"]

const Events = MetricDefinition.counter("events_total", { help: "bench", labelNames: ["route", "outcome"] })
const seconds = 20
const perSecond = 10_000

/** Percent of a core, over a program that does nothing but keep the same time. */
const hostCpu = async (): Promise<number> => {
  const server = await start()
  const names = freshNames()
  const runtime = ManagedRuntime.make(Postgres.layer({ connection: server.target.url, schema: names.schema }))
  const recorder = await runtime.runPromise(MetricsRecorder)
  const routes = Array.from({ length: 50 }, (_, i) => `/route/${i}`)
  const spend = async (record: boolean): Promise<number> => {
    const before = process.cpuUsage()
    const began = performance.now()
    let n = 0
    while (n < seconds * 100) {
      const due = Math.min(seconds * 100, Math.floor((performance.now() - began) / 10))
      for (; n < due; n++) {
        if (record) for (let k = 0; k < perSecond / 100; k++) recorder.incrementCounterUnsafe(Events, 1, { route: routes[(n + k) % 50]!, outcome: k % 20 === 0 ? "failed" : "ok" })
      }
      await new Promise((wake) => setTimeout(wake, 10))
    }
    const used = process.cpuUsage(before)
    return (used.user + used.system) / (seconds * 10_000)
  }
  await spend(true)
  const whole = await spend(true)
  await runtime.dispose()
  const idle = await spend(false)
  await server.stop()
  return whole - idle
}

export default (bench: Bench): void => {
  const world = new World()
  const { setup, teardown } = world
  const baseline = (labels: ReadonlyArray<string>, share: number, limit: number) => ({ name: "document", run: () => world.document(labels, share, limit) })
  bench.measure({
    name: "pg.points.series", unit: "ms", setup, teardown, samples: 5, must: 1 / 50,
    run: () => world.ours(every, 1, 100), baseline: baseline(every, 1, 100)
  })
  bench.measure({
    name: "pg.points.series.p95", unit: "ms p95", setup, teardown, samples: 3, moonshot: 8,
    run: () => world.ours(every, 1, 100, 100, 0.95), baseline: { name: "SELECT 1, p95", run: () => world.roundTrip() }
  })
  bench.measure({
    name: "pg.points.labels", unit: "ms", setup, teardown, samples: 5, must: 1 / 2, moonshot: 1 / 5,
    run: () => world.ours(some, 0.1, 1_000), baseline: baseline(some, 0.1, 1_000)
  })
  bench.measure({
    name: "pg.points.name", unit: "ms", setup, teardown, samples: 5, must: 2, moonshot: 1.3,
    run: () => world.ours([], 0.1, 1_000), baseline: baseline([], 0.1, 1_000)
  })
  bench.measure({ name: "pg.cpu.host", unit: "% of a core", samples: 1, must: 1, run: hostCpu })
}
