import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type { AlertRule, AlertRuleInput } from "../alerting/AlertRule.ts"
import type { AnomalyRule, AnomalyRuleInput } from "../alerting/AnomalyRule.ts"

// The groups of a configuration that speak of one backend each, and those of alerts and log lines. Durations are milliseconds once decoded; `undefined`
// means the backend's own default.

type Secret = string | Redacted.Redacted<string>
type Texts = Readonly<Record<string, string>>

interface SharedSettings {
  readonly enabled: boolean
  /** Share of the kept traces that go to this backend, 0 to 1. */
  readonly sampleRatio: number
}

export interface OpenTelemetrySettings extends SharedSettings {
  readonly endpoint: string | undefined
  readonly protocol: "http/protobuf" | "http/json" | "grpc" | undefined
  readonly headers: Readonly<Record<string, Redacted.Redacted<string>>>
  readonly compression: "none" | "gzip"
  readonly traces: boolean
  readonly metrics: boolean
  readonly logs: boolean
  readonly temporality: "cumulative" | "delta" | "lowmemory"
  readonly batchSize: number | undefined
  readonly flushInterval: number | undefined
  readonly maxQueueSize: number | undefined
}

export interface SentrySettings extends SharedSettings {
  readonly dsn: Redacted.Redacted<string> | undefined
  readonly environment: string | undefined
  readonly release: string | undefined
  readonly tags: Texts
  readonly traces: "spans" | "transactions" | "off"
  readonly logs: boolean
  readonly flushInterval: number | undefined
}

export interface DatadogSettings extends SharedSettings {
  readonly host: string | undefined
  readonly dogstatsd: string | undefined
  readonly traces: string | undefined
  readonly tags: Texts
  readonly prefix: string | undefined
  readonly distributions: "values" | "buckets"
  readonly flushInterval: number | undefined
  readonly batchSize: number | undefined
}

export interface ClickHouseSettings extends SharedSettings {
  readonly connection: Redacted.Redacted<string> | undefined
  readonly database: string | undefined
  readonly tracesTable: string | undefined
  readonly metricsTable: string | undefined
  readonly logsTable: string | undefined
  readonly retentionDays: number | undefined
  readonly batchSize: number | undefined
  readonly flushInterval: number | undefined
  readonly logs: boolean
  readonly errors: boolean
  /** `undefined`: unless PostgreSQL answers. */
  readonly history: boolean | undefined
  readonly compression: "zstd" | "gzip" | "none"
  readonly cluster: string | undefined
  readonly engine: string | undefined
  readonly distributed: boolean
}

export interface PrometheusSettings {
  /** `undefined`: when its package is there. */
  readonly enabled: boolean | undefined
  readonly processMetrics: boolean
  readonly createdTimestamps: boolean
}

export interface ConsoleSettings extends SharedSettings {
  readonly colors: boolean | undefined
}

export interface AlertingSettings {
  readonly enabled: boolean
  /** Milliseconds between two evaluations. */
  readonly interval: number
  readonly rules: ReadonlyArray<AlertRule>
  /** Whether every definition's `alertThreshold` is a rule too. */
  readonly thresholds: boolean
  readonly anomalies: ReadonlyArray<AnomalyRule>
  /** Names of rules that are service levels: health tells of them, in the group `slo`. */
  readonly slo: ReadonlyArray<string>
  /** Least time between two notifications of one rule to one sink, and after how long what goes on firing is told again. Milliseconds. */
  readonly groupInterval: number
  readonly repeatInterval: number
  /** Whether alerts are told as log lines. */
  readonly log: boolean
  readonly webhook: AlertReceiver
  readonly alertmanager: AlertReceiver
}

/** Where alerts are posted to; nowhere without a `url`. */
export interface AlertReceiver {
  readonly url: Redacted.Redacted<string> | undefined
  readonly headers: Readonly<Record<string, Redacted.Redacted<string>>>
}

export type LogLevelName = "All" | "Trace" | "Debug" | "Info" | "Warn" | "Error" | "Fatal" | "None"

export interface LogSettings {
  /** Lines below it are not written. Effect's `MinimumLogLevel` comes first: this one can only leave out more. */
  readonly level: LogLevelName
  /** Lines below it are written, but kept nowhere: no breadcrumbs, no backends. */
  readonly keepLevel: LogLevelName
}

/** The groups as they stand in the settings. */
export interface BackendsSettings {
  readonly opentelemetry: OpenTelemetrySettings
  readonly sentry: SentrySettings
  readonly datadog: DatadogSettings
  readonly clickhouse: ClickHouseSettings
  readonly prometheus: PrometheusSettings
  readonly console: ConsoleSettings
  readonly alerting: AlertingSettings
  readonly logs: LogSettings
}

/** Everything may be left out; durations are numbers of seconds or text. */
type Input<A> = {
  readonly [K in keyof A]?: K extends "flushInterval" | "interval" | "groupInterval" | "repeatInterval" ? Duration.Input
    : K extends "rules" ? ReadonlyArray<AlertRuleInput>
    : K extends "anomalies" ? ReadonlyArray<AnomalyRuleInput>
    : K extends "webhook" | "alertmanager" ? { readonly url?: Secret; readonly headers?: Readonly<Record<string, Secret>> }
    : K extends "headers" ? Readonly<Record<string, Secret>>
    : Redacted.Redacted<string> extends Exclude<A[K], undefined> ? Secret
    : Exclude<A[K], undefined>
}

/** The groups as a program writes them. */
export type BackendsInput = { readonly [K in keyof BackendsSettings]?: Input<BackendsSettings[K]> }
