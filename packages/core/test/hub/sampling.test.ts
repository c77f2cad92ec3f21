import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Diagnostics, Memory, MemoryBackend, ObservabilityConfig, type ObservabilityInput, Sampler, StandardMetrics, Telemetry } from "../../src/index.ts"

const hub = (tracing: NonNullable<ObservabilityInput["tracing"]>) =>
  Memory.layer().pipe(Layer.provide(ObservabilityConfig.layer({ tracing })))
const work = Effect.void.pipe(Effect.withSpan("inner"), Effect.withSpan("outer"))
const books = Effect.map(Telemetry, (telemetry) => {
  const { ended, held, kept, sampledOut } = telemetry.sampling()
  assert.strictEqual(ended, kept + sampledOut + held)
  return { ended, held, kept, sampledOut }
})

describe("sampling in the hub", () => {
  it.effect("keeps books, shows them, and counts what is left out", () =>
    Effect.gen(function*() {
      yield* Effect.repeat(work, { times: 99 })
      const { ended, kept, sampledOut } = yield* books
      assert.strictEqual(ended, 200)
      assert.isTrue(kept > 40 && kept < 160)
      assert.strictEqual((yield* (yield* MemoryBackend).spans).length, kept)
      const telemetry = yield* Telemetry
      telemetry.refreshSelfMetrics()
      const family = telemetry.store.family(StandardMetrics.SampledOut.name)!
      assert.strictEqual(family.value(family.series[0]!), sampledOut)
      const { sampling } = yield* (yield* Diagnostics).report
      assert.strictEqual(sampling.sampledOut, sampledOut)
      assert.match(sampling.sampler, /^parentBased\(ratio\(0\.5\)/)
    }).pipe(Effect.provide(hub({ sampleRate: 0.5 }))))

  it.effect("takes another sampler while running", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      yield* work
      yield* telemetry.setSampler(Sampler.never)
      yield* work
      const wrong = yield* Effect.flip(telemetry.setSampler(Sampler.ratio(2)))
      assert.include(wrong.message, "sampler: ratio: expected a number from 0 to 1, got 2")
      for (const none of [undefined, "always_on", () => 1]) {
        assert.include((yield* Effect.flip(telemetry.setSampler(none as never))).message, "sampler: expected a Sampler")
      }
      yield* work
      yield* telemetry.setSampler(Sampler.always)
      yield* work
      assert.deepStrictEqual(yield* books, { ended: 8, held: 0, kept: 4, sampledOut: 4 })
    }).pipe(Effect.provide(hub({}))))

  it.effect("a tail holds a trace until its root ends, or waits too long, and hands over at shutdown", () =>
    Effect.gen(function*() {
      const outside = yield* Effect.scope
      const [telemetry, backend] = yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const backend = yield* MemoryBackend
        yield* work
        yield* Effect.exit(Effect.fail("no").pipe(Effect.withSpan("inner"), Effect.catch(() => Effect.void), Effect.withSpan("outer")))
        assert.deepStrictEqual(yield* books, { ended: 4, held: 0, kept: 2, sampledOut: 2 })
        yield* Effect.forkIn(Effect.andThen(Effect.void.pipe(Effect.withSpan("part")), Effect.never).pipe(Effect.withSpan("never ends")), outside)
        yield* Effect.yieldNow
        assert.strictEqual((yield* books).held, 1)
        yield* TestClock.adjust("1 minute")
        telemetry.refreshSelfMetrics()
        assert.deepStrictEqual(yield* books, { ended: 5, held: 0, kept: 2, sampledOut: 3 })
        assert.strictEqual(telemetry.sampling().decidedEarly.expired, 1)
        yield* telemetry.setSampler(Sampler.tail({ rest: Sampler.always, firstSeen: 0, slowerThan: false }))
        yield* Effect.forkIn(Effect.andThen(Effect.void.pipe(Effect.withSpan("part")), Effect.never).pipe(Effect.withSpan("still open")), outside)
        yield* Effect.yieldNow
        assert.strictEqual((yield* books).held, 1)
        return [telemetry, backend] as const
      }).pipe(Effect.provide(hub({ sampler: Sampler.tail({ rest: Sampler.never, firstSeen: 0, slowerThan: false }) })))
      assert.strictEqual(telemetry.sampling().decidedEarly.shutdown, 1)
      assert.deepStrictEqual((yield* backend.spans).map((span) => span.name), ["inner", "outer", "part", "still open"])
    }))
})

describe("spans that are open when the program ends", () => {
  it.effect("are handed over as unfinished where their trace is kept, and only there", () =>
    Effect.gen(function*() {
      const outside = yield* Effect.scope
      const stays = (name: string, inside: Effect.Effect<unknown>) =>
        Effect.forkIn(Effect.andThen(inside, Effect.never).pipe(Effect.withSpan(name)), outside)
      const unfinished = (sampler: Sampler.Sampler) =>
        Effect.gen(function*() {
          const backend = yield* Effect.gen(function*() {
            yield* stays("open", Effect.void)
            yield* stays("open after a failure", Effect.exit(Effect.fail("no").pipe(Effect.withSpan("failed"))))
            yield* Effect.yieldNow
            return yield* MemoryBackend
          }).pipe(Effect.provide(hub({ sampler }), { local: true }))
          return (yield* backend.spans).filter((span) => span.attributes.has("span.unfinished")).map((span) => span.name)
        })
      const errors = { firstSeen: 0, slowerThan: false } as const
      assert.deepStrictEqual(yield* unfinished(Sampler.always), ["open", "open after a failure"])
      assert.deepStrictEqual(yield* unfinished(Sampler.never), [])
      assert.deepStrictEqual(yield* unfinished(Sampler.tail({ rest: Sampler.never, ...errors })), ["open after a failure"])
      assert.deepStrictEqual(yield* unfinished(Sampler.tail({ rest: Sampler.always, ...errors })), ["open", "open after a failure"])
    }))
})
