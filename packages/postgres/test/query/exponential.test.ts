import { MetricDefinition, type MetricFrame, type Series } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Session from "../../src/internal/session.ts"
import * as Deletion from "../../src/internal/deletion.ts"
import { seeded } from "../faults/support.ts"
import { ask, Database, freshNames, historyOf, startProcess } from "../support/database.ts"
import { Series4 } from "../support/frames.ts"
import { packAt } from "../support/packed.ts"

const Work = MetricDefinition.histogram("work_seconds", { help: "Work", labelNames: ["route"], buckets: [0.1, 100], exponential: { maxSize: 160 } })

type Exponential = MetricFrame["histograms"]["exponentials"][number]

/** The values in base-2 exponential buckets of a scale, as the data model defines them. */
const stateOf = (series: Series, values: ReadonlyArray<number>, scale: number): Exponential => {
  const buckets = (magnitudes: ReadonlyArray<number>) => {
    const indexes = magnitudes.map((value) => Math.ceil(Math.log2(value) * 2 ** scale) - 1)
    if (indexes.length === 0) return { offset: 0, counts: new Float64Array(0) }
    const low = Math.min(...indexes)
    const counts = new Float64Array(Math.max(...indexes) - low + 1)
    for (const index of indexes) counts[index - low]!++
    return { offset: low, counts }
  }
  return {
    series, scale, zeroCount: values.filter((value) => value === 0).length,
    positive: buckets(values.filter((value) => value > 0)), negative: buckets(values.filter((value) => value < 0).map((value) => -value))
  }
}

const hour = 3_600_000
const start = Math.floor(Date.now() / hour) * hour - 3 * hour

layer(Database.layer, { excludeTestServices: true, timeout: "60 seconds" })("exponential histograms", (it) => {
  it.effect("quantiles follow the values, over scales and signs, hot and packed, and where only explicit buckets are", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const random = seeded(7)
      const next = () => (random.below(1_000_000) + 0.5) / 1_000_000
      const store = new Series4()
      const all: Record<string, Array<number>> = { "/a": [], "/b": [] }
      let number = 0
      /** `scales[i]` of frame `i`; `undefined`: explicit buckets only. */
      const scales = [undefined, 5, 5, 3, 4, 5, 6, 2, 5]
      for (const [i, scale] of scales.entries()) {
        const observed = {
          "/a": Array.from({ length: 400 }, () => Math.exp(3 * next() - 2)),
          "/b": Array.from({ length: 300 }, (_, k) => (k % 10 === 0 ? 0 : k % 3 === 0 ? -(0.5 + next()) : 1 + 4 * next()))
        }
        const end = start + (i + 1) * 600_000
        const frame = store.frame(end - 600_000, end, Object.entries(observed).map(([route, values]) => ({ metric: Work, labels: { route }, observed: values })))
        const exponentials = scale === undefined ? [] : frame.histograms.series.map((series) => stateOf(series, observed[series.labelValues[0] as "/a"], scale))
        yield* process.exportFrames(++number, { ...frame, histograms: { ...frame.histograms, exponentials } })
        // Given twice, stored once.
        yield* process.exportFrames(number, { ...frame, histograms: { ...frame.histograms, exponentials } })
        if (scale !== undefined) for (const route of ["/a", "/b"] as const) all[route]!.push(...observed[route])
      }
      const exact = (values: ReadonlyArray<number>, q: number) => values.toSorted((a, b) => a - b)[Math.ceil(q * values.length) - 1]!
      const from = start + 600_000
      const to = start + scales.length * 600_000
      const quantile = (q: number, range: { readonly start: number; readonly end: number; readonly window: number }, groupBy?: ReadonlyArray<string>) =>
        history.queryRange({ metric: "work_seconds", function: "quantile", quantile: q, ...(groupBy === undefined ? {} : { groupBy }), step: 600_000, ...range })
      const answers = Effect.gen(function*() {
        const out: Record<string, unknown> = {}
        for (const q of [0.05, 0.3, 0.5, 0.9, 0.99]) {
          const whole = yield* quantile(q, { start: to, end: to, window: to - from })
          assert.deepStrictEqual(whole.series.map(({ labels }) => labels), [{ route: "/a" }, { route: "/b" }])
          for (const { labels, values } of whole.series) {
            const wanted = exact(all[labels["route"]!]!, q)
            // The coarsest scale is 2: a bucket is 19 % wide.
            assert.approximately(values[0]!, wanted, 0.19 * Math.abs(wanted) + 0.03, `${labels["route"]} q${q}`)
          }
          out[`q${q}`] = whole.series
        }
        out["grouped"] = (yield* quantile(0.5, { start: to, end: to, window: to - from }, [])).series
        out["steps"] = (yield* quantile(0.5, { start: start + 600_000, end: to, window: 600_000 })).series
        return out
      })
      const hot = yield* answers
      // The first interval has explicit buckets only: a quantile from those, which are two.
      const steps = (hot["steps"] as ReadonlyArray<{ readonly values: ReadonlyArray<number> }>)[0]!.values
      assert.strictEqual(steps.length, scales.length)
      assert.isTrue(steps.every((value) => value > 0))
      assert.isAbove(steps[0]!, 20)
      assert.isBelow(Math.max(...steps.slice(1)), 1)

      const rows = (table: string) => Effect.map(ask(target, `select count(*)::int4 as n from ${names.schema}.obs_${table}`), ([row]) => row!["n"])
      assert.strictEqual(yield* rows("exponential"), 2 * (scales.length - 1))
      yield* packAt(target, names, start + hour + 200_000)
      assert.deepStrictEqual([yield* rows("exponential"), yield* rows("exponential_pack")], [2 * (scales.length - 6), 2])
      assert.deepStrictEqual(yield* answers, hot)
      yield* packAt(target, names, start + 3 * hour)
      assert.deepStrictEqual([yield* rows("exponential"), yield* rows("exponential_pack")], [0, 4])
      assert.deepStrictEqual(yield* answers, hot)

      yield* Effect.acquireUseRelease(Session.open(target, 60_000), (session) => Deletion.metrics(session, names, { labels: { route: "/b" } }), (session) => session.close)
      assert.strictEqual(yield* rows("exponential_pack"), 2)
      assert.deepStrictEqual((yield* quantile(0.5, { start: to, end: to, window: to - from })).series.map(({ labels }) => labels), [{ route: "/a" }])
    }))
})
