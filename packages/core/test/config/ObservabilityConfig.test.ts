import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted, Result } from "effect"
import { readFileSync } from "node:fs"
import { inspect } from "node:util"
import { variables } from "../../src/config/internal/environment.ts"
import { ConfigurationError, defaults, fromEnv, ObservabilityConfig, type ObservabilityInput, settings } from "../../src/config/ObservabilityConfig.ts"
import * as Sampler from "../../src/tracing/sampling/Sampler.ts"

const good = (input: ObservabilityInput) => Result.getOrThrow(settings(input))
const problems = (input: unknown): ReadonlyArray<string> => {
  const result = settings(input as ObservabilityInput)
  return Result.isFailure(result) ? result.failure.problems.map(({ message, path }) => `${path}: ${message}`) : []
}
const withEnv = (env: Record<string, string>, input?: ObservabilityInput) =>
  fromEnv(input).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env)))

describe("defaults", () => {
  it("are the document's, with the decided deviations", () => {
    assert.deepStrictEqual(JSON.parse(JSON.stringify(defaults)), {
      opentelemetry: { enabled: false, headers: {}, compression: "none", traces: true, metrics: true, logs: true, temporality: "cumulative", sampleRatio: 1 },
      sentry: { enabled: false, tags: {}, traces: "spans", logs: false, sampleRatio: 1 },
      datadog: { enabled: false, tags: {}, distributions: "values", sampleRatio: 1 },
      clickhouse: { enabled: false, logs: false, errors: true, compression: "zstd", distributed: false, sampleRatio: 1 },
      prometheus: { processMetrics: false, createdTimestamps: false },
      console: { enabled: false, sampleRatio: 1 },
      alerting: {
        enabled: false, interval: 15_000, rules: [], thresholds: true, anomalies: [], slo: [], groupInterval: 60_000, repeatInterval: 14_400_000, log: true,
        webhook: { headers: {} }, alertmanager: { headers: {} }
      },
      logs: { level: "All", keepLevel: "All" },
      enabled: true,
      env: "dev",
      cluster: "",
      service: { name: "unknown_service", version: "0.0.0", instance: "" },
      metrics: {
        enabled: true,
        prometheusPort: 9090,
        prefix: "",
        defaultLabels: {},
        buckets: {},
        aggregationInterval: 60_000,
        maxSeriesPerMetric: 2000,
        maxSeries: 100_000,
        allow: {},
        views: [],
        highCardinalityLabels: [],
        effectMetrics: true,
        conventions: "standard"
      },
      tracing: {
        enabled: true,
        sampleRate: 1,
        sampler: JSON.parse(JSON.stringify(defaults.tracing.sampler)),
        spanMetrics: "entry",
        ignoredPaths: ["/metrics", "/health"],
        limits: {
          attributeCount: 128,
          attributeValueLength: 4096,
          eventCount: 128,
          linkCount: 128,
          attributePerEventCount: 128,
          attributePerLinkCount: 128,
          depth: 8
        },
        propagators: ["tracecontext", "baggage"],
        propagateTo: ["*"],
        baggageTo: ["internal"]
      },
      redaction: { enabled: true, names: [], allow: [], emails: true, addresses: false, rules: [] },
      postgres: {
        enabled: false,
        schema: "observability",
        retentionDays: 90,
        batchSize: 100,
        metricsTable: "observability_metrics",
        metricsMetadataTable: "observability_metric_metadata",
        spansTable: "observability_spans",
        spanEventsTable: "observability_span_events",
        flushInterval: 5000,
        searchableAttributes: [
          "user_id", "tenant_id", "request_id", "error_id", "user.id", "enduser.id", "session.id", "http.route", "http.response.status_code", "error.type"
        ],
        capacity: 0,
        upkeep: { enabled: false, dryRun: false, daysLeft: 7, maxBytes: 0, floor: { raw: 7, spans: 7, minute: 30, hour: 365, day: 3650 } }
      },
      requestTimeout: 30_000,
      batchSize: 100,
      flushInterval: 15_000,
      shutdownTimeout: 5000
    })
  })

  it.effect("are in force where nothing was provided", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* ObservabilityConfig, defaults)
    }))
})

describe("from code", () => {
  it("takes the document's unified configuration (9.1.3)", () => {
    const all = good({
      env: "production",
      metrics: { enabled: true },
      tracing: { serviceName: "api-service", enabled: true },
      postgres: {
        enabled: true,
        common: { connection: "postgresql://user:pass@localhost:5432/db", schema: "observability", retentionDays: 90, batchSize: 100 },
        metricsTable: "app_metrics",
        metricsMetadataTable: "app_metric_metadata",
        spansTable: "app_spans",
        spanEventsTable: "app_span_events",
        flushInterval: 5.0
      }
    })
    assert.strictEqual(all.env, "production")
    assert.strictEqual(all.service.name, "api-service")
    assert.strictEqual(Redacted.value(all.postgres.connection!), "postgresql://user:pass@localhost:5432/db")
    assert.strictEqual(all.postgres.metricsTable, "app_metrics")
    assert.strictEqual(all.postgres.flushInterval, 5000)
  })

  it("reads durations as seconds or as text", () => {
    assert.strictEqual(good({ flushInterval: 2.5 }).flushInterval, 2500)
    assert.strictEqual(good({ flushInterval: "2 minutes" }).flushInterval, 120_000)
  })

  it("reports all problems at once, each with its path", () => {
    const found = problems({
      env: 5,
      tracing: { sampleRate: 1.5, serviceName: "", ignoredPaths: ["health"], otelEndpoint: "ftp://x" },
      metrics: { prefix: "9", prometheusPort: 70_000, defaultLabels: { le: "x", ok: 1 }, buckets: { a: [1, 1], b: [] } },
      postgres: { common: { retentionDays: 0, schema: "pg_catalog" }, spansTable: "t\"; drop table x; --", metricsTable: "user" },
      flushInterval: -1,
      batchSize: 0,
      bachSize: 5,
      request_tmeout: 3
    })
    for (const expected of [
      /^env: expected text, got 5$/,
      /^tracing\.sampleRate: expected a number from 0 to 1, got 1\.5$/,
      /^tracing\.serviceName: expected 1 to 255 characters/,
      /^tracing\.ignoredPaths: expected a list of paths/,
      /^tracing\.otelEndpoint: expected a URL/,
      /^metrics\.prefix: expected a name/,
      /^metrics\.prometheusPort: expected a whole number from 0 to 65535/,
      /^metrics\.defaultLabels\.le: /,
      /^metrics\.defaultLabels\.ok: expected text$/,
      /^metrics\.buckets\.a: /,
      /^metrics\.buckets\.b: /,
      /^postgres\.common\.retentionDays: expected a number from 1/,
      /^postgres\.common\.schema: .*kept for PostgreSQL/,
      /^postgres\.spansTable: .*must be a lower-case PostgreSQL name/,
      /^postgres\.metricsTable: .*reserved word/,
      /^flushInterval: expected seconds above 0/,
      /^batchSize: expected a whole number from 1/,
      /^bachSize: unknown; did you mean batchSize\?$/,
      /^request_tmeout: unknown; did you mean requestTimeout\?$/
    ]) {
      assert.isTrue(found.some((line) => expected.test(line)), `${expected} in\n${found.join("\n")}`)
    }
    assert.strictEqual(found.length, 19)
  })

  it.each(["", "a.b", "A", "x".repeat(64), "x".repeat(200), "é", "a b", "a\0b", "information_schema", "select", "1a", "'", "public\"; drop schema public cascade; --"])(
    "refuses the schema name %j",
    (schema) => {
      assert.strictEqual(problems({ postgres: { common: { schema } } }).length, 1)
    }
  )

  it("refuses two tables of one name", () => {
    assert.match(problems({ postgres: { spansTable: "observability_metrics" } })[0]!, /^postgres\.spansTable: .*four names/)
  })

  it("takes anything without throwing or touching a prototype", () => {
    for (const input of [null, 5, "x", [], () => 1, { metrics: null }, { metrics: [] }, JSON.parse("{\"__proto__\": {\"enabled\": false}, \"constructor\": 1}")]) {
      const result = settings(input as ObservabilityInput)
      assert.isTrue(Result.isFailure(result) || Result.isSuccess(result))
    }
    assert.strictEqual(({} as Record<string, unknown>)["enabled"], undefined)
    assert.strictEqual(good({ metrics: { defaultLabels: JSON.parse("{\"constructor\": \"x\"}") } }).metrics.defaultLabels["constructor"], "x")
  })

  it.effect("fails the Layer", () =>
    Effect.gen(function*() {
      const exit = yield* Layer.build(ObservabilityConfig.layer({ batchSize: 0 })).pipe(Effect.scoped, Effect.exit)
      assert.match(String(exit), /the configuration has a problem:\n {2}batchSize: expected a whole number/)
    }))
})

describe("secrets", () => {
  it("never show, in settings or in errors", () => {
    const secret = "s3cr3t-canary"
    const all = good({ postgres: { common: { connection: `postgres://u:${secret}@h/db` } }, tracing: { sentryDsn: `https://${secret}@sentry.example/1` } })
    const bad = settings({ postgres: { common: { connection: `mysql://u:${secret}@h/db` } }, tracing: { sentryDsn: `${secret} not a url` } })
    assert.isTrue(Result.isFailure(bad))
    const error = (bad as Result.Failure<never, ConfigurationError>).failure
    for (const text of [JSON.stringify(all), inspect(all, { depth: 9 }), String(error), error.message, JSON.stringify(error), inspect(error, { depth: 9 })]) {
      assert.notInclude(text, secret)
    }
    assert.strictEqual(error.problems.length, 2)
  })
})

describe("allowed metrics, views and the life of series", () => {
  it("are taken as they are written", () => {
    const { metrics } = good({
      metrics: {
        seriesTimeToLive: "2 hours",
        allow: { metrics: ["http_*", "*"], labels: ["method"] },
        views: [{ name: "a_*", labels: { x: "y", z: false }, constantLabels: { region: "eu" }, buckets: [1, 2] }]
      }
    })
    assert.strictEqual(metrics.seriesTimeToLive, 7_200_000)
    assert.deepStrictEqual(metrics.allow, { metrics: ["http_*", "*"], labels: ["method"] })
    assert.deepStrictEqual(metrics.views, [
      { name: "a_*", drop: false, labels: { x: "y", z: false }, constantLabels: { region: "eu" }, buckets: [1, 2] }
    ])
  })

  it.effect("the simple ones come from the environment", () =>
    Effect.gen(function*() {
      const { metrics } = yield* withEnv({
        OBSERVABILITY_ALLOW_METRICS: "http_*, db_*",
        OBSERVABILITY_ALLOW_LABELS: "method",
        OBSERVABILITY_SERIES_TIME_TO_LIVE: "600"
      })
      assert.deepStrictEqual(metrics.allow, { metrics: ["http_*", "db_*"], labels: ["method"] })
      assert.strictEqual(metrics.seriesTimeToLive, 600_000)
    }))

  it.each([
    [{ seriesTimeToLive: 5 }, /^metrics\.seriesTimeToLive: must be a minute or more/],
    [{ seriesTimeToLive: "soon" }, /^metrics\.seriesTimeToLive: expected seconds/],
    [{ allow: ["a"] }, /^metrics\.allow: expected an object/],
    [{ allow: { metrics: "http" } }, /^metrics\.allow\.metrics: expected a list of names, each may begin or end with \*/],
    [{ allow: { labels: ["a*b"] } }, /^metrics\.allow\.labels: expected a list/],
    [{ allow: { metrics: ["(a+)+$"] } }, /^metrics\.allow\.metrics: expected a list/],
    [{ allow: { names: [] } }, /^metrics\.allow\.names: unknown/],
    [{ views: {} }, /^metrics\.views: expected a list/],
    [{ views: [5] }, /^metrics\.views\.0: expected an object/],
    [{ views: [{}] }, /^metrics\.views\.0\.name: is needed/],
    [{ views: [{ name: "a" }, { name: "a b" }] }, /^metrics\.views\.1\.name: expected a metric's name/],
    [{ views: [{ name: "a_*", rename: "b" }] }, /^metrics\.views\.0\.rename: would give all metrics of "a_\*" one name/],
    [{ views: [{ name: "a", rename: "b c" }] }, /^metrics\.views\.0\.rename: expected a metric name/],
    [{ views: [{ name: "a", rename: "obs_x" }] }, /^metrics\.views\.0\.rename: must not begin with obs_/],
    [{ views: [{ name: "a", labels: { x: "le" } }] }, /^metrics\.views\.0\.labels\.x: expected each label's new name/],
    [{ views: [{ name: "a", labels: { x: true } }] }, /^metrics\.views\.0\.labels\.x: expected/],
    [{ views: [{ name: "a", constantLabels: { __name__: "x" } }] }, /^metrics\.views\.0\.constantLabels\.__name__: a label name must match/],
    [{ views: [{ name: "a", constantLabels: { x: 5 } }] }, /^metrics\.views\.0\.constantLabels\.x: expected each label's value as text/],
    [{ views: [{ name: "a", buckets: [2, 1] }] }, /^metrics\.views\.0\.buckets: expected 1 to 512 finite numbers/],
    [{ views: [{ name: "a", dropp: true }] }, /^metrics\.views\.0\.dropp: unknown; did you mean drop/]
  ])("%j is refused by its field", (metrics, message) => {
    const found = problems({ metrics })
    assert.isTrue(found.some((one) => message.test(one)), found.join("\n"))
  })
})

describe("from the environment", () => {
  it.effect("reads every variable of the document (9.1.3)", () =>
    Effect.gen(function*() {
      const all = yield* withEnv({
        APP_ENV: "production",
        OTEL_ENDPOINT: "http://collector:4318",
        SENTRY_DSN: "https://key@sentry.example/1",
        POSTGRES_ENABLED: "true",
        POSTGRES_CONNECTION: "postgresql://user:pass@localhost:5432/db",
        POSTGRES_SCHEMA: "obs",
        POSTGRES_RETENTION_DAYS: "30",
        POSTGRES_BATCH_SIZE: "50",
        POSTGRES_METRICS_TABLE: "app_metrics",
        POSTGRES_METRICS_METADATA_TABLE: "app_metric_metadata",
        POSTGRES_SPANS_TABLE: "app_spans",
        POSTGRES_SPAN_EVENTS_TABLE: "app_span_events",
        POSTGRES_FLUSH_INTERVAL: "2.5",
        POSTGRES_SEARCHABLE_ATTRIBUTES: "order_id, user_id",
        POSTGRES_CAPACITY: "100000000000",
        POSTGRES_UPKEEP: "true",
        POSTGRES_UPKEEP_MAX_BYTES: "50000000000"
      })
      assert.strictEqual(all.env, "production")
      assert.strictEqual(all.tracing.otelEndpoint, "http://collector:4318")
      assert.strictEqual(Redacted.value(all.tracing.sentryDsn!), "https://key@sentry.example/1")
      assert.strictEqual(Redacted.value(all.postgres.connection!), "postgresql://user:pass@localhost:5432/db")
      const { connection: _, ...rest } = all.postgres
      assert.deepStrictEqual(rest, {
        enabled: true,
        schema: "obs",
        retentionDays: 30,
        batchSize: 50,
        metricsTable: "app_metrics",
        metricsMetadataTable: "app_metric_metadata",
        spansTable: "app_spans",
        spanEventsTable: "app_span_events",
        flushInterval: 2500,
        searchableAttributes: ["order_id", "user_id"],
        capacity: 100_000_000_000,
        upkeep: { enabled: true, dryRun: false, daysLeft: 7, maxBytes: 50_000_000_000, floor: { raw: 7, spans: 7, minute: 30, hour: 365, day: 3650 } }
      })
      assert.include((yield* Effect.flip(withEnv({ POSTGRES_UPKEEP: "true" }))).message, "needs a limit")
      assert.deepStrictEqual((yield* withEnv({ POSTGRES_SEARCHABLE_ATTRIBUTES: "none" })).postgres.searchableAttributes, [])
    }))

  it.effect("reads OpenTelemetry's standard variables", () =>
    Effect.gen(function*() {
      const all = yield* withEnv({
        OTEL_RESOURCE_ATTRIBUTES: "service.name=ignored,service.version=1.2,service.instance.id=i%201,deployment.environment.name=stage",
        OTEL_SERVICE_NAME: "shop",
        OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG: "0.25",
        OTEL_SDK_DISABLED: "true"
      })
      assert.deepStrictEqual(all.service, { name: "shop", version: "1.2", instance: "i 1" })
      assert.deepStrictEqual([all.env, all.tracing.sampleRate, all.enabled], ["stage", 0.25, false])
      assert.match(all.tracing.sampler.description, /^parentBased\(ratio\(0\.25\), sampled: rateLimited/)
    }))

  it.effect("knows OpenTelemetry's samplers by name, and names the variable that holds another", () =>
    Effect.gen(function*() {
      const of = (name: string, input?: ObservabilityInput) =>
        Effect.map(withEnv({ OTEL_TRACES_SAMPLER: name }, input), (all) => all.tracing.sampler.description)
      assert.strictEqual(yield* of("always_on"), "always")
      assert.strictEqual(yield* of("always_off"), "never")
      assert.strictEqual(yield* of("traceidratio"), "ratio(1)")
      assert.match(yield* of("parentbased_always_off"), /^parentBased\(never,/)
      assert.match(yield* of("parentbased_traceidratio"), /^parentBased\(ratio\(1\), sampled: always/)
      assert.strictEqual(yield* of("always_off", { tracing: { sampler: Sampler.always } }), "never")
      const error = yield* Effect.flip(withEnv({ OTEL_TRACES_SAMPLER: "xray" }))
      assert.match(error.message, /OTEL_TRACES_SAMPLER: expected a Sampler or one of always_on/)
    }))

  it("takes a sampler, and says what is wrong inside it", () => {
    assert.strictEqual(Result.getOrThrow(settings({ tracing: { sampler: Sampler.never } })).tracing.sampler, Sampler.never)
    assert.deepStrictEqual(problems({ tracing: { sampler: Sampler.parentBased(Sampler.ratio(7)) } }), [
      "tracing.sampler: ratio: expected a number from 0 to 1, got 7"
    ])
    assert.match(problems({ tracing: { sampler: 5 } })[0]!, /^tracing\.sampler: expected a Sampler or one of/)
  })

  it.effect("reads OBSERVABILITY_*, and wins over the code", () =>
    Effect.gen(function*() {
      const all = yield* withEnv({
        OBSERVABILITY_DEFAULT_LABELS: "team=a,zone=b%2Cc",
        OBSERVABILITY_IGNORED_PATHS: "/live, /ready",
        OBSERVABILITY_FLUSH_INTERVAL: "3",
        OBSERVABILITY_METRICS_ENABLED: "off",
        DATABASE_URL: "postgres://fallback/db"
      }, { flushInterval: 99, env: "code", metrics: { prefix: "app" } })
      assert.deepStrictEqual(all.metrics.defaultLabels, { team: "a", zone: "b,c" })
      assert.deepStrictEqual(all.tracing.ignoredPaths, ["/live", "/ready"])
      assert.deepStrictEqual([all.flushInterval, all.metrics.enabled, all.env, all.metrics.prefix], [3000, false, "code", "app"])
      assert.strictEqual(Redacted.value(all.postgres.connection!), "postgres://fallback/db")
    }))

  it.effect("names the variable that is wrong, all of them at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(withEnv({ POSTGRES_RETENTION_DAYS: "0", POSTGRES_ENABLED: "perhaps", POSTGRES_CONNECTION: "mysql://s3cret@h", OBSERVABILITY_SAMPLE_RATE: "lots" }))
      assert.deepStrictEqual(error.problems.map((one) => one.path).sort(), ["OBSERVABILITY_SAMPLE_RATE", "POSTGRES_CONNECTION", "POSTGRES_ENABLED", "POSTGRES_RETENTION_DAYS"])
      assert.notInclude(error.message, "s3cret")
      assert.match(error.message, /OBSERVABILITY_SAMPLE_RATE: expected a number from 0 to 1, got "lots"/)
    }))

  it("every variable stands in docs/configuration.md", () => {
    const page = readFileSync(new URL("../../../../docs/configuration.md", import.meta.url), "utf8")
    for (const [name, path] of variables) {
      assert.include(page, `\`${name}\``)
      assert.include(page, `\`${path}\``)
    }
  })

  it.effect("limits and propagators have OpenTelemetry's names", () =>
    Effect.gen(function*() {
      const { redaction, tracing } = yield* withEnv({
        OTEL_ATTRIBUTE_COUNT_LIMIT: "64", OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: "32", OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: "100", OTEL_SPAN_EVENT_COUNT_LIMIT: "3",
        OTEL_SPAN_LINK_COUNT_LIMIT: "4", OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: "5", OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: "0", OTEL_PROPAGATORS: "b3multi, baggage",
        OBSERVABILITY_PROPAGATE_TO: "internal,*.example.org", OBSERVABILITY_REDACT_NAMES: "order_ref", OBSERVABILITY_REDACT_EMAILS: "no"
      })
      assert.deepStrictEqual(tracing.limits, {
        attributeCount: 32, attributeValueLength: 100, eventCount: 3, linkCount: 4, attributePerEventCount: 5, attributePerLinkCount: 0, depth: 8
      })
      assert.deepStrictEqual(tracing.propagators, ["b3multi", "baggage"])
      assert.deepStrictEqual(tracing.propagateTo, ["internal", "*.example.org"])
      assert.deepStrictEqual(redaction, { enabled: true, names: ["order_ref"], allow: [], emails: false, addresses: false, rules: [] })
      assert.deepStrictEqual((yield* withEnv({ OTEL_PROPAGATORS: "none" })).tracing.propagators, [])
      const error = yield* Effect.flip(withEnv({ OTEL_PROPAGATORS: "jaeger", OBSERVABILITY_PROPAGATE_TO: "https://example.org/path" }))
      assert.deepStrictEqual(error.problems.map(({ path }) => path), ["OTEL_PROPAGATORS", "tracing.propagateTo[0]"])
    }))
})

describe("limits and redaction in code", () => {
  it("are checked field by field", () => {
    assert.deepStrictEqual(
      problems({ tracing: { limits: { eventCount: -1, depths: 3 }, propagateTo: ["a b", "*.*"] }, redaction: { rules: [/x/], names: [1] } }),
      [
        "tracing.limits.eventCount: expected a whole number from 0 to 100000, got -1",
        "tracing.propagateTo[0]: \"a b\" is no target: expected *, internal, a host, *.domain or an origin such as https://example.org",
        "tracing.propagateTo[1]: \"*.*\" is no target: expected *, internal, a host, *.domain or an origin such as https://example.org",
        "redaction.names: expected a list of names, got a list",
        "redaction.rules: expected a list of functions from name and value to true or false; patterns are not taken",
        "tracing.limits.depths: unknown; did you mean depth?"
      ]
    )
  })
})
