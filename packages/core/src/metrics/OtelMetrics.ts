import * as M from "./MetricDefinition.ts"
import * as Standard from "./StandardMetrics.ts"

/**
 * The standard metrics under the names of OpenTelemetry's semantic conventions, as its Prometheus compatibility rules write them: dots
 * become underscores, the unit is a suffix, counters end in `_total`. Buckets are those of the standard ones, so that either can be
 * computed from the other. Caches have no convention.
 */

/** `http.server.request.duration` */
export const HttpServerRequestDuration = M.histogram("http_server_request_duration_seconds", {
  help: "Duration of HTTP server requests",
  unit: "seconds",
  labelNames: ["http_request_method", "http_response_status_code", "http_route"],
  buckets: Standard.HttpRequestDuration.buckets!
})
/** `http.server.request.body.size` */
export const HttpServerRequestBodySize = M.histogram("http_server_request_body_size_bytes", {
  help: "Size of HTTP server request bodies",
  unit: "bytes",
  labelNames: ["http_request_method", "http_response_status_code", "http_route"],
  buckets: Standard.HttpRequestSize.buckets!
})
/** `http.server.response.body.size` */
export const HttpServerResponseBodySize = M.histogram("http_server_response_body_size_bytes", {
  help: "Size of HTTP server response bodies",
  unit: "bytes",
  labelNames: ["http_request_method", "http_response_status_code", "http_route"],
  buckets: Standard.HttpResponseSize.buckets!
})
/** `db.client.operation.duration` */
export const DbClientOperationDuration = M.histogram("db_client_operation_duration_seconds", {
  help: "Duration of database client operations",
  unit: "seconds",
  labelNames: ["db_operation_name", "db_collection_name", "error_type"],
  buckets: Standard.DbOperationDuration.buckets!
})
/** `db.client.connection.count` */
export const DbClientConnectionCount = M.upDownCounter("db_client_connection_count", {
  help: "Number of database connections by state",
  labelNames: ["db_client_connection_pool_name", "db_client_connection_state"]
})
/** `messaging.client.sent.messages` */
export const MessagingClientSentMessages = M.counter("messaging_client_sent_messages_total", {
  help: "Number of messages producers tried to send",
  labelNames: ["messaging_destination_name"]
})
/** `messaging.client.consumed.messages` */
export const MessagingClientConsumedMessages = M.counter("messaging_client_consumed_messages_total", {
  help: "Number of messages delivered to consumers",
  labelNames: ["messaging_destination_name", "messaging_consumer_group_name"]
})
/** `messaging.process.duration` */
export const MessagingProcessDuration = M.histogram("messaging_process_duration_seconds", {
  help: "Duration of processing messages",
  unit: "seconds",
  labelNames: ["messaging_destination_name", "messaging_consumer_group_name"],
  buckets: Standard.MessageProcessingDuration.buckets!
})

/** All of them. */
export const all: ReadonlyArray<M.MetricDefinition> = [
  HttpServerRequestDuration,
  HttpServerRequestBodySize,
  HttpServerResponseBodySize,
  DbClientOperationDuration,
  DbClientConnectionCount,
  MessagingClientSentMessages,
  MessagingClientConsumedMessages,
  MessagingProcessDuration
]
