export * as OpenTelemetry from "./OpenTelemetry.ts"
export * as OtlpEncoding from "./OtlpEncoding.ts"
