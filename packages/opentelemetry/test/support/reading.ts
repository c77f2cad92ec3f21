import type { SpanData } from "@effect-observability/core"

const kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"] as const
const codes = ["unset", "ok", "error"] as const

/** An attribute's value as it was before it was encoded. */
export const valueOf = (value: any): unknown => {
  if (value.stringValue !== undefined) return value.stringValue
  if (value.boolValue !== undefined) return value.boolValue
  if (value.intValue !== undefined) return Number(value.intValue)
  if (value.doubleValue !== undefined) return value.doubleValue
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(valueOf)
  return undefined
}

export const attributesOf = (list: ReadonlyArray<any> = []): Record<string, unknown> => Object.fromEntries(list.map(({ key, value }) => [key ?? "", valueOf(value)]))

/** How many spans one stands for, as the threshold in its tracestate says (OpenTelemetry, "TraceState: Probability Sampling"). */
const weightOf = (state: string): number => {
  const digits = /(?:^|[,;]|ot=)th:([0-9a-f]{1,14})/.exec(state)?.[1]
  return digits === undefined ? 1 : 1 / (1 - Number.parseInt(digits, 16) / 16 ** digits.length)
}

/** A decoded span as the span it was made of. */
export const spanOf = (read: any): SpanData => ({
  traceId: read.traceId,
  spanId: read.spanId,
  parentSpanId: read.parentSpanId,
  name: read.name ?? "",
  kind: kinds[read.kind ?? 0] as SpanData["kind"],
  startTime: BigInt(read.startTimeUnixNano ?? 0),
  endTime: BigInt(read.endTimeUnixNano ?? 0),
  status: codes[read.status?.code ?? 0]!,
  statusMessage: read.status?.message,
  attributes: new Map(Object.entries(attributesOf(read.attributes))),
  events: (read.events ?? []).map((event: any) => ({ name: event.name ?? "", time: BigInt(event.timeUnixNano ?? 0), attributes: attributesOf(event.attributes) })),
  links: (read.links ?? []).map((link: any) => ({ traceId: link.traceId, spanId: link.spanId, attributes: attributesOf(link.attributes) })),
  droppedAttributes: read.droppedAttributesCount ?? 0,
  droppedEvents: read.droppedEventsCount ?? 0,
  droppedLinks: read.droppedLinksCount ?? 0,
  weight: weightOf(read.traceState ?? ""),
  traceState: read.traceState ?? ""
})
