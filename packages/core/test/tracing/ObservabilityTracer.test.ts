import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as References from "effect/References"
import { TestClock } from "effect/testing"
import * as EffectTracer from "effect/Tracer"
import * as IdGenerator from "../../src/tracing/IdGenerator.ts"
import { isSpanId, isTraceId } from "../../src/tracing/Propagation.ts"
import { recording } from "./support.ts"

describe("spans of Effect.withSpan", () => {
  it.effect("are handed over when they end, children first, in one trace", () =>
    Effect.gen(function*() {
      const { ended, named, provide } = recording()
      yield* TestClock.setTime(1_000)
      yield* TestClock.adjust("5 millis").pipe(
        Effect.withSpan("child", { kind: "client", attributes: { a: 1 } }),
        Effect.withSpan("parent"),
        provide
      )
      assert.deepStrictEqual(ended.map((span) => span.name), ["child", "parent"])
      const child = named("child")
      const parent = named("parent")
      assert.isTrue(isTraceId(parent.traceId) && isSpanId(parent.spanId) && isSpanId(child.spanId))
      assert.notStrictEqual(child.spanId, parent.spanId)
      assert.deepStrictEqual(parent, {
        traceId: parent.traceId,
        spanId: parent.spanId,
        parentSpanId: undefined,
        name: "parent",
        kind: "internal",
        startTime: 1_000_000_000n,
        endTime: 1_005_000_000n,
        status: "unset",
        statusMessage: undefined,
        attributes: new Map(),
        events: [],
        links: [],
        droppedAttributes: 0,
        droppedEvents: 0,
        droppedLinks: 0,
        weight: 1,
        traceState: ""
      })
      assert.deepStrictEqual(child, {
        ...parent,
        name: "child",
        kind: "client",
        spanId: child.spanId,
        parentSpanId: parent.spanId,
        attributes: new Map([["a", 1]])
      })
    }))

  it.effect("carry annotations, events and links", () =>
    Effect.gen(function*() {
      const { named, provide } = recording()
      const linked = EffectTracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16) })
      const unusable = EffectTracer.externalSpan({ traceId: "noop", spanId: "noop" })
      yield* Effect.gen(function*() {
        const span = yield* Effect.currentSpan
        const attributes = { "cache.key": "k", nothing: undefined }
        span.event("cache miss", 12n, attributes)
        attributes["cache.key"] = "changed later"
        span.addLinks([{ span: linked, attributes: { why: "batch" } }, { span: unusable, attributes: {} }])
        yield* Effect.annotateCurrentSpan({ id: 7, ok: true, none: null })
      }).pipe(Effect.withSpan("work"), Effect.annotateSpans("tenant", "t1"), provide)
      const work = named("work")
      assert.deepStrictEqual([...work.attributes], [["tenant", "t1"], ["id", 7], ["ok", true]])
      assert.deepStrictEqual(work.events, [{ name: "cache miss", time: 12n, attributes: { "cache.key": "k" } }])
      assert.deepStrictEqual(work.links, [{ traceId: "a".repeat(32), spanId: "b".repeat(16), attributes: { why: "batch" } }])
    }))

  it.effect("follow a remote parent: its ids, its decision", () =>
    Effect.gen(function*() {
      const { ended, named, provide } = recording({ rate: () => 0 })
      const parent = (sampled: boolean) => EffectTracer.externalSpan({ traceId: "c".repeat(16), spanId: "D".repeat(16), sampled })
      yield* Effect.void.pipe(Effect.withSpan("kept", { parent: parent(true) }), provide)
      yield* Effect.void.pipe(Effect.withSpan("not kept", { parent: parent(false) }), provide)
      assert.strictEqual(ended.length, 1)
      assert.strictEqual(named("kept").traceId, "0".repeat(16) + "c".repeat(16))
      assert.strictEqual(named("kept").parentSpanId, "d".repeat(16))
    }))

  it.effect("begin a trace under a parent without valid ids", () =>
    Effect.gen(function*() {
      const { named, provide } = recording()
      const parent = EffectTracer.externalSpan({ traceId: "noop", spanId: "noop" })
      yield* Effect.void.pipe(Effect.withSpan("root", { parent }), provide)
      assert.isTrue(isTraceId(named("root").traceId))
      assert.isUndefined(named("root").parentSpanId)
    }))

  it.effect("cost nothing to keep when switched off or below the level", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      yield* Effect.void.pipe(Effect.withSpan("off"), Effect.withTracerEnabled(false), provide)
      yield* Effect.void.pipe(
        Effect.withSpan("debug", { level: "Debug" }),
        Effect.provideService(References.MinimumTraceLevel, "Info"),
        provide
      )
      assert.deepStrictEqual(ended, [])
    }))

  it.effect("end exactly once in each of many interleaved fibers", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) => Effect.yieldNow.pipe(Effect.withSpan(`inner ${i}`), Effect.withSpan(`outer ${i}`)),
        { concurrency: "unbounded", discard: true }
      ).pipe(provide)
      assert.strictEqual(ended.length, 200)
      assert.strictEqual(new Set(ended.map((span) => span.spanId)).size, 200)
      const byName = new Map(ended.map((span) => [span.name, span]))
      for (let i = 0; i < 100; i++) {
        assert.strictEqual(byName.get(`inner ${i}`)?.parentSpanId, byName.get(`outer ${i}`)?.spanId)
        assert.strictEqual(byName.get(`inner ${i}`)?.traceId, byName.get(`outer ${i}`)?.traceId)
      }
    }))
})

describe("after the end", () => {
  it.effect("nothing changes and nothing is handed over again", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      const span = yield* Effect.scoped(Effect.makeSpanScoped("late")).pipe(provide)
      const before = structuredClone({ ...ended[0]!, attributes: [...ended[0]!.attributes] })
      span.attribute("a", 1)
      span.event("e", 1n)
      span.addLinks([{ span, attributes: {} }])
      span.end(99n, Exit.fail("again"))
      assert.strictEqual(ended.length, 1)
      assert.deepStrictEqual({ ...ended[0]!, attributes: [...ended[0]!.attributes] }, before)
      assert.strictEqual(span.status._tag, "Ended")
    }))
})

describe("sampling by ratio", () => {
  const kept = (rate: number, seed: number, n = 20_000) => {
    const { ended, tracer } = recording({ rate: () => rate, ids: IdGenerator.fromSeed(seed) })
    for (let i = 0; i < n; i++) root(tracer).end(1n, Exit.void)
    return ended
  }
  const root = (tracer: EffectTracer.Tracer) =>
    tracer.span({
      name: "root",
      parent: Option.none(),
      annotations: EffectTracer.externalSpan({ traceId: "", spanId: "" }).annotations,
      links: [],
      startTime: 0n,
      kind: "internal",
      root: false,
      sampled: true
    })

  for (const rate of [0, 0.001, 0.1, 0.5, 0.9, 1]) {
    it(`keeps ${rate} of the traces, within three standard deviations`, () => {
      // Many seeds together: one seed alone is now and then beyond three deviations, as it should be.
      const seeds = Array.from({ length: 50 }, (_, seed) => seed)
      const count = seeds.reduce((sum, seed) => sum + kept(rate, seed, 4_000).length, 0)
      const all = seeds.length * 4_000
      assert.isAtMost(Math.abs(count - all * rate), 3 * Math.sqrt(all * rate * (1 - rate)))
    })
  }

  it("decides the same for a trace at every rate that includes it", () => {
    const half = new Set(kept(0.5, 5).map((span) => span.traceId))
    const tenth = kept(0.1, 5)
    assert.isAbove(tenth.length, 0)
    for (const span of tenth) assert.isTrue(half.has(span.traceId))
    assert.deepStrictEqual(kept(0.1, 5).map((span) => span.traceId), tenth.map((span) => span.traceId))
  })

  it("compares the low 56 bits of the id with the threshold", () => {
    const threshold = (1n << 56n) - (1n << 56n) / 4n
    for (const span of kept(0.25, 9)) assert.isTrue((BigInt(`0x${span.traceId}`) & ((1n << 56n) - 1n)) >= threshold)
  })

  it("follows a rate that changes, and keeps nothing at a rate that is no number", () => {
    let rate = 0
    const { ended, tracer } = recording({ rate: () => rate })
    for (rate of [0, 1, NaN, -1, 2]) root(tracer).end(1n, Exit.void)
    assert.strictEqual(ended.length, 2)
  })

  it.effect("gives a whole trace one decision", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording({ rate: () => 0.5 })
      const trace = Effect.void.pipe(Effect.withSpan("leaf"), Effect.withSpan("middle"), Effect.withSpan("top"))
      yield* Effect.repeat(trace, { times: 199 }).pipe(provide)
      const sizes = new Map<string, number>()
      for (const span of ended) sizes.set(span.traceId, (sizes.get(span.traceId) ?? 0) + 1)
      assert.isTrue(sizes.size > 50 && sizes.size < 150)
      for (const size of sizes.values()) assert.strictEqual(size, 3)
    }))
})

describe("with nobody listening", () => {
  it.effect("spans keep nothing, have real ids, and pass the caller's decision on", () =>
    Effect.gen(function*() {
      let active = false
      const { ended, provide } = recording({ active: () => active })
      const [outer, inner] = yield* Effect.gen(function*() {
        const outer = yield* Effect.currentSpan
        outer.attribute("a", 1)
        outer.event("e", 1n)
        const inner = yield* Effect.withSpan(Effect.orDie(Effect.currentSpan), "inner")
        return [outer, inner] as const
      }).pipe(Effect.withSpan("outer"), provide)
      assert.isFalse(outer.sampled || inner.sampled)
      assert.isTrue(isTraceId(outer.traceId) && isSpanId(outer.spanId) && isSpanId(inner.spanId))
      assert.strictEqual(inner.traceId, outer.traceId)
      assert.strictEqual(outer.attributes.size, 0)
      assert.strictEqual(outer.status._tag, "Ended")
      assert.deepStrictEqual(ended, [])
      active = true
      yield* Effect.void.pipe(Effect.withSpan("now"), provide)
      assert.strictEqual(ended.length, 1)
    }))
})

describe("interruption", () => {
  it.effect("ends every open span", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      const fiber = yield* Effect.never.pipe(Effect.withSpan("inner"), Effect.withSpan("outer"), provide, Effect.forkChild)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(ended.map((span) => [span.name, span.status, span.attributes.get("effect.fiber.interrupted")]), [
        ["inner", "unset", true],
        ["outer", "unset", true]
      ])
      assert.isTrue(ended.every((span) => span.statusMessage === undefined && span.events.length === 0))
    }))
})
