/**
 * JSON text that PostgreSQL's jsonb takes from any value a program may put into an attribute: no NUL, no lone surrogate, no
 * NaN, no cycle, bounded in depth and size. Nothing here throws, whatever the value does when it is read.
 */

/** Deeper values become text. */
const maxDepth = 32
/** Characters of one string. */
const maxText = 16_384
/** Values in one document, and characters in all of them; what is past it becomes `"[too large]"`. */
const maxNodes = 10_000
const maxCharacters = 262_144

export interface Budget {
  nodes: number
  characters: number
  readonly above: Array<object>
}

/** What had to be changed so that PostgreSQL can hold it, by reason, since the start of the process. */
const counts = { text: 0, length: 0, number: 0, depth: 0, circular: 0, size: 0, unreadable: 0 }

export const repairs = (): Readonly<Record<string, number>> => Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))

const repaired = (reason: keyof typeof counts, instead: string): string => {
  counts[reason]++
  return instead
}

/** The text as PostgreSQL can store it: NUL and lone surrogates become U+FFFD, at most `limit` characters. */
export const clean = (text: string, limit = maxText): string => {
  const cut = text.length > limit ? repaired("length", text.slice(0, limit)) : text
  return cut.includes("\0") || !cut.isWellFormed() ? repaired("text", cut.replaceAll("\0", "\ufffd").toWellFormed()) : cut
}

/** What one document may take. */
export const makeBudget = (): Budget => ({ nodes: maxNodes, characters: maxCharacters, above: [] })

/** A JSON object of these entries; later entries of one name win, as they do in jsonb. */
export const encodeEntries = (entries: Iterable<readonly [string, unknown]>): string => {
  const budget = makeBudget()
  let out = "{"
  for (const [key, value] of entries) {
    const text = encode(value, budget)
    if (text !== undefined) out += `${out.length === 1 ? "" : ","}${quote(key, budget)}:${text}`
  }
  return `${out}}`
}

export const encodeRecord = (record: Readonly<Record<string, unknown>>): string => encodeEntries(entriesOf(record))

/** `undefined` where JSON leaves a value out. */
export const encode = (value: unknown, budget: Budget): string | undefined => {
  if (budget.nodes-- <= 0 || budget.characters <= 0) return repaired("size", "\"[too large]\"")
  switch (typeof value) {
    case "string":
      return quote(value, budget)
    case "boolean":
      return value ? "true" : "false"
    case "number":
      return Number.isFinite(value) ? String(value) : repaired("number", `"${value}"`)
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? String(value) : `"${value}"`
    case "undefined":
      return undefined
    case "object":
      return value === null ? "null" : encodeObject(value, budget)
    default:
      return quote(textOf(value), budget)
  }
}

const encodeObject = (value: object, budget: Budget): string => {
  if (budget.above.length >= maxDepth) return repaired("depth", "\"[too deep]\"")
  if (budget.above.includes(value)) return repaired("circular", "\"[circular]\"")
  budget.above.push(value)
  try {
    if (Array.isArray(value)) return encodeArray(value, budget)
    // Dates, URLs, Redacted, Effect's data types: they say themselves how they are written.
    if ("toJSON" in value && typeof value.toJSON === "function") return encode(value.toJSON(), budget) ?? "null"
    if (value instanceof Error) return quote(`${value.name}: ${value.message}`, budget)
    if (ArrayBuffer.isView(value)) return quote(`[${value.constructor.name} of ${value.byteLength} bytes]`, budget)
    if (value instanceof Map) return encodeArray([...value], budget)
    if (value instanceof Set) return encodeArray([...value], budget)
    let out = "{"
    for (const [key, item] of entriesOf(value as Record<string, unknown>)) {
      if (budget.nodes <= 0) break
      const text = encode(item, budget)
      if (text !== undefined) out += `${out.length === 1 ? "" : ","}${quote(key, budget)}:${text}`
    }
    return `${out}}`
  } catch {
    return repaired("unreadable", "\"[unreadable]\"")
  } finally {
    budget.above.pop()
  }
}

const encodeArray = (values: ReadonlyArray<unknown>, budget: Budget): string => {
  let out = "["
  for (let i = 0; i < values.length && budget.nodes > 0; i++) out += `${i === 0 ? "" : ","}${encode(values[i], budget) ?? "null"}`
  return `${out}]`
}

/** Text that JSON writes as it stands. */
const plain = /^[ !#-[\]-~]*$/

export const quote = (text: string, budget: Budget): string => {
  if (text.length <= maxText && plain.test(text)) {
    budget.characters -= text.length
    return `"${text}"`
  }
  const kept = clean(text)
  budget.characters -= kept.length
  return JSON.stringify(kept)
}

const textOf = (value: unknown): string => {
  try {
    return String(value)
  } catch {
    return repaired("unreadable", "[unreadable]")
  }
}

function* entriesOf(record: Readonly<Record<string, unknown>>): Generator<readonly [string, unknown]> {
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
