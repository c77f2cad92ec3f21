export * as NodeHttp from "./node/NodeHttp.ts"
export * as RuntimeMetrics from "./runtime/RuntimeMetrics.ts"
export * as Guard from "./ops/Guard.ts"
export * as OpsEndpoints from "./ops/OpsEndpoints.ts"
