import { MetricDefinition as M, StandardMetrics } from "@effect-observability/core"

// What the document's list leaves out, in its manner of naming ("standard"), and the same by OpenTelemetry's semantic conventions ("otel").

const seconds = "seconds"
const durations = StandardMetrics.HttpRequestDuration.buckets!

// Server

/** Requests being answered right now. */
export const RequestsInFlight = M.upDownCounter("http_requests_in_flight", {
  help: "Number of HTTP requests being answered",
  labelNames: ["method"]
})
/** `http.server.active_requests` */
export const OtelActiveRequests = M.upDownCounter("http_server_active_requests", {
  help: "Number of active HTTP server requests",
  labelNames: ["http_request_method", "url_scheme"]
})

// Client

/** By the status of the answer; `_error` where there was none. */
export const ClientRequestsTotal = M.counter("http_client_requests_total", {
  help: "Total number of HTTP requests sent",
  labelNames: ["method", "host", "status"]
})
/** Until the headers of the answer are there. */
export const ClientDuration = M.histogram("http_client_duration_seconds", {
  help: "Duration of HTTP requests sent, in seconds",
  unit: seconds,
  labelNames: ["method", "host"],
  buckets: durations
})
/** Requests that got no answer (`TransportError`, `interrupted`, …), or one of 400 and above (`404`, `503`, …). */
export const ClientErrors = M.counter("http_client_errors_total", {
  help: "Total number of HTTP requests that failed, by what failed",
  labelNames: ["method", "host", "error_type"]
})
/** Requests sent again because the attempt before failed; `attempt` is 1 to 9 for the first to ninth of them, `10+` after. */
export const ClientResends = M.counter("http_client_resends_total", {
  help: "Total number of HTTP requests sent again after a failure",
  labelNames: ["method", "host", "attempt"]
})
/** `http.client.request.duration` */
export const OtelClientRequestDuration = M.histogram("http_client_request_duration_seconds", {
  help: "Duration of HTTP client requests",
  unit: seconds,
  labelNames: ["http_request_method", "server_address", "server_port", "http_response_status_code", "error_type"],
  buckets: durations
})
