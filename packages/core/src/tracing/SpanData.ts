/**
 * An ended span as exporters receive it: plain and immutable.
 *
 * Times are nanoseconds since the Unix epoch. Ids are lower-case hex, 32 digits for a trace and 16 for a span
 * (W3C Trace Context, section 3.2.2).
 */
export interface SpanData {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: SpanKind
  readonly startTime: bigint
  readonly endTime: bigint
  readonly status: SpanStatus
  /** What failed, at most one line; `undefined` unless `status` is `"error"`. */
  readonly statusMessage: string | undefined
  readonly attributes: ReadonlyMap<string, unknown>
  readonly events: ReadonlyArray<SpanEvent>
  readonly links: ReadonlyArray<SpanLinkData>
  /** What the span limits left out: attributes of the span, events, and links. Whole items; a cut value is not counted. */
  readonly droppedAttributes: number
  readonly droppedEvents: number
  readonly droppedLinks: number
  /** How many spans of the program this one stands for: 1 divided by the probability with which its trace was kept; at least 1. */
  readonly weight: number
  /** W3C `tracestate` as it left with the span's context; empty when there is none. */
  readonly traceState: string
}

export type SpanKind = "internal" | "server" | "client" | "producer" | "consumer"

/** OpenTelemetry status codes: `"unset"` is how a success ends, only an explicit success is `"ok"`. */
export type SpanStatus = "unset" | "ok" | "error"

export interface SpanEvent {
  readonly name: string
  /** Nanoseconds since the Unix epoch. */
  readonly time: bigint
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface SpanLinkData {
  readonly traceId: string
  readonly spanId: string
  readonly attributes: Readonly<Record<string, unknown>>
}
