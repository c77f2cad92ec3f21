import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, Database, Depth, freshNames, Latency, Requests, Size, startProcess } from "../support/database.ts"
import { type Happening, Series4 } from "../support/frames.ts"
import { countOf, everything, packAt } from "../support/packed.ts"

const hour = 3_600_000
const day = 24 * hour
/** Yesterday, at midnight. */
const midnight = Math.floor(Date.now() / day) * day - day

const seeded = (seed: number) => () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32

/** What a program with every kind of metric does in one interval. */
const happenings = (random: () => number, i: number): ReadonlyArray<Happening> => [
  { metric: Requests, labels: { method: "GET", status: "200" }, value: Math.floor(random() * 50) },
  { metric: Requests, labels: { method: "GET", status: "500" }, value: 0 },
  ...(i > 20 ? [{ metric: Requests, labels: { method: "POST", status: "200" }, value: random() < 0.1 ? 100_000 : random() }] : []),
  ...(i % 7 === 0 ? [] : [{ metric: Depth, labels: { queue: "a" }, value: Math.round(random() * 1_000) / 100 }]),
  { metric: Depth, labels: { queue: "noise" }, value: random() * 1e-9 },
  ...(i > 10 && random() < 0.5 ? [{ metric: Latency, labels: { route: "/a" }, observed: [random(), random() / 10, 0.25] }] : []),
  { metric: Latency, labels: { route: "/idle" }, observed: [] },
  { metric: Size, observed: random() < 0.3 ? [Math.floor(random() * 1e6)] : [] }
]

layer(Database.layer, { excludeTestServices: true })("packing", (it) => {
  it.effect("hours and days hold what the frames held, bit by bit, in JS and in SQL", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const other = yield* startProcess(target, names)
      const random = seeded(7)
      const store = new Series4()
      const twin = new Series4()
      let number = 0
      // From 21:58:20 to past midnight, off the grid at first, with a gap, and one frame of many.
      const times = Array.from({ length: 520 }, (_, i) => midnight + 22 * hour - 100_000 + 15_000 * i + (i < 3 ? 1_234 : 0)).filter((_, i) => i < 300 || i > 330)
      for (const [i, time] of times.entries()) {
        number++
        yield* process.exportFrames(number, store.frame(i === 300 ? time - 480_000 : time - 15_000, time, happenings(random, i)))
        if (i % 3 === 0) yield* other.exportFrames(number, twin.frame(time - 45_000, time, happenings(random, i)))
      }
      const before = yield* everything(target, names)
      assert.isAbove(before.length, 5_000)

      const first = yield* packAt(target, names, midnight + day + 30 * 60_000)
      assert.deepStrictEqual(first, { hours: 6, days: 0, yielded: false })
      assert.deepStrictEqual(yield* everything(target, names), before)
      // The hour of midnight is not over yet.
      assert.isAbove((yield* countOf(target, names, "metric_frame"))[0]!, 0)

      const second = yield* packAt(target, names, midnight + day + 2 * hour)
      assert.deepStrictEqual(second, { hours: 2, days: 1, yielded: false })
      assert.deepStrictEqual(yield* countOf(target, names, "metric_frame", "histogram_frame", "summary_frame"), [0, 0, 0])
      assert.deepStrictEqual(yield* everything(target, names), before)
      const segments = yield* ask(target, `select hours, count(*)::int4 as n from ${names.schema}.obs_metric_segment group by 1 order by 1`)
      assert.deepStrictEqual(segments.map((row) => [row["hours"], row["n"]]), [[1, 2], [24, 2]])

      // Late frames of the day: between the others, and before them.
      for (const time of [times[200]! + 7, midnight + hour]) yield* process.exportFrames(++number, store.frame(time - 1, time, happenings(random, 999)))
      const late = yield* everything(target, names)
      assert.isAbove(late.length, before.length)
      yield* packAt(target, names, midnight + day + 2 * hour)
      assert.deepStrictEqual(yield* everything(target, names), late)
      const again = yield* packAt(target, names, midnight + day + 2 * hour)
      assert.deepStrictEqual(again, { hours: 0, days: 0, yielded: false })
    }))
})
