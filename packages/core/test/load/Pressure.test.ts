import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Pressure } from "../../src/index.ts"

/** Runs a program whose pressure answers to what is given up; one reading a second. */
const run = (seconds: number, pressureAt: (second: number, pressure: Pressure) => number, also: (second: number, pressure: Pressure) => number = () => 0) => {
  const pressure = new Pressure()
  const levels: Array<number> = []
  const ratios: Array<number> = []
  for (let second = 0; second < seconds; second++) {
    pressure.update(second * 1000, pressureAt(second, pressure), also(second, pressure))
    levels.push(pressure.level)
    ratios.push(pressure.ratio)
  }
  return { pressure, levels, ratios }
}

/** What each level takes off a program's memory. */
const relief = [1, 0.9, 0.6, 0.5, 0.4]

describe("pressure", () => {
  it("rises at once when it is urgent, after two readings else, and one reading is no alarm", () => {
    assert.deepStrictEqual(run(3, () => 1.01).levels, [0, 1, 1])
    assert.deepStrictEqual(run(2, () => 1.5).levels, [4, 4])
    assert.deepStrictEqual(run(6, (second) => second % 2 === 0 ? 1.02 : 0.5).levels, [0, 0, 0, 0, 0, 0])
  })

  it("falls one level at a time, each after a calm time, and ends with everything kept", () => {
    const { levels, ratios } = run(300, (second) => second < 5 ? 1.5 : 0.2)
    assert.deepStrictEqual([...new Set(levels)], [4, 3, 2, 1, 0])
    assert.isAtLeast(levels.lastIndexOf(4), 14)
    assert.strictEqual(ratios.at(-1), 1)
    assert.isTrue(ratios.every((ratio) => ratio > 0 && ratio <= 1))
  })

  it("nonsense is no pressure", () => {
    for (const odd of [NaN, -1, -Infinity]) assert.deepStrictEqual(run(5, () => odd, () => odd).levels, [0, 0, 0, 0, 0])
    assert.strictEqual(run(1, () => Infinity).levels[0], 4)
  })

  it("just below the soft limit nothing changes, whatever the noise", () => {
    fc.assert(fc.property(fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (noise) => {
      assert.strictEqual(run(600, () => noise.next().value!).pressure.changes, 0)
    }))
  })

  it("under any steady load with noise and a delay it settles: few changes in four hours, ever rarer, and none in most of the last hour", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.3, max: 3, noNaN: true }), fc.double({ min: 0, max: 0.08, noNaN: true }), fc.integer({ min: 1, max: 20 }), fc.integer(), (load, noise, delay, seed) => {
        let state = seed | 0
        const random = () => ((state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0) >>> 0) / 2 ** 32
        let memory = load
        const { levels, pressure } = run(14_400, (_, { level, ratio }) => {
          // Memory follows what is kept with a delay.
          memory += (load * (0.5 * relief[level]! + 0.5 * ratio) - memory) / delay
          return memory * (1 + noise * (2 * random() - 1))
        })
        assert.isAtMost(pressure.changes, 150)
        const lastHour = levels.slice(-3600)
        const changes = lastHour.filter((level, i) => i > 0 && level !== lastHour[i - 1]).length
        assert.isAtMost(changes, 26)
      }),
      { numRuns: 100 }
    )
  })

  it("after any profile that ends in calm everything is kept again within ten minutes and the longest hold of each level", () => {
    fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 2, noNaN: true }), { minLength: 1, maxLength: 200 }), (profile) => {
      const { levels, ratios } = run(profile.length + 600 + 1200, (second) => profile[second] ?? 0.1)
      assert.deepStrictEqual([levels.at(-1), ratios.at(-1)], [0, 1])
    }), { numRuns: 200 })
  })

  it("sampling follows the queues: it settles where the backend keeps up, without swinging", () => {
    for (const [load, sink] of [[10_000, 1_000], [2_000, 1_500], [1_000, 5_000], [100_000, 5_000]] as const) {
      let queue = 0
      const { levels, ratios } = run(3_600, () => 0, (_, { ratio }) => {
        queue = Math.min(50_000, Math.max(0, queue + load * ratio - sink))
        return queue / 50_000 / 0.95
      })
      assert.strictEqual(Math.max(...levels), 0)
      const late = ratios.slice(-1800)
      const mean = late.reduce((sum, ratio) => sum + ratio, 0) / late.length
      if (load < sink) assert.strictEqual(mean, 1)
      else assert.closeTo(mean * load / sink, 1, 0.35, `${load} to ${sink}`)
    }
  })
})
