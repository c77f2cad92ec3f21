import { allTables, type Layout, qualified, quoted, sqlNames } from "./names.ts"
import type { Table } from "./tables.ts"

/** Layout of this release. Layouts only grow: a newer one stays readable. */
export const schemaVersion = 1

/**
 * How many inserts a table without replication remembers by their token. Every process counts: at a hundred inserts a second it is a
 * minute and a half, in which a repeat after a lost answer is recognised.
 */
export const deduplicationWindow = 10_000

/** Statements that make what is missing. Any number of processes may run them at once. */
export const statements = (layout: Layout): ReadonlyArray<string> => {
  const { cluster, distributed, names } = layout
  const on = cluster === undefined ? "" : ` ON CLUSTER ${quoted(cluster)}`
  const local = (name: string) => (distributed ? `${name}_local` : name)
  const out = [`CREATE DATABASE IF NOT EXISTS ${quoted(names.database)}${on}`]
  for (const { name, shardBy, table } of allTables(layout)) {
    out.push(createTable(layout, `${qualified(names, local(name))}${on}`, table))
    if (distributed) {
      out.push(
        `CREATE TABLE IF NOT EXISTS ${qualified(names, name)}${on} AS ${qualified(names, local(name))} ` +
          `ENGINE = Distributed(${quoted(cluster!)}, ${quoted(names.database)}, ${quoted(local(name))}, ${shardBy})`
      )
    }
  }
  const times = `${names.traces}_trace_id_ts`
  out.push(
    `CREATE MATERIALIZED VIEW IF NOT EXISTS ${qualified(names, `${times}_mv`)}${on} TO ${qualified(names, local(times))} AS ` +
      `SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End FROM ${qualified(names, local(names.traces))} WHERE TraceId != '' GROUP BY TraceId`,
    `CREATE TABLE IF NOT EXISTS ${sqlNames(names).version}${on} (Version UInt32, AppliedAt DateTime DEFAULT now(), AppliedBy String) ` +
      `ENGINE = ${layout.engine} ORDER BY Version`
  )
  return out
}

const createTable = (layout: Layout, name: string, table: Table): string => {
  const columns = table.columns.map((one) => `${quoted(one.name)} ${one.type} ${one.more}`.trimEnd())
  return `CREATE TABLE IF NOT EXISTS ${name} (\n  ${[...columns, ...table.indexes].join(",\n  ")}\n) ENGINE = ${layout.engine}\n` +
    `PARTITION BY ${table.partitionBy}\n${table.primaryKey === undefined ? "" : `PRIMARY KEY ${table.primaryKey}\n`}ORDER BY ${table.orderBy}\n` +
    `TTL ${timeToLive(table, layout.retentionDays)}\nSETTINGS ${settings(layout.engine)}`
}

export const timeToLive = ({ time }: Table, days: number): string => `toDateTime(${time}) + toIntervalDay(${days})`

const settings = (engine: string): string =>
  ["index_granularity = 8192", "ttl_only_drop_parts = 1", ...(isReplicated(engine) ? [] : [`non_replicated_deduplication_window = ${deduplicationWindow}`])].join(", ")

export const isReplicated = (engine: string): boolean => /^(Replicated|Shared)/.test(engine)

/** Who writes beside us may have made the table: what it has, as `system.columns` and `system.tables` tell. */
export interface Found {
  readonly columns: ReadonlyMap<string, string>
  readonly engine: string
  /** The engine with its clauses. */
  readonly engineFull: string
}

/** What brings a table that was there before to what is needed. `local` is the table that holds the rows. */
export const amendments = (layout: Layout, local: string, table: Table, found: Found): ReadonlyArray<string> => {
  const on = layout.cluster === undefined ? "" : ` ON CLUSTER ${quoted(layout.cluster)}`
  const alter = `ALTER TABLE ${qualified(layout.names, local)}${on}`
  const missing = table.columns.filter((one) => one.own === true && !found.columns.has(one.name))
  const out = missing.map((one) => `${alter} ADD COLUMN IF NOT EXISTS ${quoted(one.name)} ${one.type} ${one.more}`)
  if (!isReplicated(found.engine) && found.engine.endsWith("MergeTree") && !found.engineFull.includes("non_replicated_deduplication_window")) {
    out.push(`${alter} MODIFY SETTING non_replicated_deduplication_window = ${deduplicationWindow}`)
  }
  const days = /toIntervalDay\((\d+)\)/.exec(found.engineFull)?.[1]
  if (days !== undefined && Number(days) !== layout.retentionDays) out.push(`${alter} MODIFY TTL ${timeToLive(table, layout.retentionDays)}`)
  return out
}

/** A type as far as it decides how a value is written. */
const written = (type: string): string => {
  let text = type.replaceAll(/\s/g, "")
  for (let before = ""; before !== text;) {
    before = text
    text = text.replaceAll(/LowCardinality\(([A-Za-z0-9]+)\)/g, "$1").replaceAll(/(DateTime64\(\d+),'[^']*'\)/g, "$1)").replaceAll(/DateTime\('[^']*'\)/g, "DateTime")
  }
  return text.replaceAll(/\bU?Int64\b/g, "Int64").replaceAll(/\b(Bool|Boolean)\b/g, "UInt8").replaceAll(/\bU?Int32\b/g, "Int32")
}

/** What keeps rows from being written into a table that is there, or `undefined`. */
export const columnProblem = (name: string, table: Table, found: Found): string | undefined => {
  for (const one of table.columns) {
    if (one.derived === true) continue
    const type = found.columns.get(one.name)
    if (type === undefined) return `table ${name} has no column ${one.name}: add "${one.name} ${one.type}", or use another database`
    if (written(type) !== written(one.type)) return `column ${one.name} of table ${name} is ${type}, not ${one.type}: change it, or use another database`
  }
  return undefined
}
