import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { TestClock } from "effect/testing"
import { Memory, ObservabilityConfig, type ObservabilityInput, Sampler, Spans, StandardMetrics, Telemetry, Tracer } from "../../src/index.ts"

const hub = (tracing: NonNullable<ObservabilityInput["tracing"]>, rest: ObservabilityInput = {}) =>
  Memory.layer().pipe(Layer.provide(ObservabilityConfig.layer({ ...rest, tracing })))

/** Counts by `operation kind status`. */
const counts = Effect.map(Telemetry, ({ store }) => {
  const family = store.family(StandardMetrics.SpanDuration.name)
  return Object.fromEntries((family?.series ?? []).map((one) => [one.labelValues.join(" "), family!.count(one)]))
})

for (const [name, around] of Object.entries({ "Tracer.withSpan": Tracer.withSpan, "Effect.withSpan": Effect.withSpan as typeof Tracer.withSpan })) {
  const work = Effect.void.pipe(
    around("query", { kind: "client" }),
    around("step"),
    around("job")
  )
  const failing = Effect.exit(Effect.fail("no").pipe(around("job")))

  describe(`span metrics with ${name}`, () => {
    for (const [rate, sampler] of Object.entries({ all: Sampler.always, none: Sampler.never, half: Sampler.ratio(0.5), tail: Sampler.tail({ rest: Sampler.never }) })) {
      it.effect(`count roots, and what leaves the process, with ${rate} of the traces kept`, () =>
        Effect.gen(function*() {
          yield* Effect.repeat(work, { times: 9 })
          yield* Effect.repeat(failing, { times: 4 })
          yield* Effect.exit(Effect.interrupt.pipe(around("job")))
          assert.deepStrictEqual(yield* counts, { "query client ok": 10, "job internal ok": 11, "job internal error": 5 })
        }).pipe(Effect.provide(hub({ sampler }))))
    }

    it.effect("of all spans, or of none", () =>
      Effect.gen(function*() {
        const run = (tracing: NonNullable<ObservabilityInput["tracing"]>, rest?: ObservabilityInput) =>
          Effect.andThen(work, counts).pipe(Effect.provide(hub(tracing, rest), { local: true }))
        const all = { "query client ok": 1, "step internal ok": 1, "job internal ok": 1 }
        assert.deepStrictEqual(yield* run({ spanMetrics: "all" }), all)
        assert.deepStrictEqual(yield* run({ spanMetrics: "all", sampler: Sampler.never }), all)
        assert.deepStrictEqual(yield* run({ spanMetrics: "off" }), {})
        assert.deepStrictEqual(yield* run({}, { metrics: { enabled: false } }), {})
        assert.deepStrictEqual(yield* run({ enabled: false }), {})
      }))

    it.effect("measure the duration, judge successes, and keep secrets out of names, sampled or not", () =>
      Effect.gen(function*() {
        for (const sampler of [Sampler.always, Sampler.never]) {
          yield* Effect.gen(function*() {
            yield* TestClock.adjust("250 millis").pipe(around("slow"))
            yield* Effect.succeed(Result.fail("declined")).pipe(around("judged", Spans.failedResults))
            yield* Effect.void.pipe(around("call https://user:hunter2@host/"))
            const { store } = yield* Telemetry
            const family = store.family(StandardMetrics.SpanDuration.name)!
            const slow = family.series.find((one) => one.labelValues[0] === "slow")!
            assert.strictEqual(family.sum(slow), 0.25)
            const names = Object.keys(yield* counts)
            assert.include(names, "judged internal error")
            assert.isFalse(names.some((one) => one.includes("hunter2")), names.join())
          }).pipe(Effect.provide(hub({ sampler }), { local: true }))
        }
      }))
  })
}
