import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as EffectTracer from "effect/Tracer"
import type { Bench, Side } from "../../../test/bench/Bench.ts"
import { make as makeStore } from "../src/metrics/MetricStore.ts"
import { SpanDuration } from "../src/metrics/StandardMetrics.ts"
import * as ObservabilityTracer from "../src/tracing/ObservabilityTracer.ts"
import * as Sampler from "../src/tracing/sampling/Sampler.ts"
import type { SpanData } from "../src/tracing/SpanData.ts"
import { Tracer } from "../src/tracing/Tracer.ts"

// B1: our combinator, against what people write with `@effect/opentelemetry` (stack traces captured, as is its default) and against the
// OpenTelemetry SDK without Effect. B2 and B3: our Tracer behind plain `Effect.withSpan`, stack capture off on all sides; what Effect's
// combinator costs is part of every figure. B4: a step inside a span against one outside. B5: a span that is switched off, against the bare
// effect. Spans end in an array that is emptied between runs: recorded, not yet encoded.

const ops = 2_000

/** The least that is still a recording tracer: plain fields, no ids, no limits, no status, no copy of what it is given. */
class MinimalSpan implements EffectTracer.Span {
  readonly _tag = "Span"
  readonly traceId = "0"
  readonly spanId = "0"
  readonly sampled = true
  readonly name: string
  readonly parent: EffectTracer.Span["parent"]
  readonly annotations: EffectTracer.Span["annotations"]
  readonly links: Array<EffectTracer.SpanLink>
  readonly kind: EffectTracer.SpanKind
  status: EffectTracer.SpanStatus
  held: Map<string, unknown> | undefined = undefined
  events: Array<readonly [name: string, time: bigint, attributes: Record<string, unknown> | undefined]> | undefined = undefined
  private readonly sink: Array<MinimalSpan>

  constructor(options: Parameters<EffectTracer.Tracer["span"]>[0], sink: Array<MinimalSpan>) {
    this.name = options.name
    this.parent = options.parent
    this.annotations = options.annotations
    this.links = options.links
    this.kind = options.kind
    this.status = { _tag: "Started", startTime: options.startTime }
    this.sink = sink
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
    this.sink.push(this)
  }

  get attributes(): ReadonlyMap<string, unknown> {
    return this.held ??= new Map()
  }

  attribute(key: string, value: unknown): void {
    ;(this.held ??= new Map()).set(key, value)
  }

  event(name: string, time: bigint, attributes?: Record<string, unknown>): void {
    ;(this.events ??= []).push([name, time, attributes])
  }

  addLinks(links: ReadonlyArray<EffectTracer.SpanLink>): void {
    for (const link of links) this.links.push(link)
  }
}

const bare = Effect.void.pipe(Effect.withSpan("bench", {}, { captureStackTrace: false }))

const attributes = {
  "http.request.method": "GET",
  "http.route": "/orders/:id",
  "http.response.status_code": 200,
  "user.tier": "gold",
  retry: false
}
const full = Effect.withFiber((fiber) => {
  const { span } = fiber.cache
  if (span?._tag === "Span") span.event("cache miss", 1n, { "cache.key": "orders" })
  return Effect.void
}).pipe(Effect.withSpan("bench", { attributes }, { captureStackTrace: false }))

/** `ops` spans in one fiber, then `after`. */
const side = (name: string, span: Effect.Effect<void>, tracer: EffectTracer.Tracer, after: () => void | Promise<void>): Side => {
  const loop = Effect.gen(function*() {
    for (let i = 0; i < ops; i++) yield* span
  }).pipe(Effect.provideService(EffectTracer.Tracer, tracer))
  return {
    name,
    ops,
    run: async () => {
      await Effect.runPromise(loop)
      await after()
    }
  }
}

interface Ours {
  readonly active?: boolean
  readonly sampler?: Sampler.Sampler
  /** Whether rate, errors and duration are recorded, as the hub does. */
  readonly measured?: boolean
}

const ours = (span: Effect.Effect<void>, options: Ours = {}): Side => {
  const sink: Array<SpanData> = []
  const { active = true, measured = false, sampler = Sampler.parentBased(Sampler.always) } = options
  const store = makeStore({ maxSeriesPerMetric: 100, maxSeries: 100, maxMetrics: 10, buckets: {} }, () => 0)
  const tracer = ObservabilityTracer.make({
    active: () => active,
    now: () => 0,
    sampler: () => sampler,
    measured: () => measured ? "entry" : "off",
    measure: (operation, kind, failed, nanos) =>
      store.observe(SpanDuration, "histogram", Math.max(0, nanos) / 1e9, { operation, kind, status: failed ? "error" : "ok" }),
    onEnd: (ended) => {
      sink.push(ended)
    }
  })
  return side("our Tracer", span, tracer, () => void (sink.length = 0))
}

const minimal = (span: Effect.Effect<void>): Side => {
  const sink: Array<MinimalSpan> = []
  const tracer = EffectTracer.make({ span: (options) => new MinimalSpan(options, sink) })
  return side("minimal tracer", span, tracer, () => void (sink.length = 0))
}

const processor = new BatchSpanProcessor(
  { export: (_spans, done) => done({ code: 0 }), shutdown: () => Promise.resolve() },
  { maxQueueSize: 2 * ops, maxExportBatchSize: 2 * ops, scheduledDelayMillis: 60_000 }
)
const provider = new NodeTracerProvider({ spanProcessors: [processor] })

const opentelemetry = (span: Effect.Effect<void>): Side => {
  const tracer = Effect.runSync(Effect.provideService(OtelTracer.make, OtelTracer.OtelTracer, provider.getTracer("bench")))
  return side("@effect/opentelemetry + BatchSpanProcessor", span, tracer, () => processor.forceFlush())
}

const combined = Effect.void.pipe(Tracer.withSpan("bench"))
const standard = Effect.void.pipe(Effect.withSpan("bench"))
const disabled = Effect.void.pipe(Effect.withSpan("bench"), Effect.withTracerEnabled(false))

/** The SDK without Effect: what a program without fibers pays. */
const sdk = (): Side => {
  const tracer = provider.getTracer("bench")
  return {
    name: "OTel SDK startActiveSpan + BatchSpanProcessor",
    ops,
    run: async () => {
      for (let i = 0; i < ops; i++) tracer.startActiveSpan("bench", (span) => span.end())
      await processor.forceFlush()
    }
  }
}

/** `ops` steps in one fiber, all inside one span or in none. */
const steps = (name: string, around: (self: Effect.Effect<void>) => Effect.Effect<void>): Side => {
  const step = Effect.sync(() => {})
  const tracer = ObservabilityTracer.make({ active: () => true, now: () => 0, onEnd: () => {} })
  const loop = Effect.gen(function*() {
    for (let i = 0; i < ops; i++) yield* step
  }).pipe(around, Effect.provideService(EffectTracer.Tracer, tracer))
  return { name, ops, run: () => Effect.runPromise(loop) }
}

export default (bench: Bench): void => {
  // Its tracer enters the active OTel context, so the context manager people run with is part of it.
  const setup = () => provider.register()
  bench.compare({ name: "B1", unit: "ns/op", baseline: opentelemetry(standard), subject: ours(combined), must: 0.25, moonshot: 0.15, setup })
  bench.compare({ name: "B1.sdk", unit: "ns/op", baseline: sdk(), subject: ours(combined), must: 1, moonshot: 0.6, setup })
  bench.compare({ name: "B2", unit: "ns/op", baseline: minimal(bare), subject: ours(bare), must: 1.3, moonshot: 1.1 })
  bench.compare({ name: "B2.otel", unit: "ns/op", baseline: opentelemetry(bare), subject: ours(bare), must: 0.5, moonshot: 0.4, setup })
  bench.compare({ name: "B3", unit: "ns/op", baseline: minimal(full), subject: ours(full), moonshot: 1.15 })
  bench.compare({ name: "B3.otel", unit: "ns/op", baseline: opentelemetry(full), subject: ours(full), must: 0.5, setup })
  bench.compare({
    name: "B4",
    unit: "ns/op",
    baseline: steps("outside spans", (self) => self),
    subject: steps("inside a span", Tracer.withSpan("around")),
    must: 1.1,
    moonshot: 1.02
  })
  // The difference of two sides of one kind, in turn, as B5 bounds what is added and not a ratio.
  const added = (subject: Side, baseline: Side) => async (): Promise<number> => {
    const [first, second] = [await nanos(subject), await nanos(baseline)]
    return (first - second + (await nanos(subject)) - (await nanos(baseline))) / 2
  }
  bench.measure({ name: "B5", unit: "ns/op", run: added(ours(combined, { active: false }), ours(Effect.void)), must: 150, moonshot: 40 })
  bench.measure({
    name: "B5.disabled",
    unit: "ns/op",
    run: added(ours(Effect.withTracerEnabled(combined, false)), ours(Effect.withTracerEnabled(Effect.void, false))),
    must: 150,
    moonshot: 40
  })
  bench.compare({ name: "B5.effect", unit: "ns/op", baseline: ours(disabled), subject: ours(combined, { active: false }), moonshot: 1 / 15 })
  bench.measure({ name: "B5.unsampled", unit: "ns/op", run: added(ours(combined, { sampler: Sampler.never }), ours(Effect.void)) })
  // One more inside it costs next to nothing.
  const nested = combined.pipe(Tracer.withSpan("outer"))
  bench.measure({
    name: "B5.nested",
    unit: "ns/op",
    run: added(ours(nested, { sampler: Sampler.never }), ours(combined, { sampler: Sampler.never }))
  })
  // What span metrics add to a span that is not kept.
  bench.measure({
    name: "B5.measured",
    unit: "ns/op",
    run: added(ours(combined, { sampler: Sampler.never, measured: true }), ours(combined, { sampler: Sampler.never }))
  })
}

const rounds = 20
const nanos = async (side: Side): Promise<number> => {
  const start = performance.now()
  for (let i = 0; i < rounds; i++) await side.run()
  return ((performance.now() - start) * 1e6) / (rounds * side.ops)
}
