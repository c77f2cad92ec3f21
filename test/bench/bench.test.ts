import { assert, describe, it } from "vitest"
import { collect, median, verdict } from "./Bench.ts"
import { measureGroup } from "./measure.ts"

const side = (name: string, rounds: number) => ({
  name,
  ops: 1,
  run: () => {
    let sum = 0
    for (let i = 0; i < rounds; i++) sum += Math.sqrt(i)
    if (sum < 0) throw new Error("unreachable")
  }
})

describe("the bench runner", () => {
  it("finds the ratio of two sides, in the order of the work they do", async () => {
    const events: Array<string> = []
    const found = await measureGroup((bench) => {
      bench.compare({
        name: "slow",
        unit: "us/op",
        subject: side("ten times the work", 100_000),
        baseline: side("the work", 10_000),
        setup: () => void events.push("setup"),
        teardown: () => void events.push("teardown")
      })
      bench.measure({ name: "bytes", unit: "B", run: () => 100, baseline: { name: "half", run: async () => 50 }, samples: 3 })
    }, ["slow", "bytes"])
    const [slow, bytes] = found
    assert.deepStrictEqual(events, ["setup", "teardown"])
    assert.approximately(slow!.ratio!, 10, 5)
    assert.isAbove(slow!.median, 10)
    assert.deepStrictEqual(bytes, { name: "bytes", median: 100, baseline: 50, ratio: 2 })
  })

  it("measures only the cases asked for", async () => {
    const found = await measureGroup((bench) => {
      bench.measure({ name: "A1", unit: "B", run: () => 1 })
      bench.measure({ name: "A2", unit: "B", run: () => assert.fail("not asked for") })
    }, ["A1"])
    assert.deepStrictEqual(found, [{ name: "A1", median: 1, baseline: undefined, ratio: undefined }])
  })

  it("refuses a name twice and a name that is no file name", async () => {
    const one = { unit: "B", run: () => 1 }
    const failure = (names: ReadonlyArray<string>) =>
      collect((bench) => names.forEach((name) => bench.measure({ ...one, name }))).then(() => "", (error: Error) => error.message)
    assert.include(await failure(["A1", "A1"]), "declared twice")
    assert.include(await failure(["../A1"]), "use letters")
  })

  it("judges by ratio or by value, downwards or upwards", () => {
    const base = { median: 20, ratio: 0.7, budget: "ratio", better: "lower", must: 1, moonshot: 0.65 } as const
    assert.strictEqual(verdict(base), "met")
    assert.strictEqual(verdict({ ...base, ratio: 0.65 }), "moonshot")
    assert.strictEqual(verdict({ ...base, ratio: 1.01 }), "MISSED")
    assert.strictEqual(verdict({ ...base, budget: "value", must: 15, moonshot: 5 }), "MISSED")
    assert.strictEqual(verdict({ ...base, better: "higher", must: 0.5, moonshot: 0.7 }), "moonshot")
    assert.strictEqual(verdict({ ...base, must: undefined, moonshot: undefined }), "-")
    assert.strictEqual(verdict({ ...base, ratio: undefined }), "-")
  })

  it("takes the middle of the samples", () => {
    assert.strictEqual(median([3, 1, 2]), 2)
    assert.strictEqual(median([4, 1, 2, 3]), 2.5)
    assert.isNaN(median([]))
  })
})
