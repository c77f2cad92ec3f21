/** What PostgreSQL answers with: metrics and traces, each a file of its own. */
export { metrics } from "./history/MetricQueries.ts"
export { traces } from "./history/TraceQueries.ts"
