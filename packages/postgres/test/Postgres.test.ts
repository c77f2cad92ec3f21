import {
  Diagnostics, Ledger, MetricDefinition, MetricsHistory, type MetricPoint, MetricsRecorder, ObservabilityConfig, type ObservabilityInput, Telemetry, TraceHistory
} from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { Postgres } from "../src/index.ts"
import { ask, Database, Depth, freshNames, Latency, Size } from "./support/database.ts"
import { startServer, temporaryFolder } from "./support/server.ts"

const Requests = MetricDefinition.counter("app_requests_total", { help: "Requests", labelNames: ["method", "status"] })

const withSettings = (input: ObservabilityInput = {}) =>
  ObservabilityConfig.layer({ requestTimeout: 2, shutdownTimeout: 2, ...input, tracing: { serviceName: "api-service", ...input.tracing } })

const balanced = Effect.gen(function*() {
  const report = yield* (yield* Diagnostics).report
  assert.deepStrictEqual(report.imbalances, [])
  for (const { ledger } of report.components.flatMap((component) => component.signals)) {
    assert.isUndefined(Ledger.imbalance(ledger))
    assert.strictEqual(ledger.unconfirmed, 0)
  }
  return report
})

const until = <R>(what: string, condition: Effect.Effect<boolean, never, R>, tries = 200): Effect.Effect<void, never, R> =>
  Effect.flatMap(condition, (met) =>
    met ? Effect.void : tries === 0 ? Effect.die(new Error(`never: ${what}`)) : Effect.andThen(Effect.sleep("50 millis"), until(what, condition, tries - 1)))

const statusIs = (status: string) =>
  Effect.gen(function*() {
    return (yield* Telemetry).reports().some((report) => report.status === status)
  })

/** Increases over all frames: a tick of the grid between recording and asking adds frames in which nothing happened. */
const total = (points: ReadonlyArray<MetricPoint>) => points.reduce((sum, point) => sum + point.value, 0)

const range = () => ({ startTime: Date.now() - 600_000, endTime: Date.now() + 600_000 })

layer(Database.layer, { excludeTestServices: true })("backend", (it) => {
  it.effect("what a program records is in the database, and the toolkit's own work is not", () =>
    Effect.gen(function*() {
      const { target, url } = yield* Database
      const { schema } = freshNames()
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        const telemetry = yield* Telemetry
        yield* until("up", statusIs("up"))
        for (let i = 0; i < 100; i++) yield* metrics.incrementCounter(Requests, 1, { method: "GET", status: String(200 + (i % 2) * 300) })
        yield* metrics.setGauge(Depth, 7, { queue: "mail" })
        yield* metrics.observeHistogram(Latency, 0.25, { route: "/orders" })
        yield* metrics.observeSummary(Size, 512)
        yield* metrics.incrementCounter("by_name_total", 3, { who: "me" })
        yield* metrics.incrementCounter("http_requests_total", 2, { method: "POST", status: "201", endpoint: "/orders" })
        yield* Effect.fail("no such order").pipe(
          Effect.withSpan("load", { attributes: { id: 42 } }),
          Effect.exit,
          Effect.withSpan("GET /orders/:id", { kind: "server" })
        )
        yield* telemetry.flush
        const history = yield* MetricsHistory
        const requests = yield* history.getMetricsHistory({ name: "app_requests_total", ...range() })
        assert.strictEqual(total(requests), 100)
        assert.strictEqual(total(yield* history.getMetricsHistory({ name: "by_name_total", labels: { who: "me" }, ...range() })), 3)
        const posts = yield* history.getMetricsHistory({ name: "http_requests_total", labels: { method: "POST" }, limit: 1_000, ...range() })
        assert.strictEqual(total(posts), 2)
        assert.strictEqual((yield* history.getMetricsHistory({ name: "queue_depth", ...range() }))[0]!.value, 7)
        const latencies = yield* history.getMetricsHistory({ name: "latency_seconds", ...range() })
        assert.deepStrictEqual(
          latencies.map((point) => point.histogram!.buckets).reduce((sum, buckets) => sum.map((count, i) => count + buckets[i]!)),
          [0, 1, 0, 0]
        )
        assert.strictEqual(total(yield* history.getMetricsHistory({ name: "size_bytes", ...range() })), 512)

        const traces = yield* TraceHistory
        const [recent] = yield* traces.getRecentTraces({ limit: 20, serviceName: "api-service", status: "ERROR" })
        assert.deepInclude(recent, { name: "GET /orders/:id", spanCount: 2, errorCount: 1 })
        const trace = (yield* traces.getTrace(recent!.traceId))!
        assert.deepStrictEqual(trace.spans.map((span) => [span.name, span.kind, span.status, span.attributes.get("id")]), [
          ["GET /orders/:id", "server", "unset", undefined], ["load", "internal", "error", 42]
        ])

        // Law: flushing, migrating and asking make no spans.
        for (let i = 0; i < 20; i++) yield* telemetry.flush
        const counted = yield* ask(target, `select count(*)::int4 as n from ${schema}.observability_spans`)
        assert.strictEqual(counted[0]!["n"], 2)

        const described = yield* ask(target, `select name, type, unit, label_names, buckets, alert_threshold from ${schema}.observability_metric_metadata where name = 'latency_seconds'`)
        assert.deepStrictEqual(described, [{
          name: "latency_seconds", type: "histogram", unit: "seconds", label_names: ["route"], buckets: Latency.buckets, alert_threshold: 0.5
        }])
        const report = yield* balanced
        assert.notInclude(JSON.stringify(report), new URL(Redacted.value(url)).password || "\0")
      }).pipe(
        Effect.provide(Postgres.layer({ connection: url, schema, flushInterval: "100 millis" }).pipe(Layer.provide(withSettings())))
      )
    }))

  it.effect("the last flush is stored when the program ends", () =>
    Effect.gen(function*() {
      const { target, url } = yield* Database
      const { schema } = freshNames()
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* metrics.incrementCounter(Requests, 5, { method: "GET", status: "200" })
        yield* Effect.void.pipe(Effect.withSpan("last words"))
      }).pipe(Effect.provide(Postgres.layer({ connection: url, schema, flushInterval: "1 hour" }).pipe(Layer.provide(withSettings({ shutdownTimeout: 20 })))))
      const sum = yield* ask(target, `select sum(value) as total from ${schema}.observability_metrics where name = 'app_requests_total'`)
      assert.strictEqual(sum[0]!["total"], 5)
      const spans = yield* ask(target, `select name from ${schema}.observability_spans`)
      assert.deepStrictEqual(spans, [{ name: "last words" }])
    }))

  it.effect("a server that is away at the start: nothing waits, nothing is lost, the books balance", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const first = yield* Scope.make()
      const { port, url } = yield* Scope.provide(startServer({ dir }), first)
      yield* Scope.close(first, Exit.void)
      const { schema } = freshNames()
      const backend = Postgres.layer({ connection: url, schema, flushInterval: "100 millis" }).pipe(
        Layer.provide(withSettings({ requestTimeout: 1 }))
      )
      const scope = yield* Scope.make()
      const [took, context] = yield* Effect.timed(Layer.buildWithScope(backend, scope))
      assert.isBelow(Duration.toMillis(took), 1_000)
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* until("down", statusIs("down"))
        const report = (yield* Telemetry).reports()[0]!
        assert.include(report.reason, "ECONNREFUSED")
        for (let i = 0; i < 30; i++) {
          yield* metrics.incrementCounter(Requests, 1, { method: "GET", status: "200" })
          yield* Effect.void.pipe(Effect.withSpan("while away"))
          yield* Effect.sleep("20 millis")
        }
        const refused = yield* Effect.flip((yield* TraceHistory).getRecentTraces())
        assert.strictEqual(refused.reason, "unavailable")
        yield* balanced

        yield* startServer({ dir, port })
        yield* until("up", statusIs("up"))
        yield* (yield* Telemetry).flush
        const points = yield* (yield* MetricsHistory).getMetricsHistory({ name: "app_requests_total", ...range() })
        assert.strictEqual(total(points), 30)
        const traces = yield* (yield* TraceHistory).getRecentTraces({ limit: 1_000 })
        assert.strictEqual(traces.length, 30)
        const after = yield* balanced
        for (const { ledger } of after.components[0]!.signals) assert.deepStrictEqual(ledger.dropped, {})
        yield* Scope.close(scope, Exit.void)
      }).pipe(Effect.provideContext(context))
    }), 60_000)

  it.effect("ending with a dead server keeps to the deadline, and counts what was lost", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        Postgres.layer({ connection: Redacted.make("postgresql://u:p@127.0.0.1:1/db"), flushInterval: "50 millis" }).pipe(
          Layer.provide(withSettings({ shutdownTimeout: 1 }))
        ),
        scope
      )
      const metrics = Context.get(context, MetricsRecorder)
      const telemetry = Context.get(context, Telemetry)
      yield* metrics.incrementCounter(Requests, 1, { method: "GET", status: "200" })
      yield* Effect.sleep("200 millis")
      const before = telemetry.reports()[0]!.signals[0]!.ledger
      assert.isAbove(before.accepted, 0)
      const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
      assert.isBelow(Duration.toMillis(took), 1_300)
    }))

  it.effect("switched off it does nothing, not even connect", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        assert.deepStrictEqual((yield* Telemetry).reports(), [])
        const metrics = yield* MetricsRecorder
        yield* metrics.incrementCounter(Requests, 1, { method: "GET", status: "200" })
        const error = yield* Effect.flip((yield* MetricsHistory).getMetricsHistory({ name: "x", ...range() }))
        assert.include(error.message, "switched off")
      }).pipe(Effect.provide(Postgres.layer().pipe(Layer.provide(withSettings({ enabled: false })))))
    }))

  it.effect("signals that are switched off have no pipe", () =>
    Effect.gen(function*() {
      const { url } = yield* Database
      const { schema } = freshNames()
      const signals = (input: ObservabilityInput) =>
        Effect.map(Telemetry, (telemetry) => telemetry.reports()[0]!.signals.map((signal) => signal.signal)).pipe(
          Effect.provide(Layer.fresh(Postgres.layer({ connection: url, schema })).pipe(Layer.provide(withSettings(input))), { local: true })
        )
      assert.deepStrictEqual(yield* signals({ metrics: { enabled: false } }), ["spans", "errors", "alerts"])
      assert.deepStrictEqual(yield* signals({ tracing: { enabled: false } }), ["metrics", "errors", "alerts"])
    }))

  it.effect("two stores side by side: one answers for the history, both are written", () =>
    Effect.gen(function*() {
      const { target, url } = yield* Database
      const one = freshNames().schema
      const two = freshNames().schema
      const main = Postgres.layer({ connection: url, schema: one })
      const archive = Postgres.layer({ connection: url, schema: two, name: "archive", history: false })
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* metrics.incrementCounter(Requests, 2, { method: "GET", status: "200" })
        yield* until("both up", Effect.map(Telemetry, (telemetry) => telemetry.reports().every((report) => report.status === "up")))
        yield* (yield* Telemetry).flush
        assert.strictEqual(total(yield* (yield* MetricsHistory).getMetricsHistory({ name: "app_requests_total", ...range() })), 2)
        yield* balanced
      }).pipe(Effect.provide(Layer.mergeAll(main, archive).pipe(Layer.provide(withSettings())), { local: true }))
      for (const schema of [one, two]) {
        const sum = yield* ask(target, `select sum(value) as total from ${schema}.observability_metrics where name = 'app_requests_total'`)
        assert.strictEqual(sum[0]!["total"], 2)
      }
      const clash = (other: Layer.Layer<never, unknown> | Layer.Layer<any, unknown>) =>
        Effect.flip(Effect.void.pipe(Effect.provide(Layer.mergeAll(main, other).pipe(Layer.provide(withSettings())), { local: true })))
      const named = yield* clash(Postgres.layer({ connection: url, schema: two, history: false }))
      assert.include(String(named), "name")
      const claimed = yield* clash(Postgres.layer({ connection: url, schema: two, name: "archive" }))
      assert.include(String(claimed), "History")
    }))

  it.effect("a wrong option fails the Layer and names the field", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Effect.void.pipe(Effect.provide(Postgres.layer({ schema: "Robert'); drop" }).pipe(Layer.provide(withSettings())), { local: true }))
      )
      assert.deepInclude(error, { _tag: "PostgresConfigError", field: "schema" })
      const missing = yield* Effect.flip(Effect.void.pipe(Effect.provide(Postgres.layer().pipe(Layer.provide(withSettings())), { local: true })))
      assert.deepInclude(missing, { _tag: "PostgresConfigError", field: "connection" })
    }))

  it.effect("the document's unified configuration", () =>
    Effect.gen(function*() {
      const { target, url } = yield* Database
      const { schema } = freshNames()
      yield* Effect.gen(function*() {
        yield* (yield* MetricsRecorder).incrementCounter("orders_total", 4)
        yield* Effect.void.pipe(Effect.withSpan("checkout"))
      }).pipe(Effect.provide(
        Postgres.layer().pipe(Layer.provide(withSettings({
          env: "production",
          shutdownTimeout: 20,
          metrics: { enabled: true, defaultLabels: { region: "eu" } },
          tracing: { serviceName: "api-service", enabled: true },
          postgres: {
            enabled: true,
            common: { connection: url, schema, retentionDays: 90, batchSize: 100 },
            metricsTable: "app_metrics", metricsMetadataTable: "app_metric_metadata", spansTable: "app_spans",
            spanEventsTable: "app_span_events", flushInterval: 5
          }
        }))),
        { local: true }
      ))
      const rows = yield* ask(target, `select sum(value) as total, labels from ${schema}.app_metrics where name = 'orders_total' group by labels`)
      assert.deepStrictEqual(rows, [{ total: 4, labels: { region: "eu" } }])
      assert.strictEqual((yield* ask(target, `select name from ${schema}.app_spans`)).length, 1)
      assert.strictEqual((yield* ask(target, `select type from ${schema}.app_metric_metadata where name = 'orders_total'`)).length, 1)
    }))
})

layer(Layer.empty, { excludeTestServices: true })("embedded", (it) => {
  it.effect("a database of its own, which remembers", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const run = <A, E>(use: Effect.Effect<A, E, MetricsRecorder | MetricsHistory | Telemetry>) =>
        use.pipe(Effect.provide(Postgres.layerEmbedded({ dir }).pipe(Layer.provide(withSettings({ shutdownTimeout: 20 }))), { local: true }))
      yield* run(Effect.gen(function*() {
        yield* (yield* MetricsRecorder).incrementCounter(Requests, 3, { method: "GET", status: "200" })
      }))
      yield* run(Effect.gen(function*() {
        yield* until("up", statusIs("up"))
        yield* (yield* MetricsRecorder).incrementCounter(Requests, 4, { method: "GET", status: "200" })
        yield* (yield* Telemetry).flush
        const points = yield* (yield* MetricsHistory).getMetricsHistory({ name: "app_requests_total", ...range() })
        assert.deepStrictEqual(points.map((point) => point.value).filter((value) => value !== 0), [4, 3])
      }))
    }), 60_000)
})
