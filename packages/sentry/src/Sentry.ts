import {
  type ComponentReport, type CompositionError, type ErrorData, type LogData, pipesReport, quietly, type ReportedPipe, type SpanData, Telemetry
} from "@effect-observability/core"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { resolve, SentryConfigError, type SentryOptions } from "./SentryConfig.ts"
import { SentrySink } from "./SentryExporter.ts"

export { SentryConfigError, type SentryOptions } from "./SentryConfig.ts"
export type { SentryEvent, SentryException } from "./SentryEncoding.ts"

type Hub = Layer.Success<typeof Telemetry.layer>

/** What Sentry is told on its own when nothing else goes there. */
const reportEvery = "1 minute"
/** For the last report, when everything else is delivered. */
const lastReport = "300 millis"
/** Spans of one envelope: far below Sentry's limits. */
const spansPerEnvelope = 500

/**
 * Errors and traces to Sentry, as envelopes of its own. Sentry being away harms nobody: what is to be sent waits, the report says so. Fails only when
 * it was set up wrongly.
 *
 * @example
 * ```ts
 * const observability = Layer.mergeAll(Prometheus.layer(), Sentry.layer({ dsn: Redacted.make(dsn), release: "shop@1.4.2" }))
 * NodeRuntime.runMain(Layer.launch(App).pipe(Effect.provide(observability)))
 * ```
 */
export const layer = (options: SentryOptions = {}): Layer.Layer<Hub, SentryConfigError | CompositionError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))

/** `layer` with `SENTRY_DSN`, `SENTRY_ENVIRONMENT` and `SENTRY_RELEASE` over the options, where they are set. */
export const layerConfig = (options: SentryOptions = {}): Layer.Layer<Hub, SentryConfigError | CompositionError> =>
  Layer.unwrap(Effect.map(fromEnvironment, (found) => layer({ ...options, ...found })))

/** The backend alone, on a hub that is there. */
export const layerBackend = (options: SentryOptions = {}): Layer.Layer<never, SentryConfigError | CompositionError, Telemetry> =>
  Layer.effectDiscard(quietly(make(options)))

const fromEnvironment: Effect.Effect<SentryOptions, SentryConfigError> = Effect.gen(function*() {
  const dsn = yield* Config.option(Config.Redacted("SENTRY_DSN"))
  const environment = yield* Config.option(Config.String("SENTRY_ENVIRONMENT"))
  const release = yield* Config.option(Config.String("SENTRY_RELEASE"))
  return {
    ...(Option.isSome(dsn) ? { dsn: dsn.value } : {}),
    ...(Option.isSome(environment) ? { environment: environment.value } : {}),
    ...(Option.isSome(release) ? { release: release.value } : {})
  }
}).pipe(Effect.mapError(() => new SentryConfigError({ problems: [{ field: "environment", message: "the variables SENTRY_* cannot be read" }] })))

const make = (options: SentryOptions): Effect.Effect<void, SentryConfigError | CompositionError, Telemetry | Scope.Scope> =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const settings = telemetry.settings()
    if (!settings.enabled) return
    const config = yield* resolve(options, settings, telemetry.resource)
    const sink = new SentrySink(config)
    yield* Effect.addFinalizer(() => Effect.sync(() => sink.close()))
    // Runs when the queues below have drained: what they lost is told, if Sentry listens.
    yield* Effect.addFinalizer(() => quietly(Effect.timeoutOption(sink.report, lastReport)))
    const tracing = settings.tracing.enabled && config.traces !== false
    const spans = tracing
      ? yield* telemetry.exportSpans({
        name: config.name,
        exporter: config.traces === "spans" ? sink.spans : sink.transactions,
        select: config.spans,
        policy: { batchSize: spansPerEnvelope, flushInterval: config.flushInterval }
      })
      : undefined
    const logs = config.logs
      ? yield* telemetry.exportLogs({ name: config.name, exporter: sink.logs, policy: { batchSize: 100, flushInterval: config.flushInterval } })
      : undefined
    const errors = yield* telemetry.exportErrors({ name: config.name, exporter: sink.errors, policy: { batchSize: 1, flushInterval: 0 } })
    sink.reports.watch("error", errors.ledger)
    if (spans !== undefined) sink.reports.watch(config.traces === "spans" ? "span" : "transaction", spans.ledger)
    if (logs !== undefined) sink.reports.watch("log_item", logs.ledger)
    yield* Effect.forkScoped(quietly(Effect.forever(Effect.catchCause(Effect.delay(sink.report, reportEvery), () => Effect.void))))

    const signals = [
      { signal: "errors" as const, processor: errors },
      ...(spans === undefined ? [] : [{ signal: "spans" as const, processor: spans }]),
      ...(logs === undefined ? [] : [{ signal: "logs" as const, processor: logs }])
    ]
    yield* telemetry.register({
      name: config.name,
      kind: "sentry",
      onError: (error: ErrorData) => void errors.offerUnsafe(error),
      ...(spans === undefined ? {} : { onSpan: (span: SpanData) => void spans.offerUnsafe(span) }),
      ...(logs === undefined ? {} : { onLog: (log: LogData) => void logs.offerUnsafe(log) }),
      flush: Effect.all(signals.map(({ processor }) => processor.flush), { concurrency: "unbounded", discard: true }),
      report: () => report(config.name, signals)
    })
  })

const report = (name: string, pipes: ReadonlyArray<ReportedPipe>): ComponentReport => ({ ...pipesReport(pipes), name, kind: "sentry" })
