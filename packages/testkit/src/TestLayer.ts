import { type CompositionError, type ErrorHistory, Memory, type MemoryBackend, MemoryHistory, type MetricsHistory, Telemetry, type TraceHistory } from "@effect-observability/core"
import * as Layer from "effect/Layer"

/**
 * What a test provides instead of backends: it records everything in memory, and the test asks it afterwards.
 *
 * @example
 * ```ts
 * it.effect("counts the order", () =>
 *   Effect.gen(function*() {
 *     yield* checkout(order)
 *     yield* expectCounter("orders_placed_total", { channel: "web" }).toBe(1)
 *     yield* expectSpan("checkout").hasChild("charge")
 *   }).pipe(Effect.provide(TestLayer)))
 * ```
 */
export const TestLayer: Layer.Layer<
  Layer.Success<typeof Telemetry.layer> | MemoryBackend | MetricsHistory | TraceHistory | ErrorHistory,
  CompositionError
> = Layer.mergeAll(Memory.layerBackend(), MemoryHistory.layerBackend()).pipe(Layer.provideMerge(Telemetry.layer))
