import { MetricDefinition } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { SumGrid } from "../src/internal/SumGrid.ts"
import { Latency } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"

const frameOf = (store: Series4, observed: ReadonlyArray<number>, metric: MetricDefinition.MetricDefinition = Latency) =>
  store.frame(0, 1_000, [{ metric, ...(metric === Latency ? { labels: { route: "/" } } : {}), observed }])

describe("the grid of histogram sums", () => {
  it("loses less than a step in all, whatever is observed", () => {
    fc.assert(fc.property(fc.array(fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { maxLength: 5 }), { minLength: 1, maxLength: 40 }), (intervals) => {
      const store = new Series4()
      const grid = new SumGrid()
      let exact = 0
      let cut = 0
      intervals.forEach((observed, i) => {
        const given = frameOf(store, observed)
        const made = grid.cut(i + 1, [given])[0]!.histograms
        exact += given.histograms.sums[0]!
        cut += made.sums[0]!
        assert.strictEqual(Math.round(made.sums[0]! * 1e6) / 1e6, made.sums[0]!)
        if (observed.length > 0) {
          assert.isAtMost(made.mins[0]!, Math.min(...observed))
          assert.isAtLeast(made.maxs[0]!, Math.max(...observed))
          assert.closeTo(made.mins[0]!, Math.min(...observed), 1e-6)
          assert.closeTo(made.maxs[0]!, Math.max(...observed), 1e-6)
        } else assert.isNaN(made.mins[0]!)
      })
      assert.closeTo(cut, exact, 0.6e-6)
    }))
  })

  it("gives a batch that is tried again the same numbers", () => {
    const store = new Series4()
    const grid = new SumGrid()
    const cut = (number: number, observed: number) => grid.cut(number, [frameOf(store, [observed])])[0]!.histograms.sums[0]!
    const first = cut(1, 0.000_000_4)
    assert.strictEqual(first, 0)
    assert.strictEqual(cut(1, 0.000_000_4), first)
    assert.strictEqual(cut(2, 0.000_000_4), 0.000_001)
    assert.strictEqual(cut(2, 0.000_000_4), 0.000_001)
    assert.strictEqual(cut(3, 0.25), 0.25)
  })

  it("forgets the series that ended when the store gives up their places", () => {
    const store = new Series4()
    const grid = new SumGrid()
    const Routes = MetricDefinition.histogram("routes_seconds", { help: "h", unit: "seconds", buckets: [1], labelNames: ["route"] })
    const frameOf = (generation: number, routes: ReadonlyArray<string>) => ({
      ...store.frame(0, 1_000, routes.map((route) => ({ metric: Routes, labels: { route }, observed: [0.123_456_7] }))),
      generation
    })
    const all = frameOf(1, ["/a", "/b", "/c"])
    grid.cut(1, [all])
    assert.strictEqual(grid.size, 3)
    const { histograms } = all
    const left = { ...all, generation: 2, histograms: { ...histograms, series: histograms.series.slice(0, 1) } }
    for (let i = 0; i < 2; i++) {
      grid.cut(2, [left])
      assert.strictEqual(grid.size, 1)
    }
  })

  it("leaves whole numbers, decimals and what no grid holds as they are", () => {
    const Bytes = MetricDefinition.histogram("answer_bytes", { help: "h", unit: "bytes", buckets: [1_000, 10_000] })
    const store = new Series4()
    const grid = new SumGrid()
    const values = [123_456, 1e300, 0.07]
    values.forEach((value, i) => {
      const { maxs, mins, sums } = grid.cut(i + 1, [frameOf(store, [value], Bytes)])[0]!.histograms
      assert.deepStrictEqual([sums[0], mins[0], maxs[0]], [value, value, value])
    })
    assert.strictEqual(grid.cut(9, [frameOf(new Series4(), [0.29])])[0]!.histograms.mins[0], 0.29)
  })
})
