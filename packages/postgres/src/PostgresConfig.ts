import { identifierProblem, type ObservabilitySettings, type SpanSelection, type UpkeepFloor, type UpkeepSettings } from "@effect-observability/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { errorsView, type Partitioned } from "./internal/names.ts"
import type { Retention } from "./internal/partitions.ts"
import type { Target, TlsOptions } from "./internal/session.ts"

export type { TlsOptions } from "./internal/session.ts"

/** What one PostgreSQL backend may be told. What is left out comes from `ObservabilityConfig.postgres`. */
export interface PostgresOptions {
  /** `postgresql://user:password@host:5432/database`; `sslmode=require` and friends are understood. Never printed. */
  readonly connection?: Redacted.Redacted<string>
  /** Unique in the composition; default `"postgres"`. */
  readonly name?: string
  /** Created when it is missing; one store per schema. Default `"observability"`. */
  readonly schema?: string
  readonly metricsTable?: string
  readonly metricsMetadataTable?: string
  readonly spansTable?: string
  readonly spanEventsTable?: string
  /** 1 to 36,500, rounded up to whole days; older daily partitions are dropped. Read anew at every pass when it comes from the settings. */
  readonly retentionDays?: number
  /** Days per layer, where a layer shall not follow `retentionDays`. Roll-ups live at least as long as what they sum up. */
  readonly retention?: RetentionOptions
  /** The grid of the metric frames, and how long a span waits for company. At least 10 milliseconds. */
  readonly flushInterval?: Duration.Input
  /** Spans per batch, 1 to 100,000; a statement takes at most 10,000. */
  readonly batchSize?: number
  /** Which of the kept spans go here; what is left out is counted in this backend's ledger. Default all. */
  readonly spans?: SpanSelection
  /**
   * `false`: a commit does not wait for the server's disk. Up to about a second of telemetry may then be lost when the server
   * crashes; nothing is doubled or corrupted. Default `true`.
   */
  readonly synchronousCommit?: boolean
  /**
   * Keys of span attributes whose values `searchTraces` finds by an index once spans are packed, at most 64; `[]` for no index.
   * Others are found too, by looking at every span of the range. Default: those of the settings.
   */
  readonly searchableAttributes?: ReadonlyArray<string>
  /** Connections for reading, 1 to 100. Default 2: a slow question must not take the database from the application. */
  readonly readConnections?: number
  /** How long one question may take, 100 ms to an hour; the server ends it then. Default 10 seconds. */
  readonly readTimeout?: Duration.Input
  /**
   * `false` behind a pooler in transaction mode (pgbouncer): statements are not prepared, and session settings are left to the role
   * (`alter role … set statement_timeout`). Default `true`.
   */
  readonly prepare?: boolean
  /** Certificates, where the URL's `sslmode` and the system's authorities are not enough. Given, the connection is encrypted or not made. */
  readonly tls?: TlsOptions
  /** Bytes the database may take on its disk: the storage report then says when it is full. */
  readonly capacity?: number
  /** What the store may do when its disk fills; needs `capacity` or `upkeep.maxBytes`. Default off. */
  readonly upkeep?: UpkeepOptions
  /** `false`: writes only, and leaves `MetricsHistory`, `TraceHistory` and `ErrorHistory` to another backend. Default `true`. */
  readonly history?: boolean
  /**
   * `false`: leaves packing to the other processes on the same schema. Of those that may, one works at a time; frames that nobody
   * packs stay readable and take ten times the room. Default `true`.
   */
  readonly packing?: boolean
}

/** As `UpkeepSettings`; given, it is on unless `enabled` is `false`. */
export interface UpkeepOptions extends Partial<Omit<UpkeepSettings, "floor">> {
  readonly floor?: Partial<UpkeepFloor>
}

/** Whole days, 1 to 36,500. */
export interface RetentionOptions {
  /** Every sample, in frames and packed. Default and at most: `retentionDays`. */
  readonly raw?: number
  /** Roll-ups of a minute. Default `retentionDays`; dropped by the month. */
  readonly minute?: number
  /** Roll-ups of an hour. Default 730, or `retentionDays` when that is more; dropped by the year. */
  readonly hour?: number
  /** Roll-ups of a day. Default 3,650, or as `hour` when that is more; dropped by the year. */
  readonly day?: number
}

/** An option that cannot be used: which one, and what to write instead. Never holds the connection string. */
export class PostgresConfigError extends Schema.TaggedError<PostgresConfigError>()("PostgresConfigError", {
  field: Schema.String,
  message: Schema.String
}) {}

/** The names users see: two views, the metadata table, and the view of the events. */
export interface Names {
  readonly schema: string
  readonly metrics: string
  readonly metadata: string
  readonly spans: string
  readonly events: string
  /** Buckets of histograms: `<metrics>_histograms`, or `observability_metric_histograms` for the document's own name. */
  readonly histograms: string
}

/** The options, checked and complete. */
export interface PostgresConfig {
  readonly name: string
  readonly names: Names
  readonly target: Target
  readonly retentionDays: () => number
  readonly retention: () => Retention
  /** Milliseconds. */
  readonly flushInterval: number
  readonly batchSize: number
  readonly readConnections: number
  /** Milliseconds. */
  readonly readTimeout: number
  readonly capacity: number | undefined
  /** `undefined`: off. `maxBytes` is above 0. */
  readonly upkeep: UpkeepSettings | undefined
  readonly history: boolean
  readonly packing: boolean
  readonly searchable: ReadonlySet<string>
}

/** The arrays of one statement are cut once per trace, which grows with the square of the batch. */
const maxBatch = 10_000

/** Options over settings. Fails with the first option that cannot be used. */
export const resolve = (
  options: PostgresOptions,
  settings: () => ObservabilitySettings
): Effect.Effect<PostgresConfig, PostgresConfigError> =>
  Effect.gen(function*() {
    const given = settings()
    const defaults = given.postgres
    const name = options.name ?? "postgres"
    if (name.trim() === "") return yield* wrong("name", "is empty: leave it out or give the backend a name")
    const names = yield* checkNames({
      schema: options.schema ?? defaults.schema,
      metricsTable: options.metricsTable ?? defaults.metricsTable,
      metricsMetadataTable: options.metricsMetadataTable ?? defaults.metricsMetadataTable,
      spansTable: options.spansTable ?? defaults.spansTable,
      spanEventsTable: options.spanEventsTable ?? defaults.spanEventsTable
    })
    const target = yield* checkConnection(options.connection ?? defaults.connection, {
      applicationName: `effect-observability ${given.service.name}`,
      synchronousCommit: options.synchronousCommit ?? true,
      prepare: options.prepare ?? true,
      tls: options.tls
    })
    if (options.prepare === false && options.synchronousCommit === false) {
      return yield* wrong("synchronousCommit", "cannot be set through a transaction pooler: `alter role … set synchronous_commit = off`, and leave it out")
    }
    const readConnections = options.readConnections ?? 2
    yield* checkInteger("readConnections", readConnections, 1, 100)
    const readTimeout = Duration.toMillis(Duration.fromInputUnsafe(options.readTimeout ?? "10 seconds"))
    yield* checkInteger("readTimeout", Math.round(readTimeout), 100, 3_600_000)
    const capacity = options.capacity ?? (defaults.capacity > 0 ? defaults.capacity : undefined)
    if (capacity !== undefined) yield* checkInteger("capacity", capacity, 1, Number.MAX_SAFE_INTEGER)
    const upkeep = yield* upkeepOf(options.upkeep, defaults.upkeep, capacity)
    const retentionDays = () => Math.ceil(options.retentionDays ?? settings().postgres.retentionDays)
    yield* checkInteger("retentionDays", retentionDays(), 1, 36_500)
    const retention = () => layers(retentionDays(), options.retention ?? {})
    yield* checkRetention(retentionDays(), options.retention ?? {})
    const batchSize = options.batchSize ?? defaults.batchSize
    yield* checkInteger("batchSize", batchSize, 1, 100_000)
    const flushInterval = Duration.toMillis(Duration.fromInputUnsafe(options.flushInterval ?? defaults.flushInterval))
    yield* checkInteger("flushInterval", Math.round(flushInterval), 10, 86_400_000)
    const searchable = new Set(options.searchableAttributes ?? defaults.searchableAttributes)
    if (searchable.size > 64) return yield* wrong("searchableAttributes", `has ${searchable.size} keys: use at most 64`)
    if ([...searchable].some((key) => typeof key !== "string" || key === "" || key.length > 255)) {
      return yield* wrong("searchableAttributes", "has an empty key, or one of more than 255 characters: leave it out")
    }
    return {
      name, names, target, retentionDays, retention, flushInterval, readConnections, readTimeout,
      batchSize: Math.min(batchSize, maxBatch), capacity, upkeep, history: options.history ?? true, packing: options.packing ?? true,
      searchable
    }
  })

const upkeepOf = (given: UpkeepOptions | undefined, defaults: UpkeepSettings, capacity: number | undefined) =>
  Effect.gen(function*() {
    const upkeep = { ...defaults, enabled: given === undefined ? defaults.enabled : true, ...given, floor: { ...defaults.floor, ...given?.floor } }
    if (!upkeep.enabled) return undefined
    for (const [layer, days] of Object.entries(upkeep.floor)) yield* checkInteger(`upkeep.floor.${layer}`, days, 1, 36_500)
    if (!(upkeep.daysLeft >= 0 && upkeep.daysLeft <= 365)) return yield* wrong("upkeep.daysLeft", `is ${upkeep.daysLeft}: use a number from 0 to 365`)
    yield* checkInteger("upkeep.maxBytes", upkeep.maxBytes, 0, Number.MAX_SAFE_INTEGER)
    const maxBytes = upkeep.maxBytes > 0 ? upkeep.maxBytes : Math.floor(0.9 * (capacity ?? 0))
    return maxBytes > 0 ? { ...upkeep, maxBytes } : yield* wrong("upkeep.maxBytes", "is missing: upkeep needs a limit, here or as `capacity`")
  })

/** A reload may shorten or lengthen `retentionDays` under fixed layers: roll-ups follow what lies below them. */
const layers = (retentionDays: number, given: RetentionOptions): Retention => {
  const raw = Math.min(given.raw ?? retentionDays, retentionDays)
  const minute = Math.max(given.minute ?? retentionDays, raw)
  const hour = Math.max(given.hour ?? Math.max(730, retentionDays), minute)
  const day = Math.max(given.day ?? 3_650, hour)
  return (table) =>
    table === "rollup_minute" ? minute : table === "rollup_hour" ? hour : table === "rollup_day" ? day : spanTables.has(table) ? retentionDays : raw
}

export const spanTables: ReadonlySet<Partitioned> = new Set<Partitioned>(["trace_part", "trace_pack", "span_pack", "error_event", "alert_event"])

const checkRetention = (retentionDays: number, given: RetentionOptions) =>
  Effect.gen(function*() {
    const order = [["raw", given.raw], ["minute", given.minute], ["hour", given.hour], ["day", given.day]] as const
    let below: { readonly name: string; readonly days: number } | undefined
    for (const [name, days] of order) {
      if (days === undefined) continue
      yield* checkInteger(`retention.${name}`, days, 1, 36_500)
      if (name === "raw" && days > retentionDays) {
        return yield* wrong("retention.raw", `is ${days}, more than retentionDays (${retentionDays}): raise that, or leave this one out`)
      }
      if (below !== undefined && days < below.days) {
        return yield* wrong(`retention.${name}`, `is ${days}, less than ${below.name} (${below.days}): a roll-up lives at least as long as what it sums up`)
      }
      below = { name, days }
    }
  })

const wrong = (field: string, problem: string): Effect.Effect<never, PostgresConfigError> =>
  Effect.fail(new PostgresConfigError({ field, message: `postgres.${field} ${problem}` }))

const checkInteger = (field: string, value: number, least: number, most: number) =>
  Number.isInteger(value) && value >= least && value <= most
    ? Effect.void
    : wrong(field, `is ${value}: use a whole number from ${least} to ${most}`)

const checkIdentifier = (field: string, name: unknown): Effect.Effect<string, PostgresConfigError> => {
  const problem = typeof name === "string" ? identifierProblem(name) : "must be text"
  return problem === undefined ? Effect.succeed(name as string) : wrong(field, `${shown(name)} ${problem}`)
}

const shown = (value: unknown): string => JSON.stringify(String(value).slice(0, 70))

const tableFields = ["metricsTable", "metricsMetadataTable", "spansTable", "spanEventsTable"] as const

/** Every name is checked before it comes near a statement, and quoted there all the same. */
export const checkNames = (
  given: { readonly [K in "schema" | (typeof tableFields)[number]]: string }
): Effect.Effect<Names, PostgresConfigError> =>
  Effect.gen(function*() {
    const schema = yield* checkIdentifier("schema", given.schema)
    const seen = new Map<string, string>()
    for (const field of tableFields) {
      const name = yield* checkIdentifier(field, given[field])
      if (name.startsWith("obs_")) return yield* wrong(field, `is "${name}": names starting with obs_ belong to the store's own tables`)
      if (name === errorsView) return yield* wrong(field, `is "${name}", the view of the errors: choose another name`)
      const other = seen.get(name)
      if (other !== undefined) return yield* wrong(field, `is "${name}", as is ${other}: give each its own name`)
      seen.set(name, field)
    }
    const histograms = histogramsName(given.metricsTable)
    if (histograms.length > 63) return yield* wrong("metricsTable", "is too long: at most 52 characters, the view of the buckets adds _histograms")
    const taken = seen.get(histograms)
    if (taken !== undefined) return yield* wrong(taken, `is "${histograms}", the view of the histograms: choose another name`)
    return {
      schema,
      metrics: given.metricsTable,
      metadata: given.metricsMetadataTable,
      spans: given.spansTable,
      events: given.spanEventsTable,
      histograms
    }
  })

const histogramsName = (metricsTable: string): string =>
  metricsTable === "observability_metrics" ? "observability_metric_histograms" : `${metricsTable}_histograms`

const checkConnection = (
  connection: Redacted.Redacted<string> | undefined,
  rest: Omit<Target, "url" | "address">
): Effect.Effect<Target, PostgresConfigError> => {
  const bad = (problem: string) => wrong("connection", problem)
  if (connection === undefined) {
    return bad("is missing: pass `connection: Redacted.make(\"postgresql://user:password@host:5432/database\")` or set POSTGRES_CONNECTION")
  }
  // What `URL` throws carries the whole string, so its error is dropped here.
  const url = URL.canParse(Redacted.value(connection)) ? new URL(Redacted.value(connection)) : undefined
  if (url === undefined) return bad("is not a URL: write postgresql://user:password@host:5432/database, with %-escapes in user and password")
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") return bad("must start with postgresql://")
  if (url.searchParams.has("options")) return bad("has `options`: session settings are the backend's own, leave the parameter out")
  const host = url.searchParams.get("host") ?? decoded(url.hostname.replace(/^\[(.*)\]$/, "$1"))
  const port = Number(url.searchParams.get("port") ?? (url.port === "" ? 5432 : url.port))
  if (host === undefined || decoded(url.username) === undefined || decoded(url.password) === undefined) {
    return bad("has a stray %: write it as %25")
  }
  if (host.includes(",")) return bad("names several hosts: give one, or the address of a proxy in front of them")
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return bad("has a port that is not a number from 1 to 65535")
  const sslmode = url.searchParams.get("sslmode")
  if (sslmode !== null && !["disable", "allow", "prefer", "require", "verify-ca", "verify-full"].includes(sslmode)) {
    return bad("has an unknown sslmode: use disable, prefer, require or verify-full")
  }
  if (rest.tls !== undefined && sslmode === "disable") return wrong("tls", "is given although the URL says sslmode=disable: leave one of them out")
  const address = host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host: host === "" ? "localhost" : host, port }
  return Effect.succeed({ ...rest, url: connection, address })
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
