import { Diagnostics, Memory, MemoryBackend, ObservabilityConfig, type ObservabilityInput, type SpanData } from "@effect-observability/core"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** The real hub with the memory backend. */
export const hub = (settings: ObservabilityInput = {}) =>
  Memory.layer().pipe(Layer.provide(ObservabilityConfig.layer({ ...settings, tracing: { sampleRate: 1, ...settings.tracing } })), Layer.orDie)

/** Runs a test on a hub of its own; afterwards the books balance, nothing was refused and no span is left open. */
export const recorded = <A, E, R>(self: Effect.Effect<A, E, R>, settings?: ObservabilityInput) =>
  Effect.ensuring(self, assertBooks).pipe(Effect.provide(hub(settings), { local: true }))

const assertBooks = Effect.gen(function*() {
  const { imbalances, metrics, openSpans } = yield* (yield* Diagnostics).report
  assert.deepStrictEqual(imbalances, [])
  assert.deepStrictEqual(metrics.refusals, {})
  assert.deepStrictEqual(metrics.problems, [])
  assert.strictEqual(openSpans.open, 0, "spans are left open")
})

/** The value of every series of a counter or gauge, by its label values. */
export const valuesOf = (metric: string): Effect.Effect<Record<string, number>, never, MemoryBackend> =>
  Effect.map(
    Effect.flatMap(MemoryBackend, (memory) => memory.describe(metric)),
    (series) => Object.fromEntries(series.map(({ labels, value }) => [Object.values(labels).join(" "), value]))
  )

export const spansOf: Effect.Effect<ReadonlyArray<SpanData>, never, MemoryBackend> = Effect.flatMap(MemoryBackend, (memory) => memory.spans)

export const observedValues = (metric: string, labels?: Record<string, string>): Effect.Effect<ReadonlyArray<number>, never, MemoryBackend> =>
  Effect.flatMap(MemoryBackend, (memory) => memory.getHistogramValues(metric, labels))
