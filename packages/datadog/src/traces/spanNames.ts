import type { SpanData } from "@effect-observability/core"

// Which operation a span is and of what type, by the rules Datadog has for OpenTelemetry's spans (datadog-agent, `pkg/trace/transform`;
// dd-trace-js, `opentelemetry/span.js`).

type Attributes = SpanData["attributes"]

const relational = new Set([
  "postgresql", "mysql", "mariadb", "mssql", "microsoft.sql_server", "sqlite", "oracle", "oracle.db", "db2", "ibm.db2", "redshift", "aws.redshift", "cockroachdb", "h2database", "hsqldb", "other_sql", "teradata",
  "vertica", "clickhouse", "sap.hana", "hanadb", "trino", "spanner", "gcp.spanner"
])
const caches = new Set(["redis", "valkey", "memcached", "geode", "hazelcast"])

/** What of a span's attributes decides how it is called; read in one pass. */
export interface Facts {
  operation: string | undefined
  resource: string | undefined
  service: string | undefined
  type: string | undefined
  http: boolean
  database: string | undefined
  messaging: string | undefined
  step: string | undefined
  rpc: string | undefined
  protocol: string | undefined
}

const none: Readonly<Facts> = {
  operation: undefined, resource: undefined, service: undefined, type: undefined, http: false, database: undefined, messaging: undefined, step: undefined, rpc: undefined, protocol: undefined
}

export const factsOf = (attributes: Attributes): Readonly<Facts> => {
  if (attributes.size === 0) return none
  let facts: Facts | undefined
  for (const [key, value] of attributes) {
    const field = deciding.get(key)
    if (field === undefined) continue
    facts ??= { ...none }
    if (field === "http") facts.http = true
    // Of two names of one thing the newer one counts, whatever their order.
    else if (typeof value === "string" && value !== "" && (facts[field] === undefined || !older.has(key))) facts[field] = value
  }
  return facts ?? none
}

const deciding: ReadonlyMap<string, keyof Facts> = new Map<string, keyof Facts>([
  ["operation.name", "operation"], ["resource.name", "resource"], ["service.name", "service"], ["span.type", "type"], ["http.request.method", "http"], ["http.method", "http"],
  ["db.system.name", "database"], ["db.system", "database"], ["messaging.system", "messaging"], ["messaging.operation.name", "step"], ["messaging.operation", "step"],
  ["messaging.operation.type", "step"], ["rpc.system.name", "rpc"], ["rpc.system", "rpc"], ["network.protocol.name", "protocol"]
])
const older = new Set(["db.system", "messaging.operation", "messaging.operation.type", "rpc.system"])

/** Datadog's operation name: few, the same for all requests of a kind; what is special stands in the resource. */
export const operationOf = ({ database, http, messaging, operation, protocol, rpc, step }: Readonly<Facts>, kind: SpanData["kind"]): string => {
  if (operation !== undefined) return clean(operation)
  const client = kind === "client"
  const call = client || kind === "server"
  if (http && call) return client ? "http.client.request" : "http.server.request"
  if (database !== undefined && client) return clean(`${database}.query`)
  if (messaging !== undefined && step !== undefined && kind !== "internal") return clean(`${messaging}.${step}`)
  if (!call) return kind
  if (rpc !== undefined) return clean(`${rpc}.${kind}.request`)
  return protocol === undefined ? `${kind}.request` : clean(`${protocol}.${kind}.request`)
}

/** Datadog's span type; `undefined` for work of the program's own. */
export const typeOf = ({ database, http, rpc, type }: Readonly<Facts>, kind: SpanData["kind"]): string | undefined => {
  if (type !== undefined) return type.slice(0, 100)
  switch (kind) {
    case "server":
      return "web"
    case "producer":
    case "consumer":
      return "queue"
    case "client":
      if (database !== undefined) return caches.has(database) ? "cache" : relational.has(database) ? "sql" : "db"
      return http || rpc === undefined ? "http" : "rpc"
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
