import { assert, describe, it } from "@effect/vitest"
import { loads, weigh } from "./weights.ts"

// Ten million spans in virtual time under each sampler: what the kept ones count by their weights is the truth within 1 %, per operation too.

const spans = 10_000_000

describe("weighted counts over 10^7 spans", () => {
  for (const [seed, { each, name, sampler }] of loads.entries()) {
    it(name, () => {
      const { counted, imbalance, kept, off, worst } = weigh(sampler, spans, seed + 1)
      console.log(`${name}: kept ${kept} of ${spans} spans, counted ${Math.round(counted)} (${(off * 100).toFixed(2)} %), worst operation ${(worst * 100).toFixed(2)} %`)
      assert.isUndefined(imbalance)
      assert.isAtMost(Math.abs(off), 0.01)
      assert.isAtMost(worst, each)
    }, 300_000)
  }
})
