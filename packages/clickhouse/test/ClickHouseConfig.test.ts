import { assert, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"
import { ClickHouse } from "../src/index.ts"
import { ClickHouseConfigError, type ClickHouseOptions, resolve } from "../src/ClickHouseConfig.ts"
import { amendments, columnProblem, type Found, statements } from "../src/internal/ddl.ts"
import { allTables } from "../src/internal/names.ts"
import { traces } from "../src/internal/tables.ts"

const secret = "pa%3Ass-w0rd"
const connection = Redacted.make(`http://user:${secret}@localhost:8123/shop`)
const refused = (options: object) => Effect.flip(resolve({ connection, ...options } as ClickHouseOptions))

it.effect("defaults, and options that go before them", () =>
  Effect.gen(function*() {
    const plain = yield* resolve({ connection })
    assert.deepStrictEqual(plain.layout, {
      names: { database: "shop", traces: "otel_traces", metrics: "otel_metrics", logs: "otel_logs" },
      cluster: undefined, engine: "MergeTree", distributed: false, retentionDays: 90
    })
    assert.deepStrictEqual([plain.target.url, plain.target.username, Redacted.value(plain.target.password)], ["http://localhost:8123", "user", "pa:ss-w0rd"])
    assert.deepStrictEqual([plain.flushInterval, plain.batchSize, plain.readTimeout, plain.history], [5_000, 5_000, 10_000, true])
    const bare = yield* resolve({ connection: Redacted.make("https://example.org") })
    assert.deepStrictEqual([bare.layout.names.database, bare.target.username, bare.target.url], ["otel", "default", "https://example.org"])
  }))

it.effect("what cannot be used is refused by the name of its field, without a secret", () =>
  Effect.gen(function*() {
    const wrong: ReadonlyArray<readonly [field: string, options: object]> = [
      ...["postgres://u:canary@h/db", "clickhouse://u:canary@h", "canary", "", "http://", "http://u:canary@h/a/b", "http://u:canary@h/?x=1", "http://u:canary@h/#x", "http://u:%canary@h/", "http://a%3Ab:canary@h/", "file:///canary"]
        .map((url) => ["connection", { connection: Redacted.make(url) }] as const),
      ["connection", { connection: undefined }], ["connection", { connection: "http://u:canary@h" }],
      ["database", { database: "other" }],
      ...["a`b", "a.b", "", "1a", "a b", "x".repeat(129), "a;drop table x", "a\0", "\u{1F600}", "system"].flatMap((name) => [
        ["tracesTable", { tracesTable: name }] as const, ["metricsTable", { metricsTable: name }] as const, ["logsTable", { logsTable: name }] as const
      ]),
      ["database", { connection: Redacted.make("http://h"), database: "information_schema" }],
      ["logsTable", { logsTable: "otel_traces" }],
      ["retentionDays", { retentionDays: 0 }], ["retentionDays", { retentionDays: -1 }], ["retentionDays", { retentionDays: 1e9 }], ["retentionDays", { retentionDays: 1.5 }],
      ["batchSize", { batchSize: 0 }], ["batchSize", { batchSize: 10_001 }], ["readConnections", { readConnections: 101 }],
      ["flushInterval", { flushInterval: "soon" }], ["flushInterval", { flushInterval: 1 }], ["readTimeout", { readTimeout: "2 hours" }],
      ["compression", { compression: "lz4" }],
      ["engine", { engine: "Memory" }], ["engine", { engine: "MergeTree() ORDER BY x; DROP TABLE y" }], ["engine", { engine: "ReplicatedMergeTree('a') SETTINGS x" }],
      ["cluster", { cluster: "a b" }], ["cluster", { cluster: "x`; drop" }], ["distributed", { distributed: true }],
      ["tls", { tls: { ca: "-----BEGIN CERTIFICATE-----" } }], ["tls.ca", { connection: Redacted.make("https://h"), tls: { ca: "x" } }],
      ["tls.key", { connection: Redacted.make("https://h"), tls: { ca: "-----BEGIN CERTIFICATE-----", cert: "x" } }], ["name", { name: " " }]
    ]
    for (const [field, options] of wrong) {
      const error = yield* refused(options)
      assert.instanceOf(error, ClickHouseConfigError)
      assert.strictEqual(error.field, field, error.message)
      assert.isTrue(error.message.startsWith(`clickhouse.${field} `), error.message)
      for (const text of [String(error), JSON.stringify(error), inspect(error, { depth: 9 })]) assert.notInclude(text, "canary")
    }
    const fine = yield* resolve({ connection })
    for (const text of [inspect(fine, { depth: 9 }), JSON.stringify(fine)]) assert.notMatch(text, /w0rd/)
  }))

it.live("the environment gives the options; without a connection the Layer says what to set", () =>
  Effect.gen(function*() {
    const env = (vars: Record<string, string>) => Layer.build(ClickHouse.layerConfig()).pipe(Effect.scoped, Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ CLICKHOUSE: vars })))
    const missing = yield* Effect.flip(env({}))
    assert.include(String(missing), "CONNECTION")
    const wrong = yield* Effect.flip(env({ CONNECTION: "http://u:canary@127.0.0.1:9/x", ENGINE: "Memory" }))
    assert.include(String(wrong), "engine")
    assert.notInclude(String(wrong), "canary")
    yield* env({ CONNECTION: "http://u:canary@127.0.0.1:9/x", RETENTION_DAYS: "7", FLUSH_INTERVAL: "1 second" })
  }))

it.effect("tables: as the collector has them, replicated and distributed where asked", () =>
  Effect.gen(function*() {
    const plain = statements((yield* resolve({ connection, retentionDays: 30 })).layout)
    const traces = plain.find((sql) => sql.includes("`otel_traces` ("))!
    for (const part of [
      "`Timestamp` DateTime64(9)", "`SpanAttributes` Map(LowCardinality(String), String)", "`Events.Attributes` Array(Map(LowCardinality(String), String))",
      "PARTITION BY toDate(Timestamp)", "ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))", "TTL toDateTime(Timestamp) + toIntervalDay(30)",
      "non_replicated_deduplication_window = 10000", "ENGINE = MergeTree"
    ]) assert.include(traces, part)
    assert.isTrue(plain.every((sql) => sql.includes("IF NOT EXISTS")))
    const spread = statements((yield* resolve({ connection, cluster: "main", distributed: true, engine: "ReplicatedMergeTree" })).layout)
    assert.isTrue(spread.every((sql) => sql.includes("ON CLUSTER `main`")))
    assert.isTrue(spread.some((sql) => sql.includes("`otel_traces` ON CLUSTER `main` AS `shop`.`otel_traces_local` ENGINE = Distributed(`main`, `shop`, `otel_traces_local`, cityHash64(TraceId))")))
    assert.isTrue(spread.some((sql) => sql.includes("`otel_traces_local`") && sql.includes("ENGINE = ReplicatedMergeTree") && !sql.includes("non_replicated")))
    assert.isTrue(spread.some((sql) => sql.includes("MATERIALIZED VIEW") && sql.includes("TO `shop`.`otel_traces_trace_id_ts_local`")))
  }))

it.effect("a table that somebody else made is brought up to date, or named as what it is", () =>
  Effect.gen(function*() {
    const { layout } = yield* resolve({ connection, retentionDays: 30 })
    assert.strictEqual(allTables(layout).length, 8)
    const theirs: Found = {
      engine: "MergeTree",
      engineFull: "MergeTree PARTITION BY toDate(Timestamp) TTL toDateTime(Timestamp) + toIntervalDay(180) SETTINGS index_granularity = 8192",
      columns: new Map(traces.columns.filter((one) => one.own !== true).map((one) => [one.name, one.type]))
    }
    const changes = amendments(layout, "otel_traces", traces, theirs)
    assert.strictEqual(changes.filter((sql) => sql.includes("ADD COLUMN IF NOT EXISTS")).length, 8)
    assert.isTrue(changes.some((sql) => sql.endsWith("MODIFY SETTING non_replicated_deduplication_window = 10000")))
    assert.isTrue(changes.some((sql) => sql.endsWith("MODIFY TTL toDateTime(Timestamp) + toIntervalDay(30)")))
    assert.include(columnProblem("shop.otel_traces", traces, theirs), "has no column SpanAttributeTypes")
    const columns = new Map(traces.columns.map((one) => [one.name, one.type]))
    // The same bytes under other names.
    for (const [name, type] of [["Duration", "Int64"], ["SpanName", "String"], ["Timestamp", "DateTime64(9, 'UTC')"], ["SpanAttributes", "Map(String, String)"]] as const) columns.set(name, type)
    assert.strictEqual(columnProblem("t", traces, { ...theirs, columns }), undefined)
    assert.include(columnProblem("t", traces, { ...theirs, columns: new Map(columns).set("SpanAttributes", "JSON") }), "is JSON, not Map")
  }))
