import { assert, describe, it } from "@effect/vitest"
import type { MetricsHistory } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { Database } from "../support/database.ts"
import { type Prometheus, startPrometheus } from "../support/prometheus.ts"
import { Random } from "../support/random.ts"
import { load } from "./load.ts"
import { groupOf, isComparable, keyOf, makeQuestion, type Question, readBy, recounted } from "./questions.ts"
import { begin, grid, makeWorld, openMetrics, type World } from "./world.ts"

/** Questions per world. */
const questions = 150
const seeds = [1, 2, 3, 4, 5]
/** Both add up the same numbers in another order. */
const tolerance = 1e-9

interface Tally {
  questions: number
  compared: number
  extrapolated: number
  worst: number
}

const far = (a: number, b: number) => Math.abs(a - b) / Math.max(1e-3, Math.abs(a), Math.abs(b))

describe("queryRange and a real Prometheus over the same samples", () => {
  it.live(`agree within ${tolerance} on ${questions * seeds.length} generated questions: resets, restarts, gaps, histograms`, () =>
    Effect.gen(function*() {
      const tally: Tally = { questions: 0, compared: 0, extrapolated: 0, worst: 0 }
      for (const seed of seeds) {
        yield* Effect.scoped(Effect.gen(function*() {
          const random = new Random(seed)
          const world = makeWorld(random)
          const [history, prometheus] = yield* Effect.all([load(world), startPrometheus(openMetrics(world), "29s999ms")])
          for (let n = 0; n < questions; n++) yield* compare(world, makeQuestion(random), history, prometheus, tally, `seed ${seed}, question ${n}`)
        }))
      }
      yield* Effect.logInfo(
        `${tally.questions} questions, ${tally.compared} values equal to Prometheus within ${tally.worst.toExponential(1)}, ` +
          `${tally.extrapolated} where Prometheus extrapolates equal to a recount`
      )
      assert.isAtLeast(tally.questions, 500)
      assert.isAtLeast(tally.compared, 10 * tally.questions)
    }).pipe(Effect.provide(Database.layer)), 240_000)
})

const compare = (
  world: World,
  question: Question,
  history: MetricsHistory["Service"],
  prometheus: Prometheus,
  tally: Tally,
  which: string
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { first, kind, last, ours, promQl, step, window } = question
    const [answer, theirs] = yield* Effect.all([
      Effect.orDie(history.queryRange(ours)),
      prometheus.queryRange(promQl, begin + first * grid, begin + last * grid, step * grid)
    ])
    tally.questions++
    const mine = new Map(answer.series.map(({ labels, values }) => [keyOf(labels), values]))
    const other = new Map(theirs.map(({ metric, values }) => [keyOf(metric), new Map(values.map(([time, value]) => [time, Number(value)]))]))
    const groups = Map.groupBy(readBy(world, question), ({ labels }) => groupOf(question, labels))
    for (let i = 0, moment = first; moment <= last; i++, moment += step) {
      const fits = new Map([...groups].map(([key, series]) => [key, series.every((one) => isComparable(question, one, moment))]))
      if (ours.k !== undefined) {
        // Which of two equals is kept is nobody's promise: the values are.
        const valuesAt = (of: (key: string) => number | undefined) =>
          [...groups.keys()].map((key) => of(key) ?? NaN).filter((value) => !Number.isNaN(value)).sort((a, b) => a - b)
        if (![...fits.values()].every(Boolean)) continue
        const [kept, given] = [valuesAt((key) => mine.get(key)?.[i]), valuesAt((key) => other.get(key)?.get(begin + moment * grid))]
        assert.strictEqual(kept.length, given.length, `${which}: ${promQl} at ${begin + moment * grid}`)
        kept.forEach((value, n) => assert.isAtMost(far(value, given[n]!), tolerance, `${which}: ${promQl} at ${begin + moment * grid}`))
        tally.compared += kept.length
        continue
      }
      for (const [key, series] of groups) {
        const where = `${which}: ${promQl} at ${begin + moment * grid} of ${key}`
        const value = mine.get(key)?.[i] ?? NaN
        const given = other.get(key)?.get(begin + moment * grid) ?? NaN
        if (fits.get(key)!) {
          assert.strictEqual(Number.isNaN(value), Number.isNaN(given), `${where}: ${value} and ${given}`)
          if (Number.isNaN(value)) continue
          const distance = far(value, given)
          assert.isAtMost(distance, tolerance, `${where}: ${value} and ${given}`)
          tally.compared++
          tally.worst = Math.max(tally.worst, distance)
        } else if (kind === "increase" && (ours.function === "increase" || ours.function === "rate")) {
          const known = series.map((one) => recounted(one, moment, window)).filter((one) => one !== undefined)
          const total = known.length === 0 ? NaN : known.reduce((a, b) => a + b, 0) / (ours.function === "rate" ? window * grid : 1)
          assert.strictEqual(Number.isNaN(value), Number.isNaN(total), `${where}: ${value}, counted ${total}`)
          if (!Number.isNaN(value)) assert.isAtMost(far(value, total), tolerance, `${where}: ${value}, counted ${total}`)
          tally.extrapolated++
        }
      }
    }
  })
