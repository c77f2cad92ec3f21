import { MetricDefinition as M, StandardMetrics } from "@effect-observability/core"

/**
 * What is recorded of databases beside `StandardMetrics.DbOperationDuration`, `DbErrors` and `DbConnections`. Those that OpenTelemetry's
 * conventions name have a second definition, recorded instead or as well as `metrics.conventions` says; the others keep their name.
 */

const seconds = "seconds"
const rows = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]
const transactionEnds = ["committed", "rolled_back", "interrupted", "begin_failed", "commit_failed"] as const
const transactionKinds = ["transaction", "savepoint"] as const

/** How a transaction or savepoint ended. */
export type TransactionEnd = typeof transactionEnds[number]

/** Statements a fiber gave up while they ran: no errors of the database. */
export const Interruptions = M.counter("db_interruptions_total", {
  help: "Database operations that were interrupted by the program",
  labelNames: ["operation"]
})
export const ReturnedRows = M.histogram("db_returned_rows", {
  help: "Rows returned by a database operation",
  labelNames: ["operation", "table"],
  buckets: rows
})
export const SlowQueries = M.counter("db_slow_queries_total", {
  help: "Database operations that took longer than the threshold of the slow-query log",
  labelNames: ["operation", "table"]
})
export const Transactions = M.counter("db_transactions_total", {
  help: "Transactions and savepoints by how they ended",
  labelNames: ["kind", "outcome"],
  labelValues: { kind: transactionKinds, outcome: transactionEnds }
})
export const TransactionDuration = M.histogram("db_transaction_duration_seconds", {
  help: "Time from asking for a transaction or savepoint to its end",
  unit: seconds,
  labelNames: ["kind"],
  labelValues: { kind: transactionKinds },
  buckets: StandardMetrics.DbOperationDuration.buckets!
})
export const ConnectionWait = M.histogram("db_connection_wait_seconds", {
  help: "Time until the pool handed out a connection",
  unit: seconds,
  labelNames: ["pool_name"],
  buckets: StandardMetrics.DbOperationDuration.buckets!
})
export const PendingRequests = M.gauge("db_connection_pending_requests", {
  help: "Requests that wait for a connection",
  labelNames: ["pool_name"]
})
export const MaxConnections = M.gauge("db_connection_max", { help: "Most connections the pool may open", labelNames: ["pool_name"] })

const pool = "db_client_connection_pool_name"
/** `db.client.response.returned_rows` */
export const OtelReturnedRows = M.histogram("db_client_response_returned_rows", {
  help: "Rows returned by a database operation",
  labelNames: ["db_operation_name", "db_collection_name"],
  buckets: rows
})
/** `db.client.connection.wait_time` */
export const OtelConnectionWait = M.histogram("db_client_connection_wait_time_seconds", {
  help: "Time until the pool handed out a connection",
  unit: seconds,
  labelNames: [pool],
  buckets: StandardMetrics.DbOperationDuration.buckets!
})
/** `db.client.connection.pending_requests` */
export const OtelPendingRequests = M.upDownCounter("db_client_connection_pending_requests", {
  help: "Requests that wait for a connection",
  labelNames: [pool]
})
/** `db.client.connection.max` */
export const OtelMaxConnections = M.upDownCounter("db_client_connection_max", { help: "Most connections the pool may open", labelNames: [pool] })

/** All of them. */
export const all: ReadonlyArray<M.MetricDefinition> = [
  Interruptions, ReturnedRows, SlowQueries, Transactions, TransactionDuration, ConnectionWait, PendingRequests, MaxConnections, OtelReturnedRows,
  OtelConnectionWait, OtelPendingRequests, OtelMaxConnections
]
