import { repaired, type RowWriter } from "./RowWriter.ts"

/** How a value that is no text stands in a `Map(String, String)`; `""` for text. Kept beside it, so that it can be read back. */
export type ValueType = "" | "number" | "bool" | "json"

/** Characters of one text. */
const maxText = 65_536
/** Entries of one map, and characters in all of them. */
const maxEntries = 1_024
const maxCharacters = 1_048_576
/** Deeper values, and what comes after so many values of one attribute, become text. */
const maxDepth = 32
const maxNodes = 10_000

export const cut = (text: string, limit = maxText): string => (text.length > limit ? repaired("length", text.slice(0, limit)) : text)

export interface Entry {
  readonly key: string
  readonly text: string
  readonly type: ValueType
}

/** What a record or map of attributes becomes. Nothing here throws, whatever a value does when it is read. */
export const entriesOf = (attributes: Iterable<readonly [string, unknown]>): ReadonlyArray<Entry> => {
  const out: Array<Entry> = []
  let room = maxCharacters
  for (const [key, value] of attributes) {
    if (value === undefined) continue
    if (out.length === maxEntries || room <= 0) {
      repaired("size", undefined)
      break
    }
    const entry = entryOf(cut(key, 1_024), value)
    room -= entry.key.length + entry.text.length
    out.push(entry)
  }
  return out
}

export const recordEntries = (record: Readonly<Record<string, unknown>>): ReadonlyArray<Entry> => entriesOf(own(record))

function* own(record: Readonly<Record<string, unknown>>): Generator<readonly [string, unknown]> {
  for (const key of Object.keys(record)) {
    let value: unknown
    try {
      value = record[key]
    } catch {
      value = repaired("unreadable", "[unreadable]")
    }
    yield [key, value]
  }
}

const entryOf = (key: string, value: unknown): Entry => {
  switch (typeof value) {
    case "string":
      return { key, text: cut(value), type: "" }
    case "number":
      return { key, text: String(value), type: "number" }
    case "boolean":
      return { key, text: value ? "true" : "false", type: "bool" }
    case "bigint":
      return { key, text: cut(String(value)), type: Number.isSafeInteger(Number(value)) ? "number" : "" }
    case "object":
      return objectEntry(key, value)
    default:
      return { key, text: textOf(value), type: "" }
  }
}

const objectEntry = (key: string, value: object | null): Entry => {
  let text: string | undefined
  try {
    text = json(value)
  } catch {
    return { key, text: repaired("unreadable", "[unreadable]"), type: "" }
  }
  if (text === undefined) return { key, text: "", type: "" }
  // Cut JSON is no JSON.
  return text.length > maxText ? { key, text: cut(text), type: "" } : { key, text, type: "json" }
}

/** JSON without cycles, bounded in depth and size. */
const json = (value: unknown): string | undefined => {
  let nodes = maxNodes
  const above: Array<unknown> = []
  const plain = (one: unknown): unknown => {
    if (nodes-- <= 0) return repaired("size", "[too large]")
    switch (typeof one) {
      case "string":
        return cut(one)
      case "number":
        return Number.isFinite(one) ? one : repaired("number", String(one))
      case "bigint":
        return Number.isSafeInteger(Number(one)) ? Number(one) : String(one)
      case "boolean":
      case "undefined":
        return one
      case "object":
        return one === null ? null : inside(one)
      default:
        return textOf(one)
    }
  }
  const inside = (one: object): unknown => {
    if (above.length >= maxDepth) return repaired("depth", "[too deep]")
    if (above.includes(one)) return repaired("circular", "[circular]")
    above.push(one)
    try {
      if (Array.isArray(one)) return one.slice(0, maxNodes).map((item) => plain(item) ?? null)
      // Dates, URLs, Redacted, Effect's data types: they say themselves how they are written.
      if ("toJSON" in one && typeof one.toJSON === "function") return plain(one.toJSON())
      if (one instanceof Error) return cut(`${one.name}: ${one.message}`)
      if (ArrayBuffer.isView(one)) return `[${one.constructor.name} of ${one.byteLength} bytes]`
      if (one instanceof Map || one instanceof Set) return [...one].slice(0, maxNodes).map((item) => plain(item) ?? null)
      const out: Record<string, unknown> = Object.create(null)
      for (const [key, item] of own(one as Record<string, unknown>)) {
        if (nodes <= 0) break
        out[key] = plain(item)
      }
      return out
    } catch {
      return repaired("unreadable", "[unreadable]")
    } finally {
      above.pop()
    }
  }
  return JSON.stringify(plain(value))
}

const textOf = (value: unknown): string => {
  try {
    return cut(String(value))
  } catch {
    return repaired("unreadable", "[unreadable]")
  }
}

/** The value as it was before it became text. */
export const valueOf = (text: string, type: string | undefined): unknown => {
  switch (type) {
    case "number":
      return Number(text)
    case "bool":
      return text === "true"
    case "json":
      try {
        return JSON.parse(text)
      } catch {
        return text
      }
    default:
      return text
  }
}

/** `Map(String, String)` of the texts. */
export const writeMap = (writer: RowWriter, entries: ReadonlyArray<Entry>): void => {
  writer.count(entries.length)
  for (const { key, text } of entries) {
    writer.string(key)
    writer.string(text)
  }
}

/** `Map(String, String)` of the types, of what is no text. */
export const writeTypes = (writer: RowWriter, entries: ReadonlyArray<Entry>): void => {
  let typed = 0
  for (const { type } of entries) if (type !== "") typed++
  writer.count(typed)
  if (typed === 0) return
  for (const { key, type } of entries) {
    if (type === "") continue
    writer.string(key)
    writer.string(type)
  }
}
