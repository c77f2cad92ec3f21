export * as RuntimeMetrics from "./runtime/RuntimeMetrics.ts"
