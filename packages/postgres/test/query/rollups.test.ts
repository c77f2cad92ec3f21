import { MemoryHistory, type MetricFrame, type RangeFunction, type RangeResult } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, Database, Depth, freshNames, historyOf, Latency, Requests, startProcess } from "../support/database.ts"
import { type Happening, Series4 } from "../support/frames.ts"
import { packAt } from "../support/packed.ts"
import { Random } from "../support/random.ts"

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const midnight = 1_790_000_000_000 - (1_790_000_000_000 % day)
const days = 3

/** Two processes over three days, a flush every ten minutes; the second ends in the middle of the second day. */
const makeFleet = (random: Random): ReadonlyArray<readonly [MetricFrame, ...Array<MetricFrame>]> =>
  [days * day, 1.5 * day].map((until) => {
    const maker = new Series4()
    const frames: Array<MetricFrame> = []
    for (let at = 0; at < until; at += 10 * minute) {
      const happened = ["a", "b", "c"].flatMap((one): ReadonlyArray<Happening> => [
        { metric: Requests, labels: { method: one, status: "200" }, value: random.int(0, 50) },
        { metric: Depth, labels: { queue: one }, value: random.int(-100, 1_000) / 10 },
        { metric: Latency, labels: { route: one }, observed: Array.from({ length: random.int(0, 4) }, () => random.int(1, 2_000) / 1_000) }
      ])
      frames.push(maker.frame(midnight + at, midnight + at + 10 * minute, happened))
    }
    return frames as [MetricFrame, ...Array<MetricFrame>]
  })

const all: ReadonlyArray<readonly [metric: typeof Requests | typeof Depth | typeof Latency, functions: ReadonlyArray<RangeFunction>]> = [
  [Requests, ["increase", "rate"]],
  [Depth, ["avg", "min", "max", "last", "sum", "count"]],
  [Latency, ["count", "sum", "avg", "min", "max", "quantile"]]
]

const rounded = ({ series, times }: RangeResult) => ({
  times,
  series: series.map(({ labels, values }) => ({ labels, values: values.map((value) => Number(value.toPrecision(10))) }))
})

/** Which process a value of one moment is from is known to the samples and to the minute only. */
const coarse: typeof all = all.map(([metric, functions]) => [metric, metric === Depth ? ["avg", "min", "max"] : functions])

layer(Database.layer, { excludeTestServices: true, timeout: "60 seconds" })("long ranges", (it) => {
  it.effect("roll-ups give what the samples give, also when these are gone", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const fleet = makeFleet(new Random(3))
      yield* startProcess(target, names)
      for (const [i, frames] of fleet.entries()) {
        yield* Effect.scoped(Effect.flatMap(startProcess(target, names, { instance: `i-${i}` }), ({ exportFrames }) => exportFrames(1, ...frames)))
      }
      const stored = yield* historyOf(target, names)
      const reference = MemoryHistory.ofFrames(() => fleet)
      const compare = (from: number, to: number, steps: ReadonlyArray<number>, questions = all) =>
        Effect.gen(function*() {
          for (const step of steps) {
            for (const [metric, functions] of questions) {
              for (const name of functions) {
                for (const groupBy of [undefined, []]) {
                  const query = {
                    metric, function: name, start: midnight + from, end: midnight + to, step, ...(groupBy === undefined ? {} : { groupBy }),
                    ...(name === "quantile" ? { quantile: 0.9 } : {})
                  }
                  const given = yield* stored.queryRange(query)
                  assert.deepStrictEqual(rounded(given), rounded(yield* reference.queryRange(query)), `${name} of ${metric.name} per ${step / minute} minutes`)
                }
              }
            }
          }
        })
      // Hot, and cut anyhow; then from hours, days and roll-ups.
      yield* compare(hour, 2 * day, [hour, 13 * minute])
      yield* packAt(target, names, midnight + 2 * day + 2 * hour)
      yield* compare(hour, 3 * day, [30 * minute])
      yield* packAt(target, names, midnight + 30 * day)
      const long = compare(day, 3 * day, [20 * minute, 6 * hour, day])
      yield* long
      yield* compare(hour, 4 * hour, [7 * minute])
      // The first day's samples are gone.
      const second = new Date(midnight + day).toISOString()
      for (const table of ["obs_metric_pack", "obs_metric_segment"]) yield* ask(target, `delete from ${names.schema}.${table} where ts < '${second}'`)
      yield* compare(hour, 3 * day, [20 * minute])
      // All samples have reached the end of their retention.
      for (const table of ["obs_metric_pack", "obs_metric_segment"]) yield* ask(target, `delete from ${names.schema}.${table}`)
      yield* long
      yield* ask(target, `delete from ${names.schema}.obs_rollup_minute`)
      yield* compare(day, 3 * day, [hour, day], coarse)
      yield* ask(target, `delete from ${names.schema}.obs_rollup_hour`)
      yield* compare(day, 3 * day, [day], coarse)
    }))
})
