import type { SpanData } from "@effect-observability/core"

// Which operation a span is and of what type, by the rules Datadog has for OpenTelemetry's spans (datadog-agent, `pkg/trace/transform`;
// dd-trace-js, `opentelemetry/span.js`).

type Attributes = SpanData["attributes"]

const relational = new Set([
  "postgresql", "mysql", "mariadb", "mssql", "microsoft.sql_server", "sqlite", "oracle", "oracle.db", "db2", "ibm.db2", "redshift", "aws.redshift", "cockroachdb", "h2database", "hsqldb", "other_sql", "teradata",
  "vertica", "clickhouse", "sap.hana", "hanadb", "trino", "spanner", "gcp.spanner"
])
const caches = new Set(["redis", "valkey", "memcached", "geode", "hazelcast"])

export const text = (attributes: Attributes, ...keys: ReadonlyArray<string>): string | undefined => {
  for (const key of keys) {
    const value = attributes.get(key)
    if (typeof value === "string" && value !== "") return value
  }
  return undefined
}

export const isHttp = (attributes: Attributes): boolean => attributes.has("http.request.method") || attributes.has("http.method")

/** Datadog's operation name: few, the same for all requests of a kind; what is special stands in the resource. */
export const operationOf = ({ attributes, kind }: SpanData): string => {
  if (attributes.size > 0) {
    const named = text(attributes, "operation.name")
    if (named !== undefined) return clean(named)
    if (kind !== "internal") {
      const special = specialOperation(attributes, kind)
      if (special !== undefined) return clean(special)
    }
  }
  return kind === "server" ? "server.request" : kind === "client" ? "client.request" : kind
}

const specialOperation = (attributes: Attributes, kind: SpanData["kind"]): string | undefined => {
  if (isHttp(attributes)) {
    if (kind === "server") return "http.server.request"
    if (kind === "client") return "http.client.request"
  }
  const database = text(attributes, "db.system.name", "db.system")
  if (database !== undefined && kind === "client") return `${database}.query`
  const messaging = text(attributes, "messaging.system")
  const step = text(attributes, "messaging.operation.name", "messaging.operation", "messaging.operation.type")
  if (messaging !== undefined && step !== undefined) return `${messaging}.${step}`
  const rpc = text(attributes, "rpc.system.name", "rpc.system")
  if (rpc !== undefined && kind === "client") return `${rpc}.client.request`
  if (rpc !== undefined && kind === "server") return `${rpc}.server.request`
  const protocol = text(attributes, "network.protocol.name")
  return protocol !== undefined && (kind === "server" || kind === "client") ? `${protocol}.${kind}.request` : undefined
}

/** Datadog's span type; `undefined` for work of the program's own. */
export const typeOf = ({ attributes, kind }: SpanData): string | undefined => {
  if (attributes.size > 0) {
    const named = text(attributes, "span.type")
    if (named !== undefined) return named.slice(0, 100)
  }
  switch (kind) {
    case "server":
      return "web"
    case "producer":
    case "consumer":
      return "queue"
    case "client": {
      const database = text(attributes, "db.system.name", "db.system")
      if (database !== undefined) return caches.has(database) ? "cache" : relational.has(database) ? "sql" : "db"
      return isHttp(attributes) ? "http" : text(attributes, "rpc.system.name", "rpc.system") !== undefined ? "rpc" : "http"
    }
    default:
      return undefined
  }
}

/** Datadog's names for what HTTP spans say (datadog-agent, `HTTPMappings`). */
export const httpNames: ReadonlyMap<string, string> = new Map([
  ["client.address", "http.client_ip"],
  ["http.request.method", "http.method"],
  ["http.response.status_code", "http.status_code"],
  ["http.request.body.size", "http.request.content_length"],
  ["http.response.body.size", "http.response.content_length"],
  ["network.protocol.version", "http.version"],
  ["url.full", "http.url"],
  ["user_agent.original", "http.useragent"]
])

/** Letters, digits, `_` and `.`, a letter first, at most 100 (datadog-agent, `NormalizeName`). */
const clean = (name: string): string => {
  const plain = name.replace(/[^a-zA-Z0-9_.]/g, "_").replace(/^[^a-zA-Z]+/, "").slice(0, 100)
  return plain === "" ? "unnamed_operation" : plain
}
