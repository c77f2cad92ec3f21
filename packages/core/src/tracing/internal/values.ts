import type { Entry, Scrubber } from "../../redaction/internal/Scrubber.ts"
import { redacted } from "../../redaction/internal/scan.ts"
import type { SpanLimits } from "../SpanLimits.ts"

/** Elements of an array value. */
const maxElements = 128
/** Values inside a structured attribute that are looked at; the rest is left out. */
const maxNodes = 1000

/** Values as exporters may keep them: within the limits, without secrets, and nobody else's. Never throws. */
export class Values {
  readonly limits: SpanLimits
  private readonly scrubber: Scrubber | undefined
  private nodes = 0
  private readonly path: Array<object> = []

  constructor(limits: SpanLimits, scrubber: Scrubber | undefined) {
    this.limits = limits
    this.scrubber = scrubber
  }

  /**
   * An attribute value: a string, number, boolean, bigint, or an array of them. Other objects become JSON. `undefined` means that there is
   * nothing to record.
   */
  plain(name: string, value: unknown, entry: Entry | undefined = this.scrubber?.entry(name)): unknown {
    if (value === undefined || value === null) return undefined
    const { scrubber } = this
    if (scrubber !== undefined && entry !== undefined) {
      // What was kept last under this name, within the limits then and now.
      if (value === entry.clean && !entry.secret && !scrubber.hasRules && entry.clean.length <= this.limits.attributeValueLength) return entry.clean
      if (scrubber.hasRules && scrubber.isHidden(name, value)) return redacted
      // Of a secret it may be said that there is one.
      if (entry.secret && typeof value !== "boolean" && value !== "") return redacted
    }
    switch (typeof value) {
      case "string":
        return this.string(entry, value)
      case "boolean":
        return value
      case "number":
      case "bigint":
        return scrubber?.isCard(value) === true ? redacted : value
      case "object":
        return this.object(name, entry, value)
      case "symbol":
        return this.string(entry, String(value))
      default:
        return "[function]"
    }
  }

  /** What is known of a name; `undefined` when nothing is to be taken out. */
  entry(name: string): Entry | undefined {
    return this.scrubber?.entry(name)
  }

  /** Attributes of an event or a link: a copy of at most `count` of them. */
  record(attributes: Readonly<Record<string, unknown>> | undefined, count: number): Readonly<Record<string, unknown>> {
    if (attributes === undefined) return noAttributes
    try {
      // A spread is one step for the engine; then only what is not plain yet is touched.
      const out: Record<string, unknown> = { ...attributes }
      let kept = 0
      for (const key in out) {
        const value = out[key]
        const entry = this.entry(key)
        const plain = this.plain(key, value, entry)
        const name = entry?.shown ?? key
        if (plain === undefined || key === "__proto__" || ++kept > count) delete out[key]
        else if (name !== key) {
          delete out[key]
          out[name] = plain
        } else if (plain !== value) out[key] = plain
      }
      return out
    } catch {
      return unreadable
    }
  }

  /** A text of the toolkit's own, such as an exception's message, cut to `length`. */
  text(text: string, length: number): string {
    return cut(this.scrubber === undefined ? text : this.scrubber.bare(text, length), length)
  }

  private string(entry: Entry | undefined, text: string): string {
    const { attributeValueLength } = this.limits
    const clean = entry === undefined ? text : this.scrubber!.text(entry, text, attributeValueLength)
    return clean.length > attributeValueLength ? cut(clean, attributeValueLength) : clean
  }

  private object(name: string, entry: Entry | undefined, value: object): unknown {
    this.nodes = maxNodes
    this.path.length = 0
    try {
      if (!Array.isArray(value)) return this.asText(name, entry, value)
      const out: Array<unknown> = []
      for (let i = 0; i < value.length && i < maxElements; i++) {
        const item: unknown = value[i]
        // OpenTelemetry has no arrays of arrays; a gap would shift the positions of its neighbours.
        if (typeof item === "object" && item !== null) out.push(this.asText(name, entry, item))
        // ["--password", "…"]
        else if (i > 0 && this.announces(value[i - 1])) out.push(redacted)
        else out.push(this.plain(name, item) ?? "null")
      }
      return out
    } catch {
      return "[unreadable]"
    }
  }

  private announces(item: unknown): boolean {
    return typeof item === "string" && item.length > 2 && item.startsWith("-") && !item.includes("=") && this.scrubber?.entry(item).secret === true
  }

  private asText(name: string, entry: Entry | undefined, value: object): string {
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString()
    const copy = value instanceof Error ? `${value.name}: ${value.message}` : this.copy(name, value, 0)
    if (typeof copy === "string") return this.string(entry, copy)
    // Its values are clean; what was cut may still be long.
    return cut(JSON.stringify(copy) ?? Object.prototype.toString.call(value), this.limits.attributeValueLength)
  }

  /** A value inside a structure, ready for JSON. */
  private copy(name: string, value: unknown, depth: number): unknown {
    if (--this.nodes < 0) return undefined
    if (typeof value !== "object" || value === null) {
      if (value === null) return null
      const plain = typeof value === "function" || typeof value === "symbol" ? undefined : this.plain(name, value)
      return typeof plain === "bigint" ? String(plain) : plain
    }
    const { scrubber } = this
    if (depth > 0 && scrubber !== undefined && (scrubber.isHidden(name, value) || scrubber.entry(name).secret)) return redacted
    if (depth >= this.limits.depth) return "[…]"
    if (this.path.includes(value)) return "[circular]"
    this.path.push(value)
    const out = this.structure(name, value, depth)
    this.path.pop()
    return out
  }

  private structure(name: string, value: object, depth: number): unknown {
    const { toJSON } = value as { readonly toJSON?: unknown }
    if (typeof toJSON === "function") {
      const json: unknown = toJSON.call(value, name)
      return json === value ? this.fields(value, depth) : this.copy(name, json, depth + 1)
    }
    if (value instanceof Error) return this.plain(name, `${value.name}: ${value.message}`)
    if (Array.isArray(value) || value instanceof Set) return this.items(name, value, depth)
    return this.fields(value instanceof Map ? objectOf(value) : value, depth)
  }

  private items(name: string, items: Iterable<unknown>, depth: number): ReadonlyArray<unknown> {
    const out: Array<unknown> = []
    let before: unknown
    for (const item of items) {
      if (out.length >= maxElements || this.nodes <= 0) break
      out.push(this.announces(before) ? redacted : this.copy(name, item, depth + 1) ?? null)
      before = item
    }
    return out
  }

  private fields(value: object, depth: number): Record<string, unknown> {
    // Without a prototype `__proto__` is a key like any other.
    const out: Record<string, unknown> = Object.create(null)
    for (const key of Object.keys(value)) {
      if (this.nodes <= 0) break
      let inner: unknown
      try {
        inner = this.copy(key, (value as Record<string, unknown>)[key], depth + 1)
      } catch {
        inner = "[unreadable]"
      }
      if (inner === undefined) continue
      out[cut(this.entry(key)?.shown ?? key, this.limits.attributeValueLength)] = inner
    }
    return out
  }
}

const objectOf = (map: ReadonlyMap<unknown, unknown>): object => {
  const out: Record<string, unknown> = Object.create(null)
  let count = 0
  for (const [key, value] of map) {
    if (++count > maxElements) break
    out[String(key)] = value
  }
  return out
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
