import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { QuantileSketch, SlidingSketch } from "../../src/metrics/internal/QuantileSketch.ts"
import * as MetricDefinition from "../../src/metrics/MetricDefinition.ts"
import * as MetricsRecorder from "../../src/metrics/MetricsRecorder.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"

/** The value at a rank, found by sorting. */
const exact = (values: ReadonlyArray<number>, q: number): number => values.toSorted((a, b) => a - b)[Math.floor(q * (values.length - 1))]!

const isWithin = (found: number, truth: number): boolean =>
  Math.abs(found - truth) <= QuantileSketch.accuracy * Math.abs(truth) * (1 + 1e-9) + Number.MIN_VALUE

const value = fc.oneof(
  fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
  fc.double({ min: -1e6, max: -1e-6, noNaN: true }),
  fc.constantFrom(0, -0, 1, -1, 5e-324)
)
const quantiles = [0, 0.01, 0.5, 0.9, 0.99, 1]

const of = (values: ReadonlyArray<number>): QuantileSketch => {
  const sketch = new QuantileSketch()
  for (const one of values) sketch.add(one)
  return sketch
}

describe("a quantile sketch", () => {
  it("is within one percent of the true value, whatever the values", () => {
    fc.assert(fc.property(fc.array(value, { minLength: 1, maxLength: 400 }), (values) => {
      const sketch = of(values)
      for (const q of quantiles) assert.isTrue(isWithin(sketch.quantile(q), exact(values, q)), `${q}: ${sketch.quantile(q)} for ${exact(values, q)}`)
    }), { numRuns: 300 })
  })

  it("is the same merged as in one", () => {
    fc.assert(fc.property(fc.array(value, { maxLength: 200 }), fc.array(value, { maxLength: 200 }), (one, other) => {
      const merged = of(one)
      merged.merge(of(other))
      const whole = of([...one, ...other])
      assert.strictEqual(merged.count, whole.count)
      for (const q of quantiles) assert.isTrue(Object.is(merged.quantile(q), whole.quantile(q)))
    }), { numRuns: 200 })
  })

  it("keeps high quantiles exact and memory bounded over all doubles", () => {
    const sketch = new QuantileSketch()
    // 600 decades of bins: far more than are kept.
    const values = Array.from({ length: 12_001 }, (_, i) => 10 ** (-300 + i * 0.05))
    for (const one of values) sketch.add(one)
    sketch.add(0)
    for (const q of [0.98, 0.99, 1]) assert.isTrue(isWithin(sketch.quantile(q), exact([0, ...values], q)))
    const bins = (sketch as unknown as { readonly positive: { readonly counts: Float64Array } }).positive.counts
    assert.isAtMost(bins.length, 4096)
    // The least value counts as zero.
    assert.strictEqual(bins.reduce((a, b) => a + b, 0), 12_000)
  })

  it("joins bins in amortised time: rising values do not sort the bins at every step", () => {
    const sketch = new QuantileSketch()
    let moves = 0
    const { positive } = sketch as unknown as { readonly positive: { move: (low: number, high: number, down: boolean) => void } }
    const move = positive.move.bind(positive)
    positive.move = (low, high, down) => {
      moves++
      move(low, high, down)
    }
    for (let i = 0; i < 30_000; i++) sketch.add(1.021 ** (i - 15_000))
    assert.isAbove(sketch.count, 29_999)
    assert.isBelow(moves, 40)
  })
})

describe("a sliding window of quantiles", () => {
  it("forgets what is older than its age, part by part", () => {
    let now = 0
    const sketch = new SlidingSketch(10_000, 5, () => now)
    sketch.add(100)
    now = 4_000
    sketch.add(1)
    assert.isTrue(isWithin(sketch.quantile(1), 100))
    now = 9_999
    assert.isTrue(isWithin(sketch.quantile(1), 100))
    now = 10_000
    assert.isTrue(isWithin(sketch.quantile(1), 1))
    now = 14_000
    assert.isNaN(sketch.quantile(1))
    sketch.add(7)
    assert.isTrue(isWithin(sketch.quantile(0.5), 7))
    // Far ahead, and back: nothing throws, nothing old comes back.
    now = 1e12
    assert.isNaN(sketch.quantile(0.5))
    now = 5
    sketch.add(3)
    assert.isTrue(isWithin(sketch.quantile(0.5), 3))
  })

  it("agrees with a recount of the parts that are left", () => {
    const step = fc.record({ wait: fc.nat(3_000), value: fc.double({ min: 0.001, max: 1000, noNaN: true }) })
    fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 100 }), (steps) => {
      let now = 0
      const sketch = new SlidingSketch(10_000, 5, () => now)
      const seen: Array<readonly [part: number, value: number]> = []
      for (const { value, wait } of steps) {
        now += wait
        sketch.add(value)
        seen.push([Math.floor(now / 2_000), value])
      }
      const current = Math.floor(now / 2_000)
      const left = seen.filter(([part]) => part > current - 5).map(([, value]) => value)
      for (const q of quantiles) assert.isTrue(isWithin(sketch.quantile(q), exact(left, q)))
    }), { numRuns: 200 })
  })
})

describe("a summary", () => {
  it("has quantiles of its window, and count and sum of all time", () => {
    let now = 0
    const store = MetricStore.make({ maxSeriesPerMetric: 10, maxSeries: 10, maxMetrics: 10, buckets: {} }, () => now)
    const metrics = MetricsRecorder.make(store)
    const Size = MetricDefinition.summary("size_bytes", { help: "Size", unit: "bytes", maxAge: 60, ageBuckets: 6 })
    for (let i = 1; i <= 100; i++) metrics.observeSummaryUnsafe(Size, i)
    now = 59_000
    const family = store.family("size_bytes")!
    const series = family.series[0]!
    assert.isTrue(isWithin(family.quantile(series, 0.5), 50))
    now = 61_000
    assert.isNaN(family.quantile(series, 0.5))
    assert.deepStrictEqual([family.count(series), family.sum(series)], [100, 5050])
  })

  it.each([[{ maxAge: 0 }, "maxAge"], [{ maxAge: NaN }, "maxAge"], [{ ageBuckets: 0 }, "ageBuckets"], [{ ageBuckets: 1.5 }, "ageBuckets"]])(
    "refuses %j by field %s",
    (options, field) => {
      try {
        MetricDefinition.summary("size_bytes", { help: "x", ...options })
        assert.fail("accepted")
      } catch (error) {
        assert.strictEqual((error as MetricDefinition.MetricDefinitionError).field, field)
      }
    }
  )
})
