import type { ObservabilitySettings } from "../ObservabilityConfig.ts"
import * as Sampler from "../../tracing/sampling/Sampler.ts"
import { upkeepOf } from "./upkeep.ts"
import { allowOf, areBuckets, bucketsShape, viewsOf } from "./metricViews.ts"
import { limitsOf, propagatorsOf, redactionOf, targetsOf } from "./spanRules.ts"
import { alertingOf, clickHouseOf, consoleOf, datadogOf, logsOf, openTelemetryOf, prometheusOf, sentryOf } from "./backends.ts"
import { type Problem, Reader, type Shape, Shapes } from "./Reader.ts"

const label = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
const identifier = /^[a-z_][a-z0-9_]{0,62}$/
/** Words that PostgreSQL keeps for itself wherever a name may stand (Appendix C of its manual, column "reserved"). */
const reserved = new Set(
  ("all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create current_catalog " +
    "current_date current_role current_time current_timestamp current_user default deferrable desc distinct do else end except false " +
    "fetch for foreign from grant group having in initially intersect into lateral leading limit localtime localtimestamp not null " +
    "offset on only or order placing primary references returning select session_user some symmetric system_user table then to " +
    "trailing true union unique user using variadic when where window with").split(" ")
)

/** What one asks for by value: who, which request, which route, what went wrong. */
const searchableAttributes = [
  "user_id", "tenant_id", "request_id", "error_id", "user.id", "enduser.id", "session.id", "http.route", "http.response.status_code", "error.type"
]

/** What is wrong with the name of a schema or table, or `undefined`. */
export const identifierProblem = (name: string): string | undefined => {
  if (!identifier.test(name)) return "must be a lower-case PostgreSQL name: [a-z_][a-z0-9_]*, at most 63 characters"
  if (name.startsWith("pg_") || name === "information_schema") return "is kept for PostgreSQL itself: choose another name"
  if (reserved.has(name)) return "is a reserved word of SQL: choose another name"
  return undefined
}

/** What is wrong with a connection string, without repeating any of it. */
export const connectionProblem = (text: string): string | undefined => {
  const expected = "expected postgres://user:password@host:port/database"
  if (!/^postgres(ql)?:\/\//.test(text)) return expected
  return URL.canParse(text) ? undefined : expected
}

/** Decodes a whole configuration; where something is wrong the default stands and the problem is reported. */
export const decode = (
  input: unknown,
  shapes?: Shapes
): { readonly settings: ObservabilitySettings; readonly problems: ReadonlyArray<Problem> } => {
  const problems: Array<Problem> = []
  const root = new Reader(input ?? {}, "", problems, shapes)
  const metrics = root.group("metrics")
  const tracing = root.group("tracing")
  const limits = tracing.group("limits")
  const redaction = root.group("redaction")
  const postgres = root.group("postgres")
  const common = postgres.group("common")

  const name = (reader: Reader, key: string, fallback: string): string => {
    const value = reader.string(key, fallback)
    const wrong = identifierProblem(value)
    if (wrong !== undefined) reader.wrong(key, `${JSON.stringify(value.slice(0, 70))} ${wrong}`)
    return value
  }
  const tables = {
    metricsTable: name(postgres, "metricsTable", "observability_metrics"),
    metricsMetadataTable: name(postgres, "metricsMetadataTable", "observability_metric_metadata"),
    spansTable: name(postgres, "spansTable", "observability_spans"),
    spanEventsTable: name(postgres, "spanEventsTable", "observability_span_events")
  }
  const taken = new Map<string, string>()
  for (const [key, table] of Object.entries(tables)) {
    const other = taken.get(table)
    if (other !== undefined) postgres.wrong(key, `is ${JSON.stringify(table)} like ${other}: the four tables need four names`)
    taken.set(table, key)
  }

  const sampleRate = tracing.number("sampleRate", 1, 0, 1)
  const env = root.string("env", "dev")
  const serviceName = tracing.string("serviceName", "unknown_service", /^[^\0]{1,255}$/, "1 to 255 characters")
  const otelEndpoint = endpointOf(tracing)
  const sentryDsn = tracing.secret("sentryDsn", (text) => URL.canParse(text) ? undefined : "expected https://key@host/project")
  const settings: ObservabilitySettings = {
    opentelemetry: openTelemetryOf(root, otelEndpoint),
    sentry: sentryOf(root, sentryDsn),
    datadog: datadogOf(root),
    clickhouse: clickHouseOf(root),
    prometheus: prometheusOf(root),
    console: consoleOf(root),
    alerting: alertingOf(root, problems),
    logs: logsOf(root),
    enabled: root.boolean("enabled", true),
    env,
    cluster: root.string("cluster", ""),
    service: {
      name: serviceName,
      version: tracing.string("serviceVersion", "0.0.0"),
      instance: tracing.string("serviceInstance", "")
    },
    metrics: {
      enabled: metrics.boolean("enabled", true),
      prometheusPort: metrics.integer("prometheusPort", 9090, 0, 65_535),
      prefix: metrics.string("prefix", "", /^([a-zA-Z_][a-zA-Z0-9_]{0,99})?$/, "a name like app: [a-zA-Z_][a-zA-Z0-9_]*"),
      defaultLabels: { ...sharedOf(metrics, { service: serviceName, env }), ...labelsOf(metrics) },
      buckets: bucketsOf(metrics),
      aggregationInterval: metrics.duration("aggregationInterval", 60),
      maxSeriesPerMetric: metrics.integer("maxSeriesPerMetric", 2_000, 1, 10_000_000),
      maxSeries: metrics.integer("maxSeries", 100_000, 1, 100_000_000),
      seriesTimeToLive: timeToLiveOf(metrics),
      allow: allowOf(metrics),
      views: viewsOf(metrics, problems),
      highCardinalityLabels: metrics.strings("highCardinalityLabels", [], label, "a list of label names"),
      effectMetrics: metrics.boolean("effectMetrics", true),
      conventions: metrics.oneOf("conventions", "standard", ["standard", "otel", "both"])
    },
    tracing: {
      enabled: tracing.boolean("enabled", true),
      sampleRate,
      sampler: samplerOf(tracing, sampleRate),
      spanMetrics: tracing.oneOf("spanMetrics", "entry", ["off", "entry", "all"]),
      otelEndpoint,
      sentryDsn,
      ignoredPaths: tracing.strings("ignoredPaths", ["/metrics", "/health"], /^\//, "a list of paths that begin with /"),
      traceUrl: tracing.string("traceUrl", "", /^$|^https?:\/\/\S*\{trace_id\}\S*$/, "a URL with {trace_id} in it, as https://host/traces/{trace_id}") || undefined,
      limits: limitsOf(limits),
      propagators: propagatorsOf(tracing),
      propagateTo: targetsOf(tracing, "propagateTo", ["*"]),
      baggageTo: targetsOf(tracing, "baggageTo", ["internal"])
    },
    redaction: redactionOf(redaction),
    postgres: {
      enabled: postgres.boolean("enabled", false),
      connection: common.secret("connection", connectionProblem),
      schema: name(common, "schema", "observability"),
      retentionDays: common.number("retentionDays", 90, 1, 36_500),
      batchSize: common.integer("batchSize", 100, 1, 100_000),
      ...tables,
      flushInterval: postgres.duration("flushInterval", 5),
      searchableAttributes: postgres.strings("searchableAttributes", searchableAttributes, /^[^\0]{1,255}$/, "a list of keys of span attributes"),
      capacity: postgres.integer("capacity", 0, 0, Number.MAX_SAFE_INTEGER),
      upkeep: upkeepOf(postgres)
    },
    requestTimeout: root.duration("requestTimeout", 30),
    batchSize: root.integer("batchSize", 100, 1, 100_000),
    flushInterval: root.duration("flushInterval", 15),
    shutdownTimeout: root.duration("shutdownTimeout", 5)
  }
  // Editors find the schema of a file by it.
  root.get("$schema")
  for (const reader of [root, metrics, tracing, limits, redaction, postgres, common]) reader.close()
  return { settings, problems }
}

/** What a configuration in a file may hold, as JSON Schema, made of the questions that decoding asks. */
export const jsonSchema = (): Shape => {
  const shapes = new Shapes()
  decode({}, shapes)
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of effect-observability",
    type: "object",
    properties: { $schema: { type: "string" }, ...shapes.properties },
    additionalProperties: false
  }
}

/** A page has to be read within it, and a minute is the longest usual interval of scrapes. */
const leastTimeToLive = 60_000

const timeToLiveOf = (metrics: Reader): number | undefined => {
  metrics.describe("seriesTimeToLive", { anyOf: [{ type: "number", minimum: 60, maximum: 86_400 }, { type: "string" }], description: "a minute or more" })
  if (metrics.get("seriesTimeToLive") === undefined) return undefined
  const millis = metrics.duration("seriesTimeToLive", 3_600)
  if (millis < leastTimeToLive) metrics.wrong("seriesTimeToLive", "must be a minute or more: an idle series is still to be scraped")
  return Math.max(millis, leastTimeToLive)
}

/** Labels of the whole program that are wanted on its metrics. */
const sharedOf = (metrics: Reader, values: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(metrics.strings("sharedLabels", [], /^(service|env)$/, "a list of service and env").map((name) => [name, values[name]!]))

const labelsOf = (metrics: Reader): Readonly<Record<string, string>> => {
  metrics.describe("defaultLabels", { type: "object", propertyNames: { pattern: label.source }, additionalProperties: { type: "string" }, default: {} })
  const given = metrics.get("defaultLabels") ?? {}
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    metrics.wrong("defaultLabels", "expected an object of label names and values")
    return {}
  }
  const out: Record<string, string> = {}
  for (const [key, value] of Object.entries(given)) {
    if (!label.test(key) || key === "le" || key === "quantile") {
      metrics.wrong(`defaultLabels.${key.slice(0, 60)}`, "a label name must match [a-zA-Z_][a-zA-Z0-9_]*, not start with __ and not be le or quantile")
    } else if (typeof value !== "string") metrics.wrong(`defaultLabels.${key}`, "expected text")
    else out[key] = value
  }
  return out
}

const bucketsOf = (metrics: Reader): Readonly<Record<string, ReadonlyArray<number>>> => {
  metrics.describe("buckets", { type: "object", additionalProperties: bucketsShape, default: {} })
  const given = metrics.get("buckets") ?? {}
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    metrics.wrong("buckets", "expected an object of metric names and lists of bounds")
    return {}
  }
  const out: Record<string, ReadonlyArray<number>> = {}
  for (const [key, bounds] of Object.entries(given)) {
    if (areBuckets(bounds)) out[key] = bounds
    else metrics.wrong(`buckets.${key.slice(0, 60)}`, "expected 1 to 512 finite numbers, each above the one before")
  }
  return out
}

const samplerOf = (tracing: Reader, sampleRate: number): Sampler.Sampler => {
  tracing.describe("sampler", { enum: samplers, default: "parentbased_traceidratio" })
  const value = tracing.get("sampler") ?? "parentbased_traceidratio"
  if (Sampler.isSampler(value)) {
    for (const problem of value.problems) tracing.wrong("sampler", problem)
    return value
  }
  const named = typeof value === "string" ? Sampler.named(value, sampleRate) : undefined
  if (named === undefined) {
    tracing.wrong("sampler", "expected a Sampler or one of always_on, always_off, traceidratio, each also with parentbased_ before it")
  }
  return named ?? Sampler.always
}

const samplers = ["always_on", "always_off", "traceidratio"].flatMap((name) => [name, `parentbased_${name}`])

const endpointOf = (tracing: Reader): string | undefined => {
  tracing.describe("otelEndpoint", { type: "string", pattern: "^https?://" })
  const value = tracing.get("otelEndpoint")
  if (value === undefined) return undefined
  if (typeof value === "string" && /^https?:\/\//.test(value) && URL.canParse(value)) return value
  tracing.wrong("otelEndpoint", "expected a URL that begins with http:// or https://")
  return undefined
}
