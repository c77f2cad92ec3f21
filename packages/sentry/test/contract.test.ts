import { type SpanData, Telemetry } from "@effect-observability/core"
import { errorsSuite, ErrorsProbe, LogsProbe, logsSuite, spansSuite, SpansProbe } from "@effect-observability/testkit/contract"
import { Effect, Layer } from "effect"
import { Sentry } from "../src/index.ts"
import type { Receiver } from "./support/receiver.ts"
import { receiver } from "./support/scoped.ts"

const nanos = (seconds: number): bigint => BigInt(Math.round(seconds * 1e6)) * 1_000n
const besides = /^(sentry\.|span\.events$|otel\.dropped_|w3c\.tracestate$|service\.name$|server\.address$)/
const values = (attributes: Readonly<Record<string, { readonly value: unknown }>>) => Object.entries(attributes).map(([key, { value }]) => [key, value] as const)

/** A span of Sentry read back. */
const toSpanData = (span: any, entries: ReadonlyArray<readonly [string, any]>): SpanData => {
  const all = new Map(entries)
  return {
    traceId: span.trace_id,
    spanId: span.span_id,
    parentSpanId: span.parent_span_id,
    name: span.name ?? span.description,
    kind: all.get("sentry.kind"),
    startTime: nanos(span.start_timestamp),
    endTime: nanos(span.end_timestamp ?? span.timestamp),
    status: span.status === "ok" ? "unset" : "error",
    statusMessage: all.get("sentry.status.message"),
    attributes: new Map([...all].filter(([key]) => !besides.test(key))),
    events: JSON.parse(all.get("span.events") ?? "[]").map((event: any) => ({ name: event.name, time: nanos(event.timestamp), attributes: event.attributes })),
    links: (span.links ?? []).map((link: any) => ({ traceId: link.trace_id, spanId: link.span_id, attributes: link.attributes })),
    droppedAttributes: all.get("otel.dropped_attributes_count") ?? 0,
    droppedEvents: all.get("otel.dropped_events_count") ?? 0,
    droppedLinks: all.get("otel.dropped_links_count") ?? 0,
    weight: 1 / (all.get("sentry.sample_rate") ?? 1),
    traceState: all.get("w3c.tracestate") ?? ""
  }
}

const streamed = (sentry: Receiver) =>
  sentry.items("span").flatMap(({ items }) => items.map((span: any) => ({
    ...toSpanData(span, values(span.attributes)),
    links: (span.links ?? []).map((link: any) => ({ traceId: link.trace_id, spanId: link.span_id, attributes: Object.fromEntries(values(link.attributes)) }))
  }))) as ReadonlyArray<SpanData>

const gathered = (sentry: Receiver) =>
  sentry.items("transaction").flatMap(({ contexts, spans, ...root }) =>
    [{ ...contexts.trace, description: root.transaction, start_timestamp: root.start_timestamp, timestamp: root.timestamp }, ...spans]
      .map((span: any) => toSpanData(span, Object.entries(span.data)))
  )

const spansProbe = (sentry: Receiver, all: (sentry: Receiver) => ReadonlyArray<SpanData>) =>
  Layer.effect(SpansProbe, Effect.map(Telemetry, ({ flush }) => SpansProbe.of({
    trace: (traceId) => Effect.sync(() => all(sentry).filter((span) => span.traceId === traceId)),
    count: Effect.sync(() => all(sentry).length),
    settle: flush
  })))

const backend = (options: Sentry.SentryOptions, probe: (sentry: Receiver) => Layer.Layer<any, never, Telemetry>) =>
  Layer.unwrap(Effect.map(receiver, (sentry) => probe(sentry).pipe(Layer.provideMerge(Sentry.layer({ dsn: sentry.dsn, ...options }))))) as Layer.Layer<any>

spansSuite("sentry, spans by themselves", backend({}, (sentry) => spansProbe(sentry, streamed)))
spansSuite("sentry, spans as transactions", backend({ traces: "transactions" }, (sentry) => spansProbe(sentry, gathered)))

errorsSuite("sentry", backend({}, (sentry) =>
  Layer.effect(ErrorsProbe, Effect.map(Telemetry, ({ flush }) => ErrorsProbe.of({
    settle: flush,
    withText: (text) => Effect.sync(() =>
      sentry.items("event").map((event) => ({ event, last: event.exception.values.at(-1) })).filter(({ last }) => last.value.includes(text)).map(({ event, last }) => ({
        errorId: event.event_id,
        kind: event.tags.error_kind,
        level: event.level === "warning" ? "warn" : event.level,
        errorType: last.type,
        message: last.value,
        fingerprint: event.fingerprint[0],
        traceId: event.contexts.trace?.trace_id,
        spanId: event.contexts.trace?.span_id,
        requestId: event.tags.request_id,
        attributes: new Map(Object.entries(event.extra))
      }))
    )
  })))))

logsSuite("sentry", backend({ logs: true }, (sentry) =>
  Layer.effect(LogsProbe, Effect.map(Telemetry, ({ flush }) => LogsProbe.of({
    settle: flush,
    withText: (text) => Effect.sync(() =>
      sentry.items("log").flatMap(({ items }) => items).filter((log: any) => log.body.includes(text)).map((log: any) => ({
        time: nanos(log.timestamp),
        level: log.level,
        message: log.body,
        traceId: log.trace_id === "0".repeat(32) ? undefined : log.trace_id,
        spanId: log.span_id,
        requestId: log.attributes.request_id?.value,
        attributes: new Map(values(log.attributes).filter(([key]) => !/^(sentry\.|server\.address$|service\.name$|request_id$|error_id$|exception\.)/.test(key))),
        cause: log.attributes["exception.stacktrace"]?.value
      }))
    )
  })))))
