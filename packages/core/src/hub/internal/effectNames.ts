import type { MetricType } from "../../metrics/MetricDefinition.ts"

/** A unit of ours, and how values become it. */
export interface Unit {
  readonly name: string
  /** Words that a name may end in and that the conversion makes wrong. */
  readonly replaces: ReadonlyArray<string>
  readonly convert: (value: number) => number
}

export interface Attribute {
  readonly label: string
  readonly value: string
}

const same = (value: number): number => value
const over = (divisor: number) => (value: number): number => value / divisor
const times = (factor: number) => (value: number): number => value * factor

const unit = (name: string, convert: Unit["convert"], ...words: ReadonlyArray<string>): ReadonlyArray<readonly [string, Unit]> =>
  words.map((word) => [word, { name, replaces: convert === same ? [] : words, convert }])

const units: ReadonlyMap<string, Unit> = new Map([
  ...unit("seconds", same, "seconds", "second", "s", "sec"),
  ...unit("seconds", over(1e3), "milliseconds", "millisecond", "millis", "ms"),
  ...unit("seconds", over(1e6), "microseconds", "microsecond", "micros", "us"),
  ...unit("seconds", over(1e9), "nanoseconds", "nanosecond", "nanos", "ns"),
  ...unit("seconds", times(60), "minutes", "minute", "min"),
  ...unit("seconds", times(3600), "hours", "hour", "h"),
  ...unit("seconds", times(86_400), "days", "day", "d"),
  ...unit("bytes", same, "bytes", "byte", "by")
])
const none: Unit = { name: "", replaces: [], convert: same }

/** What the attributes `time_unit` and `unit` say; a unit nobody knows is left alone. */
export const unitOf = (attributes: Readonly<Record<string, unknown>> | undefined): Unit => {
  const said = own(attributes, "time_unit") ?? own(attributes, "unit")
  return (typeof said === "string" ? units.get(said.toLowerCase()) : undefined) ?? none
}

const own = (attributes: Readonly<Record<string, unknown>> | undefined, key: string): unknown =>
  attributes !== undefined && attributes !== null && Object.hasOwn(attributes, key) ? attributes[key] : undefined

/** A name of Effect's as one of ours: what may not stand in it becomes `_`, and it ends in its base unit, and `_total` for what only rises. */
export const nameOf = (id: unknown, type: MetricType, unit: Unit): string => {
  let name = identifier(String(id))
  if (type === "counter") name = name.replace(/_total$/, "")
  if (unit.name !== "" && !name.endsWith(`_${unit.name}`)) {
    for (const word of unit.replaces) {
      if (!name.endsWith(`_${word}`)) continue
      name = name.slice(0, -word.length - 1)
      break
    }
    name = `${name}_${unit.name}`
  }
  return type === "counter" ? `${name}_total` : name
}

const identifier = (text: string): string => {
  const name = text.slice(0, 300).replace(/[^a-zA-Z0-9_]/g, "_")
  return /^[0-9]/.test(name) ? `_${name}` : name
}

const maxAttributes = 32

/**
 * Attributes as labels, sorted. Two that become the same label are joined by `;` (OpenTelemetry, "Prometheus and OpenMetrics
 * Compatibility"); reserved names get a prefix.
 */
export const attributesOf = (attributes: Readonly<Record<string, unknown>> | undefined, isFrequency: boolean): ReadonlyArray<Attribute> => {
  const labels = new Map<string, string>()
  if (attributes === undefined || attributes === null) return []
  for (const key of Object.keys(attributes).sort().slice(0, maxAttributes)) {
    if (key === "unit" || key === "time_unit") continue
    const name = identifier(key).replace(/^_+(?=.)/, "").slice(0, 100)
    const reserved = name === "le" || name === "quantile" || name === "" || /^[0-9_]/.test(name) || (isFrequency && name === "key")
    const label = reserved ? `attribute_${name}` : name
    const value = text(attributes, key)
    const before = labels.get(label)
    labels.set(label, before === undefined ? value : `${before};${value}`)
  }
  return [...labels].map(([label, value]) => ({ label, value }))
}

const text = (attributes: Readonly<Record<string, unknown>>, key: string): string => {
  try {
    return String(attributes[key])
  } catch {
    return ""
  }
}
