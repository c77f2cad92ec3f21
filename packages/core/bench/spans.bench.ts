import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as EffectTracer from "effect/Tracer"
import type { Bench, Side } from "../../../test/bench/Bench.ts"
import * as ObservabilityTracer from "../src/tracing/ObservabilityTracer.ts"
import type { SpanData } from "../src/tracing/SpanData.ts"

// Budgets B2 and B3: our Tracer behind plain `Effect.withSpan`, stack capture off on all sides. What Effect's combinator costs is
// part of every figure. Spans end in an array that is emptied between runs: recorded, not yet encoded.

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

const ours = (span: Effect.Effect<void>): Side => {
  const sink: Array<SpanData> = []
  const tracer = ObservabilityTracer.make({
    active: () => true,
    sampleRate: () => 1,
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

export default (bench: Bench): void => {
  // Its tracer enters the active OTel context, so the context manager people run with is part of it.
  const setup = () => provider.register()
  bench.compare({ name: "B2", unit: "ns/op", baseline: minimal(bare), subject: ours(bare), must: 1.3, moonshot: 1.1 })
  bench.compare({ name: "B2.otel", unit: "ns/op", baseline: opentelemetry(bare), subject: ours(bare), must: 0.5, moonshot: 0.4, setup })
  bench.compare({ name: "B3", unit: "ns/op", baseline: minimal(full), subject: ours(full), moonshot: 1.15 })
  bench.compare({ name: "B3.otel", unit: "ns/op", baseline: opentelemetry(full), subject: ours(full), must: 0.5, setup })
}
