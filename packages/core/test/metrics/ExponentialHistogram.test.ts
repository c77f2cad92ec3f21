import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { bucketIndex, ExponentialHistogram, merged } from "../../src/metrics/internal/ExponentialHistogram.ts"
import * as MetricDefinition from "../../src/metrics/MetricDefinition.ts"
import { type ExponentialState, merge, weigh } from "../../src/metrics/MetricFrame.ts"
import * as MetricsRecorder from "../../src/metrics/MetricsRecorder.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"

const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: -1000, max: 1000, noNaN: true }),
  fc.integer({ min: -1074, max: 1023 }).map((exponent) => 2 ** exponent),
  fc.constantFrom(0, -0, 1, 1 + Number.EPSILON, 1 - Number.EPSILON / 2, Number.MAX_VALUE, Number.MIN_VALUE)
)

const total = ({ negative, positive, zeroCount }: ExponentialState): number =>
  zeroCount + [...positive.counts, ...negative.counts].reduce((a, b) => a + b, 0)

/** Counts by bucket at one scale, straight from the definition of the data model. */
const recount = (values: ReadonlyArray<number>, scale: number): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const one of values) {
    const key = one === 0 ? "0" : `${one > 0 ? "+" : "-"}${bucketIndex(Math.abs(one), scale)}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

const countsOf = (state: ExponentialState): Map<string, number> => {
  const counts = new Map<string, number>()
  if (state.zeroCount > 0) counts.set("0", state.zeroCount)
  state.positive.counts.forEach((count, i) => count > 0 && counts.set(`+${state.positive.offset + i}`, count))
  state.negative.counts.forEach((count, i) => count > 0 && counts.set(`-${state.negative.offset + i}`, count))
  return counts
}

const sorted = (counts: Map<string, number>) => [...counts].toSorted(([a], [b]) => a < b ? -1 : 1)

const histogramOf = (values: ReadonlyArray<number>, maxSize: number): ExponentialHistogram => {
  const histogram = new ExponentialHistogram(maxSize)
  for (const one of values) histogram.add(one)
  return histogram
}

describe("bucketIndex", () => {
  it("puts a value into (base^i, base^(i+1)] at every scale", () => {
    fc.assert(fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), fc.integer({ min: -10, max: 10 }), (value, scale) => {
      const i = bucketIndex(value, scale)
      const log = Math.log2(value) * 2 ** scale
      // The logarithm is rounded too: a value on a bound may stand on either side of it.
      assert.isAtLeast(log, i - 1e-6)
      assert.isAtMost(log, i + 1 + 1e-6)
    }), { numRuns: 1000 })
  })

  it("takes powers of two as upper bounds, exactly", () => {
    for (let scale = -10; scale <= 20; scale++) {
      for (const exponent of [-1022, -3, -1, 0, 1, 2, 10, 1023]) {
        const bound = 2 ** exponent
        const expected = scale <= 0 ? (exponent - 1) >> -scale : exponent * 2 ** scale - 1
        assert.strictEqual(bucketIndex(bound, scale), expected)
        if (exponent < 1023) assert.isAbove(bucketIndex(bound * (1 + Number.EPSILON), scale), expected - (scale <= 0 ? 1 : 0))
      }
    }
    assert.strictEqual(bucketIndex(Number.MIN_VALUE, 3), bucketIndex(2 ** -1022, 3))
  })
})

describe("an exponential histogram", () => {
  it("equals a recount at the scale it ended with, within its size", () => {
    fc.assert(fc.property(fc.array(value, { maxLength: 200 }), fc.integer({ min: 2, max: 200 }), (values, maxSize) => {
      const state = histogramOf(values, maxSize).state()
      assert.isAtMost(state.positive.counts.length, maxSize)
      assert.isAtMost(state.negative.counts.length, maxSize)
      assert.deepStrictEqual(sorted(countsOf(state)), sorted(recount(values, state.scale)))
    }), { numRuns: 500 })
  })

  it("has the finest scale that its values allow", () => {
    assert.strictEqual(histogramOf([1, 1, 1], 160).state().scale, 20)
    const wide = histogramOf([1, 1024], 160).state()
    // Ten octaves in 160 buckets: 16 per octave.
    assert.strictEqual(wide.scale, 3)
    assert.strictEqual(histogramOf([Number.MIN_VALUE, Number.MAX_VALUE], 2).state().scale, -10)
  })

  it("merges to what one histogram would hold", () => {
    fc.assert(fc.property(fc.array(value, { maxLength: 60 }), fc.array(value, { maxLength: 60 }), fc.integer({ min: 2, max: 64 }), (one, other, maxSize) => {
      const both = merged(histogramOf(one, maxSize).state(), histogramOf(other, maxSize).state(), maxSize)
      assert.isAtMost(both.positive.counts.length, maxSize)
      assert.isAtMost(both.negative.counts.length, maxSize)
      assert.deepStrictEqual(sorted(countsOf(both)), sorted(recount([...one, ...other], both.scale)))
    }), { numRuns: 500 })
  })
})

describe("in the store", () => {
  const Latency = MetricDefinition.histogram("latency_seconds", { help: "x", unit: "seconds", labelNames: ["route"], exponential: { maxSize: 20 } })
  const Plain = MetricDefinition.histogram("plain_seconds", { help: "x", unit: "seconds" })
  const fresh = () => {
    const store = MetricStore.make({ maxSeriesPerMetric: 10, maxSeries: 100, maxMetrics: 10, buckets: {} }, () => 0)
    return { store, metrics: MetricsRecorder.make(store) }
  }

  it("stands beside the explicit buckets", () => {
    const { metrics, store } = fresh()
    metrics.observeHistogramUnsafe(Latency, 0.2, { route: "/" })
    metrics.observeHistogramUnsafe(Latency, NaN, { route: "/" })
    metrics.observeHistogramUnsafe(Plain, 0.2)
    const family = store.family("latency_seconds")!
    const series = family.series[0]!
    assert.strictEqual(family.count(series), 1)
    assert.strictEqual(total(family.exponential(series)!), 1)
    assert.isUndefined(store.family("plain_seconds")!.exponential(store.family("plain_seconds")!.series[0]!))
    assert.deepStrictEqual(store.frames().take(0, 1).histograms.exponentials.map((one) => one.series), [series])
  })

  it("frames, merged or not, add up to all values, each reader by itself", () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant("observe" as const), route: fc.nat(3), value: fc.double({ min: -100, max: 1e5, noNaN: true }) }),
      fc.constant({ op: "take" as const, route: 0, value: 0 }),
      fc.constant({ op: "merge" as const, route: 0, value: 0 })
    )
    fc.assert(fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const { metrics, store } = fresh()
      const reader = store.frames()
      const other = store.frames()
      let frames: Array<ReturnType<typeof reader.take>> = []
      const values = new Map<string, Array<number>>()
      for (const { op, route, value } of steps) {
        if (op === "observe") {
          metrics.observeHistogramUnsafe(Latency, value, { route: `r${route}` })
          values.set(`r${route}`, [...values.get(`r${route}`) ?? [], value])
        } else if (op === "take") frames.push(reader.take(0, 1))
        else if (frames.length >= 2) frames = [...frames.slice(0, -2), merge(frames.at(-2)!, frames.at(-1)!)]
      }
      frames.push(reader.take(0, 1))
      const all = frames.reduce((a, b) => merge(a, b))
      assert.isAbove(weigh(all), 0)
      for (const [route, list] of values) {
        const found = all.histograms.exponentials.find((one) => one.series.labelValues[0] === route)!
        assert.deepStrictEqual(sorted(countsOf(found)), sorted(recount(list, found.scale)))
      }
      assert.strictEqual(all.histograms.exponentials.length, values.size)
      assert.strictEqual(other.take(0, 1).histograms.exponentials.reduce((sum, one) => sum + total(one), 0), [...values.values()].flat().length)
    }), { numRuns: 200 })
  })

  it("goes on where it was when its series ended and came back", () => {
    const { metrics, store } = fresh()
    const reader = store.frames()
    let read = 0
    for (let round = 1; round <= 3; round++) {
      metrics.observeHistogramUnsafe(Latency, 10 ** round, { route: "/" })
      const family = store.family("latency_seconds")!
      assert.strictEqual(total(family.exponential(family.series[0]!)!), round)
      if (round === 2) read += reader.take(0, 1).histograms.exponentials.reduce((sum, one) => sum + total(one), 0)
      store.remove(Latency, { route: "/" })
      store.compact()
    }
    read += reader.take(0, 1).histograms.exponentials.reduce((sum, one) => sum + total(one), 0)
    assert.strictEqual(read, 3)
  })

  it.each([0, 1, 2.5, NaN, 5000])("refuses maxSize %d", (maxSize) => {
    assert.throws(() => MetricDefinition.histogram("latency_seconds", { help: "x", exponential: { maxSize } }), /exponential has maxSize.*2 to 1024/)
  })
})
