import type { Names } from "../PostgresConfig.ts"

/** Tables of the store itself. Users see the views; these may change their form between versions. */
export const tables = [
  "migration", "settings", "resource", "family", "series", "lane", "lane_series",
  "metric_frame", "histogram_frame", "summary_frame", "operation", "trace_part",
  "metric_segment", "metric_pack", "metric_pack_hour", "metric_pack_day", "rollup_minute", "rollup_hour", "rollup_day", "exemplar",
  "trace_pack", "span_pack", "searchable", "metric_row", "shape", "exponential", "exponential_pack", "error_event",
  "alert_event", "alert_member", "alert_leader", "upkeep"
] as const
export type Table = (typeof tables)[number]

/** Those that are partitioned by `ts`, and by what: the digits of a partition's name say which day, month or year it holds. */
export const partitionedBy = {
  metric_frame: "day",
  histogram_frame: "day",
  summary_frame: "day",
  trace_part: "day",
  metric_segment: "day",
  metric_pack_hour: "day",
  metric_pack_day: "day",
  exemplar: "day",
  exponential: "day",
  exponential_pack: "day",
  trace_pack: "day",
  span_pack: "day",
  error_event: "day",
  alert_event: "day",
  rollup_minute: "month",
  rollup_hour: "year",
  rollup_day: "year"
} as const satisfies Partial<Record<Table, "day" | "month" | "year">>
export type Partitioned = keyof typeof partitionedBy
export const partitioned = Object.keys(partitionedBy) as ReadonlyArray<Partitioned>

/** Functions and views of the store itself: how it is read, and written by hand. */
const readers = [
  "column", "letters", "entry", "attributes", "trace_by_id", "hashes", "parts", "unpack", "hot_part", "cold_part", "hot_span", "hot_attributes", "cold_span",
  "lane_place", "ends", "lengths", "histogram", "every_metric", "every_histogram", "every_exponential", "exponential_entries", "write_metric",
  "every_span", "every_event", "trace_id_of", "span_id_of", "make_room", "hand_lane", "write_span", "write_event"
] as const

/** Every name qualified and quoted, ready to stand in a statement. */
export interface Sql extends Record<Table | (typeof readers)[number], string> {
  readonly schema: string
  /** Where new batches are announced: the schema's name, bare. */
  readonly channel: string
  readonly view: { readonly [K in Exclude<keyof Names, "schema">]: string }
  /** The sequence behind the rows' ids, as a literal for `nextval`. */
  readonly rowId: string
  /** Functions that decode packed rows: their values, and the times of a segment. */
  readonly values: string
  readonly axis: string
  /** Functions for users: rows within a time. */
  readonly metrics_range: string
  readonly histograms_range: string
  /** The same, with who recorded it. */
  readonly metrics_by_process: string
  readonly histograms_by_process: string
  /** The view of the errors. */
  readonly errors: string
  /** The view of when alerts began and ended. */
  readonly alerts: string
  readonly spans_range: string
  readonly span_events_range: string
}

/** Users see the errors under this name. */
export const errorsView = "observability_errors"

/** Users see events of alerts under this name. */
export const alertsView = "observability_alerts"

export const sqlNames = (names: Names): Sql => {
  const qualified = (name: string) => `"${names.schema}"."${name}"`
  return {
    ...(Object.fromEntries([...tables, ...readers].map((name) => [name, qualified(`obs_${name}`)])) as Record<Table | (typeof readers)[number], string>),
    schema: `"${names.schema}"`,
    channel: names.schema,
    view: {
      metrics: qualified(names.metrics),
      metadata: qualified(names.metadata),
      spans: qualified(names.spans),
      events: qualified(names.events),
      histograms: qualified(names.histograms)
    },
    rowId: `'${qualified("obs_row_id")}'`,
    values: qualified("obs_values"),
    axis: qualified("obs_axis"),
    metrics_range: qualified("metrics_range"),
    errors: qualified(errorsView),
    alerts: qualified(alertsView),
    histograms_range: qualified("histograms_range"),
    metrics_by_process: qualified("metrics_by_process"),
    histograms_by_process: qualified("histograms_by_process"),
    spans_range: qualified("spans_range"),
    span_events_range: qualified("span_events_range")
  }
}
