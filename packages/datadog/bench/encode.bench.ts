import type { SpanData } from "@effect-observability/core"
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer"
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base"
import type { Bench } from "../../../test/bench/Bench.ts"
import { SpanEncoder } from "../src/traces/SpanEncoder.ts"

// What a span costs to encode for the agent's own API, beside OpenTelemetry's encoder for the agent's OTLP intake (decision 0044).

const size = 500
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0")

const span = (i: number): SpanData => ({
  traceId: `0af7651916cd43dd8448eb21${hex(Math.floor(i / 10), 8)}`,
  spanId: `b7ad6b71${hex(i, 8)}`,
  parentSpanId: "00f067aa0ba902b7",
  name: "GET /orders/:id",
  kind: "server",
  startTime: 1_700_000_000_000_000_000n + BigInt(i) * 1_000_003n,
  endTime: 1_700_000_000_000_900_000n + BigInt(i) * 1_000_003n,
  status: "unset",
  statusMessage: undefined,
  attributes: new Map<string, unknown>([["http.request.method", "GET"], ["http.route", "/orders/:id"], ["http.response.status_code", 200], ["user.tier", "gold"], ["retry", false]]),
  events: [{ name: "cache.miss", time: 1_700_000_000_000_400_000n, attributes: { key: `order:${i}` } }],
  links: [],
  droppedAttributes: 0,
  droppedEvents: 0,
  droppedLinks: 0,
  weight: 1,
  traceState: ""
})

const timeOf = (nanos: bigint): [number, number] => [Number(nanos / 1_000_000_000n), Number(nanos % 1_000_000_000n)]

// One object for all spans, as in a program: the peer groups by it.
const resource = { attributes: { "service.name": "shop" }, getRawAttributes: () => [["service.name", "shop"]] } as never
const scope = { name: "effect-observability", version: "0.1.0" }

/** The same span as OpenTelemetry's SDK has it. */
const readable = (data: SpanData): ReadableSpan => ({
  name: data.name, kind: 1, startTime: timeOf(data.startTime), endTime: timeOf(data.endTime), status: { code: 0 }, attributes: Object.fromEntries(data.attributes) as never, links: [],
  events: data.events.map((event) => ({ name: event.name, time: timeOf(event.time), attributes: event.attributes as never })), duration: [0, 900_000], ended: true,
  parentSpanContext: { traceId: data.traceId, spanId: data.parentSpanId!, traceFlags: 1 }, spanContext: () => ({ traceId: data.traceId, spanId: data.spanId, traceFlags: 1 }),
  resource, instrumentationScope: scope, droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0
})

export default (bench: Bench): void => {
  const spans = Array.from({ length: size }, (_, i) => span(i))
  const theirs = spans.map(readable)
  for (const native of [false, true]) {
    const encoder = new SpanEncoder({ service: "shop", env: "prod", version: "7", tags: [["team", "pay"]], pid: 42 })
    bench.compare({
      name: native ? "datadog.encode.native" : "datadog.encode",
      unit: "ns/op",
      // Text is for agents that know no structures: it is JSON inside.
      must: native ? 1 : 1.3,
      moonshot: native ? 0.7 : 1,
      baseline: { name: "OTel ProtobufTraceSerializer", ops: size, run: () => void ProtobufTraceSerializer.serializeRequest(theirs) },
      subject: {
        name: native ? "SpanEncoder, events as structures" : "SpanEncoder, events as text",
        ops: size,
        run: () => {
          const steps = encoder.encode(spans, native, Infinity)
          while (steps.next().done !== true);
        }
      }
    })
  }
}
