export * from "@effect-observability/core"
export * as Observability from "./Observability.ts"
