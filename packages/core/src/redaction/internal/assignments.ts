import { isBlank, isSpace, isWord, skip } from "./chars.ts"
import { isOpaque } from "./tokens.ts"

// `name=value`, `name: value`, `"name":"value"` in running text: queries, connection strings, JSON, headers, logs.

/** What may be replaced, or how far to read on. */
export type Found = { readonly from: number; readonly end: number } | number

const maxName = 64

/** Names whose values are secrets in a query, where elsewhere they are everyday words. */
const inQueries: ReadonlySet<string> = new Set(["sig", "signature", "code", "key", "state", "ticket", "assertion", "samlresponse", "nonce"])

/** Values that say that there is none, or what it should be like. */
const empty =
  /^(?:\?|\$\d+|\$\{?[A-Za-z_]\w*\}?|:\w+|%[sd]|@\w+|null|nil|undefined|none|true|false|redacted|<redacted(?::[^>]*)?>?|\[redacted\]?|\*+|x{3,}|…|\.{3})$/i
const prose =
  /^(?:required|missing|invalid|incorrect|expected|must|is|are|was|were|has|have|had|wrong|not|no|empty|unknown|unset|set|should|cannot|can|will|expired|revoked|denied|failed|mismatch|too|the|a|an|and|or|of|for|to|at|in|on|by|with|from|string|number|boolean|text|unexpected|undefined|optional|unsupported|malformed|absent|ok|yes|please|use|see|enter|type|value)$/i

/**
 * The value assigned at `at`, where `=`, `:` or `%3D` stands, when the name before it is a secret's. `low` is how far back may be read.
 */
export const assigned = (text: string, at: number, width: number, low: number, isSecret: (name: string) => boolean): Found => {
  const equals = text.charCodeAt(at) !== colon
  const after = at + width
  const next = text.charCodeAt(after)
  if (equals && width === 1) {
    // `:password => "x"` is an assignment where a text follows; `token => …` is code.
    if (next === 62) return isQuoted(text, after + 1) ? assigned(text, at, 2, low, isSecret) : after + 1
    if (next === 61 || next === 126 || isComparing(text.charCodeAt(at - 1))) return after
  }
  // `::` is no assignment, `:=` is one at its second sign.
  if (!equals && (next === colon || next === 61)) return next === colon ? after + 1 : after
  const name = nameBefore(text, at, low)
  if (name === undefined || (!equals && isPlace(text, name, at))) return after
  const inQuery = equals && isQueryMark(text, name.from)
  const secret = isSecret(name.text) || (inQuery && inQueries.has(name.text.toLowerCase()))
  if (!secret && !(name.wide !== undefined && isSecret(name.wide))) return after
  return value(text, after, { name: name.text, equals, inQuery, encoded: width > 2, listed: text.charCodeAt(name.before) === semicolon })
}

const isQuoted = (text: string, at: number): boolean => {
  const c = text.charCodeAt(skip(text, at, Math.min(text.length, at + 8), isBlank))
  return c === quote || c === doubleQuote
}

/** The text of an XML element whose opening tag ends at `at`: `<password>x</password>`. */
export const element = (text: string, at: number, low: number, isSecret: (name: string) => boolean): Found => {
  let open = at - 1
  while (open >= low && at - open < maxName && text.charCodeAt(open) !== 60 && text.charCodeAt(open) !== 62) open--
  const after = at + 1
  if (open < low || text.charCodeAt(open) !== 60) return after
  const end = skip(text, open + 1, at, (c) => isName(c) || c === colon)
  if (end === open + 1 || !isSecret(text.slice(open + 1, end))) return after
  const last = skip(text, after, text.length, (c) => c !== 60)
  return last === after ? after : { from: after, end: last }
}

/** The value of a `--password value` that begins at `at`; with `=` it is an assignment like any other. */
export const flag = (text: string, at: number, isSecret: (name: string) => boolean): Found => {
  const from = at + 2
  const end = skip(text, from, Math.min(text.length, from + maxName), isName)
  if (!isBlank(text.charCodeAt(end)) || !isSecret(text.slice(from, end))) return Math.max(end, from)
  const start = skip(text, end, text.length, isBlank)
  const c = text.charCodeAt(start)
  if (c === quote || c === doubleQuote) return { from: start + 1, end: closing(text, start + 1, c, 0) }
  const last = skip(text, start, text.length, (one) => !isSpace(one))
  return last === start || c === 45 ? start : { from: start, end: last }
}

interface Context {
  readonly name: string
  readonly equals: boolean
  /** After `?` or `&`: a `#` ends it. */
  readonly inQuery: boolean
  readonly encoded: boolean
  /** After a `;`, as in `Server=x;Password=a b;`: blanks belong to the value. */
  readonly listed: boolean
}

const value = (text: string, after: number, context: Context): Found => {
  const from = skip(text, after, Math.min(text.length, after + 8), isBlank)
  const opening = skip(text, from, Math.min(text.length, from + 15), (c) => c === backslash)
  const c = text.charCodeAt(opening)
  if (c === quote || c === doubleQuote) {
    const end = closing(text, opening + 1, c, opening - from)
    const inner = text.slice(opening + 1, Math.min(end, opening + 65))
    return end === opening + 1 || empty.test(inner) ? end : { from: opening + 1, end }
  }
  if (c === 123 || c === 91) {
    // A template's `{name}` and an empty list hold nothing; everything else below a secret's name is secret.
    const end = balanced(text, opening)
    return end - opening <= 2 ? end : { from: opening, end }
  }
  const prosaic = !context.equals && from > after
  if (/(?:cookie|authorization)$/i.test(context.name) && !context.equals) return line(text, from)
  let end = unquotedEnd(text, from, context)
  if (end === from) return Math.max(end, after)
  const word = text.slice(from, Math.min(end, from + 65))
  if (empty.test(word)) return end
  if (/^(?:bearer|basic|digest|token|apikey|negotiate)$/i.test(word) && isBlank(text.charCodeAt(end))) {
    end = unquotedEnd(text, skip(text, end, text.length, isBlank), context)
    return { from, end }
  }
  if (prosaic || prose.test(word)) {
    if (prose.test(word)) return from
    // In prose a sentence may go on after the colon; what looks drawn by lot, or stands alone, is the value.
    const rest = skip(text, end, text.length, isBlank)
    const alone = rest >= text.length || !isWord(text.charCodeAt(rest))
    if (!alone && !isOpaque(text, from, end) && !/[0-9]/.test(word)) return from
  }
  return { from, end }
}

const line = (text: string, from: number): Found => {
  const end = skip(text, from, text.length, (c) => c !== 10 && c !== 13 && c !== doubleQuote && c !== backslash)
  return end === from || empty.test(text.slice(from, from + 65 < end ? from + 65 : end)) ? Math.max(end, from) : { from, end }
}

/** Where a quoted value ends, its quote being escaped `depth` times; the end of a text that was cut off. */
const closing = (text: string, from: number, quoted: number, depth: number): number => {
  let i = from
  let backslashes = 0
  while (i < text.length) {
    const c = text.charCodeAt(i)
    if (c === backslash) backslashes++
    else {
      if (c === quoted && (depth === 0 ? backslashes % 2 === 0 : backslashes <= depth)) return i - (depth === 0 ? 0 : backslashes)
      backslashes = 0
    }
    i++
  }
  return text.length
}

/** Where the object or list that opens at `at` ends. Brackets inside quotes do not count. */
const balanced = (text: string, at: number): number => {
  let depth = 0
  let i = at
  while (i < text.length) {
    const c = text.charCodeAt(i)
    if (c === doubleQuote) {
      const escapes = backslashesBefore(text, i)
      i = closing(text, i + 1, doubleQuote, escapes)
      if (escapes > 0) i += escapes
    } else if (c === 123 || c === 91) depth++
    else if ((c === 125 || c === 93) && --depth === 0) return i + 1
    i++
  }
  return text.length
}

const backslashesBefore = (text: string, at: number): number => {
  let i = at
  while (i > 0 && at - i < 15 && text.charCodeAt(i - 1) === backslash) i--
  return at - i
}

const unquotedEnd = (text: string, from: number, { encoded, equals, inQuery, listed }: Context): number => {
  let i = from
  while (i < text.length) {
    const c = text.charCodeAt(i)
    if (c === semicolon || c === 38 || c === doubleQuote || c === quote || c === 60 || c === 62 || c === 41 || c === 93 || c === 125 || c === 96 || c === 124) break
    if (c === 10 || c === 13 || c === backslash || (inQuery && c === 35)) break
    if (isSpace(c) && !listed) break
    if (c === 44 && (!equals || startsPair(text, i + 1))) break
    if (encoded && c === 37 && text.startsWith("26", i + 1)) break
    i++
  }
  return i
}

/** Whether another `name=` or `name:` or nothing follows a comma: otherwise the comma belongs to the value. */
const startsPair = (text: string, at: number): boolean => {
  if (at >= text.length || isSpace(text.charCodeAt(at)) || text.charCodeAt(at) === doubleQuote) return true
  const end = skip(text, at, Math.min(text.length, at + maxName), isName)
  const c = text.charCodeAt(end)
  return end > at && (c === 61 || c === colon)
}

/** `src/token.ts:12`: a place in a file, not a value. */
const isPlace = (text: string, name: Name, at: number): boolean => {
  const c = text.charCodeAt(name.from - 1)
  return name.from + name.text.length === at && (c === 47 || c === backslash || fileName.test(name.text))
}

const fileName = /\.(?:[cm]?[jt]sx?|py|rb|go|rs|java|kt|cs|php|json|ya?ml|toml|md|txt|html)$/i

interface Name {
  readonly text: string
  readonly from: number
  /** The last place before it that is no blank. */
  readonly before: number
  /** With the word before it: `API Key`. */
  readonly wide: string | undefined
}

const nameBefore = (text: string, at: number, low: number): Name | undefined => {
  let end = at
  while (end > low && at - end < 8 && isBlank(text.charCodeAt(end - 1))) end--
  while (end > low && at - end < 24 && (isClosing(text.charCodeAt(end - 1)) || (end === at && text.charCodeAt(end - 1) === colon))) end--
  while (end > low && at - end < 24 && isBlank(text.charCodeAt(end - 1))) end--
  let from = nameStart(text, end, low)
  if (from === end) return undefined
  // The figures of a percent escape are no part of the name: `%26token%3D`.
  if (text.charCodeAt(from - 1) === 37 && end - from > 2) from += 2
  let before = from - 1
  while (before >= low && isBlank(text.charCodeAt(before))) before--
  const wider = before < from - 1 && from - before < 4 ? nameStart(text, before + 1, low) : from
  return { text: text.slice(from, end), from, before, wide: wider < before + 1 && wider < from ? text.slice(wider, end) : undefined }
}

const nameStart = (text: string, end: number, low: number): number => {
  let from = end
  while (from > low && end - from < maxName && isName(text.charCodeAt(from - 1))) from--
  return from
}

const isQueryMark = (text: string, at: number): boolean => {
  const c = text.charCodeAt(at - 1)
  return c === 63 || c === 38 || c === 37 || text.charCodeAt(at - 3) === 37
}

const isName = (c: number): boolean => isWord(c) || c === 45 || c === 46
const isClosing = (c: number): boolean => c === doubleQuote || c === quote || c === backslash || c === 93 || c === 91 || c === 96
const isComparing = (c: number): boolean => c === 61 || c === 33 || c === 60 || c === 62

const backslash = 92
const quote = 39
const doubleQuote = 34
const colon = 58
const semicolon = 59
