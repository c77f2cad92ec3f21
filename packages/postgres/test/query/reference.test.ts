import { MemoryHistory, type RangeResult } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Database } from "../support/database.ts"
import { Random } from "../support/random.ts"
import { load } from "./load.ts"
import { makeQuestion } from "./questions.ts"
import { makeWorld } from "./world.ts"

/** Blocks come in another order: sums differ in their last bits. */
const rounded = ({ series, ...rest }: RangeResult) => ({
  ...rest,
  series: series.map(({ labels, values }) => ({ labels, values: values.map((value) => Number(value.toPrecision(10))) }))
})

layer(Database.layer, { excludeTestServices: true })("the store and the history in memory", (it) => {
  it.effect("give the same answers to 100 generated questions about a fleet that restarts and loses flushes", () =>
    Effect.gen(function*() {
      const random = new Random(4)
      const world = makeWorld(random)
      const stored = yield* load(world)
      const reference = MemoryHistory.ofFrames(() => world.writers)
      let values = 0
      for (let n = 0; n < 100; n++) {
        const { ours } = makeQuestion(random)
        const expected = yield* reference.queryRange(ours)
        assert.deepStrictEqual(rounded(yield* stored.queryRange(ours)), rounded(expected), `question ${n}: ${JSON.stringify(ours)}`)
        values += expected.series.length * expected.times.length
      }
      assert.isAbove(values, 2_000)
    }))
})
