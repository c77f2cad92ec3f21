import { Logs } from "@effect-observability/instrument"
import { Effect, Logger, Metric, Option, Stream } from "effect"
import {
  Baggage, Diagnostics, Exposition, MetricDefinition, MetricsRecorder, Observability, type ObservabilityInput, Sampler, type SpanData, Telemetry, Tracer
} from "effect-observability"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { send, serving } from "../../../instrument/test/http/support/server.ts"

/** What the backend of the test heard. */
export interface Heard {
  readonly spans: Array<SpanData>
  readonly logs: Array<string>
  readonly written: Array<string>
  /** Lengths of batches of spans in the order in which they came. */
  readonly batches: Array<number>
  /** Whether batches are answered. */
  hung: boolean
}

type Hub = Telemetry | MetricsRecorder | Tracer | Diagnostics | Observability.Reloader

/** A setting with two values, and what is seen of each from outside. */
export interface Effects {
  readonly one: ObservabilityInput
  readonly other: ObservabilityInput
  readonly see: (heard: Heard, n: number) => Effect.Effect<unknown, unknown, Hub>
  /** What is seen with `one` and with `other`. */
  readonly seen: readonly [unknown, unknown]
}

const effect = (one: ObservabilityInput, other: ObservabilityInput, see: Effects["see"], ...seen: Effects["seen"]): Effects => ({ one, other, see, seen })

/** The one span that is made here, as backends get it; `undefined` when none does. */
const spanWith = (attributes: Readonly<Record<string, unknown>>, inside: Effect.Effect<unknown> = Effect.void, options: { readonly links?: number } = {}) => (heard: Heard, n: number) =>
  Effect.gen(function*() {
    const name = `probe ${n}`
    const other = yield* Effect.makeSpan("linked")
    yield* Effect.withSpan(inside, name, {
      attributes,
      links: Array.from({ length: options.links ?? 0 }, () => ({ span: other, attributes: { a: 1, b: 2, c: 3 } }))
    })
    return heard.spans.find((span) => span.name === name)
  })

const page = Effect.flatMap(Effect.serviceOption(Exposition), (exposition) => Effect.map(Option.getOrThrow(exposition).page, ({ body }) => body))
const openMetrics = Effect.gen(function*() {
  const { body } = yield* Option.getOrThrow(yield* Effect.serviceOption(Exposition)).render("application/openmetrics-text")
  const decoder = new TextDecoder()
  return (yield* Stream.runCollect(body)).map((chunk) => decoder.decode(chunk, { stream: true })).join("")
})
const counter = (n: number, ...labelNames: ReadonlyArray<string>) => MetricDefinition.counter(`probe_${n}_total`, { help: "Probe", labelNames })
/** The labels of a metric on the page. */
const pageLine = (_: Heard, n: number) =>
  Effect.gen(function*() {
    yield* (yield* MetricsRecorder).incrementCounter(counter(n), 1, {})
    return (yield* page).split("\n").find((line) => line.includes(`probe_${n}_total`) && !line.startsWith("#"))?.replace(String(n), "N")
  })
/** How many of six label sets have a series of their own. */
const apart = (_: Heard, n: number) =>
  Effect.gen(function*() {
    const recorder = yield* MetricsRecorder
    for (let i = 0; i < 6; i++) yield* recorder.incrementCounter(counter(n, "value"), 1, { value: `v${i}` })
    return (yield* Telemetry).store.family(`probe_${n}_total`)!.series.filter(({ labelValues }) => /^v\d$/.test(labelValues[0]!)).length
  })
const carrier = (target?: string) => () =>
  Effect.gen(function*() {
    const out: Record<string, string> = {}
    yield* Effect.withSpan(Effect.flatMap(Tracer, (tracer) => tracer.injectContext(out, target === undefined ? undefined : new URL(target))), "outgoing").pipe(
      Effect.provideService(Baggage.Baggage, Baggage.edit(Baggage.empty, { team: "shop" }))
    )
    return Object.keys(out).sort().join(" ")
  })
const attribute = (name: string, value: unknown) => (heard: Heard, n: number) =>
  Effect.map(spanWith({ [name]: value })(heard, n), (span) => span!.attributes.get(name))
const kept = (heard: Heard, n: number) => Effect.map(spanWith({})(heard, n), (span) => span !== undefined)
const events = Effect.gen(function*() {
  const span = yield* Effect.orDie(Effect.currentSpan)
  for (let i = 0; i < 3; i++) span.event(`event ${i}`, 1n, { a: 1, b: 2, c: 3 })
})
const spans = (count: number, n: number) => Effect.forEach(Array.from({ length: count }), () => Effect.void.pipe(Effect.withSpan(`probe ${n}`)), { discard: true })
const until = (done: () => boolean, millis: number) =>
  Effect.gen(function*() {
    const end = performance.now() + millis
    while (!done() && performance.now() < end) yield* Effect.sleep(5)
    return done()
  })
const sentry = { enabled: true, dsn: "https://key@127.0.0.1/1" }

/** Settings that change what the hub itself does. */
export const effects: Readonly<Record<string, Effects>> = {
  "metrics.prefix": effect({ metrics: { prefix: "shop" } }, { metrics: { prefix: "" } }, pageLine, "shop_probe_N_total 1", "probe_N_total 1"),
  "metrics.defaultLabels": effect({ metrics: { defaultLabels: { team: "a" } } }, { metrics: { defaultLabels: { team: "b" } } }, pageLine, "probe_N_total{team=\"a\"} 1", "probe_N_total{team=\"b\"} 1"),
  "metrics.sharedLabels": effect({ metrics: { sharedLabels: ["env"] } }, { metrics: { sharedLabels: [] } }, pageLine, "probe_N_total{env=\"dev\"} 1", "probe_N_total 1"),
  "metrics.maxSeriesPerMetric": effect({ metrics: { maxSeriesPerMetric: 2 } }, { metrics: { maxSeriesPerMetric: 100 } }, apart, 2, 6),
  "metrics.maxSeries": effect({ metrics: { maxSeries: 1 } }, { metrics: { maxSeries: 10_000 } }, apart, 0, 6),
  "metrics.allow.metrics": effect({ metrics: { allow: { metrics: ["nothing_*"] } } }, { metrics: { allow: { metrics: ["probe_*", "span_*"] } } }, pageLine, undefined, "probe_N_total 1"),
  "metrics.allow.labels": effect({ metrics: { allow: { labels: ["a"] } } }, { metrics: { allow: { labels: ["a", "b"] } } }, (_, n) =>
    Effect.gen(function*() {
      yield* (yield* MetricsRecorder).incrementCounter(counter(n, "a", "b"), 1, { a: "1", b: "2" })
      return (yield* Telemetry).store.family(`probe_${n}_total`)!.definition.labelNames.join()
    }), "a", "a,b"),
  "metrics.highCardinalityLabels": effect({}, { metrics: { highCardinalityLabels: ["user_id"] } }, (_, n) =>
    Effect.gen(function*() {
      yield* (yield* MetricsRecorder).incrementCounter(counter(n, "user_id"), 1, { user_id: "1" })
      return (yield* Telemetry).store.family(`probe_${n}_total`)!.definition.labelNames.join()
    }), "", "user_id"),
  "metrics.effectMetrics": effect({ metrics: { effectMetrics: false } }, { metrics: { effectMetrics: true } }, (_, n) =>
    Effect.andThen(Metric.update(Metric.counter(`effects_own_${n}`), 1), Effect.map(page, (text) => text.includes(`effects_own_${n}`))), false, true),
  "tracing.enabled": effect({ tracing: { enabled: false } }, { tracing: { enabled: true } }, kept, false, true),
  "tracing.sampleRate": effect({ tracing: { sampleRate: 0 } }, { tracing: { sampleRate: 1 } }, kept, false, true),
  "tracing.sampler": effect({ tracing: { sampler: Sampler.rules([{ kind: "internal", sampler: Sampler.never }]) } }, { tracing: { sampler: Sampler.adaptive({ spansPerSecond: 100_000 }) } }, kept, false, true),
  "tracing.spanMetrics": effect({ tracing: { spanMetrics: "off" } }, { tracing: { spanMetrics: "all" } }, (heard, n) =>
    Effect.andThen(spanWith({})(heard, n), Effect.map(page, (text) => text.includes(`operation="probe ${n}"`))), false, true),
  "tracing.ignoredPaths": effect({ tracing: { ignoredPaths: ["/quiet"] } }, { tracing: { ignoredPaths: ["/other"] } }, (heard) =>
    Effect.gen(function*() {
      const before = heard.spans.filter(({ kind }) => kind === "server").length
      const context = yield* Effect.context<Hub>()
      const routes = HttpRouter.add("GET", "/quiet", HttpServerResponse.text("ok"))
      yield* serving(routes as never, Layer.succeedContext(context), (port) => send(port, "/quiet"))
      return heard.spans.filter(({ kind }) => kind === "server").length - before
    }), 0, 1),
  "tracing.traceUrl": effect({}, { tracing: { traceUrl: "https://obs.example.com/{trace_id}" } }, () =>
    Effect.withSpan(Effect.flatMap(Logs.mixin(), (mixin) => Effect.sync(() => String(mixin()["trace_url"]).replace(/[0-9a-f]{32}/, "ID"))), "linked"), "undefined", "https://obs.example.com/ID"),
  "tracing.propagators": effect({ tracing: { propagators: ["tracecontext"] } }, { tracing: { propagators: ["b3multi"] } }, carrier(),
    "traceparent", "x-b3-sampled x-b3-spanid x-b3-traceid"),
  "tracing.propagateTo": effect({ tracing: { propagateTo: ["other.example.com"] } }, { tracing: { propagateTo: ["shop.example.com"] } }, carrier("https://shop.example.com/"), "", "traceparent"),
  "tracing.baggageTo": effect({ tracing: { baggageTo: ["internal"] } }, { tracing: { baggageTo: ["shop.example.com"] } }, carrier("https://shop.example.com/"),
    "traceparent", "baggage traceparent"),
  "tracing.limits.attributeCount": effect({ tracing: { limits: { attributeCount: 1 } } }, { tracing: { limits: { attributeCount: 2 } } }, (heard, n) =>
    Effect.map(spanWith({ a: 1, b: 2, c: 3 })(heard, n), (span) => span!.attributes.size), 1, 2),
  "tracing.limits.attributeValueLength": effect({ tracing: { limits: { attributeValueLength: 20 } } }, { tracing: { limits: { attributeValueLength: 24 } } }, attribute("text", "abcdefghijklmnopqrstuvwxyz"),
    "abcdefghijklmnopqrst", "abcdefghijklmnopqrstuvwx"),
  "tracing.limits.eventCount": effect({ tracing: { limits: { eventCount: 1 } } }, { tracing: { limits: { eventCount: 2 } } }, (heard, n) =>
    Effect.map(spanWith({}, events)(heard, n), (span) => span!.events.length), 1, 2),
  "tracing.limits.linkCount": effect({ tracing: { limits: { linkCount: 1 } } }, { tracing: { limits: { linkCount: 2 } } }, (heard, n) =>
    Effect.map(spanWith({}, Effect.void, { links: 3 })(heard, n), (span) => span!.links.length), 1, 2),
  "tracing.limits.attributePerEventCount": effect({ tracing: { limits: { attributePerEventCount: 1 } } }, { tracing: { limits: { attributePerEventCount: 2 } } }, (heard, n) =>
    Effect.map(spanWith({}, events)(heard, n), (span) => Object.keys(span!.events[0]!.attributes).length), 1, 2),
  "tracing.limits.attributePerLinkCount": effect({ tracing: { limits: { attributePerLinkCount: 1 } } }, { tracing: { limits: { attributePerLinkCount: 2 } } }, (heard, n) =>
    Effect.map(spanWith({}, Effect.void, { links: 1 })(heard, n), (span) => Object.keys(span!.links[0]!.attributes).length), 1, 2),
  "tracing.limits.depth": effect({ tracing: { limits: { depth: 1 } } }, { tracing: { limits: { depth: 8 } } }, (heard, n) =>
    Effect.map(attribute("deep", { a: { b: { c: "inside" } } })(heard, n), (value) => JSON.stringify(value).includes("inside")), false, true),
  "redaction.enabled": effect({ redaction: { enabled: false } }, { redaction: { enabled: true } }, attribute("password", "abc"), "abc", "REDACTED"),
  "redaction.names": effect({ redaction: { names: ["colour"] } }, { redaction: { names: [] } }, attribute("colour", "red"), "REDACTED", "red"),
  "redaction.allow": effect({ redaction: { allow: [] } }, { redaction: { allow: ["password"] } }, attribute("password", "plain"), "REDACTED", "plain"),
  "redaction.emails": effect({ redaction: { emails: true } }, { redaction: { emails: false } }, (heard, n) =>
    Effect.map(attribute("note", "to jane@example.com")(heard, n), (text) => String(text).includes("jane@example.com")), false, true),
  "redaction.addresses": effect({ redaction: { addresses: false } }, { redaction: { addresses: true } }, (heard, n) =>
    Effect.map(attribute("note", "from 203.0.113.9")(heard, n), (text) => String(text).includes("203.0.113.9")), true, false),
  "redaction.rules": effect({ redaction: { rules: [] } }, { redaction: { rules: [(name) => name === "shade"] } }, attribute("shade", "dark"), "dark", "REDACTED"),
  "logs.level": effect({ logs: { level: "Warn" } }, { logs: { level: "All" } }, (heard, n) =>
    Effect.andThen(Effect.logInfo(`line ${n}`), Effect.sync(() => heard.written.includes(`line ${n}`))), false, true),
  "logs.keepLevel": effect({ logs: { keepLevel: "Error" } }, { logs: { keepLevel: "Info" } }, (heard, n) =>
    Effect.andThen(Effect.logInfo(`line ${n}`), Effect.sync(() => [heard.written.includes(`line ${n}`), heard.logs.includes(`line ${n}`)].join())), "true,false", "true,true"),
  "prometheus.processMetrics": effect({ prometheus: { processMetrics: false } }, { prometheus: { processMetrics: true } }, () =>
    Effect.map(page, (text) => text.includes("process_cpu_user_seconds_total")), false, true),
  "prometheus.createdTimestamps": effect({ prometheus: { createdTimestamps: false } }, { prometheus: { createdTimestamps: true } }, (heard, n) =>
    Effect.andThen(pageLine(heard, n), Effect.map(openMetrics, (text) => text.includes(`probe_${n}_created`))), false, true),
  batchSize: effect({ batchSize: 3, flushInterval: 60 }, { batchSize: 7, flushInterval: 60 }, (heard, n) =>
    Effect.gen(function*() {
      yield* Observability.flush
      heard.batches.length = 0
      yield* spans(7, n)
      yield* until(() => heard.batches.length > 0, 2_000)
      return heard.batches[0]
    }), 3, 7),
  flushInterval: effect({ batchSize: 1_000, flushInterval: 60 }, { batchSize: 1_000, flushInterval: 0.02 }, (heard, n) =>
    Effect.gen(function*() {
      yield* Observability.flush
      heard.batches.length = 0
      yield* spans(1, n)
      return yield* until(() => heard.batches.length > 0, 300)
    }), false, true),
  requestTimeout: effect({ requestTimeout: 30, batchSize: 1 }, { requestTimeout: 0.05, batchSize: 1 }, (heard, n) =>
    Effect.gen(function*() {
      yield* Observability.flush
      heard.hung = true
      yield* spans(1, n)
      const telemetry = yield* Telemetry
      const queue = () => telemetry.queues().find(({ backend, signal }) => backend === "sentry" && signal === "spans")!
      yield* until(() => queue().failures > 0, 300)
      const found = queue().failures > 0 ? queue().lastError?.message : "waits"
      heard.hung = false
      yield* Observability.flush
      return found
    }), "waits", "no answer within 50 ms"),
  shutdownTimeout: effect({ shutdownTimeout: 30, batchSize: 1, requestTimeout: 60 }, { shutdownTimeout: 0.05, batchSize: 1, requestTimeout: 60 }, (heard, n) =>
    Effect.gen(function*() {
      yield* Observability.flush
      heard.hung = true
      yield* spans(1, n)
      const telemetry = yield* Telemetry
      const dropped = () => telemetry.removed().find(({ backend, signal }) => backend === "sentry" && signal === "spans")?.ledger.dropped["backend_removed"] ?? 0
      const before = dropped()
      const { enabled: _, ...off } = sentry
      const settings = telemetry.settings()
      const now = { batchSize: settings.batchSize, shutdownTimeout: settings.shutdownTimeout / 1000, requestTimeout: 60 }
      yield* Observability.reload({ ...now, sentry: { ...off, enabled: false } })
      const gaveUp = yield* until(() => dropped() > before, 500)
      heard.hung = false
      yield* until(() => telemetry.removed().find(({ backend, signal }) => backend === "sentry" && signal === "spans")?.ledger.inFlight === 0, 5_000)
      yield* Observability.reload({ ...now, sentry })
      return gaveUp
    }), false, true)
}

/** A setting of one backend: the one at work is exchanged for one whose package is handed the new value. */
export interface Handed {
  readonly one: unknown
  readonly other: unknown
  /** What the package is handed, where it is not the same under the same name. */
  readonly as?: readonly [key: string, one: unknown, other: unknown]
}

const same = (one: unknown, other: unknown): Handed => ({ one, other })
const seconds = (one: number, other: number): Handed => ({ one, other, as: ["flushInterval", `${one * 1000} ms`, `${other * 1000} ms`] })
const share: Handed = { one: 1, other: 0.5, as: ["spans", undefined, { sampleRatio: 0.5 }] }

/** By group and name. */
export const handed: Readonly<Record<string, Handed>> = {
  "postgres.common.connection": { one: "postgres://a:one@127.0.0.1/db", other: "postgres://a:two@127.0.0.1/db", as: ["connection", "postgres://a:one@127.0.0.1/db", "postgres://a:two@127.0.0.1/db"] },
  "postgres.common.schema": { one: "first", other: "second", as: ["schema", "first", "second"] },
  "postgres.common.retentionDays": { one: 30, other: 60, as: ["retentionDays", 30, 60] },
  "postgres.common.batchSize": { one: 10, other: 20, as: ["batchSize", 10, 20] },
  "postgres.capacity": same(1_000_000_000, 2_000_000_000),
  "postgres.upkeep.enabled": { one: false, other: true, as: ["upkeep.enabled", false, true] },
  "postgres.upkeep.dryRun": { one: false, other: true, as: ["upkeep.dryRun", false, true] },
  "postgres.upkeep.daysLeft": { one: 5, other: 6, as: ["upkeep.daysLeft", 5, 6] },
  "postgres.upkeep.maxBytes": { one: 1_000_000_000, other: 2_000_000_000, as: ["upkeep.maxBytes", 1_000_000_000, 2_000_000_000] },
  "postgres.upkeep.floor.raw": { one: 1, other: 2, as: ["upkeep.floor.raw", 1, 2] },
  "postgres.upkeep.floor.spans": { one: 1, other: 2, as: ["upkeep.floor.spans", 1, 2] },
  "postgres.upkeep.floor.minute": { one: 10, other: 20, as: ["upkeep.floor.minute", 10, 20] },
  "postgres.upkeep.floor.hour": { one: 10, other: 20, as: ["upkeep.floor.hour", 10, 20] },
  "postgres.upkeep.floor.day": { one: 10, other: 20, as: ["upkeep.floor.day", 10, 20] },
  "postgres.metricsTable": same("m_one", "m_two"),
  "postgres.metricsMetadataTable": same("d_one", "d_two"),
  "postgres.spansTable": same("s_one", "s_two"),
  "postgres.spanEventsTable": same("e_one", "e_two"),
  "postgres.flushInterval": { one: 1, other: 2, as: ["flushInterval", 1_000, 2_000] },
  "postgres.searchableAttributes": same(["a"], ["a", "b"]),
  "opentelemetry.endpoint": same("http://127.0.0.1:1", "http://127.0.0.1:2"),
  "opentelemetry.protocol": same("http/json", "http/protobuf"),
  "opentelemetry.headers": same({ authorization: "one" }, { authorization: "two" }),
  "opentelemetry.compression": same("none", "gzip"),
  "opentelemetry.traces": { one: true, other: false, as: ["traces", undefined, false] },
  "opentelemetry.logs": { one: true, other: false, as: ["logs", undefined, false] },
  "opentelemetry.metrics": { one: true, other: false, as: ["metrics", { temporality: "cumulative" }, false] },
  "opentelemetry.temporality": { one: "cumulative", other: "delta", as: ["metrics", { temporality: "cumulative" }, { temporality: "delta" }] },
  "opentelemetry.sampleRatio": share,
  "opentelemetry.batchSize": same(10, 20),
  "opentelemetry.flushInterval": seconds(1, 2),
  "opentelemetry.maxQueueSize": same(1_000, 10),
  "sentry.dsn": same("https://one@127.0.0.1/1", "https://two@127.0.0.1/1"),
  "sentry.environment": same("a", "b"),
  "sentry.release": same("1", "2"),
  "sentry.tags": same({ team: "a" }, { team: "b" }),
  "sentry.traces": { one: "spans", other: "off", as: ["traces", "spans", false] },
  "sentry.logs": same(false, true),
  "sentry.sampleRatio": share,
  "sentry.flushInterval": seconds(1, 2),
  "datadog.host": same("10.0.0.1", "10.0.0.2"),
  "datadog.dogstatsd": { one: "udp://127.0.0.1:1", other: "off", as: ["dogstatsd", "udp://127.0.0.1:1", false] },
  "datadog.traces": { one: "http://127.0.0.1:1", other: "off", as: ["traces", "http://127.0.0.1:1", false] },
  "datadog.tags": same({ team: "a" }, { team: "b" }),
  "datadog.prefix": same("a.", "b."),
  "datadog.distributions": same("values", "buckets"),
  "datadog.sampleRatio": share,
  "datadog.flushInterval": seconds(1, 2),
  "datadog.batchSize": same(10, 20),
  "clickhouse.connection": same("http://a:one@127.0.0.1:1", "http://a:two@127.0.0.1:1"),
  "clickhouse.database": same("a", "b"),
  "clickhouse.tracesTable": same("t_one", "t_two"),
  "clickhouse.metricsTable": same("m_one", "m_two"),
  "clickhouse.logsTable": same("l_one", "l_two"),
  "clickhouse.retentionDays": same(30, 60),
  "clickhouse.batchSize": same(10, 20),
  "clickhouse.flushInterval": seconds(1, 2),
  "clickhouse.logs": same(false, true),
  "clickhouse.errors": same(true, false),
  "clickhouse.history": same(true, false),
  "clickhouse.compression": same("zstd", "gzip"),
  "clickhouse.cluster": same("a", "b"),
  "clickhouse.engine": same("MergeTree", "ReplicatedMergeTree"),
  "clickhouse.distributed": same(false, true),
  "clickhouse.sampleRatio": share
}

/** What a program is made of: another value is named, and changes nothing. */
export const needsRestart: Readonly<Record<string, readonly [ObservabilityInput, path: string]>> = {
  enabled: [{ enabled: false }, "enabled"],
  env: [{ env: "other" }, "env"],
  cluster: [{ cluster: "other" }, "cluster"],
  "tracing.serviceName": [{ tracing: { serviceName: "other" } }, "service"],
  "tracing.serviceVersion": [{ tracing: { serviceVersion: "other" } }, "service"],
  "tracing.serviceInstance": [{ tracing: { serviceInstance: "other" } }, "service"],
  "metrics.enabled": [{ metrics: { enabled: false } }, "metrics.enabled"],
  "metrics.prometheusPort": [{ metrics: { prometheusPort: 1 } }, "metrics.prometheusPort"],
  "metrics.buckets": [{ metrics: { buckets: { a_seconds: [1] } } }, "metrics.buckets"],
  "metrics.aggregationInterval": [{ metrics: { aggregationInterval: 1 } }, "metrics.aggregationInterval"],
  "metrics.seriesTimeToLive": [{ metrics: { seriesTimeToLive: 60 } }, "metrics.seriesTimeToLive"],
  "metrics.views": [{ metrics: { views: [{ name: "a_*", drop: true }] } }, "metrics.views"],
  "metrics.conventions": [{ metrics: { conventions: "otel" } }, "metrics.conventions"]
}

const logger = (heard: Heard) => Logger.make(({ message }) => void heard.written.push(String(Array.isArray(message) ? message[0] : message)))
export const layerLogger = (heard: Heard): Layer.Layer<never> => Logger.layer([logger(heard)])
