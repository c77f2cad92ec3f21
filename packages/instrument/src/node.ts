export * as NodeHttp from "./node/NodeHttp.ts"
export * as RuntimeMetrics from "./runtime/RuntimeMetrics.ts"
