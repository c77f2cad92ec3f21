import { settings as settingsOf } from "@effect-observability/core"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { checkNames, PostgresConfigError, type PostgresOptions, resolve } from "../src/PostgresConfig.ts"

const secret = "pa%3Ass-w0rd"
const connection = Redacted.make(`postgresql://user:${secret}@localhost:5432/db`)

const settings = () => Result.getOrThrow(settingsOf({ tracing: { serviceName: "api-service" }, postgres: { common: { connection } } }))

const refused = (options: PostgresOptions) => Effect.flip(resolve(options, settings))

it.effect("the settings are the defaults, and options go before them", () =>
  Effect.gen(function*() {
    const plain = yield* resolve({}, settings)
    assert.deepStrictEqual(plain.names, {
      schema: "observability", metrics: "observability_metrics", metadata: "observability_metric_metadata", spans: "observability_spans",
      events: "observability_span_events", histograms: "observability_metric_histograms"
    })
    assert.strictEqual(plain.flushInterval, 5_000)
    assert.strictEqual(plain.retentionDays(), 90)
    assert.deepStrictEqual(plain.target.address, { host: "localhost", port: 5_432 })
    assert.isTrue(plain.target.synchronousCommit)
    assert.isTrue(plain.searchable.has("user_id"))
    const searchable = () => Result.getOrThrow(settingsOf({ postgres: { common: { connection }, searchableAttributes: ["order_id"] } }))
    assert.deepStrictEqual([...(yield* resolve({}, searchable)).searchable], ["order_id"])
    assert.deepStrictEqual([...(yield* resolve({ searchableAttributes: [] }, searchable)).searchable], [])
    // The document's 9.1.3.
    const own = yield* resolve({
      schema: "app", metricsTable: "app_metrics", metricsMetadataTable: "app_metric_metadata", spansTable: "app_spans",
      spanEventsTable: "app_span_events", retentionDays: 30, flushInterval: "2 seconds", batchSize: 200, name: "archive"
    }, settings)
    assert.strictEqual(own.names.metrics, "app_metrics")
    assert.strictEqual(own.flushInterval, 2_000)
    assert.strictEqual(own.name, "archive")
  }))

it.effect("names that could be anything but a name are refused, in every field", () =>
  Effect.gen(function*() {
    const hostile = [
      "public\"; drop schema public cascade; --", "a.b", "x".repeat(64), "x".repeat(200), "", "'", "\\", "a\0", "\u{1F600}", "Mixed", "1st", " a",
      "select", "user", "table", "pg_catalog", "pg_temp", "a b", "schema\n", "sch\u00e9ma"
    ]
    for (const field of ["schema", "metricsTable", "metricsMetadataTable", "spansTable", "spanEventsTable"] as const) {
      for (const name of [...hostile, ...(field === "schema" ? ["information_schema"] : ["obs_lane"])]) {
        const error = yield* refused({ [field]: name })
        assert.instanceOf(error, PostgresConfigError)
        assert.strictEqual(error.field, field, name)
        assert.include(error.message, `postgres.${field}`)
      }
    }
  }))

it.effect("two tables need two names", () =>
  Effect.gen(function*() {
    const error = yield* refused({ spansTable: "things", spanEventsTable: "things" })
    assert.deepStrictEqual([error.field, error.message], ["spanEventsTable", "postgres.spanEventsTable is \"things\", as is spansTable: give each its own name"])
    assert.strictEqual((yield* refused({ metricsTable: "m", spansTable: "m_histograms" })).field, "spansTable")
    assert.strictEqual((yield* refused({ metricsTable: "m".repeat(60) })).field, "metricsTable")
    const names = yield* checkNames({
      schema: "public", metricsTable: "a", metricsMetadataTable: "b", spansTable: "c", spanEventsTable: "d"
    })
    assert.strictEqual(names.histograms, "a_histograms")
  }))

it.effect("a connection that cannot be used is explained without showing it", () =>
  Effect.gen(function*() {
    const wrong = [
      `not a url ${secret}`, `mysql://user:${secret}@localhost/db`, `postgresql://user:${secret}@localhost:99999/db`,
      `postgresql://user:${secret}@a,b/db`, `postgresql://user:${secret}@localhost/db?options=-c%20search_path%3Devil`,
      `postgresql://user:${secret}@localhost/db?sslmode=maybe`, `postgresql://user:${secret}%zz@localhost/db`, `postgresql://u:${secret}@localhost/db?port=x`
    ]
    for (const url of wrong) {
      const error = yield* refused({ connection: Redacted.make(url) })
      assert.strictEqual(error.field, "connection")
      for (const text of [error.message, String(error), JSON.stringify(error)]) assert.notInclude(text, secret, url)
    }
    const without = yield* Effect.flip(resolve({}, () => ({ ...settings(), postgres: { ...settings().postgres, connection: undefined } })))
    assert.include(without.message, "POSTGRES_CONNECTION")
    const socket = yield* resolve({ connection: Redacted.make("postgresql:///db?host=/var/run/postgresql&user=me") }, settings)
    assert.deepStrictEqual(socket.target.address, { path: "/var/run/postgresql/.s.PGSQL.5432" })
    assert.notInclude(JSON.stringify(socket.target), "user@")
  }))

it.effect("numbers that would delete everything or wait for ever are refused", () =>
  Effect.gen(function*() {
    for (const retentionDays of [0, -1, NaN, Infinity, 1e9]) assert.strictEqual((yield* refused({ retentionDays })).field, "retentionDays")
    for (const batchSize of [0, -5, 0.5, 1e6]) assert.strictEqual((yield* refused({ batchSize })).field, "batchSize")
    for (const flushInterval of [0, 1, Infinity]) assert.strictEqual((yield* refused({ flushInterval })).field, "flushInterval")
    assert.strictEqual((yield* refused({ name: " " })).field, "name")
  }))

it.effect("what a transaction pooler cannot carry, and what TLS cannot be, is refused", () =>
  Effect.gen(function*() {
    assert.strictEqual((yield* refused({ prepare: false, synchronousCommit: false })).field, "synchronousCommit")
    assert.isFalse((yield* resolve({ prepare: false }, settings)).target.prepare)
    const clear = Redacted.make("postgresql://u@localhost/db?sslmode=disable")
    assert.strictEqual((yield* refused({ connection: clear, tls: { ca: "x" } })).field, "tls")
    for (const readConnections of [0, 1.5, 101]) assert.strictEqual((yield* refused({ readConnections })).field, "readConnections")
    for (const readTimeout of ["1 millis", "2 hours"] as const) assert.strictEqual((yield* refused({ readTimeout })).field, "readTimeout")
    for (const capacity of [0, -1, NaN]) assert.strictEqual((yield* refused({ capacity })).field, "capacity")
  }))

it.effect("each layer lives as long as told, a roll-up at least as long as what it sums up", () =>
  Effect.gen(function*() {
    const daysOf = (options: Partial<PostgresOptions>) =>
      Effect.map(resolve({ connection, ...options }, settings), (config) => {
        const retention = config.retention()
        return (["metric_frame", "metric_pack_day", "rollup_minute", "rollup_hour", "rollup_day", "trace_part"] as const).map(retention)
      })
    assert.deepStrictEqual(yield* daysOf({}), [90, 90, 90, 730, 3_650, 90])
    assert.deepStrictEqual(yield* daysOf({ retentionDays: 5_000 }), [5_000, 5_000, 5_000, 5_000, 5_000, 5_000])
    assert.deepStrictEqual(yield* daysOf({ retentionDays: 30, retention: { raw: 7, minute: 60, hour: 60 } }), [7, 7, 60, 60, 3_650, 30])
    // What is not given follows what is.
    assert.deepStrictEqual(yield* daysOf({ retentionDays: 30, retention: { minute: 800 } }), [30, 30, 800, 800, 3_650, 30])
    const wrong = (retention: NonNullable<PostgresOptions["retention"]>) => Effect.map(refused({ retention }), (error) => error.field)
    assert.strictEqual(yield* wrong({ raw: 91 }), "retention.raw")
    assert.strictEqual(yield* wrong({ raw: 7, minute: 6 }), "retention.minute")
    assert.strictEqual(yield* wrong({ minute: 30, day: 20 }), "retention.day")
    for (const raw of [0, -1, 0.5, NaN, Infinity]) assert.strictEqual(yield* wrong({ raw }), "retention.raw")
  }))
