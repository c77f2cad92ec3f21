import { Ledger, Telemetry, Tracer } from "@effect-observability/core"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto"
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { type ChildProcess, fork } from "node:child_process"
import * as Path from "node:path"
import { OpenTelemetry } from "../../src/index.ts"
import type { OpenTelemetryOptions } from "../../src/OpenTelemetryConfig.ts"

export class Sink {
  private child: ChildProcess | undefined
  url = ""

  async start(): Promise<void> {
    const child = this.child = fork(Path.join(import.meta.dirname, "sink.mjs"), { stdio: "inherit" })
    this.url = `http://127.0.0.1:${await new Promise((resolve) => child.once("message", resolve))}`
  }

  stop(): void {
    this.child?.kill()
  }
}

/** Makes spans as fast as it can and waits until all of them are delivered. */
export interface Pipeline {
  readonly run: (spans: number) => Promise<void>
  readonly close: () => Promise<void>
}

const attributes = { "http.request.method": "GET", "http.route": "/orders/:id", "http.response.status_code": 200, "user.tier": "gold", retry: false }
const options = { attributes }

const loop = (spans: number, one: Effect.Effect<void>) =>
  Effect.gen(function*() {
    for (let i = 0; i < spans; i++) yield* one
  })

const withSpan = Effect.void.pipe(Effect.withSpan("op", options, { captureStackTrace: false }))

/** `combinator`: the spans are those of our own `withSpan`, else of Effect's. */
export const ours = (url: string, more: OpenTelemetryOptions & { readonly combinator?: boolean } = {}): Pipeline => {
  const { combinator = false, ...rest } = more
  const runtime = ManagedRuntime.make(Layer.fresh(OpenTelemetry.layer({ endpoint: url, metrics: false, logs: false, maxQueueSize: 1_000_000, ...rest })))
  const one = combinator ? Tracer.withSpan(Effect.void, "op", options) : withSpan
  let made = 0
  return {
    run: (spans) =>
      runtime.runPromise(Effect.gen(function*() {
        const telemetry = yield* Telemetry
        yield* loop(spans, one)
        yield* telemetry.flush
        made += spans
        const { ledger } = telemetry.reports()[0]!.signals[0]!
        if (Ledger.imbalance(ledger) !== undefined || ledger.exported !== made) throw new Error(`${ledger.exported} of ${made} spans were exported`)
      })),
    close: () => runtime.dispose()
  }
}

/**
 * The longest gap between two turns of the event loop while a batch of so many spans is encoded, sent and accounted for, in milliseconds of this
 * thread's own time: what other processes take from it is not the flush's doing.
 */
export const flushGap = (url: string, size: number) => {
  const runtime = ManagedRuntime.make(Layer.fresh(OpenTelemetry.layer({ endpoint: url, metrics: false, logs: false, batchSize: size, flushInterval: "1 hour" })))
  return {
    run: () =>
      runtime.runPromise(Effect.gen(function*() {
        const { flush } = yield* Telemetry
        // A batch that is full leaves by itself.
        yield* loop(size - 1, Tracer.withSpan(Effect.void, "op", options))
        // What recording left to the garbage collector is not the flush's doing.
        globalThis.gc?.()
        const context = yield* Effect.context<never>()
        return yield* Effect.promise(() => longestGap(() => Effect.runPromiseWith(context)(flush)))
      })),
    close: () => runtime.dispose()
  }
}

const longestGap = async (work: () => Promise<void>): Promise<number> => {
  let running = true
  let longest = 0
  let last = threadMillis()
  const turn = (): void => {
    const now = threadMillis()
    longest = Math.max(longest, now - last)
    last = now
    if (running) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  running = false
  return longest
}

const threadMillis = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1_000
}

export const effects = (url: string, serialization: Layer.Layer<OtlpSerialization.OtlpSerialization>): Pipeline => {
  const runtime = ManagedRuntime.make(
    OtlpTracer.layer({ url: `${url}/v1/traces`, resource: { serviceName: "bench" } }).pipe(Layer.provide(Layer.merge(FetchHttpClient.layer, serialization)))
  )
  return {
    run: (spans) =>
      runtime.runPromise(Effect.gen(function*() {
        const flusher = yield* OtlpExporter.Flusher
        yield* loop(spans, withSpan)
        yield* flusher.flush
      })),
    close: () => runtime.dispose()
  }
}

/** The SDK without Effect; its queue is as long as it must be, so that it drops nothing. */
export const sdk = (url: string): Pipeline => {
  const provider = new BasicTracerProvider({
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${url}/v1/traces`, concurrencyLimit: 10_000 }), { maxQueueSize: 1_000_000, maxExportBatchSize: 512 })]
  })
  const tracer = provider.getTracer("bench")
  return {
    run: async (spans) => {
      for (let i = 0; i < spans; i++) {
        tracer.startSpan("op", options).end()
        // Room for the exporter.
        if (i % 1_000 === 999) await new Promise((resolve) => setImmediate(resolve))
      }
      await provider.forceFlush()
    },
    close: () => provider.shutdown()
  }
}
