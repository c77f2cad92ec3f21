import { type CompositionError, Exporter, type SpanData, type SpanSelection, Telemetry } from "@effect-observability/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Origin } from "../encoding/envelope.ts"
import { causeOf } from "../transport/causeOf.ts"
import { resourceAttributes } from "../internal/resource.ts"
import { version } from "../internal/version.ts"
import { readableSpan } from "./readableSpan.ts"

/** OpenTelemetry's `SpanExporter` (`@opentelemetry/sdk-trace-base`), by its shape: that package is needed only by who makes one. */
export interface SpanExporterLike {
  export(spans: ReadonlyArray<any>, resultCallback: (result: { readonly code: number; readonly error?: Error }) => void): void
  shutdown(): Promise<void>
  forceFlush?(): Promise<void>
}

export interface SpanExporterOptions {
  /** Unique in the composition; default `"span-exporter"`. */
  readonly name?: string
  /** More attributes of the resource. */
  readonly resource?: Readonly<Record<string, string | number | boolean>>
  readonly spans?: SpanSelection
  /** Most spans per call; default 512. */
  readonly batchSize?: number
  /** Default: `flushInterval` of the settings. */
  readonly flushInterval?: Duration.Input
  /** Deadline of one call; default `requestTimeout` of the settings. */
  readonly timeout?: Duration.Input
  /** Calls per batch, since such an exporter does not say whether trying again helps. Default 5. */
  readonly maxAttempts?: number
}

/** How long an exporter may take to shut down. */
const shutdownTimeout = "2 seconds"

/**
 * Any `SpanExporter` of OpenTelemetry as a backend: its spans come from the hub, and queue, retry and ledger are the hub's. The exporter is shut
 * down with the layer's scope.
 *
 * @example
 * ```ts
 * const zipkin = OpenTelemetry.fromSpanExporter(new ZipkinExporter(), { name: "zipkin" })
 * ```
 */
export const fromSpanExporter = (
  exporter: SpanExporterLike,
  options: SpanExporterOptions = {}
): Layer.Layer<Layer.Success<typeof Telemetry.layer>, CompositionError> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const settings = telemetry.settings()
    const { batchSize = 512, flushInterval = settings.flushInterval, maxAttempts = 5, name = "span-exporter", timeout = settings.requestTimeout } = options
    if (!settings.enabled || !settings.tracing.enabled) return
    const origin: Origin = { resource: resourceAttributes(telemetry.resource, options.resource ?? {}), scope: { name: "effect-observability", version } }
    // Added before the queue, so that it runs after the last batch.
    yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeoutOption(Effect.tryPromise(() => exporter.shutdown()), shutdownTimeout)))
    const processor = yield* telemetry.exportSpans({
      name,
      exporter: { export: (batch) => Effect.suspend(() => send(exporter, batch.map((span) => readableSpan(span, origin)))) },
      select: options.spans,
      policy: { batchSize, flushInterval, maxAttempts, attemptTimeout: timeout }
    })
    const flush = exporter.forceFlush === undefined ? Effect.void : Effect.ignore(Effect.tryPromise(() => exporter.forceFlush!()))
    yield* telemetry.register({
      name,
      kind: "span-exporter",
      onSpan: (span: SpanData) => void processor.offerUnsafe(span),
      flush: Effect.andThen(processor.flush, flush),
      report: () => {
        const { failures, lastError, lastErrorAt, oldestAgeMillis, queuedBytes, queuedItems } = processor.status()
        return {
          name,
          kind: "span-exporter",
          status: failures > 0 ? "degraded" : "up",
          reason: failures > 0 ? lastError : undefined,
          signals: [{
            signal: "spans",
            ledger: processor.ledger(),
            queuedItems,
            queuedBytes,
            oldestAgeMillis,
            lastError: lastError === undefined || lastErrorAt === undefined ? undefined : { message: lastError, at: lastErrorAt }
          }]
        }
      }
    })
  })).pipe(Layer.provideMerge(Telemetry.layer))

const success = 0

const send = (exporter: SpanExporterLike, spans: ReadonlyArray<unknown>): Effect.Effect<Exporter.ExportOutcome, Exporter.ExportError> =>
  Effect.callback((resume) => {
    exporter.export(spans, ({ code, error }) => {
      if (code === success) return resume(Effect.succeed(Exporter.complete))
      const why = `the span exporter failed${error === undefined ? "" : `: ${causeOf(error)}`}`
      // `OTLPExporterError` has the HTTP status of the answer.
      const status = (error as { readonly code?: unknown } | undefined)?.code
      const final = typeof status === "number" && status >= 300 && status < 500 && status !== 408 && status !== 429
      resume(Effect.fail(final ? Exporter.refused(why, `rejected:${status}`, status === 400 || status === 413) : Exporter.unavailable(why)))
    })
  })
