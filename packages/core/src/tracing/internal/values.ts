/** Limits of one span: OpenTelemetry SDK "Span Limits" with its defaults, and a length limit of our own (OTel has none). */
export const limits = {
  attributes: 128,
  events: 128,
  links: 128,
  attributesPerEvent: 128,
  /** UTF-16 code units of a string value. */
  valueLength: 4096,
  stackLength: 8192,
  /** Elements of an array value. */
  elements: 128
} as const

/** Values inside a structured attribute that are looked at; the rest is left out. */
const maxNodes = 1000

/**
 * An attribute value as exporters may keep it: a string, number, boolean, bigint, or an array of them that nobody else holds.
 * Other objects become JSON. `undefined` means that there is nothing to record. Never throws.
 */
export const plain = (value: unknown): unknown => {
  switch (typeof value) {
    case "string":
      return value.length > limits.valueLength ? cut(value, limits.valueLength) : value
    case "number":
    case "boolean":
    case "bigint":
      return value
    case "object":
      return value === null ? undefined : plainObject(value)
    case "symbol":
      return cut(String(value), limits.valueLength)
    case "function":
      return "[function]"
    default:
      return undefined
  }
}

const plainObject = (value: object): unknown => {
  try {
    if (!Array.isArray(value)) return asText(value)
    const out: Array<unknown> = []
    for (let i = 0; i < value.length && i < limits.elements; i++) {
      const item: unknown = value[i]
      // OpenTelemetry has no arrays of arrays; a gap would shift the positions of its neighbours.
      out.push(typeof item === "object" && item !== null ? asText(item) : plain(item) ?? "null")
    }
    return out
  } catch {
    return "[unreadable]"
  }
}

const asText = (value: object): string => {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString()
  if (value instanceof Error) return cut(`${value.name}: ${value.message}`, limits.valueLength)
  let nodes = 0
  const text = JSON.stringify(value, (_key, inner: unknown) => {
    if (++nodes > maxNodes) return undefined
    if (typeof inner === "string" && inner.length > limits.valueLength) return cut(inner, limits.valueLength)
    if (typeof inner === "bigint") return String(inner)
    if (Array.isArray(inner) && inner.length > limits.elements) return inner.slice(0, limits.elements)
    return inner
  })
  return cut(text ?? Object.prototype.toString.call(value), limits.valueLength)
}

/** Attributes of an event or a link: a copy within the limits. Never throws. */
export const plainRecord = (attributes: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, unknown>> => {
  if (attributes === undefined) return noAttributes
  try {
    // A spread is one step for the engine; then only what is not plain yet is touched.
    const out: Record<string, unknown> = { ...attributes }
    let count = 0
    for (const key in out) {
      const value = out[key]
      const kept = plain(value)
      if (kept === undefined || key === "__proto__" || ++count > limits.attributesPerEvent) delete out[key]
      else if (kept !== value) out[key] = kept
    }
    return out
  } catch {
    return unreadable
  }
}

const unreadable: Readonly<Record<string, unknown>> = Object.freeze({ "otel.attributes": "[unreadable]" })
const noAttributes: Readonly<Record<string, unknown>> = Object.freeze({})

/** The first `length` code units, never half of a surrogate pair, in memory of its own. */
export const cut = (text: string, length: number): string => {
  if (text.length <= length) return text
  const last = text.charCodeAt(length - 1)
  const short = text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length)
  // A slice holds the whole string it was cut from; a round trip through JSON makes a copy.
  return JSON.parse(JSON.stringify(short)) as string
}
