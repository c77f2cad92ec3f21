import { type SpanData, Telemetry } from "@effect-observability/core"
import { metricsSuite, MetricsProbe, spansSuite, SpansProbe } from "@effect-observability/testkit/contract"
import { Effect, Layer } from "effect"
import { Datadog } from "../src/index.ts"
import { tag } from "../src/DatadogEncoding.ts"
import { agent, arrive, scoped, udp } from "./support/scoped.ts"
import { type AgentSpan, startAgent } from "./support/agent.ts"
import { countOf, listenUnixDatagram, type Receiver, type Sample, socketPath } from "./support/statsd.ts"

type Labels = Readonly<Record<string, string>>

/** Adds up what came, as an agent does. Values are asked for as they look on the wire. */
const metricsProbe = (receiver: Receiver) =>
  Layer.effect(
    MetricsProbe,
    Effect.gen(function*() {
      const { flush, store } = yield* Telemetry
      const find = (name: string, labels: Labels = {}, kind?: string): ReadonlyArray<Sample> => {
        const wanted = Object.entries(labels).map(([key, value]) => tag(key, value).text)
        return receiver.samples().filter((one) => one.name === name && (kind === undefined || one.kind === kind) && wanted.every((text) => one.tags.includes(text)))
      }
      const sum = (samples: ReadonlyArray<Sample>) => samples.reduce((total, { values }) => total + Number(values[0]), 0)
      return MetricsProbe.of({
        counter: (name, labels) => Effect.sync(() => sum(find(name, labels, "c"))),
        gauge: (name, labels) => Effect.sync(() => find(name, labels, "g").at(-1)?.values[0] as number | undefined),
        summary: (name, labels) => Effect.sync(() => sum(find(`${name}.sum`, labels, "c"))),
        histogram: (name, labels) =>
          Effect.sync(() => {
            const bounds = store.family(name)?.definition.buckets ?? []
            const buckets = Array.from({ length: bounds.length + 1 }, () => 0)
            let total = 0
            const samples = find(name, labels, "d")
            for (const { rate, values } of samples) {
              for (const value of values.map(Number)) {
                const at = bounds.findIndex((bound) => value <= bound)
                const count = Math.floor(1 / rate)
                buckets[at < 0 ? bounds.length : at]! += count
                total += value * count
              }
            }
            return { count: samples.reduce((counted, one) => counted + countOf(one), 0), sum: total, buckets }
          }),
        settle: Effect.andThen(flush, arrive)
      })
    })
  )

const overUdp = (options: Datadog.DatadogOptions) =>
  Layer.unwrap(Effect.map(udp, (receiver) =>
    metricsProbe(receiver).pipe(Layer.provideMerge(Datadog.layer({ dogstatsd: receiver.address, traces: false, containerId: false, ...options })))))

metricsSuite("datadog over UDP", overUdp({}))
metricsSuite("datadog with histograms by their buckets", overUdp({ distributions: "buckets", tags: { team: "a" }, maxDatagramSize: 512 }))
metricsSuite("datadog over a Unix socket", Layer.unwrap(Effect.gen(function*() {
  const { path } = yield* Effect.acquireRelease(Effect.sync(socketPath), ({ remove }) => Effect.sync(remove))
  const receiver = yield* scoped(async () => listenUnixDatagram(path))
  return metricsProbe(receiver).pipe(Layer.provideMerge(Datadog.layer({ dogstatsd: receiver.address, traces: false })))
})))

const hex = (id: bigint): string => id.toString(16).padStart(16, "0")
const plain = (value: unknown): unknown => {
  const typed = value as { type: number; string_value?: string; bool_value?: boolean; int_value?: bigint; double_value?: number; array_value?: { values: ReadonlyArray<unknown> } }
  return typed.string_value ?? typed.bool_value ?? (typed.int_value === undefined ? undefined : Number(typed.int_value)) ?? typed.double_value ?? typed.array_value?.values.map(plain)
}
const json = (text: string): unknown => {
  if (text === "true" || text === "false") return text === "true"
  if (!text.startsWith("[")) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** What stands beside the attributes of a span. */
const beside = /^(_dd\.|_sample_rate$|_sampling_priority|otel\.dropped_|span\.kind$|env$|version$|language$|process_id$|service\.instance\.id$|w3c\.tracestate$|error\.(message|stack)$)/

/** A span of the agent read back, as far as it can be. */
const toSpanData = (span: AgentSpan, upper: string): SpanData => {
  const { meta, metrics } = span
  const links = JSON.parse(meta["_dd.span_links"] ?? "[]") as ReadonlyArray<{ trace_id: string; span_id: string; attributes?: Record<string, unknown> }>
  return {
    traceId: upper + hex(span.trace_id),
    spanId: hex(span.span_id),
    parentSpanId: span.parent_id === 0n ? undefined : hex(span.parent_id),
    name: span.resource,
    kind: meta["span.kind"] as SpanData["kind"],
    startTime: span.start,
    endTime: span.start + span.duration,
    status: span.error === 1 ? "error" : "unset",
    statusMessage: meta["error.message"],
    attributes: new Map<string, unknown>(
      [...Object.entries(meta).map(([key, value]) => [key, json(value)] as const), ...Object.entries(metrics)].filter(([key]) => !beside.test(key))
    ),
    events: (span.span_events ?? []).map(({ attributes = {}, name, time_unix_nano }) => ({
      name,
      time: BigInt(time_unix_nano),
      attributes: Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, plain(value)]))
    })),
    links: links.map((link) => ({ traceId: link.trace_id, spanId: link.span_id, attributes: link.attributes ?? {} })),
    droppedAttributes: metrics["otel.dropped_attributes_count"] ?? 0,
    droppedEvents: metrics["otel.dropped_events_count"] ?? 0,
    droppedLinks: metrics["otel.dropped_links_count"] ?? 0,
    weight: 1 / (metrics["_sample_rate"] ?? 1),
    traceState: meta["w3c.tracestate"] ?? ""
  }
}

const spansProbe = (received: { readonly requests: ReadonlyArray<{ readonly chunks: ReadonlyArray<ReadonlyArray<AgentSpan>> }>; readonly failures: ReadonlyArray<string> }) =>
  Layer.effect(
    SpansProbe,
    Effect.gen(function*() {
      const { flush } = yield* Telemetry
      const all = () => {
        if (received.failures.length > 0) throw new Error(received.failures.join())
        return received.requests.flatMap(({ chunks }) => chunks.flatMap((chunk) => chunk.map((span) => toSpanData(span, chunk[0]!.meta["_dd.p.tid"] ?? "0".repeat(16)))))
      }
      return SpansProbe.of({
        trace: (traceId) => Effect.sync(() => all().filter((span) => span.traceId === traceId)),
        count: Effect.sync(() => all().length),
        settle: flush
      })
    })
  )

spansSuite("datadog", Layer.unwrap(Effect.map(agent, (received) => {
  received.info = { version: "7.70.0", span_events: true }
  return spansProbe(received).pipe(Layer.provideMerge(Datadog.layer({ dogstatsd: false, traces: received.url })))
})))

spansSuite("datadog over a Unix socket", Layer.unwrap(Effect.gen(function*() {
  const { path } = yield* Effect.acquireRelease(Effect.sync(socketPath), ({ remove }) => Effect.sync(remove))
  const received = yield* scoped(() => startAgent(path))
  return spansProbe(received).pipe(Layer.provideMerge(Datadog.layer({ dogstatsd: false, traces: received.url, nativeSpanEvents: true, batchSize: 3 })))
})))
