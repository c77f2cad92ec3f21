import type { SpanData, SpanEvent, SpanLinkData } from "@effect-observability/core"
import { keyValues, recordValues, text } from "./jsonValues.ts"
import { codes, kinds, sampledFlag } from "./protoSpans.ts"

/** One `Span` as JSON, with its exception events or without. */
export const span = (data: SpanData, exceptions = true): string => {
  const events = exceptions ? data.events : data.events.filter(({ name }) => name !== "exception")
  let out = `{"traceId":"${data.traceId}","spanId":"${data.spanId}"`
  if (data.traceState !== "") out += `,"traceState":${text(data.traceState)}`
  if (data.parentSpanId !== undefined) out += `,"parentSpanId":"${data.parentSpanId}"`
  out += `,"name":${text(data.name)},"kind":${kinds[data.kind]},"startTimeUnixNano":"${data.startTime}","endTimeUnixNano":"${data.endTime}"`
  if (data.attributes.size > 0) out += `,"attributes":[${keyValues(data.attributes)}]`
  if (data.droppedAttributes > 0) out += `,"droppedAttributesCount":${data.droppedAttributes}`
  if (events.length > 0) out += `,"events":[${events.map(event).join(",")}]`
  if (data.droppedEvents > 0) out += `,"droppedEventsCount":${data.droppedEvents}`
  if (data.links.length > 0) out += `,"links":[${data.links.map(link).join(",")}]`
  if (data.droppedLinks > 0) out += `,"droppedLinksCount":${data.droppedLinks}`
  if (data.status !== "unset") {
    const { statusMessage = "" } = data
    out += `,"status":{${statusMessage === "" ? "" : `"message":${text(statusMessage)},`}"code":${codes[data.status]}}`
  }
  return `${out},"flags":${sampledFlag}}`
}

const event = ({ attributes, name, time }: SpanEvent): string => {
  const values = recordValues(attributes)
  return `{"timeUnixNano":"${time}","name":${text(name)}${values === "" ? "" : `,"attributes":[${values}]`}}`
}

const link = ({ attributes, spanId, traceId }: SpanLinkData): string => {
  const values = recordValues(attributes)
  return `{"traceId":"${traceId}","spanId":"${spanId}"${values === "" ? "" : `,"attributes":[${values}]`}}`
}
