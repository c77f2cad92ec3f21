import { assert, describe, it } from "@effect/vitest"
import * as IdGenerator from "../../../src/tracing/IdGenerator.ts"
import * as Sampler from "../../../src/tracing/sampling/Sampler.ts"
import { sampling } from "./support.ts"

// Ten million spans in virtual time under each sampler: what the kept ones count by their weights is the truth within 1 %, per operation too.

const spans = 10_000_000
const perTrace = 4
const operations = ["GET /orders", "POST /orders", "GET /users/:id", "job"] as const

interface Load {
  readonly name: string
  readonly sampler: Sampler.Sampler
  /** How far the weighted count of one operation may be off. */
  readonly each: number
}

const loads: ReadonlyArray<Load> = [
  { name: "ratio 10 %", sampler: Sampler.ratio(0.1), each: 0.01 },
  { name: "ratio 1 %", sampler: Sampler.ratio(0.01), each: 0.03 },
  { name: "rate-limited to 2,000 spans/s", sampler: Sampler.rateLimited(2000), each: 0.03 },
  { name: "adaptive at 2,000 spans/s", sampler: Sampler.adaptive({ spansPerSecond: 2000 }), each: 0.03 },
  { name: "tail over a ratio of 10 %", sampler: Sampler.tail({ rest: Sampler.ratio(0.1) }), each: 0.01 },
  { name: "tail over adaptive at 2,000 spans/s", sampler: Sampler.tail({ rest: Sampler.adaptive({ spansPerSecond: 2000 }) }), each: 0.03 },
  {
    name: "by rules",
    sampler: Sampler.rules([{ name: "job", sampler: Sampler.always }, { attributes: { tier: "gold" }, sampler: Sampler.ratio(0.5) }], Sampler.ratio(0.1)),
    each: 0.01
  }
]

describe("weighted counts over 10^7 spans", () => {
  for (const [seed, { each, name, sampler }] of loads.entries()) {
    it(name, () => {
      const counted = new Map<string, number>()
      let kept = 0
      let all = 0
      const world = sampling(sampler, {
        seed: seed + 1,
        onKeep: (span) => {
          kept++
          all += span.weight
          // The root alone bears the operation's name.
          if (span.name !== "child") counted.set(span.name, (counted.get(span.name) ?? 0) + span.weight)
        }
      })
      const ids = IdGenerator.fromSeed(99)
      const uniform = () => (ids.next() >>> 0) / 2 ** 32
      const truth = new Map<string, number>()
      const traces = spans / perTrace
      for (let i = 0; i < traces; i++) {
        // 10 a second at first, then 5,000, with a lull.
        world.clock.millis += i < 5_000 ? 100 : i % 500_000 === 0 ? 20_000 : 0.2
        const operation = operations[Math.floor(uniform() ** 2 * 4)]!
        truth.set(operation, (truth.get(operation) ?? 0) + 1)
        world.trace({
          name: operation,
          spans: perTrace,
          duration: Math.round(-Math.log(1 - uniform()) * 5e6) + 1,
          ...(uniform() < 0.01 ? { failed: "child" as const } : {}),
          ...(i % 10 === 0 ? { attributes: { tier: "gold" } } : {})
        })
      }
      assert.isUndefined(world.imbalance())
      const off = all / spans - 1
      const worst = Math.max(...[...truth].map(([operation, n]) => Math.abs((counted.get(operation) ?? 0) / n - 1)))
      console.log(`${name}: kept ${kept} of ${spans} spans, counted ${Math.round(all)} (${(off * 100).toFixed(2)} %), worst operation ${(worst * 100).toFixed(2)} %`)
      assert.isAtMost(Math.abs(off), 0.01)
      assert.isAtMost(worst, each)
    }, 300_000)
  }
})
