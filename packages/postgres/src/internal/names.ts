import type { Names } from "../PostgresConfig.ts"

/** Tables of the store itself. Users see the views; these may change their form between versions. */
export const tables = [
  "migration", "settings", "resource", "family", "series", "lane", "lane_series",
  "metric_frame", "histogram_frame", "summary_frame", "operation", "trace_part"
] as const
export type Table = (typeof tables)[number]

/** Those that are partitioned by day, on `ts`. */
export const partitioned = ["metric_frame", "histogram_frame", "summary_frame", "trace_part"] as const
export type Partitioned = (typeof partitioned)[number]

/** Every name qualified and quoted, ready to stand in a statement. */
export interface Sql extends Record<Table, string> {
  readonly schema: string
  readonly view: { readonly [K in Exclude<keyof Names, "schema">]: string }
  /** The sequence behind the rows' ids, as a literal for `nextval`. */
  readonly rowId: string
}

export const sqlNames = (names: Names): Sql => {
  const qualified = (name: string) => `"${names.schema}"."${name}"`
  return {
    ...(Object.fromEntries(tables.map((table) => [table, qualified(`obs_${table}`)])) as Record<Table, string>),
    schema: `"${names.schema}"`,
    view: {
      metrics: qualified(names.metrics),
      metadata: qualified(names.metadata),
      spans: qualified(names.spans),
      events: qualified(names.events),
      histograms: qualified(names.histograms)
    },
    rowId: `'${qualified("obs_row_id")}'`
  }
}
