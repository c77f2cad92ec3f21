import type { SpanData } from "../SpanData.ts"

/** A cheap estimate of the bytes a span holds on to. */
export const weighSpan = (span: SpanData): number => {
  let bytes = 400 + 2 * span.name.length + 2 * span.traceState.length + weighAttributes(span.attributes)
  for (const event of span.events) bytes += 96 + 2 * event.name.length + weighRecord(event.attributes)
  for (const link of span.links) bytes += 128 + weighRecord(link.attributes)
  return bytes
}

/** As above, of attributes alone. */
export const weighAttributes = (attributes: ReadonlyMap<string, unknown>): number => {
  let bytes = 0
  for (const [key, value] of attributes) bytes += 64 + 2 * key.length + weighValue(value)
  return bytes
}

const weighRecord = (attributes: Readonly<Record<string, unknown>>): number => {
  let bytes = 0
  for (const key in attributes) bytes += 64 + 2 * key.length + weighValue(attributes[key])
  return bytes
}

const weighValue = (value: unknown): number => {
  if (typeof value === "string") return 2 * value.length
  if (!Array.isArray(value)) return 16
  let bytes = 16
  for (const item of value) bytes += 8 + (typeof item === "string" ? 2 * item.length : 8)
  return bytes
}
