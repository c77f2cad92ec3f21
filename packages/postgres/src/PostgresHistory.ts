/** What PostgreSQL answers with: metrics, traces and errors, each a file of its own. */
export { alerts } from "./history/AlertQueries.ts"
export { errors } from "./history/ErrorQueries.ts"
export { metrics } from "./history/MetricQueries.ts"
export { traces } from "./history/TraceQueries.ts"
