import { assert, describe, it } from "@effect/vitest"
import { loads, weigh } from "./weights.ts"

// The same as over ten million spans (`tenMillion.real.test.ts`), with the wider bounds of fewer.
describe("weighted counts over 400,000 spans", () => {
  for (const [seed, { name, sampler }] of loads.entries()) {
    it(name, () => {
      const { imbalance, off } = weigh(sampler, 400_000, seed + 1)
      assert.isUndefined(imbalance)
      // Five standard deviations of 100,000 traces, of which 1 % are kept.
      assert.isAtMost(Math.abs(off), name === "ratio 1 %" ? 0.16 : 0.06)
    })
  }
})
