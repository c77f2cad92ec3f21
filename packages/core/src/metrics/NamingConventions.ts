import type { MetricDefinition } from "./MetricDefinition.ts"
import * as Otel from "./OtelMetrics.ts"
import * as Standard from "./StandardMetrics.ts"

/** A standard metric and its counterpart in OpenTelemetry's semantic conventions. */
export interface Counterpart {
  readonly standard: MetricDefinition
  readonly otel: MetricDefinition
  /** Labels of the standard metric by name, with the other's. */
  readonly labels: Readonly<Record<string, string>>
  /** The standard metric is the other's `_count`: there is no way back. */
  readonly countOf?: true
  /** Only these series of the other count. */
  readonly where?: string
}

const http = { method: "http_request_method", path: "http_route" }
const database = { operation: "db_operation_name", table: "db_collection_name" }
const consumer = { topic: "messaging_destination_name", consumer_group: "messaging_consumer_group_name" }

/** What is called how: the document's names and OpenTelemetry's. */
export const counterparts: ReadonlyArray<Counterpart> = [
  { standard: Standard.HttpRequestsTotal, otel: Otel.HttpServerRequestDuration, labels: { ...http, status: "http_response_status_code" }, countOf: true },
  { standard: Standard.HttpRequestDuration, otel: Otel.HttpServerRequestDuration, labels: http },
  { standard: Standard.HttpRequestSize, otel: Otel.HttpServerRequestBodySize, labels: http },
  { standard: Standard.HttpResponseSize, otel: Otel.HttpServerResponseBodySize, labels: http },
  { standard: Standard.DbOperationDuration, otel: Otel.DbClientOperationDuration, labels: database },
  {
    standard: Standard.DbErrors,
    otel: Otel.DbClientOperationDuration,
    labels: { operation: "db_operation_name", error_type: "error_type" },
    countOf: true,
    where: "error_type!=\"\""
  },
  {
    standard: Standard.DbConnections,
    otel: Otel.DbClientConnectionCount,
    labels: { pool_name: "db_client_connection_pool_name", state: "db_client_connection_state" }
  },
  { standard: Standard.MessagePublished, otel: Otel.MessagingClientSentMessages, labels: { topic: "messaging_destination_name" } },
  { standard: Standard.MessageConsumed, otel: Otel.MessagingClientConsumedMessages, labels: consumer },
  { standard: Standard.MessageProcessed, otel: Otel.MessagingProcessDuration, labels: consumer, countOf: true },
  { standard: Standard.MessageProcessingDuration, otel: Otel.MessagingProcessDuration, labels: { topic: "messaging_destination_name" } }
]

export interface RecordingRulesOptions {
  /** `metrics.prefix` of the programs. */
  readonly prefix?: string
  /** How often Prometheus evaluates them, such as `"30s"`. Default: Prometheus's own interval. */
  readonly interval?: string
}

/**
 * Prometheus recording rules (a rule file, YAML) that give metrics of the other convention the names of `target`: `"standard"` for
 * programs that record `otel`, `"otel"` for programs that record `standard`. Programs that record `both` need none.
 *
 * What the source does not have cannot be given: computed from the document's names, request durations have no status code, and
 * database operations no error type.
 *
 * @example
 * ```ts
 * writeFileSync("standard-names.yml", NamingConventions.recordingRules("standard"))
 * ```
 */
export const recordingRules = (target: "standard" | "otel", options: RecordingRulesOptions = {}): string => {
  const { interval, prefix: given = "" } = options
  const prefix = given === "" || given.endsWith("_") ? given : `${given}_`
  const pairs = counterparts.filter(({ countOf }) => target === "standard" || countOf !== true)
  const rules = pairs.flatMap((pair) => rulesOf(pair, target, prefix))
  return [
    "groups:",
    `  - name: effect_observability_${target}_names`,
    ...(interval === undefined ? [] : [`    interval: ${interval}`]),
    "    rules:",
    ...rules.flatMap(({ expr, record }) => [`      - record: ${record}`, `        expr: '${expr.replaceAll("'", "''")}'`]),
    ""
  ].join("\n")
}

interface Rule {
  readonly record: string
  readonly expr: string
}

const rulesOf = ({ countOf, labels, otel, standard, where }: Counterpart, target: "standard" | "otel", prefix: string): ReadonlyArray<Rule> => {
  const [to, from] = target === "standard" ? [standard, otel] : [otel, standard]
  const renamed = Object.entries(labels).map(([ours, theirs]) => target === "standard" ? [ours, theirs] as const : [theirs, ours] as const)
  const kept = new Set(renamed.map(([label]) => label))
  const gone = from.labelNames.filter((label) => !kept.has(label))
  const suffixes = countOf === true ? [["", "_count"]] : from.type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => [suffix, suffix]) : [["", ""]]
  return suffixes.map(([after, before]) => {
    let expr = `${prefix}${from.name}${before}${where === undefined ? "" : `{${where}}`}`
    for (const [label, source] of renamed) {
      if (label !== source) expr = `label_replace(${expr}, "${label}", "$1", "${source}", "(.*)")`
    }
    return { record: `${prefix}${to.name}${after}`, expr: `sum without (${gone.join(", ")}) (${expr})` }
  })
}
