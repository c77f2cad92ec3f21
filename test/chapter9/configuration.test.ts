import { ObservabilityConfig } from "@effect-observability/core"
import { Postgres } from "@effect-observability/postgres"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { Observability } from "effect-observability"
import { Server, settled, work } from "./support.ts"

/** The tables hold what `work` did, under the names that were asked for. */
const expectStored = (schema: string, names: { readonly metrics: string; readonly metadata: string; readonly spans: string; readonly events: string }) =>
  Effect.gen(function*() {
    const { ask } = yield* Server
    assert.deepStrictEqual(
      yield* ask(`select sum(value) as total from ${schema}.${names.metrics} where name = 'http_requests_total' and labels @> '{"method":"POST"}'`),
      [{ total: 2 }]
    )
    assert.deepStrictEqual(yield* ask(`select type from ${schema}.${names.metadata} where name = 'http_requests_total'`), [{ type: "counter" }])
    assert.deepStrictEqual(
      yield* ask(`select service_name, status, count(*)::int as n from ${schema}.${names.spans} group by 1, 2 order by 2`),
      [{ service_name: "api-service", status: "ERROR", n: 1 }, { service_name: "api-service", status: "OK", n: 2 }]
    )
    assert.deepStrictEqual(yield* ask(`select count(*)::int as n from ${schema}.${names.events} where name = 'nobody'`), [{ n: 0 }])
  })

const app = { metrics: "app_metrics", metadata: "app_metric_metadata", spans: "app_spans", events: "app_span_events" }

layer(Server.layer, { excludeTestServices: true })("9.1.3 configuration", (it) => {
  it.effect("1. options of the backend alone", () =>
    Effect.gen(function*() {
      const { url } = yield* Server
      const observability = Postgres.layer({
        connection: url,
        schema: "separate",
        metricsTable: "app_metrics",
        metricsMetadataTable: "app_metric_metadata",
        spansTable: "app_spans",
        spanEventsTable: "app_span_events",
        retentionDays: 90
      }).pipe(
        Layer.provide(ObservabilityConfig.layer({ metrics: { prefix: "app" }, tracing: { serviceName: "api-service" } }))
      )
      yield* Effect.provide(Effect.andThen(work, settled), observability)
      yield* expectStored("separate", app)
    }))

  it.effect("2. one configuration for all", () =>
    Effect.gen(function*() {
      const { url } = yield* Server
      const observability = Observability.layerConfig({
        env: "production",
        metrics: { enabled: true },
        tracing: { serviceName: "api-service", enabled: true },
        postgres: {
          enabled: true,
          common: { connection: url, schema: "unified", retentionDays: 90, batchSize: 100 },
          metricsTable: "app_metrics",
          metricsMetadataTable: "app_metric_metadata",
          spansTable: "app_spans",
          spanEventsTable: "app_span_events",
          flushInterval: 5
        }
      })
      yield* Effect.provide(Effect.andThen(work, settled), observability)
      yield* expectStored("unified", app)
    }))

  it.effect("3. environment variables", () =>
    Effect.gen(function*() {
      const { url } = yield* Server
      const environment = ConfigProvider.fromEnvRecord({
        POSTGRES_ENABLED: "true",
        POSTGRES_CONNECTION: Redacted.value(url),
        POSTGRES_SCHEMA: "from_environment",
        POSTGRES_RETENTION_DAYS: "90",
        POSTGRES_BATCH_SIZE: "100",
        POSTGRES_METRICS_TABLE: "app_metrics",
        POSTGRES_METRICS_METADATA_TABLE: "app_metric_metadata",
        POSTGRES_SPANS_TABLE: "app_spans",
        POSTGRES_SPAN_EVENTS_TABLE: "app_span_events",
        POSTGRES_FLUSH_INTERVAL: "5.0",
        OTEL_SERVICE_NAME: "api-service"
      })
      yield* Effect.provide(Effect.andThen(work, settled), Observability.layerConfig()).pipe(
        Effect.provideService(ConfigProvider.ConfigProvider, environment)
      )
      yield* expectStored("from_environment", app)
    }))

  it.effect("9.1.1: without names the document's own, with its columns", () =>
    Effect.gen(function*() {
      const { ask, url } = yield* Server
      yield* Effect.provide(
        Effect.andThen(work, settled),
        Postgres.layer({ connection: url }).pipe(Layer.provide(ObservabilityConfig.layer({ tracing: { serviceName: "api-service" } })))
      )
      yield* expectStored("observability", {
        metrics: "observability_metrics", metadata: "observability_metric_metadata", spans: "observability_spans", events: "observability_span_events"
      })
      const columns = (table: string) =>
        Effect.map(
          ask(`select column_name::text as name from information_schema.columns where table_schema = 'observability' and table_name = '${table}' order by ordinal_position`),
          (rows) => rows.map((row) => row["name"]).join()
        )
      assert.strictEqual(yield* columns("observability_metric_metadata"), "name,type,help,unit,label_names,buckets,objectives,alert_threshold,created_at")
      assert.strictEqual(yield* columns("observability_metrics"), "id,name,type,value,labels,timestamp")
      assert.strictEqual(
        yield* columns("observability_spans"),
        "id,trace_id,span_id,parent_span_id,name,kind,service_name,start_time,end_time,duration,status,status_message,attributes,timestamp"
      )
      assert.strictEqual(yield* columns("observability_span_events"), "id,trace_id,span_id,name,timestamp,attributes,created_at")
    }))
})
