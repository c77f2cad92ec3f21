import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Label, Memory, MemoryBackend, MetricDefinition, MetricsRecorder, ObservabilityConfig, Requests, Telemetry } from "../../src/index.ts"

const Orders = MetricDefinition.counter("shared_orders_total", { help: "Orders", labelNames: [Label.ambient("module")] })

describe("shared labels of metrics", () => {
  it.effect("service and env are default labels when they are asked for; one of the program's own wins", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* Telemetry).settings().metrics.defaultLabels, { service: "shop", env: "blue" })
    }).pipe(Effect.provide(Telemetry.layer.pipe(Layer.provide(ObservabilityConfig.layer({
      env: "prod", tracing: { serviceName: "shop" }, metrics: { sharedLabels: ["service", "env"], defaultLabels: { env: "blue" } }
    }))))))

  it.effect("a metric with the label module gets it from the request context, unless the call says", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* Requests.inModule("billing")(metrics.incrementCounter(Orders))
      yield* Requests.inModule("billing")(metrics.incrementCounter(Orders, 1, { module: "other" }))
      yield* metrics.incrementCounter(Orders)
      const count = (module: string) => Effect.flatMap(MemoryBackend, (memory) => memory.getCounterValue(Orders, { module }))
      assert.deepStrictEqual([yield* count("billing"), yield* count("other"), yield* count("")], [1, 1, 1])
    }).pipe(Effect.provide(Memory.layer())))

  it.effect("others are refused by name of the field", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(Effect.void, ObservabilityConfig.layer({ metrics: { sharedLabels: ["tenant_id" as never] } })))
      assert.include(error.message, "sharedLabels")
    }))
})
