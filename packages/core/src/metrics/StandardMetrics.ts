import * as M from "./MetricDefinition.ts"

/**
 * The standard metrics: names, labels and units of the design document, so that every service speaks the same. Buckets begin as
 * the document has them and go on above, where real latencies lie.
 */

const http = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10]
const database = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1]
const bytes = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000]

// HTTP
export const HttpRequestsTotal = M.counter("http_requests_total", {
  help: "Total number of HTTP requests",
  labelNames: ["method", "path", "status"]
})
export const HttpRequestDuration = M.histogram("http_request_duration_seconds", {
  help: "HTTP request duration in seconds",
  unit: "seconds",
  labelNames: ["method", "path"],
  buckets: http
})
export const HttpRequestSize = M.histogram("http_request_size_bytes", {
  help: "HTTP request body size in bytes",
  unit: "bytes",
  labelNames: ["method", "path"],
  buckets: bytes
})
export const HttpResponseSize = M.histogram("http_response_size_bytes", {
  help: "HTTP response body size in bytes",
  unit: "bytes",
  labelNames: ["method", "path"],
  buckets: bytes
})

// Database
export const DbConnections = M.gauge("db_connections", {
  help: "Number of database connections",
  labelNames: ["pool_name", "state"]
})
export const DbOperationDuration = M.histogram("db_operation_duration_seconds", {
  help: "Database operation duration in seconds",
  unit: "seconds",
  labelNames: ["operation", "table"],
  buckets: database
})
export const DbErrors = M.counter("db_errors_total", {
  help: "Total number of failed database operations",
  labelNames: ["operation", "error_type"]
})

// Cache
export const CacheHits = M.counter("cache_hits_total", { help: "Total number of cache hits", labelNames: ["cache_name"] })
export const CacheMisses = M.counter("cache_misses_total", { help: "Total number of cache misses", labelNames: ["cache_name"] })
export const CacheOperationDuration = M.histogram("cache_operation_duration_seconds", {
  help: "Cache operation duration in seconds",
  unit: "seconds",
  labelNames: ["operation"],
  buckets: database
})

// Messaging
export const MessagePublished = M.counter("message_published_total", {
  help: "Total number of published messages",
  labelNames: ["topic"]
})
export const MessageConsumed = M.counter("message_consumed_total", {
  help: "Total number of messages delivered to a consumer",
  labelNames: ["topic", "consumer_group"]
})
export const MessageProcessed = M.counter("message_processed_total", {
  help: "Total number of processed messages",
  labelNames: ["topic", "consumer_group"]
})
export const MessageProcessingDuration = M.histogram("message_processing_duration_seconds", {
  help: "Message processing duration in seconds",
  unit: "seconds",
  labelNames: ["topic"],
  buckets: http
})

// Errors
export const Errors = M.counter("errors_total", {
  help: "Total number of errors, by class, level and type; one however many boundaries it crossed",
  labelNames: ["class", "level", "error_type"]
})

// Spans
export const SpanDuration = M.histogram("span_duration_seconds", {
  help: "Span duration in seconds, by operation, kind and status; of all spans of these operations, sampled or not",
  unit: "seconds",
  labelNames: ["operation", "kind", "status"],
  buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10]
})

// The toolkit about itself
export const MetricsProcessingDuration = M.histogram("obs_metrics_processing_seconds", {
  help: "Metrics processing duration: from a batch's first attempt to its acknowledgement",
  unit: "seconds",
  labelNames: ["backend"],
  buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
  alertThreshold: 1
})
export const DroppedMetrics = M.counter("obs_dropped_metrics_total", {
  help: "Number of dropped metric frames, spans, errors and log lines, by backend, signal and reason",
  labelNames: ["backend", "signal", "reason"],
  alertThreshold: 100
})
export const Exported = M.counter("obs_exported_total", {
  help: "Number of metric frames, spans, errors and log lines a backend acknowledged",
  labelNames: ["backend", "signal"]
})
export const ErrorRepeats = M.counter("obs_error_repeats_total", {
  help: "Number of errors that were counted and not reported, because there were too many of their fingerprint"
})
export const LogsSampledOut = M.counter("obs_logs_sampled_out_total", {
  help: "Number of log lines that were held back with a trace that is not kept, and never written"
})
export const QueueItems = M.gauge("obs_queue_items", {
  help: "Metric frames, spans, errors and log lines waiting for a backend, in flight included",
  labelNames: ["backend", "signal"]
})
export const QueueAge = M.gauge("obs_queue_age_seconds", {
  help: "Age of the oldest item waiting for a backend",
  unit: "seconds",
  labelNames: ["backend", "signal"]
})
export const RejectedRecords = M.counter("obs_rejected_records_total", {
  help: "Records refused or repaired by the metric store, by reason",
  labelNames: ["reason"]
})
export const CardinalityOverflow = M.counter("obs_cardinality_overflow_total", {
  help: "Records that found no series of their own and went into a metric's overflow series, by metric",
  labelNames: ["metric"]
})
export const LedgerImbalance = M.counter("obs_ledger_imbalance_total", {
  help: "Times the books of a queue did not balance; above zero it is a bug in effect-observability",
  labelNames: ["backend", "signal"]
})
export const SampledOut = M.counter("obs_spans_sampled_out_total", {
  help: "Spans that ended and were not kept, by decision of the sampler"
})
export const HeldSpans = M.gauge("obs_spans_held", { help: "Spans waiting until it is decided whether their trace is kept" })
export const DecidedEarly = M.counter("obs_traces_decided_early_total", {
  help: "Traces decided before their first span ended, because a bound was reached",
  labelNames: ["reason"]
})
export const AlertsFiring = M.gauge("obs_alerts_firing", {
  help: "Alerts that fire, by rule and severity",
  labelNames: ["alertname", "severity"]
})
export const AlertNotifications = M.counter("obs_alerts_notifications_total", {
  help: "Notifications about alerts by sink and outcome: sent; failed, an attempt that is tried again; dropped",
  labelNames: ["sink", "outcome"]
})
export const AlertOverflow = M.counter("obs_alerts_overflow_total", {
  help: "Series that an alert rule does not watch, because it has too many groups of labels",
  labelNames: ["alertname"]
})
export const ConfigReloads = M.counter("obs_config_reloads_total", { help: "Number of times other settings were read and put in force while the program ran" })
export const ConfigReloadFailures = M.counter("obs_config_reload_failures_total", {
  help: "Number of times other settings could not be used, so that the former ones stayed in force",
  alertThreshold: 0
})
export const ConfigReloadSuccess = M.gauge("obs_config_last_reload_success", { help: "1 when the newest settings are in force, 0 when they could not be used" })
export const BackendRebuilds = M.counter("obs_backend_rebuilds_total", {
  help: "Number of times a backend that gave no answer was asked again on another connection, or its queue was given to another fiber",
  labelNames: ["backend", "signal"]
})
export const UpkeepActions = M.counter("obs_upkeep_actions_total", {
  help: "What a store did by itself about a disk that fills, by action; those of a dry run begin with would_", labelNames: ["backend", "action"]
})
export const Series = M.gauge("obs_series", { help: "Series held by the metric store" })
export const Shed = M.counter("obs_shed_total", {
  help: "Spans, log lines and errors given up because the program was short of memory or its queues were full, by kind",
  labelNames: ["what"]
})
export const LoadLevel = M.gauge("obs_load_level", { help: "How much is given up: 0 nothing, 1 details, 2 all but errors, 3 spans and log lines, 4 all but metrics" })
export const SamplingRatio = M.gauge("obs_load_sampling_ratio", { help: "Share of the traces the sampler wants that is kept under the present load", unit: "ratio" })

/** All of them (the document's `get_all_metrics`). */
export const all: ReadonlyArray<M.MetricDefinition> = [
  HttpRequestsTotal,
  HttpRequestDuration,
  HttpRequestSize,
  HttpResponseSize,
  DbConnections,
  DbOperationDuration,
  DbErrors,
  CacheHits,
  CacheMisses,
  CacheOperationDuration,
  MessagePublished,
  MessageConsumed,
  MessageProcessed,
  MessageProcessingDuration,
  Errors,
  SpanDuration,
  MetricsProcessingDuration,
  DroppedMetrics,
  Exported,
  ErrorRepeats,
  LogsSampledOut,
  QueueItems,
  QueueAge,
  RejectedRecords,
  CardinalityOverflow,
  LedgerImbalance,
  SampledOut,
  HeldSpans,
  DecidedEarly,
  AlertsFiring,
  AlertNotifications,
  AlertOverflow,
  Series,
  ConfigReloads,
  ConfigReloadFailures,
  ConfigReloadSuccess,
  Shed,
  LoadLevel,
  UpkeepActions,
  BackendRebuilds,
  SamplingRatio
]
