import { MetricDefinition, type MetricFrame, type Series, type SpanData } from "@effect-observability/core"
import { FrameMaker } from "@effect-observability/testkit/contract"

/** Spans as an HTTP service makes them: eleven attributes, a failure with an event among fifty. */
export const spanBatch = (count: number): ReadonlyArray<SpanData> =>
  Array.from({ length: count }, (_, n): SpanData => {
    const start = 1_790_000_000_000_000_000n + BigInt(n) * 1_000_003n
    const failed = n % 50 === 0
    return {
      traceId: (BigInt(n >> 3) * 0x9e3779b97f4a7c15f39cc0605cedc835n & (2n ** 128n - 1n)).toString(16).padStart(32, "0"),
      spanId: (BigInt(n + 1) * 0x9e3779b97f4a7c15n & (2n ** 64n - 1n)).toString(16).padStart(16, "0"),
      parentSpanId: n % 8 === 0 ? undefined : "00f067aa0ba902b7",
      name: `GET /orders/:id/${n % 20}`, kind: "server", startTime: start, endTime: start + 1_500_000n,
      status: failed ? "error" : "unset", statusMessage: failed ? "upstream timed out" : undefined,
      attributes: new Map<string, unknown>([
        ["http.request.method", "GET"], ["http.route", "/orders/:id"], ["url.path", `/orders/${n}`], ["url.scheme", "https"], ["server.address", "shop.example.org"],
        ["server.port", 443], ["http.response.status_code", failed ? 504 : 200], ["client.address", `10.0.${n % 256}.17`], ["user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"],
        ["user_id", `u-${n % 5_000}`], ["tenant_id", `t-${n % 40}`]
      ]),
      events: failed ? [{ name: "exception", time: start, attributes: { "exception.type": "TimeoutError", "exception.message": "upstream timed out" } }] : [],
      links: [], droppedAttributes: 0, droppedEvents: 0, droppedLinks: 0, weight: 1, traceState: ""
    }
  })

const labelNames = ["method", "route", "status"] as const
const Requests = MetricDefinition.counter("http_requests_total", { help: "Requests answered, by method and status", labelNames, maxSeries: 100_000 })

/** A frame of so many counters. */
export const frameOf = (count: number): MetricFrame => {
  const maker = new FrameMaker()
  const series = Array.from({ length: count }, (_, i): Series => ({ index: i, definition: Requests, labelValues: ["GET", `/api/v1/resource/${i}/items`, String(200 + (i % 5))], createdAt: 0 }))
  return {
    ...maker.frame(1_790_000_000_000, 1_790_000_005_000, []),
    counters: { series, values: Float64Array.from(series, (_, i) => i % 20) }
  }
}

// What a program writes that has the same rows and the official client: an object per row.

export const resourceAttributes = {
  "service.name": "shop", "service.version": "1.2.3", "service.instance.id": "i-0123456789abcdef", "deployment.environment.name": "prod",
  "telemetry.sdk.name": "effect-observability", "telemetry.sdk.language": "nodejs"
}

const texts = (entries: Iterable<readonly [string, unknown]>) => Object.fromEntries(Array.from(entries, ([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]))
const seconds = (nanos: bigint) => `${nanos / 1_000_000_000n}.${String(nanos % 1_000_000_000n).padStart(9, "0")}`

export const spanRow = (span: SpanData) => ({
  Timestamp: seconds(span.startTime), TraceId: span.traceId, SpanId: span.spanId, ParentSpanId: span.parentSpanId ?? "", TraceState: span.traceState,
  SpanName: span.name, SpanKind: "Server", ServiceName: "shop", ResourceAttributes: resourceAttributes, ScopeName: "effect-observability", ScopeVersion: "",
  SpanAttributes: texts(span.attributes), Duration: Number(span.endTime - span.startTime), StatusCode: span.status === "error" ? "Error" : "Unset",
  StatusMessage: span.statusMessage ?? "",
  "Events.Timestamp": span.events.map((event) => seconds(event.time)), "Events.Name": span.events.map((event) => event.name),
  "Events.Attributes": span.events.map((event) => texts(Object.entries(event.attributes))),
  "Links.TraceId": [], "Links.SpanId": [], "Links.TraceState": [], "Links.Attributes": []
})

export const frameRows = (frame: MetricFrame) =>
  Array.from(frame.counters.series, (series, i) => ({
    ResourceAttributes: resourceAttributes, ScopeName: "effect-observability", ServiceName: "shop", MetricName: series.definition.name,
    MetricDescription: series.definition.help, MetricUnit: series.definition.unit,
    Attributes: Object.fromEntries(series.definition.labelNames.map((name, l) => [name, series.labelValues[l]!])),
    StartTimeUnix: frame.startTime / 1_000, TimeUnix: frame.endTime / 1_000, Value: frame.counters.values[i]!, AggregationTemporality: 1, IsMonotonic: true
  }))
