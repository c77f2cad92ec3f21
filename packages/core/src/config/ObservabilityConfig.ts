/** The document's configuration (2.3, 9.1.3), decoded. Durations are in milliseconds here. */
export interface ObservabilitySettings {
  /** `false` switches everything off: recording costs nothing and no backend starts. */
  readonly enabled: boolean
  readonly env: string
  readonly service: { readonly name: string; readonly version: string; readonly instance: string }
  readonly metrics: {
    readonly enabled: boolean
    readonly prometheusPort: number
    /** Precedes every exposed name except `obs_*`; history and queries take names without it. */
    readonly prefix: string
    readonly defaultLabels: Readonly<Record<string, string>>
    /** Bucket overrides by metric name. */
    readonly buckets: Readonly<Record<string, ReadonlyArray<number>>>
    /** Finest roll-up step. */
    readonly aggregationInterval: number
    /** Most series of one metric. */
    readonly maxSeriesPerMetric: number
    /** Most series in the process. */
    readonly maxSeries: number
  }
  readonly tracing: {
    readonly enabled: boolean
    /** 0 to 1. */
    readonly sampleRate: number
    readonly otelEndpoint: string | undefined
    readonly sentryDsn: string | undefined
    readonly ignoredPaths: ReadonlyArray<string>
  }
  readonly postgres: PostgresSettings
  /** One attempt's deadline. */
  readonly requestTimeout: number
  /** Spans per batch. */
  readonly batchSize: number
  /** The frame grid. */
  readonly flushInterval: number
  /** Hard limit of the last drain when the program ends. */
  readonly shutdownTimeout: number
}
import type * as Redacted from "effect/Redacted"
export interface PostgresSettings {
  readonly enabled: boolean
  readonly connection: Redacted.Redacted<string> | undefined
  readonly schema: string
  readonly retentionDays: number
  readonly batchSize: number
  readonly metricsTable: string
  readonly metricsMetadataTable: string
  readonly spansTable: string
  readonly spanEventsTable: string
  readonly flushInterval: number
}
