import { MetricDefinition } from "@effect-observability/core"

// Rate, errors and duration of remote procedure calls, by procedure. In the house's manner ("standard"), and by OpenTelemetry's semantic
// conventions ("otel").

const buckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10]

const server = MetricDefinition.operation("rpc_server", {
  help: "Remote procedure calls answered, and how long they took in seconds",
  labelNames: ["method"],
  errorType: true,
  buckets
})
const client = MetricDefinition.operation("rpc_client", {
  help: "Remote procedure calls made, and how long they took in seconds",
  labelNames: ["method"],
  errorType: true,
  buckets
})

/** `rpc_server_duration_seconds{method}`; of a stream until it ends. */
export const ServerDuration = server.duration
/** `rpc_server_total{method,outcome,error_type}`: `outcome` is `success`, `failure`, `defect` or `interrupted`. */
export const ServerTotal = server.total
/** `rpc_client_duration_seconds{method}`; of a stream until it ends. */
export const ClientDuration = client.duration
/** `rpc_client_total{method,outcome,error_type}`, as the caller sees it. */
export const ClientTotal = client.total

const call = (side: "server" | "client") =>
  MetricDefinition.histogram(`rpc_${side}_call_duration_seconds`, {
    help: `Duration of RPC ${side} calls`,
    unit: "seconds",
    labelNames: ["rpc_method", "error_type"],
    buckets
  })

/** `rpc.server.call.duration` */
export const OtelServerCallDuration = call("server")
/** `rpc.client.call.duration` */
export const OtelClientCallDuration = call("client")
