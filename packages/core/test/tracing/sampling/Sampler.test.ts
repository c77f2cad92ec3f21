import { assert, describe, it } from "@effect/vitest"
import * as Sampler from "../../../src/tracing/sampling/Sampler.ts"
import { sampling } from "./support.ts"

const share = (sampler: Sampler.Sampler, options = {}, n = 20_000): number => {
  const { imbalance, kept, trace } = sampling(sampler)
  for (let i = 0; i < n; i++) trace(options)
  assert.isUndefined(imbalance())
  return kept.length / n
}
/** Five standard deviations of a share of `n`. */
const near = (actual: number, expected: number, n = 20_000): void =>
  assert.isAtMost(Math.abs(actual - expected), 5 * Math.sqrt((expected * (1 - expected)) / n) + 1e-4)

describe("always, never, ratio", () => {
  it("keep what they say, with the weight that makes up for the rest", () => {
    assert.strictEqual(share(Sampler.always), 1)
    assert.strictEqual(share(Sampler.never), 0)
    near(share(Sampler.ratio(0.1)), 0.1)
    const { kept, trace } = sampling(Sampler.ratio(0.25))
    for (let i = 0; i < 100; i++) trace()
    assert.isTrue(kept.length > 5 && kept.every((span) => span.weight === 4 && span.traceState === "ot=th:c"))
  })

  it("ratio keeps the same traces in every service, whatever the caller decided", () => {
    const one = sampling(Sampler.ratio(0.3), { seed: 1 })
    const other = sampling(Sampler.ratio(0.3), { seed: 2 })
    for (let i = 0; i < 1000; i++) {
      const begun = one.trace()
      other.trace({ traceId: begun.hex, parent: i % 2 === 0 ? "sampled" : "not_sampled" })
    }
    assert.isAbove(one.kept.length, 200)
    assert.deepStrictEqual(other.kept.map((span) => span.traceId), one.kept.map((span) => span.traceId))
  })

  it("ratio uses the randomness a caller sends instead of the trace id's", () => {
    const { kept, trace } = sampling(Sampler.ratio(0.5))
    trace({ traceId: "1".repeat(32), parent: "sampled", tracestate: "ot=rv:80000000000000" })
    trace({ traceId: "f".repeat(32), parent: "sampled", tracestate: "ot=rv:7fffffffffffff" })
    assert.deepStrictEqual(kept.map((span) => [span.traceId[0], span.traceState]), [["1", "ot=th:8;rv:80000000000000"]])
  })

  it("a sampler of one's own: what it throws or what is no number keeps nothing", () => {
    near(share(Sampler.make("half", () => 0.5)), 0.5)
    assert.strictEqual(share(Sampler.make("nan", () => NaN)), 0)
    assert.strictEqual(share(Sampler.make("text", () => "x" as never)), 0)
    for (const odd of ["1", 1n, Symbol("s"), { valueOf: () => { throw new Error("no") } }]) assert.strictEqual(share(Sampler.make("odd", () => odd as never)), 0)
    assert.strictEqual(share(Sampler.make("throws", () => { throw new Error("no") })), 0)
  })
})

describe("parentBased", () => {
  const remote = (parent: "sampled" | "not_sampled", tracestate = "") => ({ parent, tracestate, traceId: "a".repeat(32) })

  it("follows the caller, and asks its root about new traces", () => {
    const sampler = Sampler.parentBased(Sampler.never)
    assert.strictEqual(share(sampler, remote("sampled")), 1)
    assert.strictEqual(share(sampler, remote("not_sampled")), 0)
    assert.strictEqual(share(sampler), 0)
  })

  it("passes on the weight a caller's threshold stands for, and the threshold itself", () => {
    const { kept, trace } = sampling(Sampler.parentBased(Sampler.never))
    trace(remote("sampled", "a=1,ot=th:c"))
    trace(remote("sampled", "a=1"))
    trace(remote("sampled", "ot=th:0"))
    assert.deepStrictEqual(kept.map((span) => [span.weight, span.traceState]), [[4, "a=1,ot=th:c"], [1, "a=1"], [1, "ot=th:0"]])
  })

  it("combines it with a probability of its own by multiplication", () => {
    const { kept, trace } = sampling(Sampler.parentBased(Sampler.never, { remoteParentSampled: Sampler.ratio(0.5) }))
    for (let i = 0; i < 1000; i++) trace(remote("sampled", "ot=th:c"))
    near(kept.length / 1000, 0.5, 1000)
    for (const span of kept) {
      assert.strictEqual(span.weight, 8)
      // The randomness that goes out is one which the new threshold keeps.
      const [, rv] = /^ot=th:e;rv:([0-9a-f]{14})$/.exec(span.traceState)!
      assert.isAtLeast(Number.parseInt(rv!, 16), 0xe0000000000000)
    }
    assert.isAbove(new Set(kept.map((span) => span.traceState)).size, kept.length - 2)
  })

  it("counts only its own part where dropped traces are looked at too", () => {
    const both = Sampler.parentBased(Sampler.never, { remoteParentNotSampled: Sampler.ratio(0.1) })
    const { kept, trace } = sampling(both)
    for (let i = 0; i < 20_000; i++) trace(i % 100 === 0 ? remote("sampled", "ot=th:fd70a") : remote("not_sampled"))
    const counted = kept.reduce((sum, span) => sum + span.weight, 0)
    assert.isAtMost(Math.abs(counted / 20_000 - 1), 0.1)
  })

  it("does not follow a caller it does not trust, nor let it choose by its trace id", () => {
    const sampler = Sampler.parentBased(Sampler.ratio(0.01), { trust: false })
    const chosen = { ...remote("sampled", "ot=th:0;rv:ffffffffffffff"), traceId: "f".repeat(32) }
    near(share(sampler, chosen), 0.01)
    const byRoot = Sampler.parentBased(Sampler.never, { trust: ({ kind }) => kind === "consumer" })
    assert.strictEqual(share(byRoot, { ...chosen, kind: "server" }), 0)
    assert.strictEqual(share(byRoot, { ...chosen, kind: "consumer" }), 1)
    assert.strictEqual(share(Sampler.parentBased(Sampler.never, { trust: () => { throw new Error("no") } }), chosen), 0)
  })
})

describe("X06 forced sampling", () => {
  it("is capped, whatever flags, thresholds and trace ids a caller sends", () => {
    const sampler = Sampler.parentBased(Sampler.ratio(0.01), { remoteParentSampled: Sampler.rateLimited(100) })
    const { clock, imbalance, kept, trace } = sampling(sampler)
    const seconds = 60
    for (let i = 0; i < seconds * 10_000; i++) {
      clock.millis = i / 10
      trace({ parent: "sampled", traceId: "f".repeat(32), tracestate: "ot=th:0;rv:ffffffffffffff" })
    }
    assert.isUndefined(imbalance())
    assert.isAtMost(kept.length / seconds, 130)
    assert.isAtLeast(kept.length / seconds, 80)
  })

  it("is capped by default as soon as not everything is kept anyway", () => {
    const { clock, kept, trace } = sampling(Sampler.named("parentbased_traceidratio", 0.01)!)
    for (let i = 0; i < 10 * 100_000; i++) {
      clock.millis = i / 100
      trace({ parent: "sampled", traceId: "f".repeat(32) })
    }
    assert.isAtMost(kept.length / 10, 20_000)
    assert.strictEqual(share(Sampler.named("parentbased_traceidratio", 1)!, { parent: "sampled", traceId: "f".repeat(32) }), 1)
  })
})

describe("rules", () => {
  const list = Sampler.rules([
    { name: /^health/, sampler: Sampler.never },
    { kind: "consumer", sampler: Sampler.ratio(0.5) },
    { route: "/admin/:id", sampler: Sampler.always },
    { attributes: { "url.path": /^\/internal\//, "user.tier": "free", retry: true }, sampler: Sampler.never }
  ], Sampler.ratio(0.25))

  it("the first that fits decides, by name, kind, route or attributes", () => {
    assert.strictEqual(share(list, { name: "health check" }), 0)
    near(share(list, { kind: "consumer" }), 0.5)
    assert.strictEqual(share(list, { attributes: { "http.route": "/admin/:id" } }), 1)
    assert.strictEqual(share(list, { attributes: { "url.path": "/internal/x", "user.tier": "free", retry: true } }), 0)
    near(share(list, { attributes: { "url.path": "/internal/x", "user.tier": "gold", retry: true } }), 0.25)
    near(share(list), 0.25)
  })

  it("hold what they cannot decide yet, whole, and tell others what is known", () => {
    const { begin, engine, finish, kept } = sampling(list)
    for (let i = 0; i < 200; i++) {
      const trace = begin()
      const flag = trace.decision.propagated
      const before = kept.length
      finish(trace, { spans: 3 })
      assert.strictEqual(kept.length - before, flag ? 3 : 0)
    }
    assert.strictEqual(engine.report().held, 0)
    assert.isTrue(kept.length > 60 && kept.every((span) => span.weight === 4))
    const trace = begin()
    finish(trace, { spans: 3, attributes: { "http.route": "/admin/:id" } })
    assert.deepStrictEqual(kept.slice(-3).map((span) => span.weight), [1, 1, 1])
  })

  it("a global pattern does not remember where it stopped", () => {
    assert.strictEqual(share(Sampler.rules([{ name: /op/g, sampler: Sampler.never }]), {}, 10), 0)
  })

  it("may end in a tail: errors below a route", () => {
    const sampler = Sampler.rules([{ route: "/pay", sampler: Sampler.tail({ rest: Sampler.never, firstSeen: 0, slowerThan: false }) }], Sampler.never)
    assert.strictEqual(share(sampler, { attributes: { "http.route": "/pay" } }), 0)
    assert.strictEqual(share(sampler, { attributes: { "http.route": "/pay" }, failed: "child", spans: 2 }), 2)
    assert.strictEqual(share(sampler, { attributes: { "http.route": "/other" }, failed: "child", spans: 2 }), 0)
  })
})

describe("settings that are wrong", () => {
  it("are named, also deep inside, and keep nothing", () => {
    const wrong: ReadonlyArray<readonly [Sampler.Sampler, RegExp]> = [
      [Sampler.ratio(NaN), /^ratio: expected a number from 0 to 1, got NaN$/],
      [Sampler.ratio(1.5), /^ratio/],
      [Sampler.rateLimited(0), /^rateLimited: spansPerSecond: expected a number from above 0/],
      [Sampler.adaptive({ spansPerSecond: -1 }), /^adaptive: spansPerSecond/],
      [Sampler.adaptive({ spansPerSecond: 1, maxOperations: 0 }), /^adaptive: maxOperations/],
      [Sampler.tail({ slowerThan: 1 }), /^tail: slowerThan/],
      [Sampler.tail({ maxBytes: 0 }), /^maxBytes/],
      [Sampler.tail({ maxAge: "soon" as never }), /^maxAge/],
      [Sampler.parentBased(Sampler.rules([{ sampler: Sampler.ratio(-1) }])), /^ratio/]
    ]
    for (const [sampler, problem] of wrong) {
      assert.match(sampler.problems[0] ?? "", problem)
      assert.strictEqual(share(sampler, {}, 10), 0)
    }
  })

  it("a changed sampler decides about the next trace; what is held stays with the former one", () => {
    let current = Sampler.tail({ rest: Sampler.never, firstSeen: 0, slowerThan: false })
    const { begin, finish, imbalance, kept } = sampling(() => current)
    const held = begin()
    current = Sampler.never
    const dropped = begin()
    finish(held, { spans: 3, failed: "child" })
    finish(dropped, { spans: 3, failed: "child" })
    assert.strictEqual(kept.length, 3)
    assert.isUndefined(imbalance())
  })
})
