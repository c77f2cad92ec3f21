import * as Redacted from "effect/Redacted"
import type { AlertRule } from "../../alerting/AlertRule.ts"
import { decodeRule } from "../../alerting/AlertRule.ts"
import { type AnomalyRule, type AnomalyRuleInput, make as anomalyRule } from "../../alerting/AnomalyRule.ts"
import type {
  AlertingSettings, AlertReceiver, ClickHouseSettings, ConsoleSettings, DatadogSettings, LogSettings, OpenTelemetrySettings, PrometheusSettings, SentrySettings
} from "../Backends.ts"
import { anomalyShape, ruleShape } from "./ruleShape.ts"
import type { Problem, Reader } from "./Reader.ts"

// The groups of the backends, and of alerts and log lines. What is left out stays `undefined`: each backend has defaults of its own.

const key = /^[^\0\r\n]{1,200}$/

/** A value only where one was given. */
const given = <A>(reader: Reader, name: string, read: () => A): A | undefined => {
  const there = reader.get(name) !== undefined
  const value = read()
  return there ? value : undefined
}

const url = (schemes: string) => (text: string): string | undefined =>
  URL.canParse(text) && new RegExp(`^(${schemes}):`).test(text) ? undefined : `expected a URL that begins with ${schemes.split("|").map((one) => `${one}://`).join(" or ")}`

/** An address: its credentials are never shown. */
const address = (reader: Reader, name: string, schemes: string): string | undefined => {
  const found = reader.secret(name, url(schemes))
  reader.describe(name, { type: "string", pattern: `^(${schemes})://` })
  return found === undefined ? undefined : Redacted.value(found)
}

/** Text by name, secret. */
const secrets = (reader: Reader, name: string): Readonly<Record<string, Redacted.Redacted<string>>> => {
  reader.describe(name, { type: "object", additionalProperties: { type: "string" } })
  const value = reader.get(name) ?? {}
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    reader.wrong(name, "expected an object of names and texts")
    return {}
  }
  const out: Record<string, Redacted.Redacted<string>> = {}
  for (const [header, text] of Object.entries(value)) {
    const plain: unknown = Redacted.isRedacted(text) ? Redacted.value(text) : text
    if (!key.test(header) || typeof plain !== "string") reader.wrong(`${name}.${header.slice(0, 60)}`, "expected text")
    else out[header] = Redacted.make(plain)
  }
  return out
}

const texts = (reader: Reader, name: string): Readonly<Record<string, string>> => {
  reader.describe(name, { type: "object", additionalProperties: { type: "string" } })
  const value = reader.get(name) ?? {}
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    reader.wrong(name, "expected an object of names and texts")
    return {}
  }
  const entries = Object.entries(value)
  for (const [one, text] of entries) {
    if (!key.test(one) || typeof text !== "string") reader.wrong(`${name}.${one.slice(0, 60)}`, "expected text")
  }
  return Object.fromEntries(entries.filter(([, text]) => typeof text === "string"))
}

const sampleRatio = (reader: Reader): number => reader.number("sampleRatio", 1, 0, 1)

const days = (reader: Reader): number | undefined => given(reader, "retentionDays", () => reader.integer("retentionDays", 90, 1, 36_500))

export const openTelemetryOf = (root: Reader, endpoint: string | undefined): OpenTelemetrySettings => {
  const reader = root.group("opentelemetry")
  const own = address(reader, "endpoint", "http|https")
  const settings: OpenTelemetrySettings = {
    enabled: reader.boolean("enabled", (own ?? endpoint) !== undefined),
    endpoint: own ?? endpoint,
    protocol: given(reader, "protocol", () => reader.oneOf("protocol", "http/protobuf", ["http/protobuf", "http/json", "grpc"])),
    headers: secrets(reader, "headers"),
    compression: reader.oneOf("compression", "none", ["none", "gzip"]),
    traces: reader.boolean("traces", true),
    metrics: reader.boolean("metrics", true),
    logs: reader.boolean("logs", true),
    temporality: reader.oneOf("temporality", "cumulative", ["cumulative", "delta", "lowmemory"]),
    sampleRatio: sampleRatio(reader),
    batchSize: given(reader, "batchSize", () => reader.integer("batchSize", 512, 1, 10_000)),
    flushInterval: given(reader, "flushInterval", () => reader.duration("flushInterval", 15)),
    maxQueueSize: given(reader, "maxQueueSize", () => reader.integer("maxQueueSize", 50_000, 1, 10_000_000))
  }
  reader.describe("enabled", { type: "boolean", description: "default: whether an endpoint is given" })
  reader.close()
  return settings
}

export const sentryOf = (root: Reader, dsn: Redacted.Redacted<string> | undefined): SentrySettings => {
  const reader = root.group("sentry")
  const own = reader.secret("dsn", (text) => url("http|https")(text) === undefined ? undefined : "expected https://key@host/project")
  const settings: SentrySettings = {
    enabled: reader.boolean("enabled", (own ?? dsn) !== undefined),
    dsn: own ?? dsn,
    environment: given(reader, "environment", () => reader.string("environment", "", /^[^\0\r\n]{1,64}$/, "1 to 64 characters")),
    release: given(reader, "release", () => reader.string("release", "", /^[^\0\r\n]{1,250}$/, "1 to 250 characters")),
    tags: texts(reader, "tags"),
    traces: reader.oneOf("traces", "spans", ["spans", "transactions", "off"]),
    logs: reader.boolean("logs", false),
    sampleRatio: sampleRatio(reader),
    flushInterval: given(reader, "flushInterval", () => reader.duration("flushInterval", 2))
  }
  reader.describe("enabled", { type: "boolean", description: "default: whether a DSN is given" })
  reader.close()
  return settings
}

export const datadogOf = (root: Reader): DatadogSettings => {
  const reader = root.group("datadog")
  const settings: DatadogSettings = {
    enabled: reader.boolean("enabled", false),
    host: given(reader, "host", () => reader.string("host", "127.0.0.1", /^[^/@?#\s\0]{1,255}$/, "a host name")),
    dogstatsd: given(reader, "dogstatsd", () => reader.string("dogstatsd", "", /^(off|(udp|unix|unixstream|tcp):\/\/\S+)$/, "udp://host:8125, unix:///path, or off")),
    traces: given(reader, "traces", () => reader.string("traces", "", /^(off|(https?|unix):\/\/\S+)$/, "http://host:8126, unix:///path, or off")),
    tags: texts(reader, "tags"),
    prefix: given(reader, "prefix", () => reader.string("prefix", "", /^[A-Za-z][\w.]{0,99}$/, "a prefix like shop.")),
    distributions: reader.oneOf("distributions", "values", ["values", "buckets"]),
    sampleRatio: sampleRatio(reader),
    flushInterval: given(reader, "flushInterval", () => reader.duration("flushInterval", 10)),
    batchSize: given(reader, "batchSize", () => reader.integer("batchSize", 1_000, 1, 10_000))
  }
  reader.close()
  return settings
}

export const clickHouseOf = (root: Reader): ClickHouseSettings => {
  const reader = root.group("clickhouse")
  const name = (field: string, fallback: string) =>
    given(reader, field, () => reader.string(field, fallback, /^[A-Za-z_][A-Za-z0-9_]{0,62}$/, "a name: [A-Za-z_][A-Za-z0-9_]*, at most 63 characters"))
  const settings: ClickHouseSettings = {
    enabled: reader.boolean("enabled", false),
    connection: reader.secret("connection", (text) => url("http|https")(text) === undefined ? undefined : "expected http://user:password@host:8123/database"),
    database: name("database", "otel"),
    tracesTable: name("tracesTable", "otel_traces"),
    metricsTable: name("metricsTable", "otel_metrics"),
    logsTable: name("logsTable", "otel_logs"),
    retentionDays: days(reader),
    batchSize: given(reader, "batchSize", () => reader.integer("batchSize", 5_000, 1, 10_000)),
    flushInterval: given(reader, "flushInterval", () => reader.duration("flushInterval", 5)),
    logs: reader.boolean("logs", false),
    errors: reader.boolean("errors", true),
    history: given(reader, "history", () => reader.boolean("history", true)),
    compression: reader.oneOf("compression", "zstd", ["zstd", "gzip", "none"]),
    cluster: given(reader, "cluster", () => reader.string("cluster", "", /^[A-Za-z0-9_{}.-]{1,128}$/, "letters, digits, and _ . - { }")),
    engine: given(reader, "engine", () => reader.string("engine", "MergeTree")),
    distributed: reader.boolean("distributed", false),
    sampleRatio: sampleRatio(reader)
  }
  if (settings.enabled && settings.connection === undefined) reader.wrong("connection", "is needed: http://user:password@host:8123/database (CLICKHOUSE_CONNECTION)")
  reader.close()
  return settings
}

export const prometheusOf = (root: Reader): PrometheusSettings => {
  const reader = root.group("prometheus")
  const settings: PrometheusSettings = {
    enabled: given(reader, "enabled", () => reader.boolean("enabled", true)),
    processMetrics: reader.boolean("processMetrics", false),
    createdTimestamps: reader.boolean("createdTimestamps", false)
  }
  reader.close()
  return settings
}

export const consoleOf = (root: Reader): ConsoleSettings => {
  const reader = root.group("console")
  const settings: ConsoleSettings = {
    enabled: reader.boolean("enabled", false),
    colors: given(reader, "colors", () => reader.boolean("colors", true)),
    sampleRatio: sampleRatio(reader)
  }
  reader.close()
  return settings
}

/** Many rules are many evaluations; a file that holds more is a mistake. */
const maxRules = 1_000

export const alertingOf = (root: Reader, problems: Array<Problem>): AlertingSettings => {
  const reader = root.group("alerting")
  reader.describe("rules", { type: "array", maxItems: maxRules, items: ruleShape })
  const list = reader.get("rules") ?? []
  const rules: Array<AlertRule> = []
  if (!Array.isArray(list) || list.length > maxRules) reader.wrong("rules", `expected a list of at most ${maxRules} rules`)
  else {
    const seen = new Map<string, number>()
    for (const [i, one] of list.entries()) {
      const rule = decodeRule(one, `alerting.rules.${i}`, problems)
      const other = seen.get(rule.name)
      if (rule.name !== "" && other !== undefined) reader.wrong(`rules.${i}.name`, `is ${rule.name}, as that of rule ${other}: give each its own name`)
      seen.set(rule.name, i)
      rules.push(rule)
    }
  }
  const known = new Set(rules.map(({ name }) => name))
  rules.forEach(({ inhibitedBy }, i) => {
    const stranger = inhibitedBy.find((name) => !known.has(name))
    if (stranger !== undefined) reader.wrong(`rules.${i}.inhibitedBy`, `expected names of rules; none is named ${stranger}`)
  })
  const anomalies = anomaliesOf(reader, known)
  const slo = reader.strings("slo", [], /^[A-Za-z][A-Za-z0-9_]{0,199}$/, "names of rules")
  for (const name of slo) if (!known.has(name)) reader.wrong("slo", `expected names of rules; none is named ${name}`)
  const webhook = receiver(reader, "webhook")
  const alertmanager = receiver(reader, "alertmanager")
  const wanted = rules.length > 0 || anomalies.length > 0 || webhook.url !== undefined || alertmanager.url !== undefined
  const settings: AlertingSettings = {
    enabled: reader.boolean("enabled", wanted),
    interval: reader.duration("interval", 15),
    rules,
    thresholds: reader.boolean("thresholds", true),
    anomalies,
    slo,
    groupInterval: reader.duration("groupInterval", 60),
    repeatInterval: reader.duration("repeatInterval", 4 * 3_600),
    log: reader.boolean("log", true),
    webhook,
    alertmanager
  }
  for (const [field, usual] of [["interval", 15], ["groupInterval", 60], ["repeatInterval", 14_400]] as const) {
    reader.describe(field, {
      anyOf: [{ type: "number", minimum: 0.1, maximum: 86_400 }, { type: "string" }], default: usual, description: "seconds, or text like \"15 seconds\"; at most one day"
    })
    if (settings[field] < 100) reader.wrong(field, "expected 100 milliseconds or more")
  }
  reader.close()
  return settings
}

const receiver = (alerting: Reader, name: "webhook" | "alertmanager"): AlertReceiver => {
  const reader = alerting.group(name)
  reader.describe("url", { type: "string", pattern: "^(http|https)://" })
  const found: AlertReceiver = {
    url: reader.secret("url", (text) => url("http|https")(text) ??
      (new URL(text).username + new URL(text).password === "" ? undefined : "expected a URL without user and password: give headers.authorization")),
    headers: secrets(reader, "headers")
  }
  reader.close()
  return found
}

const maxAnomalies = 100

const anomaliesOf = (reader: Reader, taken: Set<string>): ReadonlyArray<AnomalyRule> => {
  reader.describe("anomalies", { type: "array", maxItems: maxAnomalies, items: anomalyShape })
  const list = reader.get("anomalies") ?? []
  if (!Array.isArray(list) || list.length > maxAnomalies) {
    reader.wrong("anomalies", `expected a list of at most ${maxAnomalies} rules`)
    return []
  }
  return list.flatMap((one: unknown, i) => {
    if (typeof one !== "object" || one === null || Array.isArray(one)) {
      reader.wrong(`anomalies.${i}`, "expected an object")
      return []
    }
    const stranger = Object.keys(one).find((field) => !(field in anomalyShape.properties))
    if (stranger !== undefined) reader.wrong(`anomalies.${i}.${stranger.slice(0, 60)}`, `is not a field: use ${Object.keys(anomalyShape.properties).join(", ")}`)
    try {
      const rule = anomalyRule(one as AnomalyRuleInput)
      if (taken.has(rule.name)) reader.wrong(`anomalies.${i}.name`, `is ${rule.name}, as that of another rule: give each its own name`)
      taken.add(rule.name)
      return [rule]
    } catch (error) {
      reader.wrong(`anomalies.${i}`, `expected a rule: ${error instanceof Error ? error.message : "it cannot be read"}`)
      return []
    }
  })
}

const levels = ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"] as const

export const logsOf = (root: Reader): LogSettings => {
  const reader = root.group("logs")
  const settings: LogSettings = { level: reader.oneOf("level", "All", levels), keepLevel: reader.oneOf("keepLevel", "All", levels) }
  reader.close()
  return settings
}
