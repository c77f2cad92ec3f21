import { metrics, metricTables, type MetricTable, logs, type Table, traces, traceTimes } from "./tables.ts"

/** The names users see. */
export interface Names {
  readonly database: string
  readonly traces: string
  /** Before `_sum`, `_gauge`, `_histogram`, `_exponential_histogram` and `_summary`. */
  readonly metrics: string
  readonly logs: string
}

/** How the tables are made. */
export interface Layout {
  readonly names: Names
  /** Statements are run on every server of this cluster. */
  readonly cluster: string | undefined
  readonly engine: string
  /** The names are `Distributed` tables over `<name>_local` on the cluster. */
  readonly distributed: boolean
  readonly retentionDays: number
}

/** Quoted, so that it can stand in a statement; `identifierProblem` has looked at it already. */
export const quoted = (name: string): string => `\`${name.replaceAll(/[`\\]/g, "\\$&")}\``

export const qualified = ({ database }: Pick<Names, "database">, table: string): string => `${quoted(database)}.${quoted(table)}`

/** Every name ready for a statement. */
export interface Sql extends Readonly<Record<MetricTable, string>> {
  readonly traces: string
  readonly traceTimes: string
  readonly logs: string
  readonly version: string
}

export const versionTable = "observability_schema"

export const sqlNames = (names: Names): Sql => ({
  ...(Object.fromEntries(metricTables.map((one) => [one, qualified(names, `${names.metrics}_${one}`)])) as Record<MetricTable, string>),
  traces: qualified(names, names.traces),
  traceTimes: qualified(names, `${names.traces}_trace_id_ts`),
  logs: qualified(names, names.logs),
  version: qualified(names, versionTable)
})

/** The tables of a layout and what they are called. */
export const allTables = ({ names }: Pick<Layout, "names">): ReadonlyArray<{ readonly name: string; readonly table: Table; readonly shardBy: string }> => [
  { name: names.traces, table: traces, shardBy: "cityHash64(TraceId)" },
  { name: `${names.traces}_trace_id_ts`, table: traceTimes, shardBy: "cityHash64(TraceId)" },
  ...metricTables.map((one) => ({ name: `${names.metrics}_${one}`, table: metrics[one], shardBy: "cityHash64(ServiceName, MetricName, Attributes)" })),
  { name: names.logs, table: logs, shardBy: "cityHash64(TraceId, SpanId)" }
]

const identifier = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

/** What is wrong with the name of a database or table, or `undefined`. */
export const identifierProblem = (name: unknown): string | undefined =>
  typeof name !== "string" || !identifier.test(name)
    ? "must be a name of letters, digits and _ that does not begin with a digit, at most 128 characters"
    : ["system", "information_schema"].includes(name.toLowerCase())
    ? "belongs to ClickHouse itself: choose another name"
    : undefined
