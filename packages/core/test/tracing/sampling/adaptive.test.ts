import { assert, describe, it } from "@effect/vitest"
import { Shares } from "../../../src/tracing/sampling/internal/Shares.ts"
import * as Sampler from "../../../src/tracing/sampling/Sampler.ts"
import { sampling, type TraceOptions } from "./support.ts"

type World = ReturnType<typeof sampling>

/** One second of evenly spaced traces; the spans kept in it. */
const second = (world: World, perSecond: number, make: (i: number) => TraceOptions = () => ({})): number => {
  const before = world.kept.length
  const start = world.clock.millis
  for (let i = 0; i < perSecond; i++) {
    world.clock.millis = start + (i * 1000) / perSecond
    world.trace(make(i))
  }
  world.clock.millis = start + 1000
  return world.kept.length - before
}
const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length
const seconds = (world: World, n: number, perSecond: number, make?: (i: number) => TraceOptions): ReadonlyArray<number> =>
  Array.from({ length: n }, () => second(world, perSecond, make))

describe("adaptive", () => {
  it("keeps everything below its goal", () => {
    const world = sampling(Sampler.adaptive({ spansPerSecond: 100 }))
    assert.deepStrictEqual(seconds(world, 10, 90), Array.from({ length: 10 }, () => 90))
    assert.isTrue(world.kept.every((span) => span.weight === 1 && span.traceState === ""))
  })

  it("is within 10 % of its goal 30 seconds after a step from 10 to 5,000 requests per second", () => {
    for (const spans of [1, 7]) {
      const goal = 500
      const world = sampling(Sampler.adaptive({ spansPerSecond: goal }), { seed: spans })
      seconds(world, 20, 10, () => ({ spans }))
      const after = seconds(world, 60, 5000, () => ({ spans }))
      // Ten seconds together: a single one has a Poisson noise of its own.
      for (let from = 30; from <= 50; from += 10) {
        assert.isAtMost(Math.abs(mean(after.slice(from, from + 10)) / goal - 1), 0.1, `${spans} spans a trace, from second ${from}`)
      }
      // The flood itself is thinned out as it comes: twice the goal, times the logarithm of the excess.
      assert.isAtMost(after[0]!, goal * 2 * (2 + Math.log((5000 * spans) / goal)))
      assert.isUndefined(world.imbalance())
    }
  })

  it("X05: follows 0, 100,000 and 0 again; whole traces; the weights count what was there", () => {
    const world = sampling(Sampler.adaptive({ spansPerSecond: 1000 }), { seed: 5 })
    const offered = [0, 0, 50_000, 50_000, 50_000, 50_000, 50_000, 50_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 10]
    const kept = offered.map((n) => second(world, n, () => ({ spans: 2 })))
    assert.isAtMost(kept[2]!, 1000 * 2 * (2 + Math.log(100)))
    assert.isAtMost(Math.abs(mean(kept.slice(4, 8)) / 1000 - 1), 0.1)
    // After the flood what is left is kept whole again.
    assert.deepStrictEqual(kept.slice(-2), [20, 20])
    const spans = new Map<string, number>()
    for (const { traceId } of world.kept) spans.set(traceId, (spans.get(traceId) ?? 0) + 1)
    assert.isTrue([...spans.values()].every((n) => n === 2))
    const counted = world.kept.reduce((sum, span) => sum + span.weight, 0)
    const truth = 2 * offered.reduce((sum, n) => sum + n, 0)
    // One standard deviation is about 1.6 % here; the law of 1 % is shown over ten million spans.
    assert.isAtMost(Math.abs(counted / truth - 1), 0.06)
    const { ended, sampledOut } = world.engine.report()
    assert.strictEqual(ended, truth)
    assert.strictEqual(sampledOut, truth - world.kept.length)
  })

  it("shares fairly over operations and lends what one does not use", () => {
    const world = sampling(Sampler.adaptive({ spansPerSecond: 300 }))
    // 20 a second, 100 a second and 5,000 a second: the first two keep all of theirs, the flood gets the rest.
    const make = (i: number): TraceOptions => ({ name: i % 256 === 0 ? "rare" : i % 51 === 0 ? "common" : "flood" })
    seconds(world, 20, 5120, make)
    world.kept.length = 0
    seconds(world, 20, 5120, make)
    const rate = (name: string): number => world.kept.filter((span) => span.name === name).length / 20
    assert.strictEqual(rate("rare"), 20)
    assert.isAtLeast(rate("common"), 95)
    assert.isAtMost(Math.abs(rate("flood") - 180), 25)
  })

  it("knows a bounded number of operations: the further ones share one part", () => {
    const shares = new Shares(100, 10)
    for (let i = 0; i < 1000; i++) shares.share(`op ${i}`, i)
    const others = shares.share("op 999", 1000)
    assert.strictEqual(shares.share("op 500", 1000), others)
    assert.notStrictEqual(shares.share("op 5", 1000), others)
    const world = sampling(Sampler.adaptive({ spansPerSecond: 200, maxOperations: 10 }))
    let unique = 0
    const kept = seconds(world, 40, 2000, () => ({ name: `op ${unique++}` }))
    assert.isAtMost(Math.abs(mean(kept.slice(20)) / 200 - 1), 0.1)
  })

  it("forgets silent operations", () => {
    const shares = new Shares(100, 1)
    const first = shares.share("a", 0)
    assert.notStrictEqual(shares.share("b", 10), first)
    shares.share("b", 30_000)
    shares.share("b", 61_000)
    shares.share("b", 130_000)
    assert.notStrictEqual(shares.share("a", 131_000), first)
  })

  it("rateLimited is one share for all", () => {
    const world = sampling(Sampler.rateLimited(50))
    const kept = seconds(world, 40, 1000, (i) => ({ name: `op ${i % 7}` }))
    assert.isAtMost(Math.abs(mean(kept.slice(20)) / 50 - 1), 0.1)
  })

  it("survives a clock that stands still and one that leaps", () => {
    const world = sampling(Sampler.adaptive({ spansPerSecond: 10 }))
    for (let i = 0; i < 100_000; i++) world.trace()
    assert.isAtMost(world.kept.length, 10 * 2 * (2 + Math.log(10_000)))
    world.clock.millis += 1e12
    const before = world.kept.length
    world.trace()
    world.trace()
    assert.strictEqual(world.kept.length - before, 2)
  })
})

describe("adaptive at the end", () => {
  const tell = (i: number): string => i % 256 === 0 ? "GET /rare" : "GET /flood"

  it("shares over the names that roots have when they end, as HTTP server spans do", () => {
    for (const sampler of [
      Sampler.adaptive({ spansPerSecond: 300, atEnd: true }),
      Sampler.tail({ rest: Sampler.adaptive({ spansPerSecond: 300, atEnd: true }), firstSeen: 0, slowerThan: false })
    ]) {
      const world = sampling(sampler)
      let flagged = 0
      let flaggedAndDropped = 0
      const run = (perSecond: number) => {
        const start = world.clock.millis
        for (let i = 0; i < perSecond; i++) {
          world.clock.millis = start + (i * 1000) / perSecond
          const trace = world.begin({ name: "GET" })
          const before = world.kept.length
          world.finish(trace, { name: tell(i), spans: 2 })
          if (trace.decision.propagated) flagged++
          if (trace.decision.propagated && world.kept.length === before) flaggedAndDropped++
        }
        world.clock.millis = start + 1000
      }
      for (let i = 0; i < 20; i++) run(5120)
      world.kept.length = 0
      flagged = flaggedAndDropped = 0
      for (let i = 0; i < 20; i++) run(5120)
      const rate = (name: string): number => world.kept.filter((span) => span.name === name).length / 20
      assert.strictEqual(rate("GET /rare"), 20)
      assert.isAtMost(Math.abs(world.kept.length / 20 / 300 - 1), 0.1)
      const counted = world.kept.reduce((sum, span) => sum + span.weight, 0)
      assert.isAtMost(Math.abs(counted / (20 * 5120 * 2) - 1), 0.1)
      // What others were told is kept here too.
      assert.isAbove(flagged, 100)
      assert.isAtMost(flaggedAndDropped / flagged, 0.02)
      assert.isUndefined(world.imbalance())
    }
  })
})
