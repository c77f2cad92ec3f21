import type { Carrier } from "../../tracing/Propagation.ts"

// Carriers come in many shapes: records of strings or lists of strings, `Headers`, maps, environments, bytes from a queue.

/** Longest value of which anything is read. */
const maxLength = 16_384

/** The values a carrier has under a name, whatever the case of its keys; `_` stands for `-` in environments. Never throws. */
export const read = (carrier: unknown, name: string): ReadonlyArray<string> => {
  try {
    if (typeof carrier !== "object" || carrier === null) return none
    if (isGettable(carrier)) return asTexts(carrier.get(name) ?? (carrier instanceof Map ? carrier.get(title(name)) : undefined))
    let found: ReadonlyArray<string> = none
    for (const key of Object.keys(carrier)) {
      if (key.length !== name.length || (key !== name && key.toLowerCase().replaceAll("_", "-") !== name)) continue
      const texts = asTexts((carrier as Record<string, unknown>)[key])
      found = found.length === 0 ? texts : [...found, ...texts]
    }
    return found
  } catch {
    return none
  }
}

/** The value under a name of which there may be one only; none when two claim it. */
export const readOne = (carrier: unknown, name: string): string | undefined => {
  const values = read(carrier, name)
  return values.length === 1 ? values[0] : undefined
}

/** The values under a name whose repetitions make one list (RFC 9110, 5.3). */
export const readList = (carrier: unknown, name: string): string | undefined => {
  const values = read(carrier, name)
  return values.length === 0 ? undefined : values.length === 1 ? values[0] : values.join(",")
}

/** Writes a value. Never throws: a carrier that takes no keys stays as it is. */
export const write = (carrier: Carrier | Settable, name: string, value: string): void => {
  try {
    if (isSettable(carrier)) carrier.set(name, value)
    else carrier[name] = value
  } catch {
    // Frozen, or a proxy or setter that refuses: the call it belongs to must not fail for its trace.
  }
}

/** `Headers`, `Map` and their like. */
export interface Settable {
  readonly set: (name: string, value: string) => unknown
}

const none: ReadonlyArray<string> = []

const isGettable = (carrier: object): carrier is { readonly get: (name: string) => unknown } =>
  typeof (carrier as { readonly get?: unknown }).get === "function" && "set" in carrier

const isSettable = (carrier: object): carrier is Settable => typeof (carrier as { readonly set?: unknown }).set === "function" && "get" in carrier

/** A map's keys have the case somebody gave them; the usual ones are tried. */
const title = (name: string): string => name.replace(/(^|-)[a-z]/g, (one) => one.toUpperCase())

const asTexts = (value: unknown): ReadonlyArray<string> => {
  if (typeof value === "string") return value.length > maxLength ? none : [value]
  if (value instanceof Uint8Array) return value.length > maxLength ? none : [String.fromCharCode(...value)]
  if (!Array.isArray(value) || value.length > maxRepeats) return none
  return value.every((one): one is string => typeof one === "string" && one.length <= maxLength) ? value : none
}

const maxRepeats = 64

/** A text without the blanks and tabs around it (OWS of RFC 9110, 5.6.3). */
export const trimBlanks = (text: string): string => {
  let from = 0
  let end = text.length
  while (from < end && isBlank(text.charCodeAt(from))) from++
  while (end > from && isBlank(text.charCodeAt(end - 1))) end--
  return end - from === text.length ? text : text.slice(from, end)
}

const isBlank = (c: number): boolean => c === 32 || c === 9
