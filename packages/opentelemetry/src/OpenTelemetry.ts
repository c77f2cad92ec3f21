import { type BatchProcessor, type ComponentReport, type CompositionError, type ErrorData, type LogData, pipesReport, type ReportedPipe, type SignalReport, type SpanData, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Origin } from "./encoding/envelope.ts"
import { fromEnvironment } from "./internal/environment.ts"
import { version } from "./internal/version.ts"
import { OpenTelemetryError, type OpenTelemetryOptions, resolve } from "./OpenTelemetryConfig.ts"
import * as Logs from "./OpenTelemetryLogs.ts"
import * as Metrics from "./OpenTelemetryMetrics.ts"
import * as Spans from "./OpenTelemetrySpans.ts"
import { labelOf, type Target } from "./transport/Target.ts"
import * as Transport from "./transport/Transport.ts"

export { type MetricsOptions, OpenTelemetryError, type OpenTelemetryOptions, type OtlpOptions, type Protocol, type TlsOptions } from "./OpenTelemetryConfig.ts"
export { fromSpanExporter, type SpanExporterLike, type SpanExporterOptions } from "./spanExporter/fromSpanExporter.ts"

type Hub = Layer.Success<typeof Telemetry.layer>

/**
 * Sends spans, metrics, log lines and errors to any receiver of the OpenTelemetry protocol: a collector, or a vendor's intake. It connects in the background; while the
 * receiver is away everything waits in a bounded queue, and what gives way there is counted.
 *
 * The layer fails on options that cannot be used, and never because of the receiver.
 *
 * @example
 * ```ts
 * const observability = OpenTelemetry.layer({
 *   endpoint: "https://otlp.example.com",
 *   headers: { authorization: Redacted.make("Bearer …") },
 *   compression: "gzip"
 * })
 * NodeRuntime.runMain(Layer.launch(App).pipe(Effect.provide(observability)))
 * ```
 */
export const layer = (options: OpenTelemetryOptions = {}): Layer.Layer<Hub, OpenTelemetryError | CompositionError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))

/** As `layer`, with OpenTelemetry's environment variables (`OTEL_EXPORTER_OTLP_*` and others) over the options, read through `ConfigProvider`. */
export const layerConfig = (options: OpenTelemetryOptions = {}): Layer.Layer<Hub, OpenTelemetryError | CompositionError> =>
  Layer.effectDiscard(Effect.flatMap(fromEnvironment(options), make)).pipe(Layer.provideMerge(Telemetry.layer))

/** The backend alone, on a hub that is there. */
export const layerBackend = (options: OpenTelemetryOptions = {}): Layer.Layer<never, OpenTelemetryError | CompositionError, Telemetry> =>
  Layer.effectDiscard(make(options))

const make = (options: OpenTelemetryOptions): Effect.Effect<void, OpenTelemetryError | CompositionError, Telemetry | Scope.Scope> =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const config = resolve(options, telemetry.settings(), telemetry.resource)
    if (config instanceof OpenTelemetryError) return yield* config
    const { batchSize, flushInterval, maxQueueSize, maxRequestBytes, name } = config
    const origin: Origin = { resource: config.resource, scope: { name: "effect-observability", version } }
    const notes = new Map<SignalReport["signal"], string>()
    let pointsRejected = 0

    const metrics = config.metrics === undefined ? undefined : yield* telemetry.exportFrames({
      name,
      interval: config.metrics.interval,
      exporter: Metrics.make({
        ...yield* common("metrics", config.metrics),
        points: () => {
          const { defaultLabels: labels, prefix } = telemetry.settings().metrics
          return { temporality: config.metrics!.temporality, prefix, labels, maxBytes: maxRequestBytes }
        },
        onPointsRejected: (count) => pointsRejected += count
      }),
      policy: { batchSize: 1, attemptTimeout: config.metrics.timeout }
    })
    const spans = config.traces === undefined ? undefined : yield* telemetry.exportSpans({
      name,
      exporter: Spans.make({ ...yield* common("spans", config.traces), exceptions: config.exceptions !== "logs" || config.logs === undefined }),
      select: config.spans,
      policy: { batchSize, flushInterval, maxItems: maxQueueSize, attemptTimeout: config.traces.timeout }
    })
    const logs = config.logs === undefined ? undefined : yield* telemetry.exportLogs({
      name,
      exporter: Logs.logs(yield* common("logs", config.logs)),
      policy: { batchSize, flushInterval, maxItems: maxQueueSize, attemptTimeout: config.logs.timeout }
    })
    const errors = config.logs === undefined || config.exceptions === "events" ? undefined : yield* telemetry.exportErrors({
      name,
      exporter: Logs.errors(yield* common("errors", config.logs)),
      policy: { batchSize, attemptTimeout: config.logs.timeout }
    })
    const pipes = Object.entries({ metrics, spans, logs, errors }).flatMap(([signal, processor]) =>
      processor === undefined ? [] : [{ signal: signal as SignalReport["signal"], processor: processor as BatchProcessor.BatchProcessor<never> }])
    if (pipes.length === 0) return

    yield* telemetry.register({
      name,
      kind: "opentelemetry",
      ...(spans === undefined ? {} : { onSpan: (span: SpanData) => void spans.offerUnsafe(span) }),
      ...(logs === undefined ? {} : { onLog: (log: LogData) => void logs.offerUnsafe(log) }),
      ...(errors === undefined ? {} : { onError: (error: ErrorData) => void errors.offerUnsafe(error) }),
      flush: Effect.forEach(pipes, ({ processor }) => processor.flush, { concurrency: "unbounded", discard: true }),
      report: () => report(name, pipes, notes, pointsRejected)
    })

    function common(signal: SignalReport["signal"], target: Target) {
      return Effect.map(Transport.make(target), (transport) => ({
        transport,
        format: target.protocol === "http/json" ? "json" as const : "protobuf" as const,
        origin,
        maxRequestBytes,
        onPartial: (message: string) => void (message === "" ? notes.delete(signal) : notes.set(signal, `${labelOf(target)}: ${message}`))
      }))
    }
  })

const report = (
  name: string,
  pipes: ReadonlyArray<ReportedPipe>,
  notes: ReadonlyMap<string, string>,
  pointsRejected: number
): ComponentReport => {
  const state = pipesReport(pipes, [...notes.values()][0])
  const untried = pipes.every(({ processor }) => processor.status().lastSuccessAt === undefined)
  return {
    ...state,
    name,
    kind: "opentelemetry",
    status: state.status === "up" && untried ? "starting" : state.status,
    ...(pointsRejected === 0 ? {} : { repaired: { data_points_rejected: pointsRejected } })
  }
}
