/** A table of the OpenTelemetry collector's ClickHouse exporter (`exporter/clickhouseexporter`): names, types, codecs, keys as there. */
export interface Table {
  readonly columns: ReadonlyArray<Column>
  readonly indexes: ReadonlyArray<string>
  /** What a row's age is measured by. */
  readonly time: string
  readonly partitionBy: string
  readonly orderBy: string
  readonly primaryKey?: string
}

export interface Column {
  readonly name: string
  readonly type: string
  /** Codec and default. */
  readonly more: string
  /**
   * Not the collector's: with a default, so that rows that others write are whole without it. Added to tables that are there already.
   */
  readonly own?: true
  /** Filled by the server. */
  readonly derived?: true
}

const zstd = "CODEC(ZSTD(1))"
const column = (name: string, type: string, more = zstd): Column => ({ name, type, more })
const own = (name: string, type: string, more: string): Column => ({ name, type, more, own: true })

const words = "Map(LowCardinality(String), String)"
const kinds = "Map(LowCardinality(String), LowCardinality(String))"
const delta = "CODEC(Delta(8), ZSTD(1))"

const keysAndValues = (name: string, short: string): ReadonlyArray<string> => [
  `INDEX idx_${short}_key mapKeys(${name}) TYPE bloom_filter(0.01) GRANULARITY 1`,
  `INDEX idx_${short}_value mapValues(${name}) TYPE bloom_filter(0.01) GRANULARITY 1`
]

/** Columns of who is observed: the same in every row of a process. */
const resource = [
  column("ResourceAttributes", words),
  column("ScopeName", "String"),
  column("ScopeVersion", "String"),
  column("ServiceName", "LowCardinality(String)")
]

export const traces: Table = {
  columns: [
    ...resource,
    column("Timestamp", "DateTime64(9)", delta),
    column("TraceId", "String"),
    column("SpanId", "String"),
    column("ParentSpanId", "String"),
    column("TraceState", "String"),
    column("SpanName", "LowCardinality(String)"),
    column("SpanKind", "LowCardinality(String)"),
    column("SpanAttributes", words),
    column("Duration", "UInt64"),
    column("StatusCode", "LowCardinality(String)"),
    column("StatusMessage", "String"),
    column("Events.Timestamp", "Array(DateTime64(9))"),
    column("Events.Name", "Array(LowCardinality(String))"),
    column("Events.Attributes", `Array(${words})`),
    column("Links.TraceId", "Array(String)"),
    column("Links.SpanId", "Array(String)"),
    column("Links.TraceState", "Array(String)"),
    column("Links.Attributes", `Array(${words})`),
    own("SpanAttributeTypes", kinds, zstd),
    own("EventAttributeTypes", `Array(${kinds})`, zstd),
    own("LinkAttributeTypes", `Array(${kinds})`, zstd),
    own("Weight", "Float64", `DEFAULT 1 ${zstd}`),
    own("DroppedAttributes", "UInt32", zstd),
    own("DroppedEvents", "UInt32", zstd),
    own("DroppedLinks", "UInt32", zstd),
    { ...own("InsertedAt", "DateTime64(3)", `DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))`), derived: true }
  ],
  indexes: [
    "INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1",
    ...keysAndValues("ResourceAttributes", "res_attr"),
    ...keysAndValues("SpanAttributes", "span_attr"),
    "INDEX idx_duration Duration TYPE minmax GRANULARITY 1",
    "INDEX idx_inserted_at InsertedAt TYPE minmax GRANULARITY 1"
  ],
  time: "Timestamp",
  partitionBy: "toDate(Timestamp)",
  orderBy: "(ServiceName, SpanName, toDateTime(Timestamp))"
}

/** Where in time a trace lies: filled by a materialized view, read by trace viewers before they look for spans. */
export const traceTimes: Table = {
  columns: [column("TraceId", "String"), column("Start", "DateTime", "CODEC(Delta(4), ZSTD(1))"), column("End", "DateTime", "CODEC(Delta(4), ZSTD(1))")],
  indexes: ["INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1"],
  time: "Start",
  partitionBy: "toDate(Start)",
  orderBy: "(TraceId, Start)"
}

const metric = (...columns: ReadonlyArray<Column>): Table => ({
  columns: [
    ...resource,
    column("ResourceSchemaUrl", "String"),
    column("ScopeAttributes", words),
    column("ScopeDroppedAttrCount", "UInt32"),
    column("ScopeSchemaUrl", "String"),
    column("MetricName", "String"),
    column("MetricDescription", "String"),
    column("MetricUnit", "String"),
    column("Attributes", words),
    column("StartTimeUnix", "DateTime64(9)", delta),
    column("TimeUnix", "DateTime64(9)", delta),
    ...columns,
    column("Flags", "UInt32")
  ],
  indexes: [...keysAndValues("ResourceAttributes", "res_attr"), ...keysAndValues("ScopeAttributes", "scope_attr"), ...keysAndValues("Attributes", "attr")],
  time: "TimeUnix",
  partitionBy: "toDate(TimeUnix)",
  orderBy: "(ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))"
})

const exemplars = [
  column("Exemplars.FilteredAttributes", `Array(${words})`),
  column("Exemplars.TimeUnix", "Array(DateTime64(9))"),
  column("Exemplars.Value", "Array(Float64)"),
  column("Exemplars.SpanId", "Array(String)"),
  column("Exemplars.TraceId", "Array(String)")
]

const temporality = column("AggregationTemporality", "Int32")

export const metrics = {
  sum: metric(
    column("Value", "Float64"),
    ...exemplars,
    temporality,
    column("IsMonotonic", "Bool", "CODEC(Delta(1), ZSTD(1))"),
    own("IntervalMillis", "UInt64", zstd)
  ),
  gauge: metric(column("Value", "Float64"), ...exemplars),
  histogram: metric(
    column("Count", "UInt64", delta),
    column("Sum", "Float64"),
    column("BucketCounts", "Array(UInt64)"),
    column("ExplicitBounds", "Array(Float64)"),
    ...exemplars,
    column("Min", "Float64"),
    column("Max", "Float64"),
    temporality
  ),
  exponential_histogram: metric(
    column("Count", "UInt64", delta),
    column("Sum", "Float64"),
    column("Scale", "Int32"),
    column("ZeroCount", "UInt64"),
    column("PositiveOffset", "Int32"),
    column("PositiveBucketCounts", "Array(UInt64)"),
    column("NegativeOffset", "Int32"),
    column("NegativeBucketCounts", "Array(UInt64)"),
    ...exemplars,
    column("Min", "Float64"),
    column("Max", "Float64"),
    temporality
  ),
  summary: metric(
    column("Count", "UInt64", delta),
    column("Sum", "Float64"),
    column("ValueAtQuantiles.Quantile", "Array(Float64)"),
    column("ValueAtQuantiles.Value", "Array(Float64)")
  )
} as const

export const logs: Table = {
  columns: [
    ...resource,
    column("Timestamp", "DateTime64(9)", delta),
    { ...column("TimestampTime", "DateTime", "DEFAULT toDateTime(Timestamp)"), derived: true },
    column("TraceId", "String"),
    column("SpanId", "String"),
    column("TraceFlags", "UInt8", ""),
    column("SeverityText", "LowCardinality(String)"),
    column("SeverityNumber", "UInt8", ""),
    column("Body", "String"),
    column("ResourceSchemaUrl", "LowCardinality(String)"),
    column("ScopeSchemaUrl", "LowCardinality(String)"),
    column("ScopeAttributes", words),
    column("LogAttributes", words),
    own("LogAttributeTypes", kinds, zstd)
  ],
  indexes: [
    "INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1",
    ...keysAndValues("ResourceAttributes", "res_attr"),
    ...keysAndValues("ScopeAttributes", "scope_attr"),
    ...keysAndValues("LogAttributes", "log_attr"),
    "INDEX idx_body Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8"
  ],
  time: "TimestampTime",
  partitionBy: "toDate(TimestampTime)",
  primaryKey: "(ServiceName, TimestampTime)",
  orderBy: "(ServiceName, TimestampTime, Timestamp)"
}

export type MetricTable = keyof typeof metrics
export const metricTables = Object.keys(metrics) as ReadonlyArray<MetricTable>
