import { AlertHealth, Alerts, AlertSinks, ConsoleSpans, type ObservabilitySettings, type Telemetry } from "@effect-observability/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { BackendMissing } from "./BackendMissing.ts"

/** A backend on a hub that is there; what it gives beside is found in its context. */
export type BackendLayer = Layer.Layer<never, Error, Telemetry>

/** How a configuration speaks of one backend. */
export interface Backend {
  readonly name: string
  readonly wanted: (settings: ObservabilitySettings) => boolean
  /** All that it is built of: where this differs it is built anew. */
  readonly made: (settings: ObservabilitySettings) => unknown
  /** Loads the package. */
  readonly load: (settings: ObservabilitySettings) => Effect.Effect<BackendLayer, BackendMissing>
}

const millis = (value: number | undefined) => value === undefined ? undefined : Duration.millis(value)

type Given<A> = { readonly [K in keyof A]?: Exclude<A[K], undefined> }

/** Only what was said: the backends have defaults of their own. */
const given = <A extends object>(options: A): Given<A> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<A>

const share = (sampleRatio: number) => sampleRatio === 1 ? undefined : { sampleRatio }

/** With `Redacted` unwrapped: only ever compared, never shown. */
export const fingerprint = (value: unknown): string => JSON.stringify(plain(value)) ?? ""

/** `JSON.stringify` asks a value for its own form first, and all secrets have the same. */
const plain = (value: unknown): unknown => {
  if (Redacted.isRedacted(value)) return { redacted: Redacted.value(value) }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]))
}

const loading = <A>(name: string, load: () => Promise<A>): Effect.Effect<A, BackendMissing> =>
  Effect.tryPromise({
    try: load,
    catch: (error) =>
      new BackendMissing({
        backend: name,
        message: `${name} is configured, but its package cannot be loaded: npm install @effect-observability/${name}` +
          ` (${String(error).split("\n")[0]!.slice(0, 200)})`
      })
  })

/** Their types differ in what they give and how they fail; both are looked at when they are there. */
const erase = (layer: BackendLayer): BackendLayer => layer

/** How packages are loaded; given, so that a test can be without one. */
export const loaders = {
  prometheus: () => import("@effect-observability/prometheus"),
  postgres: () => import("@effect-observability/postgres"),
  opentelemetry: () => import("@effect-observability/opentelemetry"),
  sentry: () => import("@effect-observability/sentry"),
  datadog: () => import("@effect-observability/datadog"),
  clickhouse: () => import("@effect-observability/clickhouse")
}

/** In the order in which they start. */
export const backends = (from: typeof loaders = loaders): ReadonlyArray<Backend> => [
  {
    name: "prometheus",
    wanted: ({ metrics, prometheus }) => metrics.enabled && prometheus.enabled !== false,
    made: ({ prometheus }) => [prometheus],
    load: ({ prometheus: { createdTimestamps, enabled, processMetrics } }) =>
      loading("prometheus", from.prometheus).pipe(
        Effect.map(({ Prometheus }) => erase(Prometheus.layerBackend({ createdTimestamps, processMetrics }))),
        // Nobody asked for it by name: it takes part when it is there.
        Effect.catch((missing) => enabled === true ? Effect.fail(missing) : Effect.succeed(erase(Layer.empty)))
      )
  },
  {
    name: "postgres",
    wanted: ({ postgres }) => postgres.enabled,
    made: ({ postgres, requestTimeout, tracing }) => [postgres, requestTimeout, tracing.enabled],
    load: () => Effect.map(loading("postgres", from.postgres), ({ Postgres }) => erase(Postgres.layerBackend()))
  },
  {
    name: "clickhouse",
    wanted: ({ clickhouse }) => clickhouse.enabled,
    made: ({ clickhouse, postgres, requestTimeout, tracing }) => [clickhouse, postgres.enabled, requestTimeout, tracing.enabled],
    load: ({ clickhouse: { enabled: _, flushInterval, history, sampleRatio, ...rest }, postgres }) =>
      Effect.map(loading("clickhouse", from.clickhouse), ({ ClickHouse }) =>
        erase(ClickHouse.layerBackend({
          ...given(rest),
          ...given({ flushInterval: millis(flushInterval), spans: share(sampleRatio) }),
          connection: rest.connection!,
          // Histories have one provider.
          history: (history ?? !postgres.enabled) as boolean
        })))
  },
  {
    name: "opentelemetry",
    wanted: ({ opentelemetry }) => opentelemetry.enabled,
    made: ({ batchSize, flushInterval, opentelemetry, requestTimeout, tracing }) => [opentelemetry, batchSize, flushInterval, requestTimeout, tracing.enabled],
    load: ({ opentelemetry: { enabled: _, flushInterval, logs, metrics, sampleRatio, temporality, traces, ...rest } }) =>
      Effect.map(loading("opentelemetry", from.opentelemetry), ({ OpenTelemetry }) =>
        erase(OpenTelemetry.layerBackend({
          ...given(rest),
          ...given({ flushInterval: millis(flushInterval), spans: share(sampleRatio) }),
          ...(traces ? {} : { traces: false as const }),
          ...(logs ? {} : { logs: false as const }),
          metrics: metrics ? { temporality } : false
        })))
  },
  {
    name: "sentry",
    wanted: ({ sentry }) => sentry.enabled,
    made: ({ sentry, tracing }) => [sentry, tracing.enabled],
    load: ({ sentry: { enabled: _, flushInterval, sampleRatio, traces, ...rest } }) =>
      Effect.map(loading("sentry", from.sentry), ({ Sentry }) =>
        erase(Sentry.layerBackend({
          ...given(rest),
          ...given({ flushInterval: millis(flushInterval), spans: share(sampleRatio) }),
          traces: traces === "off" ? false : traces
        })))
  },
  {
    name: "datadog",
    wanted: ({ datadog }) => datadog.enabled,
    made: ({ datadog, tracing }) => [datadog, tracing.enabled],
    load: ({ datadog: { dogstatsd, enabled: _, flushInterval, sampleRatio, traces, ...rest } }) =>
      Effect.map(loading("datadog", from.datadog), ({ Datadog }) =>
        erase(Datadog.layerBackend({
          ...given(rest),
          ...given({
            flushInterval: millis(flushInterval),
            spans: share(sampleRatio),
            dogstatsd: dogstatsd === "off" ? false as const : dogstatsd,
            traces: traces === "off" ? false as const : traces
          })
        })))
  },
  {
    name: "alerting",
    wanted: ({ alerting, metrics }) => alerting.enabled && metrics.enabled,
    // Rules alone are exchanged without a pause.
    made: ({ alerting: { rules: _, ...rest } }) => [rest],
    load: ({ alerting: { alertmanager, anomalies, groupInterval, interval, log, repeatInterval, slo, thresholds, webhook } }) =>
      Effect.sync(() => {
        const sinks: ReadonlyArray<AlertSinks.AlertSink> = [
          ...(log ? [AlertSinks.log()] : []),
          ...(webhook.url === undefined ? [] : [AlertSinks.webhook({ url: webhook.url, headers: webhook.headers })]),
          ...(alertmanager.url === undefined ? [] : [AlertSinks.alertmanager({ url: alertmanager.url, headers: alertmanager.headers })])
        ]
        const alerts = Alerts.layerSettings({
          thresholds, anomalies, sinks,
          interval: Duration.millis(interval), groupInterval: Duration.millis(groupInterval), repeatInterval: Duration.millis(repeatInterval)
        })
        // The hub gives all that it needs.
        return AlertHealth.layer(slo).pipe(Layer.provideMerge(alerts)) as Layer.Layer<never, Error, any> as BackendLayer
      })
  },
  {
    name: "console",
    wanted: (settings) => settings.console.enabled,
    made: (settings) => [settings.console],
    load: ({ console: { colors, sampleRatio } }) => Effect.succeed(erase(ConsoleSpans.layerBackend({ sampleRatio, ...given({ colors }) })))
  }
]
