import { assert, describe, it } from "@effect/vitest"
import { MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { Effect } from "effect"
import * as fc from "fast-check"
import { Datadog } from "../src/index.ts"
import { type Interval, rateOf, weighted } from "../src/metrics/distribution.ts"
import { arrive, balanced, udp } from "./support/scoped.ts"
import { countOf, type Receiver } from "./support/statsd.ts"

const bounds = [-10, 0, 0.1, 1, 25]

const intervalOf = (values: ReadonlyArray<number>, extremes = true): Interval => {
  const buckets = Array.from({ length: bounds.length + 1 }, () => 0)
  for (const value of values) {
    const at = bounds.findIndex((bound) => value <= bound)
    buckets[at < 0 ? bounds.length : at]!++
  }
  return {
    bounds,
    buckets,
    count: values.length,
    sum: values.reduce((total, value) => total + value, 0),
    least: extremes ? Math.min(...values) : NaN,
    greatest: extremes ? Math.max(...values) : NaN
  }
}

const values = fc.array(fc.oneof(fc.double({ min: -50, max: 50, noNaN: true }), fc.integer({ min: -3, max: 30 }), fc.constantFrom(0, 0.1, 1, 25, -10)), { minLength: 1, maxLength: 600 })

const holds = (all: ReadonlyArray<number>, kept: ReadonlyArray<number>, extremes: boolean): void => {
  const interval = intervalOf(all, extremes)
  const out = weighted(interval, kept)
  assert.strictEqual(out.reduce((total, one) => total + one.count, 0), all.length, "count")
  const sum = out.reduce((total, one) => total + one.count * one.value, 0)
  assert.isAtMost(Math.abs(sum - interval.sum), 1e-9 * all.reduce((total, value) => total + Math.abs(value), 1), "sum")
  if (extremes) {
    assert.strictEqual(Math.min(...out.map(({ value }) => value)), interval.least, "least")
    assert.strictEqual(Math.max(...out.map(({ value }) => value)), interval.greatest, "greatest")
  }
}

describe("a histogram's interval as values with counts", () => {
  it("keeps count, sum and extremes, whatever was kept of the values", () => {
    fc.assert(fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (all, share) => {
      const kept = all.slice(0, Math.floor(all.length * share))
      holds(all, kept, true)
      holds(all, all, true)
      holds(all, [], true)
    }), { numRuns: 300 })
  })

  it("keeps count and sum where nobody knows the extremes", () => {
    fc.assert(fc.property(values, (all) => holds(all, [], false)), { numRuns: 300 })
  })

  it("keeps the count where the sum has overflowed or nothing is known", () => {
    for (const all of [[1e308, 1e308, 1e308], [-1e308, -1e308], [5e-324, 1.7e308, 1.7e308]]) {
      for (const extremes of [true, false]) {
        const out = weighted(intervalOf(all, extremes), [])
        assert.strictEqual(out.reduce((total, one) => total + one.count, 0), all.length)
        assert.isTrue(out.every(({ value }) => Number.isFinite(value)))
      }
    }
    assert.deepStrictEqual(weighted({ ...intervalOf([5]), sum: NaN, least: NaN, greatest: NaN }, []).map(({ count }) => count), [1])
  })

  it("joins only what Datadog's sketch would put together", () => {
    const all = Array.from({ length: 5000 }, (_, i) => 0.001 * 1.002 ** i)
    const out = weighted(intervalOf(all), all)
    assert.isBelow(out.length, 700)
    const sorted = all.toSorted((a, b) => a - b)
    // Every quantile within the sketch's 1/64.
    let seen = 0
    for (const { count, value } of out.toSorted((a, b) => a.value - b.value)) {
      const exact = sorted[Math.min(sorted.length - 1, seen + Math.floor(count / 2))]!
      assert.isAtMost(Math.abs(value - exact) / exact, 1 / 64)
      seen += count
    }
  })

  it("says counts by rates that the agent, which rounds down, reads back", () => {
    for (const count of [...Array.from({ length: 20_000 }, (_, i) => i + 1), 1e6, 123_456_789, 2 ** 31, 1e12]) {
      const rate = Number(String(rateOf(count)))
      assert.strictEqual(Math.floor(1 / rate), count)
      assert.isAtMost(rate, 1)
    }
  })
})

describe("distributions on the wire", () => {
  const Latency = MetricDefinition.histogram("latency_seconds", { help: "x", labelNames: ["route"], buckets: [0.1, 0.5, 1] })
  const run = (options: Datadog.DatadogOptions, observe: ReadonlyArray<number>, check: (receiver: Receiver, reports: ReturnType<Telemetry["Service"]["reports"]>) => void) =>
    Effect.gen(function*() {
      const receiver = yield* udp
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        const telemetry = yield* Telemetry
        for (const value of observe) yield* metrics.observeHistogram(Latency, value, { route: "/" })
        yield* telemetry.flush
        yield* arrive
        balanced(telemetry)
        check(receiver, telemetry.reports())
      }).pipe(Effect.provide(Datadog.layer({ dogstatsd: receiver.address, traces: false, containerId: false, ...options })))
    }).pipe(Effect.scoped)

  const latencies = (receiver: Receiver) => receiver.samples().filter(({ name }) => name === "latency_seconds")
  const figures = (receiver: Receiver) => ({
    count: latencies(receiver).reduce((total, one) => total + countOf(one), 0),
    sum: latencies(receiver).reduce((total, one) => total + one.values.reduce((all: number, value) => all + Number(value), 0) * Math.floor(1 / one.rate), 0)
  })

  it.live("carry the values themselves, many to a line", () =>
    run({}, [0.25, 0.5, 0.75, 3], (receiver, reports) => {
      assert.deepStrictEqual(latencies(receiver).map(({ values }) => values), [[0.25, 0.5, 0.75, 3]])
      assert.deepStrictEqual(reports[0]?.repaired, {})
    }))

  it.live("past what is kept the buckets speak; count and sum stay, and the report says how many", () => {
    const observed = Array.from({ length: 5000 }, (_, i) => (i % 97) / 40)
    return run({ maxValues: 100 }, observed, (receiver, reports) => {
      const { count, sum } = figures(receiver)
      assert.strictEqual(count, 5000)
      assert.approximately(sum, observed.reduce((a, b) => a + b, 0), 1e-6)
      assert.strictEqual(reports[0]?.repaired?.["values_by_bucket"], 4900)
      assert.isTrue(receiver.datagrams.every((one) => Buffer.byteLength(one) <= 1432))
    })
  })

  it.live("10,000 values in few datagrams, none too long", () => {
    const observed = Array.from({ length: 10_000 }, (_, i) => 0.001 + (i * 7919 % 10_007) / 9_000)
    return run({}, observed, (receiver, reports) => {
      const { count, sum } = figures(receiver)
      assert.strictEqual(count, 10_000)
      assert.approximately(sum, observed.reduce((a, b) => a + b, 0), 1e-6)
      assert.isUndefined(reports[0]?.repaired?.["values_by_bucket"])
      assert.isBelow(receiver.datagrams.length, 60)
    })
  })
})
