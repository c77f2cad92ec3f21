import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Sampler, SamplerName } from "../tracing/sampling/Sampler.ts"
import type { PropagatorName } from "../propagation/Propagator.ts"
import type { RedactionInput } from "../redaction/Redaction.ts"
import type { SpanLimits } from "../tracing/SpanLimits.ts"
import type { BackendsInput, BackendsSettings } from "./Backends.ts"
import { decode, jsonSchema } from "./internal/decode.ts"
import type { MetricAllow, MetricView } from "../metrics/internal/views.ts"
import { environment, variables } from "./internal/environment.ts"

export type { MetricAllow, MetricView } from "../metrics/internal/views.ts"

/**
 * The configuration (the document's 2.3 and 9.1.3), decoded and complete. Durations are milliseconds here. `schema` and table names
 * are valid, distinct PostgreSQL identifiers.
 */
export interface ObservabilitySettings extends BackendsSettings {
  /** `false` switches everything off: recording costs nothing and no backend starts. */
  readonly enabled: boolean
  readonly env: string
  /** Which cluster or region the program runs in; `""` for none. */
  readonly cluster: string
  /** An empty `instance` is replaced by a fresh one at start. */
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
    /** After it a series that nothing was recorded into ends; `undefined`: never. Metrics without labels do not end. */
    readonly seriesTimeToLive: number | undefined
    /** Which metrics and labels are kept. */
    readonly allow: MetricAllow
    /** What is changed about metrics before backends see them. */
    readonly views: ReadonlyArray<MetricView>
    /** Labels that may stand on metrics although their names are known for many values (`tenant_id`, …). */
    readonly highCardinalityLabels: ReadonlyArray<string>
    /** Whether what the program records with Effect's own `Metric` goes to the backends too. */
    readonly effectMetrics: boolean
    /** Which names the instrumentation records under: the document's, OpenTelemetry's, or both. */
    readonly conventions: Conventions
  }
  readonly tracing: {
    readonly enabled: boolean
    /** 0 to 1. */
    readonly sampleRate: number
    /** What decides about traces; made of `sampleRate` unless one was given. */
    readonly sampler: Sampler
    /** Of which spans rate, errors and duration are recorded, sampled or not. */
    readonly spanMetrics: "off" | "entry" | "all"
    readonly otelEndpoint: string | undefined
    readonly sentryDsn: Redacted.Redacted<string> | undefined
    readonly ignoredPaths: ReadonlyArray<string>
    /** Where a trace is shown: `{trace_id}` and `{span_id}` are replaced; `undefined` for nowhere. */
    readonly traceUrl: string | undefined
    readonly limits: SpanLimits
    /** Formats of the trace context that leave and are read, in this order. */
    readonly propagators: ReadonlyArray<PropagatorName>
    /** Targets that get trace headers; see `Targets`. */
    readonly propagateTo: ReadonlyArray<string>
    /** Targets of these that get baggage too. */
    readonly baggageTo: ReadonlyArray<string>
  }
  readonly redaction: RedactionSettings
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

/** Metric names of the design document, of OpenTelemetry's semantic conventions, or both side by side. */
export type Conventions = "standard" | "otel" | "both"

/** Rules of redaction, complete. */
export type RedactionSettings = Required<RedactionInput>

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
  /** Keys of span attributes that stored spans are found by through an index. */
  readonly searchableAttributes: ReadonlyArray<string>
  /** Bytes the database may take; 0: nobody said. */
  readonly capacity: number
  readonly upkeep: UpkeepSettings
}

/** What a store may do by itself when its disk fills: off unless `enabled`. */
export interface UpkeepSettings {
  readonly enabled: boolean
  /** Decides, says and counts what it would do, and does none of it. */
  readonly dryRun: boolean
  /** Acts when the limit would be crossed within so many days. */
  readonly daysLeft: number
  /** The limit in bytes; 0: nine tenths of the capacity. */
  readonly maxBytes: number
  /** Days of each layer that are never given up. What is kept for less anyway stays as it is. */
  readonly floor: UpkeepFloor
}

export interface UpkeepFloor {
  readonly raw: number
  readonly spans: number
  readonly minute: number
  readonly hour: number
  readonly day: number
}

/** A duration, or a number of seconds as in the document. */
export type Seconds = Duration.Input

/** What a program writes; everything has a default. */
export interface ObservabilityInput extends BackendsInput {
  readonly enabled?: boolean
  /** Default `"dev"`. */
  readonly env?: string
  /** Which cluster or region this is, where one store takes several. Default none. */
  readonly cluster?: string
  readonly metrics?: {
    readonly enabled?: boolean
    /** Default 9090; 0 lets the kernel choose. */
    readonly prometheusPort?: number
    /** Default none. */
    readonly prefix?: string
    readonly defaultLabels?: Readonly<Record<string, string>>
    /** Which of the shared labels stand on every metric, as `defaultLabels` would; a default label of the name wins. Default none. */
    readonly sharedLabels?: ReadonlyArray<"service" | "env">
    readonly buckets?: Readonly<Record<string, ReadonlyArray<number>>>
    /** Default 60 s. */
    readonly aggregationInterval?: Seconds
    /** Default 2,000. */
    readonly maxSeriesPerMetric?: number
    /** Default 100,000. */
    readonly maxSeries?: number
    /** Default never; a minute or more. */
    readonly seriesTimeToLive?: Seconds
    /** Default all. */
    readonly allow?: Partial<MetricAllow>
    /** Default none. */
    readonly views?: ReadonlyArray<MetricView>
    /** Default none. */
    readonly highCardinalityLabels?: ReadonlyArray<string>
    /** Default `true`. */
    readonly effectMetrics?: boolean
    /** Default `"standard"`. */
    readonly conventions?: Conventions
  }
  readonly tracing?: {
    readonly enabled?: boolean
    /** Default `"unknown_service"`. */
    readonly serviceName?: string
    readonly serviceVersion?: string
    readonly serviceInstance?: string
    /** Share of the traces kept, for a sampler given by name or not at all. Default 1. */
    readonly sampleRate?: number
    /** A `Sampler`, or OpenTelemetry's name of one. Default `"parentbased_traceidratio"`. */
    readonly sampler?: Sampler | SamplerName
    /**
     * Of which spans rate, errors and duration are recorded as `span_duration_seconds`, sampled or not. Default `"entry"`: the first span of
     * a trace in this process, and every server, client, producer and consumer span.
     */
    readonly spanMetrics?: "off" | "entry" | "all"
    readonly otelEndpoint?: string
    readonly sentryDsn?: string | Redacted.Redacted<string>
    /** Default `["/metrics", "/health"]`. */
    readonly ignoredPaths?: ReadonlyArray<string>
    /** Where a trace is shown, as `https://obs.example.com/traces/{trace_id}`: becomes `trace_url` of log lines. Default none. */
    readonly traceUrl?: string
    /** OpenTelemetry's span limits; default 128 of each, values of 4,096 characters, 8 levels. */
    readonly limits?: Partial<SpanLimits>
    /** Default `["tracecontext", "baggage"]`. */
    readonly propagators?: ReadonlyArray<PropagatorName>
    /** Hosts, origins and patterns; default `["*"]`, everybody. */
    readonly propagateTo?: ReadonlyArray<string>
    /** As `propagateTo`; default `["internal"]`: this machine, private networks, names without a public domain. */
    readonly baggageTo?: ReadonlyArray<string>
  }
  /** What is taken out before anything is kept; on by default. */
  readonly redaction?: RedactionInput
  readonly postgres?: {
    readonly enabled?: boolean
    readonly common?: {
      readonly connection?: string | Redacted.Redacted<string>
      /** Default `"observability"`. */
      readonly schema?: string
      /** Default 90; at least 1. */
      readonly retentionDays?: number
      /** Default 100. */
      readonly batchSize?: number
    }
    readonly metricsTable?: string
    readonly metricsMetadataTable?: string
    readonly spansTable?: string
    readonly spanEventsTable?: string
    /** Default 5 s. */
    readonly flushInterval?: Seconds
    /** At most 64. Default: user, tenant, request and error ids, `http.route`, status code, `error.type`. */
    readonly searchableAttributes?: ReadonlyArray<string>
    /** Bytes the database may take: then it is said when the disk is full. Default unknown. */
    readonly capacity?: number
    /** Early packing and shorter retention when the disk fills; needs `capacity` or `upkeep.maxBytes`. Default off. */
    readonly upkeep?: Partial<Omit<UpkeepSettings, "floor">> & { readonly floor?: Partial<UpkeepFloor> }
  }
  /** Default 30 s. */
  readonly requestTimeout?: Seconds
  /** Default 100. */
  readonly batchSize?: number
  /** Default 15 s. */
  readonly flushInterval?: Seconds
  /** Default 5 s. */
  readonly shutdownTimeout?: Seconds
}

/** Everything that is wrong with a configuration, a line each, with path and fix; never with a secret in it. */
export class ConfigurationError extends Schema.TaggedError<ConfigurationError>()("ConfigurationError", {
  problems: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String }))
}) {
  override get message(): string {
    return `the configuration has ${this.problems.length === 1 ? "a problem" : `${this.problems.length} problems`}:\n` +
      this.problems.map(({ message, path }) => `  ${path}: ${message}`).join("\n")
  }
}

/** Completes and checks a configuration; all problems come back at once. */
export const settings = (input: ObservabilityInput = {}): Result.Result<ObservabilitySettings, ConfigurationError> => {
  const { problems, settings } = decode(input)
  return problems.length === 0 ? Result.succeed(settings) : Result.fail(new ConfigurationError({ problems }))
}

/** What is in force where nothing was said. */
export const defaults: ObservabilitySettings = decode({}).settings

/** Names of the variables that `fromEnv` reads, in the order in which they count. */
export const environmentNames: ReadonlyArray<string> = [...new Set(variables.map(([name]) => name))]

/** The configuration from the environment, over what the code gives: where both speak, the environment wins. */
export const fromEnv = (input: ObservabilityInput = {}): Effect.Effect<ObservabilitySettings, ConfigurationError> =>
  Effect.flatMap(environment, ({ names, values }) => {
    const { problems, settings } = decode(overlay(canonical(input), values))
    return problems.length === 0
      ? Effect.succeed(settings)
      : Effect.fail(
        new ConfigurationError({
          problems: problems.map(({ message, path }) => ({ path: names.get(path) ?? path, message }))
        })
      )
  })

const reference = Context.Reference<ObservabilitySettings>("@effect-observability/core/ObservabilityConfig", {
  defaultValue: () => defaults
})

/**
 * The settings of a program, provided once and outside the composition of backends.
 *
 * @example
 * ```ts
 * const observability = Layer.mergeAll(Prometheus.layer(), Postgres.layer()).pipe(
 *   Layer.provide(ObservabilityConfig.layerFromEnv({ tracing: { serviceName: "shop" } }))
 * )
 * ```
 */
export const ObservabilityConfig = Object.assign(reference, {
  /**
   * JSON Schema (draft 2020-12) of a configuration file, for editors; what no schema can say is checked when the file is read. Fields may be written
   * in camel case or, as in the design document, in snake case.
   */
  jsonSchema: jsonSchema(),
  /** Decodes what was read from somewhere, without the environment; all problems at once. */
  decode: (input: unknown): Result.Result<ObservabilitySettings, ConfigurationError> => settings(input as ObservabilityInput),
  /** Lays configurations over each other, the later ones on top; objects are joined, lists and values replaced. */
  merge: (...inputs: ReadonlyArray<ObservabilityInput>): ObservabilityInput => inputs.reduce((all: Plain, one) => overlay(all, canonical(one)), {}),
  fromEnv,
  environmentNames,
  /** Fails with all problems at once. */
  layer: (input: ObservabilityInput): Layer.Layer<never, ConfigurationError> =>
    Layer.effect(reference, Effect.suspend(() => Effect.fromResult(settings(input)))),
  /** As `layer`, with the environment over it: `POSTGRES_*`, `OTEL_*`, `OBSERVABILITY_*`, … (see `docs/configuration.md`). */
  layerFromEnv: (input: ObservabilityInput = {}): Layer.Layer<never, ConfigurationError> => Layer.effect(reference, fromEnv(input))
})

/** In camel case where the document's snake case was used: only then do two of them meet in one place. Free names (labels, headers) stay. */
const canonical = (value: unknown, depth = 0): Plain => {
  const out: Record<string, unknown> = {}
  for (const [key, below] of Object.entries(value as Plain)) {
    const name = key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    // Both forms: the reader says so.
    const free = Object.hasOwn(value as Plain, name) ? key : name
    out[free] = isPlain(below) && depth < 4 && !freeNames.has(name) ? canonical(below, depth + 1) : below
  }
  return out
}

const freeNames = new Set(["defaultLabels", "buckets", "headers", "tags", "sampler"])

type Plain = { readonly [key: string]: unknown }

const overlay = (under: Plain, over: Plain): Plain => {
  const out: Record<string, unknown> = { ...under }
  for (const key of Object.keys(over)) {
    const below = out[key]
    const above = over[key]
    out[key] = isPlain(below) && isPlain(above) ? overlay(below, above) : above
  }
  return out
}

const isPlain = (value: unknown): value is Plain => typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
