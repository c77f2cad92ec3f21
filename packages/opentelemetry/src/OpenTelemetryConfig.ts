import type { ObservabilitySettings, ServiceResource, SpanSelection } from "@effect-observability/core"
import * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Temporality } from "./encoding/metricPoints.ts"
import type { SignalName } from "./encoding/envelope.ts"
import { endpointOf, headersOf, isProtocol, protocols, signalUrl, type Wrong } from "./internal/endpoint.ts"
import { resourceAttributes } from "./internal/resource.ts"
import type { Protocol, Target, TlsOptions } from "./transport/Target.ts"

export type { Protocol, TlsOptions } from "./transport/Target.ts"

/** How requests travel; for all signals, or for one. */
export interface OtlpOptions {
  /**
   * `http://collector:4318`, or `https:`. Given for all signals over HTTP, `/v1/traces`, `/v1/metrics` or `/v1/logs` is appended; given for one signal
   * it is used as it is. Credentials in it are sent as basic authentication and never shown. Default: `tracing.otelEndpoint` of the settings,
   * else `http://localhost:4318` (gRPC: `http://localhost:4317`).
   */
  readonly endpoint?: string
  /** Default `"http/protobuf"`; `"grpc"` for an endpoint on port 4317, which is gRPC's by convention. */
  readonly protocol?: Protocol
  /** Sent with every request, such as `{ authorization: Redacted.make("Bearer …") }`. Values are never shown, redacted or not. */
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted<string>>>
  /** Default `"none"`. */
  readonly compression?: "gzip" | "none"
  /** Deadline of one attempt. Default: `requestTimeout` of the settings (30 seconds). */
  readonly timeout?: Duration.Input
  /** Certificates, for `https:` endpoints. */
  readonly tls?: TlsOptions
  /** For a gRPC endpoint without a scheme (`collector:4317`): `true` for one without TLS. Default `false`. */
  readonly insecure?: boolean
}

export interface OpenTelemetryOptions extends OtlpOptions {
  /** Unique in the composition; default `"opentelemetry"`. */
  readonly name?: string
  /** `false` for none of the signal; options of its own go before the common ones. */
  readonly traces?: false | OtlpOptions
  readonly metrics?: false | MetricsOptions
  readonly logs?: false | OtlpOptions
  /**
   * How exceptions travel: as log records, each error once with its id (`"logs"`); as events of the spans they passed through (`"events"`); or both.
   * Default `"both"`: nothing is lost where either is not looked at.
   */
  readonly exceptions?: "logs" | "events" | "both"
  /** More attributes of the resource; they replace ours of the same name. */
  readonly resource?: Readonly<Record<string, string | number | boolean>>
  /** Which of the kept spans go here; what is left out is counted in this backend's ledger. Default all. */
  readonly spans?: SpanSelection
  /** Most spans, log lines or errors per request, 1 to 10,000. Default 512, or `batchSize` of the settings when that is more. */
  readonly batchSize?: number
  /** How long a span or a log line waits for company. Default: `flushInterval` of the settings (15 seconds). */
  readonly flushInterval?: Duration.Input
  /** Most spans, and most log lines, that wait while the receiver is away; of more the oldest give way, counted. Default 50,000 (and 64 MiB). */
  readonly maxQueueSize?: number
  /** Requests are kept below this, as far as single items allow: receivers refuse what is too large (often 4 MiB). Default 3,500,000. */
  readonly maxRequestBytes?: number
}

export interface MetricsOptions extends OtlpOptions {
  /**
   * What counters and histograms send: totals since they began, or the increase of each interval. `"lowmemory"` is `"delta"` here. A receiver
   * may count a delta twice when an answer is lost; totals heal. Default `"cumulative"`.
   */
  readonly temporality?: Temporality | "lowmemory"
  /** The grid of the metric frames. Default: `flushInterval` of the settings (15 seconds). */
  readonly interval?: Duration.Input
}

/** Options that cannot be used; the message names each field and the fix, and never a secret. */
export class OpenTelemetryError extends Schema.TaggedError<OpenTelemetryError>()("OpenTelemetryError", {
  problems: Schema.Array(Schema.Struct({ field: Schema.String, message: Schema.String }))
}) {
  override get message(): string {
    return this.problems.map(({ field, message }) => `OpenTelemetry: ${field} ${message}`).join("\n")
  }
}

/** Options, completed and checked. Durations are milliseconds. */
export interface OpenTelemetryConfig {
  readonly name: string
  readonly resource: Readonly<Record<string, unknown>>
  readonly traces: Target | undefined
  readonly metrics: (Target & { readonly temporality: Temporality; readonly interval: number }) | undefined
  readonly logs: Target | undefined
  readonly exceptions: "logs" | "events" | "both"
  readonly spans: SpanSelection | undefined
  readonly batchSize: number
  readonly flushInterval: number
  readonly maxQueueSize: number
  readonly maxRequestBytes: number
}

/** Milliseconds: shorter ones would only keep both sides busy. */
const minInterval = 10

/** The configuration, or everything that is wrong with the options. `source` says how a field is called there. */
export const resolve = (
  options: OpenTelemetryOptions,
  settings: ObservabilitySettings,
  who: ServiceResource
): OpenTelemetryConfig | OpenTelemetryError => {
  const problems: Array<{ readonly field: string; readonly message: string }> = []
  const wrong: Wrong = (field, message) => void problems.push({ field, message })

  const millis = (field: string, input: Duration.Input | undefined, otherwise: number, least: number): number => {
    if (input === undefined) return otherwise
    const value = Duration.fromInput(input)
    const given = value._tag === "Some" ? Duration.toMillis(value.value) : NaN
    if (!(given >= least)) wrong(field, `is ${value._tag === "Some" ? `less than ${least} milliseconds` : "no duration: use one like \"10 seconds\""}`)
    return given
  }
  const whole = (field: string, given: number | undefined, otherwise: number, least: number, most: number): number => {
    if (given === undefined) return otherwise
    if (!Number.isInteger(given) || given < least || given > most) wrong(field, `must be a whole number from ${least.toLocaleString("en")} to ${most.toLocaleString("en")}`)
    return given
  }

  const target = (signal: SignalName, own: OtlpOptions): Target | undefined => {
    const field = (name: keyof OtlpOptions) => own[name] === undefined ? name : `${signal}.${name}`
    const merged: OtlpOptions = { ...options, ...defined(own), tls: { ...options.tls, ...own.tls }, headers: { ...options.headers, ...own.headers } }
    const given = merged.endpoint ?? settings.tracing.otelEndpoint
    const name = own.endpoint !== undefined || options.endpoint !== undefined || given === undefined ? field("endpoint") : "tracing.otelEndpoint"
    if (merged.protocol !== undefined && !isProtocol(merged.protocol)) {
      wrong(field("protocol"), `is none of ${protocols.join(", ")}`)
      return undefined
    }
    if (merged.compression !== undefined && merged.compression !== "gzip" && merged.compression !== "none") {
      wrong(field("compression"), "is neither \"gzip\" nor \"none\"")
    }
    const endpoint = given === undefined ? undefined : endpointOf(given, merged.protocol, merged.insecure === true, (message) => wrong(name, message))
    if (given !== undefined && endpoint === undefined) return undefined
    const protocol = merged.protocol ?? (endpoint?.port === "4317" ? "grpc" : "http/protobuf")
    const url = endpoint ?? new URL(protocol === "grpc" ? "http://localhost:4317" : "http://localhost:4318")
    const headers = headersOf(url, merged.headers ?? {}, protocol, (message, about) => wrong(about === "url" ? name : field("headers"), message))
    const timeout = millis(field("timeout"), merged.timeout, settings.requestTimeout, minInterval)
    const { tls = {} } = merged
    if ((tls.cert === undefined) !== (tls.key === undefined)) wrong("tls", `has ${tls.cert === undefined ? "a key without cert" : "cert without a key"}: give both or neither`)
    if (Object.values(tls).some((value) => value !== undefined) && url.protocol !== "https:") wrong("tls", `is given, but the endpoint of ${signal} is not https:`)
    return { signal, protocol, url: signalUrl(url, signal, protocol, own.endpoint !== undefined, (message) => wrong(name, message)), headers, compression: merged.compression ?? "none", timeout, tls }
  }

  const { enabled, metrics, tracing } = settings
  const { exceptions = "both" } = options
  if (!["logs", "events", "both"].includes(exceptions)) wrong("exceptions", "is none of \"logs\", \"events\", \"both\"")
  const config = {
    name: options.name ?? "opentelemetry",
    resource: resourceAttributes(who, options.resource ?? {}),
    exceptions,
    spans: options.spans,
    batchSize: whole("batchSize", options.batchSize, Math.min(10_000, Math.max(512, settings.batchSize)), 1, 10_000),
    flushInterval: millis("flushInterval", options.flushInterval, settings.flushInterval, minInterval),
    maxQueueSize: whole("maxQueueSize", options.maxQueueSize, 50_000, 1, 10_000_000),
    maxRequestBytes: whole("maxRequestBytes", options.maxRequestBytes, 3_500_000, 10_000, 1_000_000_000)
  }
  const { logs: logOptions = {}, metrics: metricOptions = {}, traces: traceOptions = {} } = options
  const traces = enabled && tracing.enabled && traceOptions !== false ? target("traces", traceOptions) : undefined
  const logs = enabled && logOptions !== false ? target("logs", logOptions) : undefined
  let metricTarget: OpenTelemetryConfig["metrics"]
  if (enabled && metrics.enabled && metricOptions !== false) {
    const { interval, temporality = "cumulative" } = metricOptions
    if (!["cumulative", "delta", "lowmemory"].includes(temporality)) wrong("metrics.temporality", "is none of \"cumulative\", \"delta\", \"lowmemory\"")
    const every = millis("metrics.interval", interval, settings.flushInterval, minInterval)
    const found = target("metrics", metricOptions)
    if (found !== undefined) metricTarget = { ...found, temporality: temporality === "cumulative" ? "cumulative" : "delta", interval: every }
  }
  if (problems.length > 0) {
    const seen = new Set<string>()
    return new OpenTelemetryError({ problems: problems.filter(({ field, message }) => !seen.has(`${field} ${message}`) && seen.add(`${field} ${message}`)) })
  }
  return { ...config, traces, metrics: metricTarget, logs }
}

/** An option that is `undefined` says nothing. */
const defined = (options: OtlpOptions): OtlpOptions => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
