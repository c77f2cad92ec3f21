export * as Prometheus from "./Prometheus.ts"
export { contentType, exposedName, PrometheusEncoding } from "./PrometheusEncoding.ts"
export * as Pushgateway from "./Pushgateway.ts"
