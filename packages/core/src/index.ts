// The words of a program
export * as MetricDefinition from "./metrics/MetricDefinition.ts"
export { canonicalNumber } from "./metrics/canonicalNumber.ts"
export * as Label from "./metrics/Label.ts"
export type { MetricType } from "./metrics/MetricDefinition.ts"
export { type CounterHandle, type GaugeHandle, MetricsRecorder, type ObserverHandle } from "./metrics/MetricsRecorder.ts"
export * as NamingConventions from "./metrics/NamingConventions.ts"
export * as OtelMetrics from "./metrics/OtelMetrics.ts"
export * as StandardMetrics from "./metrics/StandardMetrics.ts"
export { Tracer } from "./tracing/Tracer.ts"
export * as Requests from "./context/RequestContext.ts"
export { RequestContext } from "./context/RequestContext.ts"

// The hub, its settings and its state
export {
  ConfigurationError,
  defaults as defaultSettings,
  type MetricAllow,
  type MetricView,
  ObservabilityConfig,
  type ObservabilityInput,
  type ObservabilitySettings,
  type PostgresSettings,
  type UpkeepFloor,
  type UpkeepSettings,
  settings
} from "./config/ObservabilityConfig.ts"
export type * from "./config/Backends.ts"
export { connectionProblem, identifierProblem } from "./config/internal/decode.ts"
export { Diagnostics, type DiagnosticsReport, type TopMetric } from "./hub/Diagnostics.ts"
export { Exposition, type Page } from "./hub/Exposition.ts"
export type { CapacityParts, CapacityReport } from "./hub/Capacity.ts"
export type { UpkeepAction, UpkeepReport } from "./hub/Upkeep.ts"
export { type ComponentHealth, type GroupHealth, Health, type HealthAnswer, type HealthCheckOptions, type HealthPart, type HealthReport, type HealthStatus } from "./hub/Health.ts"
export type { ConfigurationState, ReloadReport, Transition } from "./hub/Reload.ts"
export { Handover, Succession } from "./hub/internal/Succession.ts"
export { pipesReport, type ReportedPipe, signalReport } from "./hub/pipesReport.ts"
export { quietly } from "./hub/quietly.ts"
export * from "./hub/Telemetry.ts"
export { layerNoop } from "./hub/TelemetryLive.ts"

// What a backend is made of
export type * from "./errors/ErrorData.ts"
export type { ErrorClassifier, ErrorStrategy, ErrorSubject, ErrorVerdict } from "./errors/ErrorPolicy.ts"
export * as ErrorPolicy from "./errors/ErrorPolicy.ts"
export type * from "./logs/LogData.ts"
export { annotated as annotatedFiber } from "./logs/internal/speak.ts"
export type { LogEntry, LogOutput } from "./logs/LogOutput.ts"
export type * from "./metrics/MetricFrame.ts"
export { merge as mergeFrames, weigh as weighFrame } from "./metrics/MetricFrame.ts"
export type * from "./metrics/MetricStore.ts"
export * as BatchProcessor from "./pipe/BatchProcessor.ts"
export * as Exporter from "./pipe/Exporter.ts"
export * as Ledger from "./pipe/Ledger.ts"
export * as IdGenerator from "./tracing/IdGenerator.ts"
export * as ObservabilityTracer from "./tracing/ObservabilityTracer.ts"
export * as Propagation from "./tracing/Propagation.ts"
export type * from "./tracing/SpanData.ts"
export * as Baggage from "./propagation/Baggage.ts"
export * as Propagator from "./propagation/Propagator.ts"
export * as Targets from "./propagation/Targets.ts"
export * as Tracestate from "./propagation/Tracestate.ts"
export { type PropagationRules, rulesOf as propagationRules } from "./propagation/outgoing.ts"
export * as Redaction from "./redaction/Redaction.ts"
export type { SpanLimits } from "./tracing/SpanLimits.ts"
export * as Sampler from "./tracing/sampling/Sampler.ts"
export * as Spans from "./tracing/Spans.ts"

// Alerting
export type { Alert, AlertEvent, AlertStatus } from "./alerting/Alert.ts"
export { AlertCoordinationError, type AlertCoordinator, type AlertNews } from "./alerting/AlertCoordinator.ts"
export * as AlertRule from "./alerting/AlertRule.ts"
export { Alerts, type AlertsOptions } from "./alerting/Alerts.ts"
export * as AnomalyRule from "./alerting/AnomalyRule.ts"
export * as AlertHealth from "./alerting/AlertHealth.ts"
export * as AlertSinks from "./alerting/sinks.ts"
export { type Silence, SilenceError, type SilenceInput } from "./alerting/Silence.ts"

// Load
export * as LoadControl from "./load/LoadControl.ts"
export { defaultPressure, Pressure, type PressureSettings } from "./load/Pressure.ts"

// History
export * from "./history/HistoryError.ts"
export * from "./history/AlertHistory.ts"
export * as AlertQuestions from "./history/AlertQuestions.ts"
export * from "./history/ErrorHistory.ts"
export * as ErrorQuestions from "./history/ErrorQuestions.ts"
export * from "./history/MetricsHistory.ts"
export { type ResourceField, type ResourceQuery, resourceFields } from "./history/ResourceQuery.ts"
export * as MetricRange from "./history/range/index.ts"
export * from "./history/range/RangeQuery.ts"
export * from "./history/TraceHistory.ts"
export * as TraceFigures from "./history/TraceFigures.ts"
export * as TraceQuestions from "./history/TraceQuestions.ts"

// Backends without a package of their own
export * as ConsoleSpans from "./console/ConsoleSpans.ts"
export * as Composite from "./memory/Composite.ts"
export * as Memory from "./memory/Memory.ts"
export { MemoryBackend } from "./memory/Memory.ts"
export * as MemoryHistory from "./memory/MemoryHistory.ts"
