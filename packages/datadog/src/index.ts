export * as Datadog from "./Datadog.ts"
export { DatadogAgent } from "./DatadogAgent.ts"
export { type CheckOptions, type CheckStatus, Dogstatsd, type EventOptions, type MessageOptions, type Tags } from "./Dogstatsd.ts"
