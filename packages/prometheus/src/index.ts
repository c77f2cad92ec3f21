export * as Prometheus from "./Prometheus.ts"
export { contentType, exposedName, PrometheusEncoding } from "./PrometheusEncoding.ts"
