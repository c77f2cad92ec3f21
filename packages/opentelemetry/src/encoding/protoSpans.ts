import type { SpanData } from "@effect-observability/core"
import { keyValue } from "./protoValues.ts"
import type { Writer } from "./Writer.ts"

/** `Span.SpanKind`. */
export const kinds = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const
/** `Status.StatusCode`. */
export const codes = { unset: 0, ok: 1, error: 2 } as const
/** W3C's sampled flag: what is exported was sampled. Whether the parent was remote is not recorded, so its bits stay 0 (unknown). */
export const sampledFlag = 1

/** One `Span` (opentelemetry/proto/trace/v1/trace.proto) as field 2 of `ScopeSpans`; `exceptions` says whether its exception events are part of it. */
export const span = (writer: Writer, data: SpanData, exceptions = true): void => {
  const start = writer.beginLong(0x12)
  writer.hex(0x0a, data.traceId)
  writer.hex(0x12, data.spanId)
  if (data.traceState !== "") writer.text(0x1a, data.traceState)
  if (data.parentSpanId !== undefined) writer.hex(0x22, data.parentSpanId)
  if (data.name !== "") writer.text(0x2a, data.name)
  writer.small(0x30, kinds[data.kind])
  if (data.startTime !== 0n) writer.fixed64(0x39, data.startTime)
  if (data.endTime !== 0n) writer.fixed64(0x41, data.endTime)
  for (const [name, value] of data.attributes) keyValue(writer, 0x4a, name, value)
  count(writer, 0x50, data.droppedAttributes)
  const { events, links } = data
  for (let i = 0; i < events.length; i++) {
    const { attributes, name, time } = events[i]!
    if (!exceptions && name === "exception") continue
    const event = writer.beginLong(0x5a)
    if (time !== 0n) writer.fixed64(0x09, time)
    if (name !== "") writer.text(0x12, name)
    for (const name of Object.keys(attributes)) keyValue(writer, 0x1a, name, attributes[name])
    writer.endLong(event)
  }
  count(writer, 0x60, data.droppedEvents)
  for (let i = 0; i < links.length; i++) {
    const { attributes, spanId, traceId } = links[i]!
    const link = writer.begin(0x6a)
    writer.hex(0x0a, traceId)
    writer.hex(0x12, spanId)
    for (const name of Object.keys(attributes)) keyValue(writer, 0x22, name, attributes[name])
    writer.end(link)
  }
  count(writer, 0x70, data.droppedLinks)
  if (data.status !== "unset") {
    const status = writer.begin(0x7a)
    if (data.statusMessage !== undefined && data.statusMessage !== "") writer.text(0x12, data.statusMessage)
    writer.small(0x18, codes[data.status])
    writer.end(status)
  }
  // flags = 16, fixed32: two bytes of tag.
  writer.flags(sampledFlag)
  writer.endLong(start)
}

const count = (writer: Writer, tag: number, value: number): void => {
  if (value === 0) return
  writer.tag(tag)
  writer.varint(Math.min(value, 0xffffffff))
}
