import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import { Telemetry } from "@effect-observability/core"
import { Observe } from "@effect-observability/instrument"
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as EffectTracer from "effect/Tracer"
import type { Bench, Side } from "../../../test/bench/Bench.ts"

// A service method, called: ours with a recorded span, a duration and a count by outcome, against what people write: `Effect.fn("name")`, or
// `Effect.withSpan` around a plain function, under `@effect/opentelemetry` with a BatchSpanProcessor, which gives a span and no metrics.
// Stack traces are captured on their side, as is Effect's default. Spans end in a listener that drops them: recorded, not encoded.

const ops = 2_000

const processor = new BatchSpanProcessor(
  { export: (_spans, done) => done({ code: 0 }), shutdown: () => Promise.resolve() },
  { maxQueueSize: 2 * ops, maxExportBatchSize: 2 * ops, scheduledDelayMillis: 60_000 }
)
const provider = new NodeTracerProvider({ spanProcessors: [processor] })

const loop = (call: () => Effect.Effect<number>) =>
  Effect.gen(function*() {
    for (let i = 0; i < ops; i++) yield* call()
  })

const opentelemetry = (name: string, call: () => Effect.Effect<number>): Side => {
  const tracer = Effect.runSync(Effect.provideService(OtelTracer.make, OtelTracer.OtelTracer, provider.getTracer("bench")))
  const program = loop(call).pipe(Effect.provideService(EffectTracer.Tracer, tracer))
  return {
    name: `${name}, @effect/opentelemetry`,
    ops,
    run: async () => {
      await Effect.runPromise(program)
      await processor.forceFlush()
    }
  }
}

/** The hub with one listener for spans. */
const listening = Layer.effectDiscard(Effect.flatMap(Telemetry, (telemetry) =>
  telemetry.register({
    name: "bench",
    kind: "bench",
    onSpan: () => {},
    report: () => ({ name: "bench", kind: "bench", status: "up", reason: undefined, signals: [] })
  }))).pipe(Layer.provideMerge(Telemetry.layer))

const ours = (name: string, call: () => Effect.Effect<number>): Side => {
  const runtime = ManagedRuntime.make(listening)
  const program = loop(call)
  return { name, ops, run: () => runtime.runPromise(program) }
}

const bare = (name: string, call: () => Effect.Effect<number>): Side => {
  const program = loop(call)
  return { name, ops, run: () => Effect.runPromise(program) }
}

class Orders {
  place(id: number): Effect.Effect<number> {
    return Effect.succeed(id)
  }
}

export default (bench: Bench): void => {
  const setup = () => provider.register()
  const observed = Observe.fn("Orders.place")(function*(id: number) {
    return yield* Effect.succeed(id)
  })
  const theirs = Effect.fn("Orders.place")(function*(id: number) {
    return yield* Effect.succeed(id)
  })
  const plain = Effect.fnUntraced(function*(id: number) {
    return yield* Effect.succeed(id)
  })
  const spanned = (id: number) => Effect.withSpan(plain(id), "Orders.place")
  const service = Observe.service(new Orders())
  bench.compare({
    name: "observe.fn",
    unit: "ns/op",
    baseline: opentelemetry("Effect.fn", () => theirs(1)),
    subject: ours("Observe.fn: span, duration, count", () => observed(1)),
    must: 0.4,
    moonshot: 0.2,
    setup
  })
  bench.compare({
    name: "observe.fn.withSpan",
    unit: "ns/op",
    baseline: opentelemetry("Effect.withSpan", () => spanned(1)),
    subject: ours("Observe.fn: span, duration, count", () => observed(1)),
    must: 0.4,
    moonshot: 0.2,
    setup
  })
  bench.compare({
    name: "observe.service",
    unit: "ns/op",
    baseline: opentelemetry("Effect.fn", () => theirs(1)),
    subject: ours("Observe.service: span, duration, count", () => service.place(1)),
    must: 0.4,
    moonshot: 0.2,
    setup
  })
  // What is left when nobody wants spans or metrics.
  bench.compare({
    name: "observe.fn.silent",
    unit: "ns/op",
    baseline: bare("Effect.fn, native tracer", () => theirs(1)),
    subject: bare("Observe.fn without a hub", () => observed(1)),
    must: 1
  })
}
