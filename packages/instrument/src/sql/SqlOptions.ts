import { ConfigurationError } from "@effect-observability/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** How a database client is observed; everything has a default. */
export interface SqlOptions {
  /** `pool_name` of the metrics. Default: the database's name, else the server's address, else the driver. Give each pool its own. */
  readonly poolName?: string
  /** Operations that take as long are logged (WARN) and counted. Default 1 second; `false` switches it off. */
  readonly slowQueryThreshold?: Duration.Input | false
  /** Most lines of the slow-query log in a minute; the next line says how many were left out. Default 60. */
  readonly slowQueryLogsPerMinute?: number
  /** Whether `db.query.text` (without literals and comments) is on spans and in the slow-query log. Default `true`. */
  readonly queryText?: boolean
  /**
   * Whether statements carry the trace in a comment (`/*traceparent='00-…'*\/`, the sqlcommenter format), and what else. Off by default: every text is then another
   * one, so that statements are sent unprepared and the server's statistics see more texts.
   */
  readonly sqlcommenter?: boolean | { readonly tags: Readonly<Record<string, string>> }
  /** Most tables with a series of their own; further ones are `_OTHER`. Default 200. */
  readonly maxTables?: number
  /** Most summaries, which are names of spans; further ones are `{operation} _OTHER`. Default 500. */
  readonly maxSummaries?: number
  /** More attributes of every span of this client, over what the client says of itself. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
}

/** Options in the form in which they are used. */
export interface ResolvedOptions {
  readonly poolName: string | undefined
  /** Seconds; `Infinity` for none. */
  readonly slow: number
  readonly slowLogs: number
  readonly queryText: boolean
  /** The part of the comment that is always the same; `undefined` for no comment. */
  readonly tags: ReadonlyArray<readonly [key: string, value: string]> | undefined
  readonly maxTables: number
  readonly maxSummaries: number
  readonly attributes: ReadonlyArray<readonly [string, string | number | boolean]>
}

interface Problem {
  readonly path: string
  readonly message: string
}

/** Checks options; all problems come back at once. */
export const resolve = (options: SqlOptions): Effect.Effect<ResolvedOptions, ConfigurationError> =>
  Effect.suspend(() => {
    const problems: Array<Problem> = []
    const count = (name: "maxTables" | "maxSummaries" | "slowQueryLogsPerMinute", otherwise: number): number => {
      const value = options[name] ?? otherwise
      if (!Number.isInteger(value) || value < 1 || value > 100_000) problems.push({ path: `sql.${name}`, message: `is ${String(value)}: give a whole number from 1 to 100000` })
      return value
    }
    const { poolName, sqlcommenter } = options
    if (poolName !== undefined && (typeof poolName !== "string" || poolName.trim() === "" || poolName.length > 128)) {
      problems.push({ path: "sql.poolName", message: "is empty or longer than 128 characters: give the pool a short name" })
    }
    const resolved: ResolvedOptions = {
      poolName,
      slow: threshold(options.slowQueryThreshold ?? "1 second", problems),
      slowLogs: count("slowQueryLogsPerMinute", 60),
      queryText: options.queryText ?? true,
      tags: sqlcommenter === undefined || sqlcommenter === false ? undefined : tagsOf(sqlcommenter === true ? {} : sqlcommenter.tags, problems),
      maxTables: count("maxTables", 200),
      maxSummaries: count("maxSummaries", 500),
      attributes: Object.entries(options.attributes ?? {})
    }
    return problems.length === 0 ? Effect.succeed(resolved) : Effect.fail(new ConfigurationError({ problems }))
  })

const threshold = (given: Duration.Input | false, problems: Array<Problem>): number => {
  if (given === false) return Number.POSITIVE_INFINITY
  const message = "is no duration above zero: give one such as \"500 millis\", or false to switch the slow-query log off"
  try {
    const seconds = Duration.toSeconds(Duration.fromInputUnsafe(given))
    if (!(seconds > 0)) problems.push({ path: "sql.slowQueryThreshold", message })
    return seconds
  } catch {
    problems.push({ path: "sql.slowQueryThreshold", message })
    return Number.POSITIVE_INFINITY
  }
}

const tagsOf = (tags: Readonly<Record<string, string>>, problems: Array<Problem>): ReadonlyArray<readonly [string, string]> => {
  const entries = Object.entries(tags ?? {})
  for (const [key, value] of entries) {
    if (key === "" || key.length > 64 || typeof value !== "string" || value.length > 256) {
      problems.push({ path: `sql.sqlcommenter.tags.${key.slice(0, 64)}`, message: "names have 1 to 64 characters, values are texts of at most 256" })
    }
    if (key === "traceparent") problems.push({ path: "sql.sqlcommenter.tags.traceparent", message: "is written for you: leave it out" })
  }
  return entries
}
