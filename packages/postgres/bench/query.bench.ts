import type { RangeQuery } from "@effect-observability/core"
import { spawnSync } from "node:child_process"
import type { Bench } from "../../../test/bench/Bench.ts"
import { end, type FleetDay, fleetDay, midnight, step } from "./support/fleetDay.ts"

// The eight range queries of the design (`docs/history.md`) over a packed day and an hour of frames, against Prometheus's
// `query_range` over the same samples, both read to values in this process.

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const evening = midnight + day

/** 31 routes of `synthetic_walk_0`. */
const some = Array.from({ length: 31 }, (_, i) => `/api/v1/resource/${8 * i}/items`)
const thirtyOne = { metric: "synthetic_walk_0", function: "avg", labels: { route: { in: some } } } as const
const selector = `synthetic_walk_0{route=~"${some.join("|")}"}`

interface Query {
  readonly name: string
  readonly ours: (fleet: FleetDay) => Promise<unknown>
  readonly promQl: string
  readonly range: readonly [start: number, end: number, step: number]
}

const range = (name: string, query: Omit<RangeQuery, "start" | "end" | "step">, promQl: string, at: Query["range"]): Query => ({
  name,
  promQl,
  range: at,
  ours: ({ history, server }) => server.run(history.queryRange({ ...query, start: at[0], end: at[1], step: at[2] }))
})

const total = (metric: string) => ({ metric, function: "rate", groupBy: [] }) as const

const queries: ReadonlyArray<Query> = [
  range("q1", thirtyOne, `avg_over_time(${selector}[1m])`, [evening - hour, evening, minute]),
  range("q2", thirtyOne, `avg_over_time(${selector}[5m])`, [midnight + 5 * minute, evening, 5 * minute]),
  {
    name: "q3",
    promQl: `synthetic_walk_0{route="${some[0]}"}`,
    range: [midnight + step, evening, step],
    ours: ({ history, server }) =>
      server.run(history.getMetricsHistory({ name: "synthetic_walk_0", labels: { route: some[0]! }, startTime: midnight, endTime: evening + 1, limit: 10_000 }))
  },
  {
    name: "q4",
    promQl: "{__name__=~\"synthetic_(walk|ratio)_.\"}",
    range: [end, end, step],
    ours: async ({ history, server }) => {
      for (const metric of ["walk_0", "walk_1", "ratio_0", "ratio_1", "ratio_2"]) {
        await server.run(history.queryRange({ metric: `synthetic_${metric}`, function: "last", start: end, end, step }))
      }
    }
  },
  range("q5", { metric: "synthetic_0_total", function: "rate", groupBy: ["service"] }, "sum by (service) (rate(synthetic_0_total[1m]))", [evening - 6 * hour, evening, minute]),
  range(
    "q6",
    { metric: "synthetic_seconds", function: "quantile", quantile: 0.95, groupBy: ["route"] },
    "histogram_quantile(0.95, sum by (route, le) (rate(synthetic_seconds_bucket[5m])))",
    [evening - 6 * hour, evening, 5 * minute]
  ),
  range("q7", { metric: "synthetic_0_total", function: "increase", k: 10 }, "topk(10, increase(synthetic_0_total[24h]))", [evening, evening, day]),
  {
    name: "q8",
    promQl: "sum(rate(synthetic_0_total[10m])) / sum(rate(synthetic_1_total[10m]))",
    range: [midnight + 10 * minute, evening, 10 * minute],
    ours: async ({ history, server }) => {
      const at = { start: midnight + 10 * minute, end: evening, step: 10 * minute }
      const above = await server.run(history.queryRange({ ...total("synthetic_0_total"), ...at }))
      const below = await server.run(history.queryRange({ ...total("synthetic_1_total"), ...at }))
      return above.series[0]!.values.map((value, i) => value / below.series[0]!.values[i]!)
    }
  }
]

const timed = async (run: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await run()
  return performance.now() - began
}

const installed = spawnSync("prometheus", ["--version"]).status === 0 && spawnSync("promtool", ["--version"]).status === 0

export default (bench: Bench): void => {
  let users = 0
  let fleet: FleetDay | undefined
  const setup = async () => {
    if (users++ > 0) return
    fleet = await fleetDay(installed)
    for (let i = 0; i < 5; i++) for (const query of queries) await Promise.all([ours(query), installed ? theirs(query) : undefined])
  }
  const teardown = async () => {
    if (--users === 0) await fleet!.server.stop()
  }
  const ours = (query: Query) => query.ours(fleet!)
  const theirs = ({ promQl, range: [start, end, step] }: Query) => fleet!.server.run(fleet!.prometheus!.queryRange(promQl, start / 1000, end / 1000, step / 1000))
  const baseline = (run: () => Promise<number>) =>
    installed ? { name: "Prometheus query_range, the same samples", run } : { name: "prometheus is not installed: nothing to compare with", run: () => NaN }
  for (const query of queries) {
    bench.measure({
      name: `pg.query.${query.name}`,
      unit: "ms",
      setup,
      teardown,
      run: () => timed(() => ours(query)),
      baseline: baseline(() => timed(() => theirs(query))),
      must: 1.5
    })
  }
  const mean = async (run: (query: Query) => Promise<unknown>) => {
    let logs = 0
    for (const query of queries) logs += Math.log(await timed(() => run(query)))
    return Math.exp(logs / queries.length)
  }
  bench.measure({
    name: "pg.query.mean",
    unit: "ms",
    setup,
    teardown,
    run: () => mean(ours),
    baseline: baseline(() => mean(theirs)),
    must: 0.8
  })
}
