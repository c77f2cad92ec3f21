import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

type Parse = (text: string) => unknown

const text: Parse = (value) => value
/** What is no number stays text, so that the decoder can say what it expected. */
const number: Parse = (value) => value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : value
const boolean: Parse = (value) => {
  const word = value.trim().toLowerCase()
  return ["true", "1", "yes", "on"].includes(word) ? true : ["false", "0", "no", "off"].includes(word) ? false : value
}
const seconds: Parse = number
const list = (value: string): Array<string> => value.split(",").map((one) => one.trim()).filter((one) => one !== "")
/** `a=b,c=d`, values percent-encoded where needed, as OTEL_RESOURCE_ATTRIBUTES has it. */
const pairs = (value: string): Record<string, string> =>
  Object.fromEntries(list(value).map((pair) => {
    const at = pair.indexOf("=")
    return at < 0 ? [pair, ""] : [pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())]
  }))

/** `warn`, `WARN` and `Warn` are one. */
const level: Parse = (value) => value === "" ? value : value[0]!.toUpperCase() + value.slice(1).toLowerCase()

/** `none` among them means none at all (OpenTelemetry, environment variables). */
const listOrNone: Parse = (value) => list(value).includes("none") ? [] : list(value)

/** Which variable sets which path; of several for one path the first that is set counts. */
export const variables: ReadonlyArray<readonly [name: string, path: string, parse: Parse]> = [
  ["APP_ENV", "env", text],
  ["OBSERVABILITY_CLUSTER", "cluster", text],
  ["OTEL_ENDPOINT", "tracing.otelEndpoint", text],
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "tracing.otelEndpoint", text],
  ["SENTRY_DSN", "tracing.sentryDsn", text],
  ["OTEL_SERVICE_NAME", "tracing.serviceName", text],
  ["POSTGRES_ENABLED", "postgres.enabled", boolean],
  ["POSTGRES_CONNECTION", "postgres.common.connection", text],
  ["DATABASE_URL", "postgres.common.connection", text],
  ["POSTGRES_SCHEMA", "postgres.common.schema", text],
  ["POSTGRES_RETENTION_DAYS", "postgres.common.retentionDays", number],
  ["POSTGRES_BATCH_SIZE", "postgres.common.batchSize", number],
  ["POSTGRES_METRICS_TABLE", "postgres.metricsTable", text],
  ["POSTGRES_METRICS_METADATA_TABLE", "postgres.metricsMetadataTable", text],
  ["POSTGRES_SPANS_TABLE", "postgres.spansTable", text],
  ["POSTGRES_SPAN_EVENTS_TABLE", "postgres.spanEventsTable", text],
  ["POSTGRES_FLUSH_INTERVAL", "postgres.flushInterval", seconds],
  ["POSTGRES_SEARCHABLE_ATTRIBUTES", "postgres.searchableAttributes", listOrNone],
  ["POSTGRES_CAPACITY", "postgres.capacity", number],
  ["POSTGRES_UPKEEP", "postgres.upkeep.enabled", boolean],
  ["POSTGRES_UPKEEP_MAX_BYTES", "postgres.upkeep.maxBytes", number],
  ["SENTRY_ENVIRONMENT", "sentry.environment", text],
  ["SENTRY_RELEASE", "sentry.release", text],
  ["DATADOG_ENABLED", "datadog.enabled", boolean],
  ["DD_AGENT_HOST", "datadog.host", text],
  ["DD_DOGSTATSD_URL", "datadog.dogstatsd", text],
  ["DD_TRACE_AGENT_URL", "datadog.traces", text],
  ["CLICKHOUSE_ENABLED", "clickhouse.enabled", boolean],
  ["CLICKHOUSE_CONNECTION", "clickhouse.connection", text],
  ["CLICKHOUSE_DATABASE", "clickhouse.database", text],
  ["CLICKHOUSE_RETENTION_DAYS", "clickhouse.retentionDays", number],
  ["CLICKHOUSE_BATCH_SIZE", "clickhouse.batchSize", number],
  ["CLICKHOUSE_FLUSH_INTERVAL", "clickhouse.flushInterval", seconds],
  ["CLICKHOUSE_CLUSTER", "clickhouse.cluster", text],
  ["CLICKHOUSE_ENGINE", "clickhouse.engine", text],
  ["OPENTELEMETRY_ENABLED", "opentelemetry.enabled", boolean],
  ["OTEL_EXPORTER_OTLP_PROTOCOL", "opentelemetry.protocol", text],
  ["OTEL_EXPORTER_OTLP_HEADERS", "opentelemetry.headers", pairs],
  ["OTEL_EXPORTER_OTLP_COMPRESSION", "opentelemetry.compression", text],
  ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "opentelemetry.temporality", (value) => value.toLowerCase()],
  ["SENTRY_ENABLED", "sentry.enabled", boolean],
  ["PROMETHEUS_ENABLED", "prometheus.enabled", boolean],
  ["OBSERVABILITY_CONSOLE", "console.enabled", boolean],
  ["OBSERVABILITY_LOG_LEVEL", "logs.level", level],
  ["OBSERVABILITY_LOG_KEEP_LEVEL", "logs.keepLevel", level],
  ["OBSERVABILITY_ALERTING_ENABLED", "alerting.enabled", boolean],
  ["OBSERVABILITY_ALERTING_INTERVAL", "alerting.interval", seconds],
  ["OBSERVABILITY_ALERTING_WEBHOOK", "alerting.webhook.url", text],
  ["OBSERVABILITY_ALERTING_ALERTMANAGER", "alerting.alertmanager.url", text],
  ["OBSERVABILITY_ENABLED", "enabled", boolean],
  ["OBSERVABILITY_METRICS_ENABLED", "metrics.enabled", boolean],
  ["OBSERVABILITY_METRICS_PREFIX", "metrics.prefix", text],
  ["OBSERVABILITY_PROMETHEUS_PORT", "metrics.prometheusPort", number],
  ["OBSERVABILITY_DEFAULT_LABELS", "metrics.defaultLabels", pairs],
  ["OBSERVABILITY_SHARED_LABELS", "metrics.sharedLabels", list],
  ["OBSERVABILITY_AGGREGATION_INTERVAL", "metrics.aggregationInterval", seconds],
  ["OBSERVABILITY_MAX_SERIES_PER_METRIC", "metrics.maxSeriesPerMetric", number],
  ["OBSERVABILITY_MAX_SERIES", "metrics.maxSeries", number],
  ["OBSERVABILITY_SERIES_TIME_TO_LIVE", "metrics.seriesTimeToLive", seconds],
  ["OBSERVABILITY_ALLOW_METRICS", "metrics.allow.metrics", list],
  ["OBSERVABILITY_ALLOW_LABELS", "metrics.allow.labels", list],
  ["OBSERVABILITY_HIGH_CARDINALITY_LABELS", "metrics.highCardinalityLabels", list],
  ["OBSERVABILITY_EFFECT_METRICS", "metrics.effectMetrics", boolean],
  ["OBSERVABILITY_METRIC_CONVENTIONS", "metrics.conventions", text],
  ["OBSERVABILITY_TRACING_ENABLED", "tracing.enabled", boolean],
  ["OBSERVABILITY_SAMPLE_RATE", "tracing.sampleRate", number],
  ["OBSERVABILITY_SPAN_METRICS", "tracing.spanMetrics", text],
  ["OBSERVABILITY_IGNORED_PATHS", "tracing.ignoredPaths", list],
  ["OBSERVABILITY_TRACE_URL", "tracing.traceUrl", text],
  ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "tracing.limits.attributeCount", number],
  ["OTEL_ATTRIBUTE_COUNT_LIMIT", "tracing.limits.attributeCount", number],
  ["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "tracing.limits.attributeValueLength", number],
  ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "tracing.limits.attributeValueLength", number],
  ["OTEL_SPAN_EVENT_COUNT_LIMIT", "tracing.limits.eventCount", number],
  ["OTEL_SPAN_LINK_COUNT_LIMIT", "tracing.limits.linkCount", number],
  ["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "tracing.limits.attributePerEventCount", number],
  ["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "tracing.limits.attributePerLinkCount", number],
  ["OTEL_PROPAGATORS", "tracing.propagators", listOrNone],
  ["OBSERVABILITY_PROPAGATE_TO", "tracing.propagateTo", list],
  ["OBSERVABILITY_BAGGAGE_TO", "tracing.baggageTo", list],
  ["OBSERVABILITY_REDACTION", "redaction.enabled", boolean],
  ["OBSERVABILITY_REDACT_NAMES", "redaction.names", list],
  ["OBSERVABILITY_REDACT_ALLOW", "redaction.allow", list],
  ["OBSERVABILITY_REDACT_EMAILS", "redaction.emails", boolean],
  ["OBSERVABILITY_REDACT_ADDRESSES", "redaction.addresses", boolean],
  ["OBSERVABILITY_REQUEST_TIMEOUT", "requestTimeout", seconds],
  ["OBSERVABILITY_BATCH_SIZE", "batchSize", number],
  ["OBSERVABILITY_FLUSH_INTERVAL", "flushInterval", seconds],
  ["OBSERVABILITY_SHUTDOWN_TIMEOUT", "shutdownTimeout", seconds]
]

/** OpenTelemetry resource attributes that this configuration knows (semantic conventions: service, deployment). */
const resourceAttributes: Readonly<Record<string, string>> = {
  "service.name": "tracing.serviceName",
  "service.version": "tracing.serviceVersion",
  "service.instance.id": "tracing.serviceInstance",
  "deployment.environment": "env",
  "deployment.environment.name": "env",
  "k8s.cluster.name": "cluster"
}

export interface Environment {
  readonly values: { readonly [key: string]: unknown }
  /** Which variable a path came from. */
  readonly names: ReadonlyMap<string, string>
}

const made = new Map<string, Effect.Effect<string | undefined>>()

/** Made once for each name: a reload asks for all of them. */
const read = (name: string): Effect.Effect<string | undefined> => {
  let one = made.get(name)
  if (one === undefined) made.set(name, one = Config.option(Config.String(name)).pipe(Effect.map(Option.getOrUndefined), Effect.catch(() => Effect.succeed(undefined))))
  return one
}

/** What the environment says, as far as it says anything; read through Effect's `ConfigProvider`. */
export const environment: Effect.Effect<Environment> = Effect.gen(function*() {
  const values: Record<string, any> = {}
  const names = new Map<string, string>()
  const put = (path: string, value: unknown, name: string): void => {
    if (names.has(path)) return
    names.set(path, name)
    const keys = path.split(".")
    let group = values
    for (const key of keys.slice(0, -1)) group = group[key] ??= {}
    group[keys.at(-1)!] = value
  }
  for (const [name, path, parse] of variables) {
    const value = yield* read(name)
    if (value !== undefined && value !== "") put(path, parse(value), name)
  }
  const attributes = pairs((yield* read("OTEL_RESOURCE_ATTRIBUTES")) ?? "")
  for (const [key, path] of Object.entries(resourceAttributes)) {
    if (Object.hasOwn(attributes, key)) put(path, attributes[key], "OTEL_RESOURCE_ATTRIBUTES")
  }
  if (boolean((yield* read("OTEL_SDK_DISABLED")) ?? "") === true) put("enabled", false, "OTEL_SDK_DISABLED")
  const sampler = yield* read("OTEL_TRACES_SAMPLER")
  const rate = (yield* read("OTEL_TRACES_SAMPLER_ARG")) ?? "1"
  if (sampler !== undefined && sampler !== "") put("tracing.sampler", sampler, "OTEL_TRACES_SAMPLER")
  if (sampler !== undefined && sampler.endsWith("traceidratio")) put("tracing.sampleRate", number(rate), "OTEL_TRACES_SAMPLER_ARG")
  return { values, names }
})

const decoded = (value: string): string => {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
