import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as EffectTracer from "effect/Tracer"
import * as fc from "fast-check"
import * as IdGenerator from "../../../src/tracing/IdGenerator.ts"
import * as Sampler from "../../../src/tracing/sampling/Sampler.ts"
import { Tracer } from "../../../src/tracing/Tracer.ts"
import { recording } from "../support.ts"

// Random compositions of samplers, changed while hundreds of traces are open in as many fibers: whatever is decided, a trace is kept whole
// or dropped whole, with one weight, and the books add up.

const leaf = fc.oneof(
  fc.constant(Sampler.always),
  fc.constant(Sampler.never),
  fc.double({ min: 0, max: 1, noNaN: true }).map(Sampler.ratio),
  fc.integer({ min: 1, max: 500 }).map(Sampler.rateLimited),
  fc.record({ spansPerSecond: fc.integer({ min: 1, max: 500 }), maxOperations: fc.constant(3), atEnd: fc.boolean() }).map(Sampler.adaptive)
)
const over = (inner: fc.Arbitrary<Sampler.Sampler>): fc.Arbitrary<Sampler.Sampler> =>
  fc.oneof(
    inner,
    fc.tuple(inner, inner, inner, fc.boolean()).map(([root, remoteParentSampled, remoteParentNotSampled, trust]) =>
      Sampler.parentBased(root, { remoteParentSampled, remoteParentNotSampled, trust })),
    fc.tuple(inner, inner, inner).map(([a, b, otherwise]) =>
      Sampler.rules([{ name: "trace 1", sampler: a }, { attributes: { route: "even" }, sampler: b }], otherwise)),
    fc.record({
      rest: inner,
      errors: fc.boolean(),
      firstSeen: fc.integer({ min: 0, max: 2 }),
      spansPerSecond: fc.constantFrom(5, 500),
      slowerThan: fc.constantFrom(0.9, 0.99, false as const),
      maxBytes: fc.constantFrom(5_000, 1_000_000),
      maxTraces: fc.constantFrom(5, 1000),
      maxAge: fc.constantFrom("10 millis" as const, "1 minute" as const)
    }).map(Sampler.tail)
  )
const samplers = over(over(leaf))

const traces = 120

describe("the whole-trace law", () => {
  it("holds for every composition, under concurrency, interruption and a change of samplers", async () => {
    const plans = fc.record({ seed: fc.integer(), list: fc.array(samplers, { minLength: 1, maxLength: 3 }) })
    await fc.assert(
      fc.asyncProperty(plans, ({ list, seed }) => Effect.runPromise(law(list, seed).pipe(Effect.provide(TestClock.layer())))),
      { numRuns: 40, endOnFailure: true }
    )
  })
})

const law = (list: ReadonlyArray<Sampler.Sampler>, seed: number) =>
    Effect.gen(function*() {
      const random = IdGenerator.fromSeed(seed)
      const below = (n: number): number => (random.next() >>> 0) % n
      let now = 0
      let turn = 0
      const { ended, provide, tracer } = recording({
        ids: IdGenerator.fromSeed(seed + 1),
        now: () => now,
        sampler: () => list[turn % list.length]!
      })
      /** Names of all spans of a trace, by its number. */
      const made = new Map<number, Set<string>>()
      const span = (trace: number, name: string) => {
        made.get(trace)!.add(name)
        return Tracer.withSpan(name, { attributes: { trace } })
      }
      const one = (trace: number) => {
        made.set(trace, new Set())
        const child = (i: number) =>
          Effect.sleep(`${below(20)} millis`).pipe(
            Effect.andThen(below(8) === 0 ? Effect.fail("no") : below(8) === 1 ? Effect.interrupt : Effect.void),
            i % 2 === 0 ? Effect.withSpan(`child ${i}`, { attributes: { trace } }) : span(trace, `child ${i}`),
            Effect.exit
          )
        for (let i = 0; i < 3; i++) made.get(trace)!.add(`child ${i}`)
        made.get(trace)!.add("late")
        const remote = trace % 3 === 0
          ? { parent: EffectTracer.externalSpan({ traceId: trace.toString(16).padStart(32, "a"), spanId: "b".repeat(16), sampled: trace % 2 === 0 }) }
          : {}
        made.get(trace)!.add(`trace ${trace % 4}`)
        return Effect.gen(function*() {
          yield* Effect.forkDetach(Effect.delay(Effect.void.pipe(Effect.withSpan("late", { attributes: { trace } })), `${20 + below(60)} millis`))
          yield* Effect.forEach([0, 1, 2], child, { concurrency: below(3) + 1 })
          if (below(10) === 0) return yield* Effect.fail("root")
        }).pipe(
          Tracer.withSpan(`trace ${trace % 4}`, { attributes: () => ({ trace, route: trace % 2 === 0 ? "even" : "odd" }), ...remote }),
          Effect.exit,
          Effect.delay(`${below(100)} millis`)
        )
      }
      const fiber = yield* Effect.forkChild(Effect.forEach(Array.from({ length: traces }, (_, i) => i), one, { concurrency: "unbounded" }).pipe(provide))
      for (let i = 0; i < 60; i++) {
        yield* TestClock.adjust("5 millis")
        now += 5
        if (i % 7 === 0) turn++
      }
      yield* Fiber.join(fiber)
      tracer.release()

      const kept = new Map<number, { readonly names: Array<string>; readonly weights: Set<number>; readonly states: Set<string> }>()
      for (const { attributes, name, traceState, weight } of ended) {
        const trace = attributes.get("trace") as number
        const group = kept.get(trace) ?? { names: [], weights: new Set(), states: new Set() }
        group.names.push(name)
        group.weights.add(weight)
        group.states.add(traceState)
        kept.set(trace, group)
      }
      for (const [trace, { names, states, weights }] of kept) {
        assert.deepStrictEqual(names.toSorted(), [...made.get(trace)!].toSorted(), `trace ${trace}`)
        assert.strictEqual(weights.size, 1)
        assert.strictEqual(states.size, 1)
        assert.isAtLeast([...weights][0]!, 1)
      }
      const books = tracer.report()
      assert.strictEqual(books.ended, traces * 5)
      assert.strictEqual(books.ended, books.kept + books.sampledOut + books.held)
      assert.strictEqual(books.kept, ended.length)
      assert.deepStrictEqual([books.held, books.heldBytes], [0, 0])
    })
