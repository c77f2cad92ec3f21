import { HistoryError, MetricsHistory, pipesReport, quietly, Telemetry, TraceHistory } from "@effect-observability/core"
import type { BatchProcessor, ComponentReport, CompositionError, ErrorData, LogData, SpanData } from "@effect-observability/core"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { type ClickHouseConfig, ClickHouseConfigError, type ClickHouseOptions, resolve } from "./ClickHouseConfig.ts"
import * as History from "./ClickHouseHistory.ts"
import * as Logs from "./ClickHouseLogs.ts"
import * as Metrics from "./ClickHouseMetrics.ts"
import * as Spans from "./ClickHouseSpans.ts"
import * as Connection from "./internal/Connection.ts"
import * as Inserter from "./internal/Inserter.ts"
import { ofError, ofLog } from "./internal/logRecord.ts"
import { resourceBytes } from "./internal/resource.ts"
import { repairs } from "./internal/RowWriter.ts"
import * as Store from "./internal/Store.ts"

export { ClickHouseConfigError, type ClickHouseOptions } from "./ClickHouseConfig.ts"

type Services = MetricsHistory | TraceHistory
/** What a backend gives beside the recording: nothing when its history is switched off. */
type Gives<O extends Partial<ClickHouseOptions>> = O extends { readonly history: false } ? never : Services
type Hub = Layer.Success<typeof Telemetry.layer>
type Wrong = ClickHouseConfigError | CompositionError

/**
 * Keeps metrics and traces in ClickHouse, in the tables of the OpenTelemetry collector, and answers questions about them. On its own it needs
 * the hub; `layer` brings it.
 *
 * The Layer never waits for the server: it connects and makes the tables in the background, says in its report how far it is, and what
 * is recorded meanwhile waits in the queues. It fails only when it was set up wrongly.
 */
export const layerBackend = <const O extends ClickHouseOptions>(options: O): Layer.Layer<Gives<O>, Wrong, Telemetry> =>
  // With `history: false` the context is empty, as the type says.
  Layer.effectContext(quietly(make(options)) as Effect.Effect<Context.Context<Gives<O>>, Wrong, Telemetry | Scope.Scope>)

/**
 * `layerBackend` with the hub: enough for a program that records. Several backends side by side share one hub.
 *
 * @example
 * ```ts
 * const Observability = ClickHouse.layer({
 *   connection: Redacted.make("http://app:secret@localhost:8123/otel"),
 *   retentionDays: 30
 * })
 * ```
 */
export const layer = <const O extends ClickHouseOptions>(options: O): Layer.Layer<Gives<O> | Hub, Wrong> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))

/**
 * Options from the environment: `CLICKHOUSE_CONNECTION` (needed), `CLICKHOUSE_DATABASE`, `CLICKHOUSE_RETENTION_DAYS`, `CLICKHOUSE_BATCH_SIZE`,
 * `CLICKHOUSE_FLUSH_INTERVAL` (`"5 seconds"`), `CLICKHOUSE_CLUSTER`, `CLICKHOUSE_ENGINE`.
 */
const environment: Config.Config<ClickHouseOptions> = Config.all({
  connection: Config.Redacted("CONNECTION"),
  database: Config.option(Config.String("DATABASE")),
  retentionDays: Config.option(Config.Int("RETENTION_DAYS")),
  batchSize: Config.option(Config.Int("BATCH_SIZE")),
  flushInterval: Config.option(Config.Duration("FLUSH_INTERVAL")),
  cluster: Config.option(Config.String("CLUSTER")),
  engine: Config.option(Config.String("ENGINE"))
}).pipe(
  Config.nested("CLICKHOUSE"),
  Config.map(({ connection, ...rest }) => ({
    connection,
    ...Object.fromEntries(Object.entries(rest).flatMap(([key, value]) => (value._tag === "Some" ? [[key, value.value]] : [])))
  }))
)

/** `layer` with options from `Config`; without any, from the environment variables `CLICKHOUSE_*`. */
export const layerConfig = (
  options: Config.Config<ClickHouseOptions> = environment
): Layer.Layer<Services | Hub, Wrong | Config.ConfigError> =>
  Layer.unwrap(Effect.map(
    Effect.gen(function*() {
      return yield* options
    }),
    (given) => layer(given)
  ))

/** How long a database that is back may wait for us. */
const maxBackoff = "5 seconds" as const

const make = (options: ClickHouseOptions) =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const settings = telemetry.settings()
    if (!settings.enabled) return options.history === false ? nothing : switchedOff
    const config = yield* resolve(options)
    if (config.history) {
      yield* telemetry.claim("MetricsHistory", config.name)
      yield* telemetry.claim("TraceHistory", config.name)
    }
    const store = yield* Store.make(config, `effect-observability ${telemetry.resource.service}`)
    const resource = resourceBytes(telemetry.resource)
    // New per start: numbers of batches begin at 1 again.
    const producer = randomUUID()

    const frames = settings.metrics.enabled
      ? yield* telemetry.exportFrames({
        name: config.name,
        interval: config.flushInterval,
        exporter: Metrics.make(Inserter.make(store, producer, "metrics"), resource, settings.metrics.defaultLabels),
        policy: { maxAttempts: Infinity, maxBackoff }
      })
      : undefined
    const spans = settings.tracing.enabled
      ? yield* telemetry.exportSpans({
        name: config.name,
        exporter: Spans.make(Inserter.make(store, producer, "spans"), resource),
        select: options.spans,
        policy: { maxAttempts: Infinity, maxBackoff, batchSize: config.batchSize, flushInterval: config.flushInterval }
      })
      : undefined

    const records = { maxAttempts: Infinity, maxBackoff, batchSize: config.batchSize, flushInterval: config.flushInterval }
    const errors = config.errors
      ? yield* telemetry.exportErrors({
        name: config.name,
        exporter: Logs.make(Inserter.make(store, producer, "errors"), resource, ofError),
        policy: records
      })
      : undefined
    const logs = config.logs
      ? yield* telemetry.exportLogs({ name: config.name, exporter: Logs.make(Inserter.make(store, producer, "logs"), resource, ofLog), policy: records })
      : undefined
    const pipes: Pipes = { metrics: frames, spans, errors, logs }

    yield* telemetry.register({
      name: config.name,
      kind: "clickhouse",
      ...(spans === undefined ? {} : { onSpan: (span: SpanData) => void spans.offerUnsafe(span) }),
      ...(errors === undefined ? {} : { onError: (error: ErrorData) => void errors.offerUnsafe(error) }),
      ...(logs === undefined ? {} : { onLog: (line: LogData) => void logs.offerUnsafe(line) }),
      flush: Effect.forEach(Object.values(pipes), (pipe) => pipe?.flush ?? Effect.void, { concurrency: "unbounded", discard: true }),
      report: () => report(config, store, pipes)
    })
    if (!config.history) return nothing
    const readers = yield* Connection.make(config.target, { connections: config.readConnections })
    const plain = History.sourceOf(readers, config.layout, config.readTimeout)
    // A program that asks as soon as it has begun waits for its tables.
    const source = { ...plain, ask: (...question: Parameters<typeof plain.ask>) => Effect.andThen(Effect.timeoutOption(store.known, config.readTimeout), plain.ask(...question)) }
    return Context.make(MetricsHistory, History.metrics(source)).pipe(Context.add(TraceHistory, History.traces(source)))
  })

type Pipes = Readonly<Record<"metrics" | "spans" | "errors" | "logs", Pick<BatchProcessor.BatchProcessor<never>, "flush" | "ledger" | "status"> | undefined>>
const signals = ["metrics", "spans", "errors", "logs"] as const

const report = (config: ClickHouseConfig, store: Store.Store, all: Pipes): ComponentReport => {
  const { problem, ready } = store.state()
  const state = pipesReport(
    signals.flatMap((signal) => {
      const processor = all[signal]
      return processor === undefined ? [] : [{ signal, processor }]
    }),
    problem
  )
  return {
    ...state,
    name: config.name,
    kind: "clickhouse",
    status: ready ? state.status : problem === undefined ? "starting" : "down",
    repaired: repairs()
  }
}

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
  })
)
