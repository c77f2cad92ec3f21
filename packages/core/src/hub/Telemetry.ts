import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { ConfigurationError, ObservabilitySettings } from "../config/ObservabilityConfig.ts"
import type { AlertCoordinator } from "../alerting/AlertCoordinator.ts"
import type { AlertEvent, AlertStatus } from "../alerting/Alert.ts"
import type { ErrorData } from "../errors/ErrorData.ts"
import type { LogOutput } from "../logs/LogOutput.ts"
import type { ErrorVerdict } from "../errors/ErrorPolicy.ts"
import type { LogData } from "../logs/LogData.ts"
import type { MetricDefinition, MetricDefinitionError } from "../metrics/MetricDefinition.ts"
import type { MetricFrame } from "../metrics/MetricFrame.ts"
import type { MetricsRecorder } from "../metrics/MetricsRecorder.ts"
import type { MetricStore } from "../metrics/MetricStore.ts"
import type { BatchProcessor, Policy } from "../pipe/BatchProcessor.ts"
import type { Exporter } from "../pipe/Exporter.ts"
import type { LedgerSnapshot } from "../pipe/Ledger.ts"
import type { SamplingReport } from "../tracing/ObservabilityTracer.ts"
import type { Sampler } from "../tracing/sampling/Sampler.ts"
import type { SpanData } from "../tracing/SpanData.ts"
import type { Tracer } from "../tracing/Tracer.ts"
import type { Handover } from "./internal/Succession.ts"
import type { ConfigurationState, ReloadReport, Transition } from "./Reload.ts"
import type { CapacityReport } from "./Capacity.ts"
import type { Diagnostics } from "./Diagnostics.ts"
import type { Health, HealthPart } from "./Health.ts"
import type { UpkeepReport } from "./Upkeep.ts"
import { layer as live } from "./TelemetryLive.ts"

/** Who is observed: one per process. */
export interface ServiceResource {
  readonly service: string
  readonly version: string
  /** Unique per process start. */
  readonly instance: string
  readonly env: string
  /** `""` for none. */
  readonly cluster: string
}

/** How one backend does. `degraded` still works, `down` loses what its buffer cannot hold. */
export interface ComponentReport {
  readonly name: string
  readonly kind: string
  readonly status: "starting" | "up" | "degraded" | "down"
  /** One line for people: why it is not up. */
  readonly reason: string | undefined
  readonly signals: ReadonlyArray<SignalReport>
  /** Values that were changed so that the sink can hold them, by reason, since the start of the process. */
  readonly repaired?: Readonly<Record<string, number>>
}

/** What passes through the hub. */
export type Signal = "metrics" | "spans" | "errors" | "logs" | "alerts"

export interface SignalReport {
  readonly signal: Signal
  readonly ledger: LedgerSnapshot
  readonly queuedItems: number
  readonly queuedBytes: number
  readonly oldestAgeMillis: number
  readonly lastError: { readonly message: string; readonly at: number } | undefined
}

/** What a backend or signal did that is there no longer. */
export interface RemovedBooks {
  readonly backend: string
  readonly signal: Signal
  readonly ledger: LedgerSnapshot
}

/** One queue of a backend, its filling told from the last minute. */
export interface QueueReport {
  readonly backend: string
  readonly signal: Signal
  readonly items: number
  readonly maxItems: number
  readonly bytes: number
  readonly maxBytes: number
  readonly oldestAgeMillis: number
  /** By how much it grows, items per second; negative while it empties, 0 while that is not known yet. */
  readonly itemsPerSecond: number
  /** When it is full if that goes on; `undefined` while it does not grow. A full queue of frames merges them, the others lose. */
  readonly secondsToFull: number | undefined
  /** Failed attempts in a row. */
  readonly failures: number
  /** Of those, the last ones in a row that gave no answer in time. */
  readonly hangs: number
  /** How often a connection was made anew after an attempt without an answer, or another fiber took over. */
  readonly rebuilds: number
  readonly lastError: { readonly message: string; readonly at: number } | undefined
  readonly lastSuccessAt: number | undefined
  /** Items given up since the start of the process, for whatever reason. */
  readonly lost: number
  readonly balanced: boolean
}

/** What `LoadControl` tells the hub; nothing in it may throw. */
export interface LoadGate {
  /** `false`: the backends are spared it. Called once for each, before any backend is told. */
  readonly span: (span: SpanData) => boolean
  readonly error: (error: ErrorData) => boolean
  readonly log: (log: LogData) => boolean
  /** The share of the traces the sampler wants that is kept, above 0, at most 1. */
  readonly ratio: () => number
  readonly report: () => LoadReport
}

/** The books of the hub's queues, for who gives something up before it comes to them or while it waits there. */
export interface LoadBooks {
  readonly refuse: (signal: Signal, count: number, reason: string) => void
  /** How many items were let go, over all queues. */
  readonly shed: <A>(signal: Signal, which: (item: A) => boolean, reason: string) => number
}

/** How `LoadControl` judges the program. */
export interface LoadReport {
  /** 0 (nothing is given up) to 4 (only metrics are kept). */
  readonly level: number
  readonly samplingRatio: number
  /** How much of each limit is used, 1 being all of it: of the memory's soft limits, and of the queues of spans. */
  readonly pressure: Readonly<Record<string, number>>
  /** What was given up since the start of the process, by kind. */
  readonly shed: Readonly<Record<string, number>>
  /** When the level changed last, milliseconds since the epoch. */
  readonly since: number | undefined
}

/** Two backends of one name, or two providers of one history: the message says which to rename or remove. */
export class CompositionError extends Schema.TaggedError<CompositionError>()("CompositionError", {
  message: Schema.String
}) {}

/** What a backend tells the hub about itself; it stands as long as the backend's scope is open. */
export interface Listener {
  /** Unique in the composition; `"postgres"`, `"prometheus"`, …. */
  readonly name: string
  readonly kind: string
  /**
   * Called for every ended, sampled span, synchronously. What it throws is swallowed and counted. When the listener leaves it is called
   * for every span that is still open, marked with the attribute `span.unfinished`.
   */
  readonly onSpan?: (span: SpanData) => void
  /** Called once for every reported error, synchronously. What it throws is swallowed and counted. */
  readonly onError?: (error: ErrorData) => void
  /** Called for every log line of the program at or above its minimum level, synchronously. What it throws is swallowed and counted. */
  readonly onLog?: (log: LogData) => void
  /** Called when an alert began or ended, synchronously. What it throws is swallowed and counted. */
  readonly onAlert?: (event: AlertEvent) => void
  /** What processes that share a store alert through, so that somebody is told once. */
  readonly coordinator?: AlertCoordinator
  /** Alerts that are pending or fire at the moment. */
  readonly alerts?: () => ReadonlyArray<AlertStatus>
  /** Brings everything recorded so far to the sink and waits for it. */
  readonly flush?: Effect.Effect<void>
  readonly report: () => ComponentReport
  /** What it says of the database and disk it stands on. */
  readonly parts?: () => ReadonlyArray<HealthPart>
  /** How fast its store grows; `undefined` while that is not known. */
  readonly capacity?: () => CapacityReport | undefined
  /** What its store does about a disk that fills; `undefined` where that is off. */
  readonly upkeep?: () => UpkeepReport | undefined
}

export interface ReportOptions {
  /** Default `true`: the program goes on after it. */
  readonly handled?: boolean | undefined
  /** Kept with the error; plain values as on a span. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
  /** A verdict for when neither the policy nor the error says otherwise. */
  readonly fallback?: ErrorVerdict | undefined
}

/** An occurrence and what the policy says about it. */
export interface ReportedError {
  readonly errorId: string
  readonly verdict: ErrorVerdict & Required<Pick<ErrorVerdict, "errorClass" | "level" | "strategy">>
  /** What listeners are told now; `undefined` when they were told before. */
  readonly data: ErrorData | undefined
}

/** What one backend takes of the spans that are kept. */
export interface SpanSelection {
  /** Whether a span is wanted; the others are counted as `filtered`. One that throws lets nothing through (`filter_defect`). */
  readonly filter?: ((span: SpanData) => boolean) | undefined
  /** Share of the kept traces, 0 to 1, the same for all spans of a trace; their weight rises accordingly. The rest is `sampled_out`. */
  readonly sampleRatio?: number | undefined
}

/** The spans that have begun and not ended. */
export interface OpenSpans {
  readonly open: number
  /** The one that has been open longest. */
  readonly oldest: { readonly name: string; readonly traceId: string; readonly spanId: string; readonly ageMillis: number } | undefined
  /** How many were open when the list of 10,000 was full, and are watched no longer. */
  readonly forgotten: number
}

/**
 * The hub of a program: it holds the metric store and the listeners. `Telemetry.layer` is one constant Layer; every backend
 * Layer is built on it, so that backends merged side by side share it.
 */
export class Telemetry extends Context.Service<Telemetry, {
  readonly store: MetricStore
  /** The settings in force. Read them where they are used, never capture them: they may change while running. */
  readonly settings: () => ObservabilitySettings
  readonly resource: ServiceResource
  readonly register: (listener: Listener) => Effect.Effect<void, CompositionError, Scope.Scope>
  /** Claims the only place for a history service; fails with a message that says which two want it. */
  readonly claim: (service: string, owner: string) => Effect.Effect<void, CompositionError, Scope.Scope>
  /**
   * A pipe for metric frames: takes one from the store at every point of the time grid and offers it to a `BatchProcessor`;
   * flushed and drained when the scope closes. Frames queued too long are merged, so that totals are never lost.
   */
  readonly exportFrames: (options: {
    readonly name: string
    readonly exporter: Exporter<MetricFrame>
    /** Milliseconds; the grid is multiples of it since the epoch. */
    readonly interval: number
    readonly policy?: Partial<Policy<MetricFrame>>
  }) => Effect.Effect<BatchProcessor<MetricFrame>, never, Scope.Scope>
  /** A pipe for spans; give its `offerUnsafe` to `Listener.onSpan`. */
  readonly exportSpans: (options: {
    readonly name: string
    readonly exporter: Exporter<SpanData>
    /** Which spans the backend wants; all of them by default. */
    readonly select?: SpanSelection | undefined
    readonly policy?: Partial<Policy<SpanData>>
  }) => Effect.Effect<BatchProcessor<SpanData>, never, Scope.Scope>
  /** A pipe for errors; give its `offerUnsafe` to `Listener.onError`. They are few and precious: when it is full the first ones stay. */
  readonly exportErrors: (options: {
    readonly name: string
    readonly exporter: Exporter<ErrorData>
    readonly policy?: Partial<Policy<ErrorData>>
  }) => Effect.Effect<BatchProcessor<ErrorData>, never, Scope.Scope>
  /** A pipe for log lines; give its `offerUnsafe` to `Listener.onLog`. When it is full the oldest give way. */
  readonly exportLogs: (options: {
    readonly name: string
    readonly exporter: Exporter<LogData>
    readonly policy?: Partial<Policy<LogData>>
  }) => Effect.Effect<BatchProcessor<LogData>, never, Scope.Scope>
  /** A pipe for what happened to alerts; give its `offerUnsafe` to `Listener.onAlert`. When it is full the oldest give way. */
  readonly exportAlerts: (options: {
    readonly name: string
    readonly exporter: Exporter<AlertEvent>
    readonly policy?: Partial<Policy<AlertEvent>>
  }) => Effect.Effect<BatchProcessor<AlertEvent>, never, Scope.Scope>
  /** A line of Effect's loggers as it is kept: plain, with ids, without secrets. Never throws. */
  readonly lineOf: (options: Logger.Options<unknown>) => LogData
  /** Writes the program's log lines in the place of its loggers, until the scope closes; one at a time. `Logs.layer` does it. */
  readonly writeLogs: (output: LogOutput) => Effect.Effect<void, CompositionError, Scope.Scope>
  /**
   * Reports what failed in a cause where the fiber stands, as Effect's `ErrorReporter` would; the same occurrence only once. Gives its id
   * and what the policy says about it; `undefined` when nothing failed (it was interrupted), or the error is to be ignored. Never throws.
   */
  readonly reportUnsafe: (cause: Cause.Cause<unknown>, fiber: Fiber.Fiber<unknown, unknown>, options?: ReportOptions) => ReportedError | undefined
  /** The id under which a cause is reported or will be; `undefined` when nothing failed. */
  readonly errorIdUnsafe: (cause: Cause.Cause<unknown>, fiber: Fiber.Fiber<unknown, unknown>) => string | undefined
  /**
   * Hands an error to the listeners, for sources beside Effect's `ErrorReporter`. Secrets are taken out of it first. Never throws, never
   * waits.
   */
  readonly recordErrorUnsafe: (error: ErrorData) => void
  /** As `recordErrorUnsafe`, of a log line that did not come from Effect's loggers. */
  readonly recordLogUnsafe: (log: LogData) => void
  /** Hands on that an alert began or ended. Never throws, never waits. */
  readonly recordAlertUnsafe: (event: AlertEvent) => void
  /** Alerts that are pending or fire at the moment. */
  readonly alerts: () => ReadonlyArray<AlertStatus>
  /** Of the first backend that has one. */
  readonly coordinator: () => AlertCoordinator | undefined
  /** Whether anybody takes errors or log lines: without, they need not be made. */
  readonly listensTo: (signal: "errors" | "logs") => boolean
  /** Another sampler from the next trace on; what is held goes on under the former one. Fails when its settings are wrong. */
  readonly setSampler: (sampler: Sampler) => Effect.Effect<void, ConfigurationError>
  /**
   * Puts other settings in force, in one step: what is read where it is used, the limits and redaction, the bounds of the store, the queues' policy.
   * What cannot change while the program runs stays as it is and is named in the report. The backends of `handover` take their places in the same step.
   * `Observability.layerConfig` does this for files and signals, and
   * exchanges backends too.
   */
  readonly reload: (settings: ObservabilitySettings, handover?: Handover) => Effect.Effect<ReloadReport>
  /** What `reload` would put in force, and what of it would change; changes nothing. */
  readonly preview: (settings: ObservabilitySettings) => Transition
  /** Notes that newer settings could not be used: they are counted, and `Diagnostics` and `Health` say why. The message must hold no secret. */
  readonly reloadFailed: (message: string) => Effect.Effect<void>
  readonly configuration: () => ConfigurationState
  /** The books of sampling. */
  readonly sampling: () => SamplingReport
  /** Flushes every backend, side by side, and waits for all of them. */
  readonly flush: Effect.Effect<void>
  /** The books in them hold those of backends whose places they took. */
  readonly reports: () => ReadonlyArray<ComponentReport>
  /** The books of what is in none of the reports: backends and signals that were taken out. */
  readonly removed: () => ReadonlyArray<RemovedBooks>
  /** Stores that say how fast they grow, by backend. */
  readonly capacity: () => ReadonlyArray<CapacityReport & { readonly backend: string }>
  /** What stores do about a disk that fills, by backend. */
  readonly upkeep: () => ReadonlyArray<UpkeepReport & { readonly backend: string }>
  /** The queues made by this hub. */
  readonly queues: () => ReadonlyArray<QueueReport>
  /** How full the queues of spans are, 0 to 1, by the least full of them: what a dead backend cannot take, another may. */
  readonly spanQueueFill: () => number
  /** Spares the backends what a gate holds back, until the scope closes; one at a time. `LoadControl.layer` does it. */
  readonly giveWay: (gate: LoadGate) => Effect.Effect<LoadBooks, CompositionError, Scope.Scope>
  /** What `LoadControl` says, where there is one. */
  readonly load: () => LoadReport | undefined
  /** Spans never ended show here: many open ones, and an old oldest. */
  readonly openSpans: () => OpenSpans
  /** Brings the `obs_*` metrics and all that is read on demand up to date; called before a frame is taken or a page is rendered. */
  readonly refreshSelfMetrics: () => void
  /** The same for a reader of frames of its own, which no page waits for. */
  readonly refreshForFrame: () => void
}>()("@effect-observability/core/Telemetry") {
  /**
   * The hub with the words of the program on it. Backends build on it (`Layer.provideMerge(Telemetry.layer)`); alone it records
   * into the store and nobody listens. Settings come from the `ObservabilityConfig` reference.
   */
  static readonly layer: Layer.Layer<Telemetry | MetricsRecorder | Tracer | Diagnostics | Health> = Layer.suspend(() => live)

  /**
   * Declares metrics when the program starts, so that a name used twice with different types or labels fails there, with a message that
   * names the field, and not as a counted refusal later.
   */
  static readonly declare = (
    ...definitions: ReadonlyArray<MetricDefinition>
  ): Layer.Layer<never, MetricDefinitionError, Telemetry> =>
    Layer.effectDiscard(Effect.flatMap(Telemetry, ({ store }) =>
      Effect.forEach(definitions, (definition) => {
        const wrong = store.declare(definition)
        return wrong === undefined ? Effect.void : Effect.fail(wrong)
      }, { discard: true })))
}
