import type { SpanSelection } from "@effect-observability/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { identifierProblem, type Layout, type Names } from "./internal/names.ts"

/** What one ClickHouse backend may be told. */
export interface ClickHouseOptions {
  /** `http://user:password@host:8123/database`, or `https://…:8443/…`. Never printed. */
  readonly connection: Redacted.Redacted<string>
  /** Unique in the composition; default `"clickhouse"`. */
  readonly name?: string
  /** Created when it is missing. Default: the one in the URL, or `"otel"`. */
  readonly database?: string
  /** Default `"otel_traces"`, as in the OpenTelemetry collector. */
  readonly tracesTable?: string
  /** Before `_sum`, `_gauge`, `_histogram`, `_exponential_histogram` and `_summary`. Default `"otel_metrics"`. */
  readonly metricsTable?: string
  /** Default `"otel_logs"`. */
  readonly logsTable?: string
  /** Whole days, 1 to 36,500: the tables' TTL. Default 90. */
  readonly retentionDays?: number
  /** The grid of the metric frames, and how long a span waits for company. At least 100 milliseconds. Default 5 seconds. */
  readonly flushInterval?: Duration.Input
  /** Spans per insert, 1 to 10,000. ClickHouse likes few large inserts. Default 5,000. */
  readonly batchSize?: number
  /** Which of the kept spans go here; what is left out is counted in this backend's ledger. Default all. */
  readonly spans?: SpanSelection
  /** `true`: the program's log lines are kept in the table of logs. Default `false`: logging stays the program's own. */
  readonly logs?: boolean
  /** `false`: reported errors are not kept in the table of logs. Default `true`. */
  readonly errors?: boolean
  /** How inserts are compressed on their way. Default `"zstd"`. */
  readonly compression?: "zstd" | "gzip" | "none"
  /** Certificates in PEM, where the system's authorities are not enough; needs an `https` address. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: Redacted.Redacted<string> }
  /** `false`: the tables must be there, and are only checked. Default `true`. */
  readonly createTables?: boolean
  /** Tables are made on every server of this cluster (`ON CLUSTER`). */
  readonly cluster?: string
  /**
   * Engine of the tables, of the MergeTree family: `"ReplicatedMergeTree"`, or with arguments
   * `"ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')"`. Default `"MergeTree"`.
   */
  readonly engine?: string
  /** The names become `Distributed` tables over `<name>_local` on the cluster. Default `false`. */
  readonly distributed?: boolean
  /** Connections for reading, 1 to 100. Default 2. */
  readonly readConnections?: number
  /** How long one question may take, 100 ms to an hour; the server ends it then. Default 10 seconds. */
  readonly readTimeout?: Duration.Input
  /** `false`: writes only, and leaves `MetricsHistory` and `TraceHistory` to another backend. Default `true`. */
  readonly history?: boolean
}

/** An option that cannot be used: which one, and what to write instead. Never holds the connection string. */
export class ClickHouseConfigError extends Schema.TaggedError<ClickHouseConfigError>()("ClickHouseConfigError", {
  field: Schema.String,
  message: Schema.String
}) {}

/** Where the server is and who we are there. */
export interface Target {
  /** Without credentials, path and parameters. */
  readonly url: string
  readonly username: string
  readonly password: Redacted.Redacted<string>
  readonly compression: "zstd" | "gzip" | "none"
  readonly tls: { readonly ca_cert: Buffer } | { readonly ca_cert: Buffer; readonly cert: Buffer; readonly key: Buffer } | undefined
}

/** The options, checked and complete. */
export interface ClickHouseConfig {
  readonly name: string
  readonly target: Target
  readonly layout: Layout
  readonly createTables: boolean
  /** Milliseconds. */
  readonly flushInterval: number
  readonly batchSize: number
  readonly readConnections: number
  /** Milliseconds. */
  readonly readTimeout: number
  readonly history: boolean
  readonly logs: boolean
  readonly errors: boolean
}

/** Fails with the first option that cannot be used. */
export const resolve = (options: ClickHouseOptions): Effect.Effect<ClickHouseConfig, ClickHouseConfigError> =>
  Effect.gen(function*() {
    const name = options.name ?? "clickhouse"
    if (typeof name !== "string" || name.trim() === "") return yield* wrong("name", "is empty: leave it out or give the backend a name")
    const { database: fromUrl, ...address } = yield* checkConnection(options)
    const database = options.database ?? fromUrl ?? "otel"
    if (options.database !== undefined && fromUrl !== undefined && options.database !== fromUrl) {
      return yield* wrong("database", "differs from the one in the connection URL: leave one of them out")
    }
    const names = yield* checkNames({
      database,
      traces: options.tracesTable ?? "otel_traces",
      metrics: options.metricsTable ?? "otel_metrics",
      logs: options.logsTable ?? "otel_logs"
    })
    const retentionDays = options.retentionDays ?? 90
    yield* checkInteger("retentionDays", retentionDays, 1, 36_500)
    const batchSize = options.batchSize ?? 5_000
    yield* checkInteger("batchSize", batchSize, 1, 10_000)
    const readConnections = options.readConnections ?? 2
    yield* checkInteger("readConnections", readConnections, 1, 100)
    const flushInterval = yield* checkDuration("flushInterval", options.flushInterval ?? "5 seconds", 100, 86_400_000)
    const readTimeout = yield* checkDuration("readTimeout", options.readTimeout ?? "10 seconds", 100, 3_600_000)
    const compression: unknown = options.compression ?? "zstd"
    if (compression !== "zstd" && compression !== "gzip" && compression !== "none") {
      return yield* wrong("compression", `is ${shown(compression)}: use "zstd", "gzip" or "none"`)
    }
    const engine = options.engine ?? "MergeTree"
    if (typeof engine !== "string" || !engines.test(engine)) {
      return yield* wrong("engine", `is ${shown(engine)}: use MergeTree, ReplicatedMergeTree or SharedMergeTree, with quoted arguments if any`)
    }
    const { cluster, distributed = false } = options
    const clusterProblem = cluster === undefined ? undefined : /^[A-Za-z0-9_{}.-]{1,128}$/.test(cluster) ? undefined : "must be letters, digits, and _ . - { }"
    if (clusterProblem !== undefined) return yield* wrong("cluster", `${shown(cluster)} ${clusterProblem}`)
    if (distributed && cluster === undefined) return yield* wrong("distributed", "needs a cluster: give its name as `cluster`")
    return {
      name,
      target: { ...address, compression, tls: yield* checkTls(options.tls, address.url) },
      layout: { names, cluster, engine, distributed, retentionDays },
      createTables: options.createTables ?? true,
      flushInterval,
      batchSize,
      readConnections,
      readTimeout,
      history: options.history ?? true,
      logs: options.logs ?? false,
      errors: options.errors ?? true
    }
  })

const engines = /^(Replicated|Shared)?MergeTree(\(('[A-Za-z0-9_/{}.:-]*'(, ?'[A-Za-z0-9_/{}.:-]*')*)?\))?$/

const wrong = (field: string, problem: string): Effect.Effect<never, ClickHouseConfigError> =>
  Effect.fail(new ClickHouseConfigError({ field, message: `clickhouse.${field} ${problem}` }))

const shown = (value: unknown): string => JSON.stringify(String(value).slice(0, 70))

const checkInteger = (field: string, value: number, least: number, most: number) =>
  Number.isInteger(value) && value >= least && value <= most
    ? Effect.void
    : wrong(field, `is ${shown(value)}: use a whole number from ${least} to ${most}`)

const checkDuration = (field: string, value: Duration.Input, least: number, most: number): Effect.Effect<number, ClickHouseConfigError> => {
  const given = Duration.fromInput(value)
  const millis = given._tag === "None" ? NaN : Math.round(Duration.toMillis(given.value))
  return millis >= least && millis <= most ? Effect.succeed(millis) : wrong(field, `is ${shown(value)}: use ${least} ms to ${most / 1_000} seconds, such as "5 seconds"`)
}

const fields = { database: "database", traces: "tracesTable", metrics: "metricsTable", logs: "logsTable" } as const

/** Every name is checked before it comes near a statement, and quoted there all the same. */
const checkNames = (names: Names): Effect.Effect<Names, ClickHouseConfigError> =>
  Effect.gen(function*() {
    const taken = new Map<string, string>()
    for (const [key, field] of Object.entries(fields) as ReadonlyArray<readonly [keyof typeof fields, string]>) {
      const name: unknown = names[key]
      const problem = identifierProblem(name)
      if (problem !== undefined) return yield* wrong(field, `${shown(name)} ${problem}`)
      if (key === "database") continue
      const other = taken.get(name as string)
      if (other !== undefined) return yield* wrong(field, `is ${shown(name)}, as is ${other}: give each its own name`)
      taken.set(name as string, field)
    }
    return names
  })

const checkConnection = ({ connection }: ClickHouseOptions) => {
  const bad = (problem: string) => wrong("connection", problem)
  if (!Redacted.isRedacted(connection)) {
    return bad("is missing: pass `connection: Redacted.make(\"http://user:password@host:8123/database\")` or set CLICKHOUSE_CONNECTION")
  }
  const text: unknown = Redacted.value(connection)
  // What `URL` throws carries the whole string: it is never thrown here.
  const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) return bad("is not a URL: write http://user:password@host:8123/database, with %-escapes in user and password")
  if (url.protocol !== "http:" && url.protocol !== "https:") return bad("must start with http:// or https://: the HTTP interface is used (port 8123, with TLS 8443)")
  if (url.search !== "" || url.hash !== "") return bad("has parameters: leave out what follows ? or #, the options of the backend say the rest")
  if (url.hostname === "") return bad("names no host")
  const path = url.pathname.replaceAll(/^\/|\/$/g, "")
  const username = decoded(url.username)
  const password = decoded(url.password)
  const database = decoded(path)
  if (username === undefined || password === undefined || database === undefined) return bad("has a stray %: write it as %25")
  if (database.includes("/")) return bad("has a path of several parts: only the database's name may follow the host")
  // HTTP basic authentication ends the name at the first colon (RFC 7617, 2).
  if (username.includes(":")) return bad("has a user name with a colon: HTTP cannot carry it")
  return Effect.succeed({
    url: url.origin,
    username: username === "" ? "default" : username,
    password: Redacted.make(password, { label: "clickhouse password" }),
    database: database === "" ? undefined : database
  })
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const checkTls = (tls: ClickHouseOptions["tls"], url: string): Effect.Effect<Target["tls"], ClickHouseConfigError> => {
  if (tls === undefined) return Effect.succeed(undefined)
  if (!url.startsWith("https:")) return wrong("tls", "is given although the connection is http://: write https://, or leave it out")
  if (typeof tls.ca !== "string" || !tls.ca.includes("-----BEGIN")) return wrong("tls.ca", "is no certificate in PEM: pass the text that begins with -----BEGIN CERTIFICATE-----")
  const ca_cert = Buffer.from(tls.ca)
  if ((tls.cert === undefined) !== (tls.key === undefined)) return wrong("tls.key", "and tls.cert belong together: give both or none")
  return Effect.succeed(
    tls.cert === undefined || tls.key === undefined ? { ca_cert } : { ca_cert, cert: Buffer.from(tls.cert), key: Buffer.from(Redacted.value(tls.key)) }
  )
}
