import { MetricDefinition } from "@effect-observability/core"
import type { ErrorData, ErrorHistory, Exporter, MetricFrame, MetricsHistory, ServiceResource, SpanData, TraceHistory } from "@effect-observability/core"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import * as Lane from "../../src/internal/Lane.ts"
import * as Session from "../../src/internal/session.ts"
import * as Store from "../../src/internal/Store.ts"
import type { Names, PostgresConfig } from "../../src/PostgresConfig.ts"
import { make as makeLive } from "../../src/Live.ts"
import type { Deleter } from "../../src/spans/deletion.ts"
import * as Errors from "../../src/PostgresErrors.ts"
import * as History from "../../src/PostgresHistory.ts"
import * as Metrics from "../../src/PostgresMetrics.ts"
import * as Spans from "../../src/PostgresSpans.ts"
import { startServer } from "./server.ts"

/** A real PostgreSQL server for the tests of one file. */
export class Database extends Context.Service<Database, { readonly url: Redacted.Redacted<string>; readonly target: Session.Target }>()("test/Database") {
  static readonly layer: Layer.Layer<Database> = Layer.effect(
    Database,
    Effect.map(startServer(), ({ url }) => ({ url, target: targetOf(url) }))
  )
}

export const targetOf = (url: Redacted.Redacted<string>, more: Partial<Session.Target> = {}): Session.Target => {
  const parsed = new URL(Redacted.value(url))
  return {
    url,
    address: { host: parsed.hostname, port: Number(parsed.port) },
    applicationName: "test",
    synchronousCommit: true,
    prepare: true,
    tls: undefined,
    ...more
  }
}

let schemas = 0
export const freshNames = (more: Partial<Names> = {}): Names => ({
  schema: `test_${process.pid}_${Date.now().toString(36)}_${++schemas}`,
  metrics: "observability_metrics",
  metadata: "observability_metric_metadata",
  spans: "observability_spans",
  events: "observability_span_events",
  histograms: "observability_metric_histograms",
  ...more
})

export const configOf = (target: Session.Target, names: Names, more: Partial<PostgresConfig> = {}): PostgresConfig => ({
  name: "postgres",
  names,
  target,
  retentionDays: () => 90,
  retention: () => () => (more.retentionDays ?? (() => 90))(),
  flushInterval: 5_000,
  batchSize: 100,
  readConnections: 2,
  readTimeout: 10_000,
  capacity: undefined,
  upkeep: undefined,
  history: true,
  packing: false,
  searchable: new Set(),
  ...more
})

/** One statement on a connection of its own. */
export const ask = (target: Session.Target, sql: string, parameters: Session.Parameters = []) =>
  Effect.acquireUseRelease(
    Session.open(target, 30_000),
    (session) => (parameters.length === 0 && !/^\s*(select|with)/i.test(sql) ? Effect.as(session.execute(sql), []) : session.query(sql, parameters)),
    (session) => session.close
  )

export const untilReady = (store: Store.Store): Effect.Effect<void> =>
  Effect.suspend(() => (store.state().ready ? Effect.void : Effect.andThen(Effect.sleep("20 millis"), untilReady(store))))

export const resource: ServiceResource = { service: "api-service", version: "1.0.0", instance: "i-1", env: "test", cluster: "" }

/** What one process of an application has: its own lanes over a store, without a hub. */
export interface Process {
  readonly store: Store.Store
  readonly metrics: Exporter.Exporter<MetricFrame>
  readonly spans: Exporter.Exporter<SpanData>
  readonly errors: Exporter.Exporter<ErrorData>
  readonly exportFrames: (number: number, ...frames: Arr.NonEmptyReadonlyArray<MetricFrame>) => Effect.Effect<void, Exporter.ExportError>
  readonly exportSpans: (number: number, ...spans: Arr.NonEmptyReadonlyArray<SpanData>) => Effect.Effect<void, Exporter.ExportError>
}

export const startProcess = (
  target: Session.Target,
  names: Names,
  options: { readonly timeout?: number; readonly producer?: string; readonly retentionDays?: number; readonly epoch?: number; readonly service?: string; readonly instance?: string; readonly cluster?: string; readonly env?: string } = {}
): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.gen(function*() {
    const service = options.service ?? resource.service
    const retentionDays = () => options.retentionDays ?? 90
    const store = yield* Store.make(configOf(target, names, { retentionDays }), options.timeout ?? 10_000)
    const producer = options.producer ?? randomUUID()
    const lane = (signal: "metrics" | "spans" | "errors") => Lane.make(store, { signal, producer, epoch: options.epoch ?? 1, resource: { ...resource, service, instance: options.instance ?? resource.instance, cluster: options.cluster ?? "", env: options.env ?? resource.env } })
    const metrics = Metrics.make({ names, lane: yield* lane("metrics"), definitions: () => [], labels: () => ({}) })
    const spans = Spans.make({ names, lane: yield* lane("spans"), service, retentionDays, searchable: new Set(["user_id", "tenant_id", "http.route"]) })
    const errors = Errors.make({ names, lane: yield* lane("errors"), retentionDays })
    yield* untilReady(store)
    return {
      store,
      metrics,
      spans,
      errors,
      exportFrames: (number, ...frames) => Effect.asVoid(metrics.export(frames, { number, attempt: 1 })),
      exportSpans: (number, ...all) => Effect.asVoid(spans.export(all, { number, attempt: 1 }))
    }
  })

export const historyOf = (
  target: Session.Target,
  names: Names
): Effect.Effect<MetricsHistory["Service"] & TraceHistory["Service"] & ErrorHistory["Service"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const readers = yield* Effect.orDie(Session.makeReaders(target, { connections: 2, statementTimeout: 10_000 }))
    const options = { names, readers, timeout: 11_000 }
    const writer: Deleter = (use) => Effect.acquireUseRelease(Session.open(target, 60_000), use, (session) => session.close)
    return { ...History.metrics(options), ...History.errors(options), ...History.traces({ ...options, writer, live: yield* makeLive(configOf(target, names)) }) }
  })

export const Requests = MetricDefinition.counter("http_requests_total", { help: "Requests", labelNames: ["method", "status"] })
export const Depth = MetricDefinition.gauge("queue_depth", { help: "Waiting", labelNames: ["queue"], unit: "items" })
export const Latency = MetricDefinition.histogram("latency_seconds", {
  help: "How long", unit: "seconds", labelNames: ["route"], buckets: [0.1, 0.5, 1], alertThreshold: 0.5
})
export const Size = MetricDefinition.summary("size_bytes", { help: "How big", unit: "bytes", objectives: { "0.5": 0.05, "0.99": 0.001 } })
