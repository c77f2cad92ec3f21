export * as OpenTelemetryBridge from "./bridge/OpenTelemetryBridge.ts"
