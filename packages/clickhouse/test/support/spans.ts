import type { SpanData } from "@effect-observability/core"

let spans = 0
/** A span of now with ids of its own. */
export const span = (more: Partial<SpanData> = {}): SpanData => {
  const n = BigInt(++spans)
  const at = BigInt(Date.now()) * 1_000_000n + 123_456n
  return {
    traceId: `a${n.toString(16).padStart(31, "0")}`,
    spanId: `f${n.toString(16).padStart(15, "0")}`,
    parentSpanId: undefined,
    name: "GET /orders",
    kind: "server",
    startTime: at,
    endTime: at + 1_500_000n,
    status: "unset",
    statusMessage: undefined,
    attributes: new Map(),
    events: [],
    links: [],
    droppedAttributes: 0,
    droppedEvents: 0,
    droppedLinks: 0,
    weight: 1,
    traceState: "",
    ...more
  }
}
