import { Telemetry, Tracer } from "@effect-observability/core"
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import type * as Otel from "@opentelemetry/api"
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type { Bench, Side } from "../../../test/bench/Bench.ts"
import { OpenTelemetryBridge } from "../src/bridge.ts"
import type { BridgeOptions } from "../src/bridge/OpenTelemetryBridge.ts"

// What the bridge costs programs that have it: a step inside a span (`Effect.sync`) and one that waits for a promise, beside the same without the
// bridge, and beside `@effect/opentelemetry`, which enters its context for every step. And a span begun through the API, beside the SDK's.

const ops = 2_000

const listening = Layer.effectDiscard(Effect.flatMap(Telemetry, ({ register }) =>
  register({ name: "bench", kind: "bench", onSpan: () => {}, report: () => ({ name: "bench", kind: "bench", status: "up", reason: undefined, signals: [] }) })))

const plain = Layer.provideMerge(listening, Telemetry.layer)
const bridged = (context: NonNullable<BridgeOptions["context"]>) => Layer.merge(Layer.provideMerge(listening, Telemetry.layer), OpenTelemetryBridge.layer({ context, global: false }))

const sync = Effect.sync(() => 1)
const promise = Effect.promise(() => Promise.resolve(1))

const runtimes: Array<ManagedRuntime.ManagedRuntime<any, any>> = []

const side = <R, E>(name: string, layer: Layer.Layer<R, E>, step: Effect.Effect<unknown>, around: (self: Effect.Effect<void>) => Effect.Effect<void>): Side => {
  const runtime = ManagedRuntime.make(Layer.fresh(layer))
  runtimes.push(runtime)
  const program = around(Effect.gen(function*() {
    for (let i = 0; i < ops; i++) yield* step
  }))
  return { name, ops, run: () => runtime.runPromise(program) }
}

const inside = Tracer.withSpan("around")

export default (bench: Bench): void => {
  const provider = new NodeTracerProvider()
  const otel = () => Layer.provide(OtelTracer.layer, Layer.succeed(OtelTracer.OtelTracerProvider, provider))
  // Its context manager must be registered for it to do its work.
  const setup = (): void => {
    provider.register()
  }
  for (const context of ["sync", "async", "everywhere"] as const) {
    bench.compare({
      name: `otel.bridge.step.${context}`,
      unit: "ns/op",
      setup,
      baseline: side("without a bridge", plain, sync, inside),
      subject: side(`bridge, context: ${context}`, bridged(context), sync, inside),
      ...(context === "everywhere" ? {} : { must: 1.5, moonshot: 1.1 })
    })
  }
  bench.compare({
    name: "otel.bridge.step.effect-opentelemetry",
    unit: "ns/op",
    setup,
    baseline: side("@effect/opentelemetry", otel(), sync, Effect.withSpan("around")),
    subject: side("bridge, context: async", bridged("async"), sync, inside),
    must: 0.5
  })
  bench.compare({
    name: "otel.bridge.promise.async",
    unit: "ns/op",
    setup,
    baseline: side("without a bridge", plain, promise, inside),
    subject: side("bridge, context: async", bridged("async"), promise, inside)
  })
  bench.compare({
    name: "otel.bridge.promise.effect-opentelemetry",
    unit: "ns/op",
    setup,
    baseline: side("@effect/opentelemetry", otel(), promise, Effect.withSpan("around")),
    subject: side("bridge, context: async", bridged("async"), promise, inside),
    must: 1
  })
  const runtime = ManagedRuntime.make(Layer.fresh(bridged("async")))
  runtimes.push(runtime)
  let ours: Otel.Tracer | undefined
  const theirs = provider.getTracer("bench")
  const begin = (tracer: Otel.Tracer): void => {
    for (let i = 0; i < ops; i++) tracer.startSpan("op", { attributes: { a: 1, b: "x" } }).end()
  }
  bench.compare({
    name: "otel.bridge.span",
    unit: "ns/op",
    setup: async () => {
      const { tracerProvider } = await runtime.runPromise(Effect.gen(function*() {
        return yield* OpenTelemetryBridge.OpenTelemetryBridge
      }))
      ours = tracerProvider.getTracer("bench")
    },
    teardown: async () => {
      for (const one of runtimes) await one.dispose()
    },
    baseline: { name: "OTel SDK startSpan and end", ops, run: () => begin(theirs) },
    subject: { name: "bridge startSpan and end", ops, run: () => begin(ours!) },
    must: 2.5
  })
}
