import type { ErrorData, LogData, SpanData } from "@effect-observability/core"
import { plain, textOf, typed } from "./internal/attributes.ts"
import type { Discarded } from "./internal/ClientReports.ts"
import { type Frame, framesOf, withSpans } from "./internal/frames.ts"
import { version } from "./internal/version.ts"
import type { SentryConfig } from "./SentryConfig.ts"

/** An event as Sentry takes it (Sentry SDK docs, "Event payloads"); what `beforeSend` sees. */
export interface SentryEvent {
  readonly event_id: string
  readonly timestamp: number
  readonly platform: "node"
  readonly level: "debug" | "info" | "warning" | "error" | "fatal"
  readonly exception: { readonly values: ReadonlyArray<SentryException> }
  readonly fingerprint: ReadonlyArray<string>
  readonly tags: Readonly<Record<string, string>>
  readonly user?: { readonly id: string }
  readonly contexts: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly breadcrumbs?: ReadonlyArray<Readonly<Record<string, unknown>>>
  readonly extra: Readonly<Record<string, unknown>>
  readonly environment: string
  readonly release: string
  readonly server_name: string
  readonly transaction?: string
  readonly sdk: typeof sdk
}

export interface SentryException {
  readonly type: string
  readonly value: string
  readonly stacktrace?: { readonly frames: ReadonlyArray<Frame> }
  readonly mechanism: Readonly<Record<string, unknown>>
}

const sdk = { name: "effect-observability", version, packages: [{ name: "npm:@effect-observability/sentry", version }] } as const

/** Seconds since the epoch with their fraction. */
const seconds = (nanos: bigint): number => Number(nanos / 1_000n) / 1e6

const levels = { trace: "debug", debug: "debug", info: "info", warn: "warning", error: "error", fatal: "fatal" } as const

type About = Pick<SentryConfig, "environment" | "release" | "serverName" | "service" | "cluster" | "tags" | "maxBreadcrumbs">

/**
 * An error as an event. Its id is the error id, which is a tag too, so that it is found by searching. The chain of causes comes before
 * the error, as Sentry wants it; spans the stack does not show stand before its oldest call.
 */
export const eventOf = (error: ErrorData, config: About): SentryEvent => ({
  event_id: error.errorId,
  timestamp: seconds(error.time),
  platform: "node",
  level: levels[error.level],
  exception: { values: exceptionsOf(error) },
  fingerprint: [error.fingerprint],
  tags: tagsOf({
    ...config.tags,
    error_id: error.errorId,
    error_class: error.errorClass,
    error_kind: error.kind,
    service: config.service,
    cluster: config.cluster === "" ? undefined : config.cluster,
    module: error.module,
    tenant_id: error.tenantId,
    request_id: error.requestId
  }),
  ...(error.userId === undefined ? {} : { user: { id: error.userId } }),
  contexts: {
    ...(error.traceId === undefined || error.spanId === undefined ? {} : { trace: { trace_id: error.traceId, span_id: error.spanId } }),
    runtime: { name: "node" }
  },
  ...(error.breadcrumbs.length === 0 || config.maxBreadcrumbs === 0 ? {} : { breadcrumbs: error.breadcrumbs.slice(-config.maxBreadcrumbs).map(breadcrumbOf) }),
  extra: {
    ...Object.fromEntries([...error.attributes].map(([key, value]) => [key, plain(value)])),
    ...(error.repeats === undefined ? {} : { repeats: error.repeats })
  },
  environment: config.environment,
  release: config.release,
  server_name: config.serverName,
  ...(error.spanNames.length === 0 ? {} : { transaction: textOf(error.spanNames.at(-1)) }),
  sdk
})

/** Tag values are one line of at most 200 characters, or Sentry leaves them out. */
const tagsOf = (tags: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(tags).flatMap(([key, value]) =>
    value === undefined || value === "" ? [] : [[key, value.toWellFormed().replaceAll(/\s+/g, " ").slice(0, 200)]]
  ))

/** Sentry docs, "Exception Interface": the innermost cause first; failures beside the error make it a group. */
const exceptionsOf = ({ causes, errorType, handled, kind, message, spanNames, stack }: ErrorData): ReadonlyArray<SentryException> => {
  const all = causes.length === 0 ? [{ type: errorType, message, stack, parent: undefined }] : causes
  const grouped = all.some((cause, i) => i > 0 && cause.parent === undefined)
  return all.map((cause, i): SentryException => {
    const frames = cause.stack === undefined ? [] : framesOf(cause.stack)
    const shown = i === 0 ? withSpans(frames, spanNames) : frames
    return {
      type: textOf(i === 0 ? errorType : cause.type),
      value: textOf(cause.message),
      ...(shown.length === 0 ? {} : { stacktrace: { frames: shown } }),
      mechanism: {
        type: i === 0 ? `effect.${kind}` : "chained",
        handled,
        exception_id: i,
        ...(i === 0 ? {} : { parent_id: cause.parent ?? 0, source: cause.parent === undefined ? `errors[${i}]` : "cause" }),
        ...(i === 0 && grouped ? { is_exception_group: true } : {})
      }
    }
  }).toReversed()
}

const breadcrumbOf = (log: LogData) => ({
  timestamp: seconds(log.time),
  level: levels[log.level],
  category: "log",
  message: textOf(log.message),
  ...(log.attributes.size === 0 && log.cause === undefined
    ? {}
    : { data: { ...Object.fromEntries([...log.attributes].map(([key, value]) => [key, plain(value)])), ...(log.cause === undefined ? {} : { cause: textOf(log.cause) }) } })
})

// --------------------------------------------------------------------------------------------------------------------------- spans

/** A span by itself (span protocol 2). A segment is what has no parent in this process. */
export const spanOf = (span: SpanData, config: About) => ({
  trace_id: span.traceId,
  span_id: span.spanId,
  ...(span.parentSpanId === undefined ? {} : { parent_span_id: span.parentSpanId }),
  name: textOf(span.name),
  start_timestamp: seconds(span.startTime),
  end_timestamp: seconds(span.endTime),
  is_segment: isSegment(span),
  status: span.status === "error" ? "error" : "ok",
  attributes: {
    ...Object.fromEntries([...span.attributes].map(([key, value]) => [key, typed(value)])),
    "sentry.op": typed(operationOf(span)),
    "sentry.origin": typed("auto.effect"),
    "sentry.kind": typed(span.kind),
    "sentry.sdk.name": typed(sdk.name),
    "sentry.sdk.version": typed(version),
    "sentry.release": typed(config.release),
    "sentry.environment": typed(config.environment),
    "sentry.trace_lifecycle": typed("stream"),
    "service.name": typed(config.service),
    ...clusterOf(config),
    "server.address": typed(span.attributes.get("server.address") ?? config.serverName),
    ...asides(span, typed),
    ...(span.statusMessage === undefined ? {} : { "sentry.status.message": typed(span.statusMessage) })
  },
  ...(span.links.length === 0 ? {} : {
    links: span.links.map(({ attributes, spanId, traceId }) => ({
      trace_id: traceId,
      span_id: spanId,
      attributes: Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, typed(value)]))
    }))
  })
})

/** What Sentry's spans have no place for, as text beside the attributes. */
const asides = <A>({ droppedAttributes, droppedEvents, droppedLinks, events, traceState, weight }: SpanData, as: (value: unknown) => A): Readonly<Record<string, A>> => ({
  ...(events.length === 0 ? {} : {
    "span.events": as(textOf(events.map(({ attributes, name, time }) => ({ name, timestamp: seconds(time), attributes }))))
  }),
  ...(droppedAttributes === 0 ? {} : { "otel.dropped_attributes_count": as(droppedAttributes) }),
  ...(droppedEvents === 0 ? {} : { "otel.dropped_events_count": as(droppedEvents) }),
  ...(droppedLinks === 0 ? {} : { "otel.dropped_links_count": as(droppedLinks) }),
  ...(weight > 1 ? { "sentry.sample_rate": as(1 / weight) } : {}),
  ...(traceState === "" ? {} : { "w3c.tracestate": as(traceState) })
})

const isSegment = ({ kind, parentSpanId }: SpanData): boolean => parentSpanId === undefined || kind === "server" || kind === "consumer"

/** Sentry docs, "Span operations". */
const operationOf = ({ attributes, kind }: SpanData): string => {
  if (kind === "server") return attributes.has("rpc.system") ? "rpc" : "http.server"
  if (kind === "producer") return "queue.publish"
  if (kind === "consumer") return "queue.process"
  if (kind === "client") return attributes.has("db.system.name") || attributes.has("db.system") ? "db" : attributes.has("rpc.system") ? "rpc" : "http.client"
  return "function"
}

/** Spans of a batch under their local roots: each root is a transaction; a span whose root is not in the batch is one by itself. */
export const transactionsOf = (spans: ReadonlyArray<SpanData>, config: About): ReadonlyArray<SentryTransaction> => {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  const rootOf = (span: SpanData): SpanData => {
    let at = span
    // A circle of parents cannot be drawn: it ends where it began.
    for (let steps = 0; steps < spans.length && !isSegment(at); steps++) {
      const parent = byId.get(at.parentSpanId!)
      if (parent === undefined || parent.traceId !== at.traceId) return at
      at = parent
    }
    return at
  }
  const children = new Map<SpanData, Array<SpanData>>()
  for (const span of spans) {
    const root = rootOf(span)
    const group = children.get(root) ?? []
    children.set(root, group)
    if (span !== root) group.push(span)
  }
  return [...children].map(([root, group]) => transactionOf(root, group, config))
}

export interface SentryTransaction {
  readonly event_id: string
  readonly type: "transaction"
  readonly [key: string]: unknown
}

const transactionOf = (root: SpanData, spans: ReadonlyArray<SpanData>, config: About): SentryTransaction => ({
  // The same on every attempt, so that Sentry recognises what it has.
  event_id: root.traceId.slice(0, 16) + root.spanId,
  type: "transaction",
  platform: "node",
  transaction: textOf(root.name),
  transaction_info: { source: root.attributes.has("http.route") ? "route" : "custom" },
  start_timestamp: seconds(root.startTime),
  timestamp: seconds(root.endTime),
  contexts: { trace: { ...partOf(root), ...(root.weight > 1 ? { client_sample_rate: 1 / root.weight } : {}) }, runtime: { name: "node" } },
  spans: spans.map((span) => ({ ...partOf(span), description: textOf(span.name), start_timestamp: seconds(span.startTime), timestamp: seconds(span.endTime) })),
  tags: tagsOf({ ...config.tags, service: config.service, cluster: config.cluster === "" ? undefined : config.cluster }),
  environment: config.environment,
  release: config.release,
  server_name: config.serverName,
  sdk
})

const partOf = (span: SpanData) => ({
  trace_id: span.traceId,
  span_id: span.spanId,
  ...(span.parentSpanId === undefined ? {} : { parent_span_id: span.parentSpanId }),
  op: operationOf(span),
  origin: "auto.effect",
  status: span.status === "error" ? "internal_error" : "ok",
  data: {
    ...Object.fromEntries([...span.attributes].map(([key, value]) => [key, plain(value)])),
    ...asides(span, plain),
    ...(span.statusMessage === undefined ? {} : { "sentry.status.message": textOf(span.statusMessage) }),
    "sentry.kind": span.kind
  },
  ...(span.links.length === 0 ? {} : {
    links: span.links.map(({ attributes, spanId, traceId }) => ({
      trace_id: traceId,
      span_id: spanId,
      attributes: Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, plain(value)]))
    }))
  })
})

// ---------------------------------------------------------------------------------------------------------------------------- logs

const severity = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 } as const

export const logOf = (log: LogData, config: About) => ({
  timestamp: seconds(log.time),
  level: log.level,
  body: textOf(log.message),
  trace_id: log.traceId ?? "0".repeat(32),
  ...(log.spanId === undefined ? {} : { span_id: log.spanId }),
  severity_number: severity[log.level],
  attributes: {
    ...Object.fromEntries([...log.attributes].map(([key, value]) => [key, typed(value)])),
    "sentry.sdk.name": typed(sdk.name),
    "sentry.sdk.version": typed(version),
    "sentry.release": typed(config.release),
    "sentry.environment": typed(config.environment),
    "server.address": typed(config.serverName),
    "service.name": typed(config.service),
    ...clusterOf(config),
    ...Object.fromEntries(
      ([["sentry.trace.parent_span_id", log.spanId], ["request_id", log.requestId], ["error_id", log.errorId], ["user.id", log.userId], ["tenant_id", log.tenantId], ["module", log.module], ["exception.stacktrace", log.cause]] as const)
        .flatMap(([key, value]) => value === undefined ? [] : [[key, typed(value)]])
    )
  }
})

const clusterOf = ({ cluster }: Pick<SentryConfig, "cluster">) => (cluster === "" ? {} : { "k8s.cluster.name": typed(cluster) })

// ----------------------------------------------------------------------------------------------------------------------- envelopes

export interface Item {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: unknown
}

export const eventItem = (event: SentryEvent): Item => ({ header: { type: "event" }, payload: event })

/** Below Sentry's limit of 1 MB for an event, with room for what escaping adds. Bytes. */
const largestEvent = 900_000

/**
 * The event, small enough for Sentry to take it: the oldest breadcrumbs give way, then `extra`. Sentry would refuse the whole event. Throws for what
 * JSON cannot carry.
 */
export const fitting = (event: SentryEvent): SentryEvent => {
  let room = largestEvent - sizeOf({ ...event, breadcrumbs: undefined })
  const { breadcrumbs, extra, ...rest } = event
  const small = room >= 0 ? { ...rest, extra } : { ...rest, extra: { left_out: `${sizeOf(extra)} bytes, more than an event may have` } }
  if (breadcrumbs === undefined) return small
  room = largestEvent - sizeOf(small)
  let first = breadcrumbs.length
  while (first > 0 && (room -= sizeOf(breadcrumbs[first - 1]) + 1) >= 0) first--
  return { ...small, breadcrumbs: breadcrumbs.slice(first) }
}

const sizeOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? "")

export const transactionItem = (transaction: SentryTransaction): Item => ({ header: { type: "transaction" }, payload: transaction })
export const spansItem = (spans: ReadonlyArray<SpanData>, config: About): Item => ({
  header: { type: "span", item_count: spans.length, content_type: "application/vnd.sentry.items.span.v2+json" },
  payload: { version: 2, items: spans.map((span) => spanOf(span, config)) }
})
export const logsItem = (logs: ReadonlyArray<LogData>, config: About): Item => ({
  header: { type: "log", item_count: logs.length, content_type: "application/vnd.sentry.items.log+json" },
  payload: { version: 2, items: logs.map((log) => logOf(log, config)) }
})
export const reportItem = (discarded: ReadonlyArray<Discarded>, nowMillis: number): Item => ({
  header: { type: "client_report" },
  payload: { timestamp: nowMillis / 1_000, discarded_events: discarded }
})

/** `JSON.stringify` writes half of a surrogate pair as an escape, which strict readers refuse with the whole envelope. */
const wellFormed = (json: string): string => json.includes("\\ud") ? json.replaceAll(/\\\\|\\ud[89a-f][0-9a-f]{2}/g, (found) => found === "\\\\" ? found : "\ufffd") : json

/**
 * An envelope (Sentry SDK docs, "Envelopes"): headers and payloads as lines of JSON. Everything is made by `JSON.stringify`, which writes no
 * line break, and each payload says its length in bytes, so that no content can begin an item.
 */
export const envelopeOf = (items: ReadonlyArray<Item>, nowMillis: number, eventId?: string): string => {
  const header = { ...(eventId === undefined ? {} : { event_id: eventId }), sent_at: new Date(nowMillis).toISOString(), sdk: { name: sdk.name, version } }
  return `${JSON.stringify(header)}\n${
    items.map(({ header, payload }) => {
      const text = wellFormed(JSON.stringify(payload))
      return `${JSON.stringify({ ...header, length: Buffer.byteLength(text) })}\n${text}\n`
    }).join("")
  }`
}
