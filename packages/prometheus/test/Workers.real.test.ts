import { describe, it } from "@effect/vitest"
import { randomRestarts } from "./support/cluster.ts"

// Needs nothing but Node, only more time than the default tests have.
describe("a cluster of four processes", () => {
  for (const seed of [1, 2]) {
    it.live(`counts rise and are the truth through 12 random restarts (seed ${seed})`, () => randomRestarts({ seed, steps: 48, restarts: 12 }), 240_000)
  }
})
