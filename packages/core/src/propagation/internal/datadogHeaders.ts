import type * as EffectTracer from "effect/Tracer"
import { isSpanId, isTraceId, remoteSpan } from "../../tracing/Propagation.ts"
import * as Tracestate from "../Tracestate.ts"

// Datadog's own headers, by the rules of its tracers (dd-trace-js, `opentracing/propagation/text_map.js`): ids are decimal numbers of 64 bits, the upper
// half of a longer trace id travels as the tag `_dd.p.tid`. What else they say (priority, origin, tags) is kept in the member `dd` of
// `tracestate`, where Datadog's tracers keep it too, so that it leaves again in either format.

/** The headers, as they come or go; what is not there is `undefined`. */
export interface DatadogHeaders {
  readonly traceId: string | undefined
  readonly parentId: string | undefined
  readonly priority: string | undefined
  readonly origin: string | undefined
  readonly tags: string | undefined
}

/** Longest `x-datadog-tags` that is read or written (DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH). */
const maxTags = 512
const maxOrigin = 128

const decimal = /^[0-9]{1,20}$/
const tagKey = /^_dd\.p\.[\x21-\x2b\x2d-\x3c\x3e-\x7e]+$/
const tagValue = /^[\x20-\x2b\x2d-\x7e]*$/
const upperHalf = /^[0-9a-f]{16}$/
const idTag = "_dd.p.tid"

/** The remote span of such headers, or `undefined` when they name none. */
export const toSpan = ({ origin, parentId, priority, tags, traceId }: DatadogHeaders): EffectTracer.ExternalSpan | undefined => {
  const low = hex16(traceId)
  const spanId = hex16(parentId)
  if (low === undefined || spanId === undefined || !isSpanId(low) || !isSpanId(spanId)) return undefined
  const pairs = parseTags(tags)
  const upper = pairs.get(idTag)?.toLowerCase() ?? ""
  const longId = `${upperHalf.test(upper) ? upper : "0".repeat(16)}${low}`
  if (!isTraceId(longId)) return undefined
  const level = Number.parseInt(priority ?? "", 10)
  const known = Number.isInteger(level) && Math.abs(level) < 1000
  const parts = [
    ...(known ? [`s:${level}`] : []),
    ...(origin === undefined || origin === "" || origin.length > maxOrigin ? [] : [`o:${stateValue(origin)}`]),
    ...[...pairs].flatMap(([key, value]) => key === idTag || value === "" ? [] : [`t.${stateKey(key.slice(6))}:${stateValue(value)}`])
  ]
  // Without a word on it, who asks for a trace gets one.
  return remoteSpan({ traceId: longId, spanId, sampled: !known || level > 0 }, parts.length === 0 ? "" : Tracestate.set("", "dd", parts.join(";")))
}

/** What is sent for a span; ids are 32 and 16 hex digits. */
export const toHeaders = (
  span: { readonly traceId: string; readonly spanId: string; readonly sampled: boolean; readonly traceState: string }
): DatadogHeaders => {
  let level: number | undefined
  let origin: string | undefined
  const tags: Array<string> = []
  for (const part of (Tracestate.get(span.traceState, "dd") ?? "").split(";")) {
    const at = part.indexOf(":")
    const key = part.slice(0, at)
    const value = part.slice(at + 1).replaceAll("~", "=")
    if (at < 1 || value === "") continue
    if (key === "s" && /^-?[0-9]{1,3}$/.test(value)) level = Number(value)
    else if (key === "o") origin = value
    else if (key.startsWith("t.") && key !== "t.tid") tags.push(`_dd.p.${key.slice(2)}=${value}`)
  }
  // Its word counts as far as it agrees with what was decided here.
  if (level === undefined || (level > 0) !== span.sampled) level = span.sampled ? 1 : 0
  const upper = span.traceId.slice(0, 16)
  if (upper !== "0000000000000000") tags.unshift(`${idTag}=${upper}`)
  let joined = tags.join(",")
  while (joined.length > maxTags) joined = joined.slice(0, joined.lastIndexOf(","))
  return {
    traceId: BigInt(`0x${span.traceId.slice(16)}`).toString(),
    parentId: BigInt(`0x${span.spanId}`).toString(),
    priority: String(level),
    origin,
    tags: joined === "" ? undefined : joined
  }
}

const hex16 = (text: string | undefined): string | undefined => {
  if (text === undefined || !decimal.test(text)) return undefined
  const hex = BigInt(text).toString(16)
  return hex.length > 16 ? undefined : hex.padStart(16, "0")
}

/** One pair that breaks a rule spoils them all, as in Datadog's tracers; a wrong `_dd.p.tid` is left out alone. */
const parseTags = (header: string | undefined): ReadonlyMap<string, string> => {
  const out = new Map<string, string>()
  if (header === undefined || header === "" || header.length > maxTags) return out
  for (const pair of header.split(",")) {
    const at = pair.indexOf("=")
    const key = at < 0 ? pair : pair.slice(0, at)
    const value = at < 0 ? "" : pair.slice(at + 1)
    if (!tagKey.test(key) || !tagValue.test(value)) return new Map()
    out.set(key, value)
  }
  return out
}

const stateKey = (key: string): string => key.replaceAll(/[^\x21-\x2b\x2d-\x39\x3c\x3e-\x7e]/g, "_")
const stateValue = (value: string): string => value.replaceAll(/[^\x20-\x2b\x2d-\x3a\x3c-\x7d]/g, "_").replaceAll("=", "~")
