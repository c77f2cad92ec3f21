import { assert, describe, it } from "@effect/vitest"
import * as IdGenerator from "../../../src/tracing/IdGenerator.ts"
import { SlowLine } from "../../../src/tracing/sampling/internal/SlowLine.ts"
import * as Sampler from "../../../src/tracing/sampling/Sampler.ts"
import { sampling } from "./support.ts"

const uniform = (seed: number): () => number => {
  const ids = IdGenerator.fromSeed(seed)
  return () => (ids.next() >>> 0) / 2 ** 32
}
/** Latencies as they are: exponential, with a heavier end. */
const latency = (random: () => number, mean: number): number => Math.round(-Math.log(1 - random()) * mean * (random() < 0.01 ? 10 : 1)) + 1

const onlyErrors = (options: Sampler.TailOptions = {}) => Sampler.tail({ firstSeen: 0, slowerThan: false, rest: Sampler.never, ...options })

describe("tail at a base ratio of 1 %", () => {
  it("keeps every trace with an error and every one over its operation's p99, whole, and about 1 % of the rest", () => {
    const world = sampling(Sampler.tail({ rest: Sampler.ratio(0.01) }), { seed: 3 })
    const random = uniform(11)
    const operations = ["GET /a", "POST /b", "job"] as const
    const traces: Array<{ readonly id: string; readonly name: string; readonly nanos: number; readonly failed: boolean; readonly spans: number }> = []
    for (let i = 0; i < 60_000; i++) {
      world.clock.millis = i
      const name = operations[i % 3]!
      const nanos = latency(random, 1e6 * (1 + (i % 3) * 20))
      const failed = random() < 0.002
      const spans = 1 + (i % 4)
      const trace = world.trace({ name, duration: nanos, spans, ...(failed ? { failed: spans > 1 ? "child" : "root" } : {}) })
      traces.push({ id: trace.hex, name, nanos, failed, spans })
    }
    assert.isUndefined(world.imbalance())
    const kept = new Map<string, number>()
    for (const { traceId } of world.kept) kept.set(traceId, (kept.get(traceId) ?? 0) + 1)
    let interesting = 0
    for (const name of operations) {
      const mine = traces.filter((trace) => trace.name === name)
      const p99 = mine.map((trace) => trace.nanos).toSorted((a, b) => a - b)[Math.floor(mine.length * 0.99)]!
      for (const trace of mine) {
        if (!trace.failed && trace.nanos <= p99) continue
        interesting++
        assert.strictEqual(kept.get(trace.id), trace.spans, `${name}, ${trace.nanos} ns, p99 ${p99}, failed ${trace.failed}`)
      }
    }
    for (const trace of traces) assert.include([undefined, trace.spans], kept.get(trace.id))
    const rest = kept.size - interesting
    // 1 % of what is left, and what lies close below the p99, where a sample cannot tell.
    assert.isAtMost(rest, 60_000 * 0.025)
    const counted = world.kept.reduce((sum, span) => sum + span.weight, 0)
    assert.isAtMost(Math.abs(counted / traces.reduce((sum, trace) => sum + trace.spans, 0) - 1), 0.15)
  })
})

describe("tail", () => {
  it("tells other services what the base ratio says, and keeps errors for itself", () => {
    const world = sampling(onlyErrors({ rest: Sampler.ratio(0.5) }))
    for (let i = 0; i < 100; i++) {
      const trace = world.begin()
      const { propagated } = trace.decision
      assert.strictEqual(trace.state, propagated ? "ot=th:8" : "")
      world.finish(trace, { failed: i % 2 === 0 ? "root" : undefined! })
      const last = world.kept.at(-1)
      if (i % 2 === 0) assert.deepStrictEqual([last?.traceId, last?.weight, last?.traceState], [trace.hex, 1, ""])
      else assert.strictEqual(last?.traceId === trace.hex, propagated)
    }
  })

  it("keeps the first traces of an operation, and those of one that comes back after ten minutes", () => {
    const world = sampling(Sampler.tail({ rest: Sampler.never, slowerThan: false, firstSeen: 2 }))
    const run = (n: number) => {
      const before = world.kept.length
      for (let i = 0; i < n; i++) world.trace({ name: "rare" })
      return world.kept.length - before
    }
    assert.deepStrictEqual([run(5), run(5)], [2, 0])
    world.clock.millis += 5 * 60_000
    world.trace({ name: "other" })
    world.clock.millis += 5 * 60_000
    world.trace({ name: "other" })
    assert.strictEqual(run(5), 2)
  })

  it("keeps a limited amount during an outage, when every trace has an error, and the weights count them", () => {
    const world = sampling(Sampler.tail({ rest: Sampler.ratio(0.01), firstSeen: 0, slowerThan: false, spansPerSecond: 100 }), { seed: 2 })
    const second = () => {
      const before = world.kept.length
      for (let i = 0; i < 5000; i++) {
        world.clock.millis += 0.2
        world.trace({ failed: "root", spans: 2 })
      }
      return world.kept.length - before
    }
    const kept = Array.from({ length: 40 }, second)
    // 100 for the errors; what the base ratio of 1 % keeps anyway is among them.
    const late = kept.slice(20).reduce((sum, n) => sum + n, 0) / 20
    assert.isTrue(late > 80 && late < 130, String(late))
    assert.isAtMost(kept[0]!, 100 * 2 * (2 + Math.log(100)))
    const counted = world.kept.reduce((sum, span) => sum + span.weight, 0)
    assert.isAtMost(Math.abs(counted / (40 * 10_000) - 1), 0.1)
    assert.isUndefined(world.imbalance())
  })

  it("an error is seen before the end: nothing of the trace is held any more", () => {
    const world = sampling(onlyErrors())
    const trace = world.begin()
    world.finish(trace, {
      spans: 4,
      failed: "child",
      before: () => {
        assert.strictEqual(world.kept.length, 3)
        assert.strictEqual(world.engine.report().held, 0)
      }
    })
    assert.strictEqual(world.kept.length, 4)
  })

  it("spans that end after the root follow the decision", () => {
    const world = sampling(onlyErrors())
    const kept = world.trace({ failed: "root" })
    const dropped = world.trace()
    for (const trace of [kept, dropped]) world.end(trace, false, "late", {}, false)
    // Too late to change anything: half of this trace is gone already.
    world.end(dropped, false, "late failure", {}, true)
    assert.deepStrictEqual(world.kept.map((span) => span.name), ["op", "late"])
    assert.isUndefined(world.imbalance())
    assert.strictEqual(world.engine.report().sampledOut, 3)
  })

  it("stays within its bytes and traces under ten times the load, decides the oldest early, and counts it", () => {
    const maxBytes = 100_000
    const world = sampling(onlyErrors({ rest: Sampler.ratio(0.1), maxBytes, maxTraces: 50 }))
    const open = Array.from({ length: 500 }, () => world.begin())
    assert.isAtMost(world.engine.report().heldBytes, maxBytes)
    for (const trace of open.slice(-40)) for (let i = 0; i < 20; i++) world.end(trace, false, "child", {}, false)
    assert.isAtMost(world.engine.report().heldBytes, maxBytes)
    assert.isAtLeast(world.engine.report().heldBytes, maxBytes / 2)
    for (const trace of open) world.finish(trace, { failed: "root" })
    const { decidedEarly, ended, held } = world.engine.report()
    assert.isAtLeast(decidedEarly.overflow, 450)
    assert.strictEqual(held, 0)
    assert.strictEqual(ended, 500 + 40 * 20)
    assert.isUndefined(world.imbalance())
    // Whole in every case.
    const spans = new Map<string, number>()
    for (const { traceId } of world.kept) spans.set(traceId, (spans.get(traceId) ?? 0) + 1)
    for (const [i, trace] of open.entries()) assert.include([undefined, i < 460 ? 1 : 21], spans.get(trace.hex))
  })

  it("a single trace larger than the bound is decided too", () => {
    const world = sampling(onlyErrors({ maxBytes: 2000 }))
    world.trace({ spans: 100 })
    assert.strictEqual(world.engine.report().decidedEarly.overflow, 1)
    assert.strictEqual(world.engine.report().heldBytes, 0)
    assert.isUndefined(world.imbalance())
  })

  it("does not wait for ever", () => {
    const world = sampling(onlyErrors({ maxAge: "10 seconds", rest: Sampler.always }))
    const trace = world.begin()
    world.end(trace, false, "child", {}, false)
    world.clock.millis = 9_999
    world.engine.expire()
    assert.strictEqual(world.kept.length, 0)
    world.clock.millis = 10_000
    world.engine.expire()
    world.finish(trace)
    assert.strictEqual(world.kept.length, 2)
    assert.strictEqual(world.engine.report().decidedEarly.expired, 1)
  })

  it("gives up what it holds when nobody listens any more", () => {
    const world = sampling(onlyErrors({ rest: Sampler.always }))
    world.end(world.begin(), false, "child", {}, false)
    world.engine.close()
    assert.strictEqual(world.kept.length, 1)
    assert.strictEqual(world.engine.report().decidedEarly.shutdown, 1)
  })

  it("keeps a bounded number of operations apart", () => {
    const world = sampling(Sampler.tail({ rest: Sampler.never, slowerThan: false, maxOperations: 10 }))
    for (let i = 0; i < 1000; i++) world.trace({ name: `op ${i}` })
    assert.strictEqual(world.kept.length, 10)
  })
})

describe("the line over which a duration is slow", () => {
  it("lies at or a little below the quantile, whatever the distribution", () => {
    const random = uniform(4)
    const shapes: ReadonlyArray<() => number> = [
      () => latency(random, 5e6),
      () => 1e6 + random() * 1e6,
      () => (random() < 0.5 ? 1e5 : 1e9) * (1 + random()),
      () => 10 ** (3 + 6 * random())
    ]
    for (const next of shapes) {
      const line = new SlowLine(0.99)
      const values = Array.from({ length: 50_000 }, next)
      const slow = values.map((value) => line.add(value))
      const p99 = values.toSorted((a, b) => a - b)[49_500]!
      assert.isTrue(values.every((value, i) => value <= p99 || slow[i]))
      assert.isAtMost(slow.filter(Boolean).length, 50_000 * 0.02)
    }
  })

  it("finds nothing slow among durations that are all alike", () => {
    const line = new SlowLine(0.99)
    const slow = Array.from({ length: 10_000 }, (_, i) => line.add(5e6 + (i % 7)))
    assert.isAtMost(slow.filter(Boolean).length, 10)
    assert.isTrue(line.add(6e6))
  })

  it("forgets what is two windows old", () => {
    const line = new SlowLine(0.9)
    for (let i = 0; i < 1000; i++) line.add(1e9)
    assert.isFalse(line.add(1e6))
    line.turn()
    line.turn()
    for (let i = 0; i < 1000; i++) line.add(1e3)
    assert.isTrue(line.add(1e6))
  })

  it("takes zero, negative and infinite durations", () => {
    const line = new SlowLine(0.99)
    for (const nanos of [0, -5, 1, Number.MAX_VALUE]) line.add(nanos)
    assert.isBoolean(line.add(5))
  })
})
