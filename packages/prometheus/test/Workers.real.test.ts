import { describe, it } from "@effect/vitest"
import { randomRestarts } from "./support/cluster.ts"

// Needs nothing but Node, only more time than the default tests have.
describe("a cluster of four processes", () => {
  it.live("counts rise and are the truth through 16 random restarts", () => randomRestarts({ seed: 1, steps: 64, restarts: 16 }), 290_000)
})
