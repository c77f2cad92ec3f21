import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Fs from "node:fs/promises"
import { OpenTelemetryError, type MetricsOptions, type OpenTelemetryOptions, type OtlpOptions } from "../OpenTelemetryConfig.ts"
import type { Protocol } from "../transport/Target.ts"
import { decoded } from "./endpoint.ts"

// OpenTelemetry's environment variables, as far as they are about exporting ("OpenTelemetry Protocol Exporter", "Environment Variable Specification").
// Those about sampling, limits and propagation are read by `ObservabilityConfig.layerFromEnv`.

interface Problem {
  readonly field: string
  readonly message: string
}

/** Options with what the environment says over them. Problems name the variable and never repeat its value. */
export const fromEnvironment = (options: OpenTelemetryOptions): Effect.Effect<OpenTelemetryOptions, OpenTelemetryError> =>
  Effect.gen(function*() {
    const problems: Array<Problem> = []
    const common = yield* otlp("", problems)
    const traces = yield* otlp("TRACES_", problems)
    const logs = yield* otlp("LOGS_", problems)
    const temporality = (yield* read("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"))?.toLowerCase()
    if (temporality !== undefined && !["cumulative", "delta", "lowmemory"].includes(temporality)) {
      problems.push({ field: "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", message: "is none of cumulative, delta, lowmemory" })
    }
    const interval = yield* integer("OTEL_METRIC_EXPORT_INTERVAL", problems)
    const metrics: MetricsOptions = present({
      ...yield* otlp("METRICS_", problems),
      temporality: temporality as MetricsOptions["temporality"],
      interval
    })
    const off = (yield* read("OTEL_SDK_DISABLED"))?.toLowerCase() === "true"
    const wanted = (signal: string) => Effect.map(read(`OTEL_${signal}_EXPORTER`), (list) => !off && (list === undefined || list.split(",").map((one) => one.trim()).includes("otlp")))
    const attributes = yield* pairs("OTEL_RESOURCE_ATTRIBUTES", problems)
    const service = yield* read("OTEL_SERVICE_NAME")
    const batchSize = yield* integer("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", problems)
    const flushInterval = yield* integer("OTEL_BSP_SCHEDULE_DELAY", problems)
    const maxQueueSize = yield* integer("OTEL_BSP_MAX_QUEUE_SIZE", problems)
    // Semantic conventions, "Recording exceptions": which of the two an instrumentation emits.
    const optIn = (yield* read("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"))?.toLowerCase()
    const exceptions = optIn === "logs" ? "logs" as const : optIn === "logs/dup" ? "both" as const : undefined
    if (problems.length > 0) return yield* new OpenTelemetryError({ problems })

    const signal = <O extends OtlpOptions>(on: boolean, code: false | O | undefined, environment: O): false | O =>
      !on || code === false ? false : over(code ?? {} as O, environment)
    return {
      ...over(options, common),
      traces: signal(yield* wanted("TRACES"), options.traces, traces),
      metrics: signal(yield* wanted("METRICS"), options.metrics, metrics),
      logs: signal(yield* wanted("LOGS"), options.logs, logs),
      resource: { ...options.resource, ...attributes, ...(service === undefined ? {} : { "service.name": service }) },
      ...present({ batchSize, flushInterval, maxQueueSize, exceptions })
    }
  })

/** The variables that exist for all signals and for each. */
const otlp = (signal: "" | "TRACES_" | "METRICS_" | "LOGS_", problems: Array<Problem>): Effect.Effect<OtlpOptions> =>
  Effect.gen(function*() {
    const name = (end: string) => `OTEL_EXPORTER_OTLP_${signal}${end}`
    const headers = yield* pairs(name("HEADERS"), problems)
    const timeout = yield* integer(name("TIMEOUT"), problems)
    const insecure = yield* read(name("INSECURE"))
    const protocol = (yield* read(name("PROTOCOL")))?.toLowerCase()
    if (protocol !== undefined && !["grpc", "http/protobuf", "http/json"].includes(protocol)) {
      problems.push({ field: name("PROTOCOL"), message: "is none of http/protobuf, http/json, grpc" })
    }
    const compression = (yield* read(name("COMPRESSION")))?.toLowerCase()
    if (compression !== undefined && compression !== "gzip" && compression !== "none") problems.push({ field: name("COMPRESSION"), message: "is neither gzip nor none" })
    const ca = yield* file(name("CERTIFICATE"), problems)
    const cert = yield* file(name("CLIENT_CERTIFICATE"), problems)
    const key = yield* file(name("CLIENT_KEY"), problems)
    const tls = present({ ca, cert, key: key === undefined ? undefined : Redacted.make(key) })
    return present({
      endpoint: yield* read(name("ENDPOINT")),
      protocol: protocol as Protocol | undefined,
      headers: headers === undefined ? undefined : Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, Redacted.make(value)])),
      compression: compression as "gzip" | "none" | undefined,
      timeout,
      tls: Object.keys(tls).length === 0 ? undefined : tls,
      insecure: insecure === undefined ? undefined : insecure.toLowerCase() === "true"
    }) as OtlpOptions
  })

const over = <O extends OtlpOptions>(code: O, environment: OtlpOptions): O => ({
  ...code,
  ...environment,
  ...(environment.headers === undefined && code.headers === undefined ? {} : { headers: { ...code.headers, ...environment.headers } }),
  ...(environment.tls === undefined && code.tls === undefined ? {} : { tls: { ...code.tls, ...environment.tls } })
})

/** An empty variable counts as none (environment variable specification, "Empty value"). */
const read = (name: string): Effect.Effect<string | undefined> =>
  Config.option(Config.String(name)).pipe(
    Effect.map((value) => Option.getOrUndefined(value)?.trim() || undefined),
    Effect.catch(() => Effect.succeed(undefined))
  )

/** Milliseconds or a number of things. */
const integer = (name: string, problems: Array<Problem>): Effect.Effect<number | undefined> =>
  Effect.map(read(name), (value) => {
    if (value === undefined) return undefined
    if (/^\d{1,12}$/.test(value)) return Number(value)
    problems.push({ field: name, message: "is no whole number of 0 or more" })
    return undefined
  })

/** `a=b,c=d`, percent-encoded where needed (W3C Baggage without properties). */
const pairs = (name: string, problems: Array<Problem>): Effect.Effect<Record<string, string> | undefined> =>
  Effect.map(read(name), (value) => {
    if (value === undefined) return undefined
    const out: Record<string, string> = {}
    for (const part of value.split(",")) {
      if (part.trim() === "") continue
      const at = part.indexOf("=")
      const [key, held] = [decoded(part.slice(0, Math.max(0, at)).trim()), decoded(part.slice(at + 1).trim())]
      if (at < 1 || key === undefined || key === "" || held === undefined) {
        problems.push({ field: name, message: "is no list of key=value,key=value (values percent-encoded)" })
        return undefined
      }
      out[key] = held
    }
    return out
  })

const file = (name: string, problems: Array<Problem>): Effect.Effect<string | undefined> =>
  Effect.flatMap(read(name), (path) =>
    path === undefined ? Effect.succeed(undefined) : Effect.tryPromise(() => Fs.readFile(path, "utf8")).pipe(
      Effect.catch(() => {
        problems.push({ field: name, message: "names a file that cannot be read" })
        return Effect.succeed(undefined)
      })
    ))

type Present<A> = { readonly [K in keyof A]?: Exclude<A[K], undefined> }

/** Without what is `undefined`. */
const present = <A extends object>(fields: A): Present<A> => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<A>
