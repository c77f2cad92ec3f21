/** Characters at which a literal or a comment may begin. */
const signs = new Uint8Array(128)
for (const one of "'\"`$-/0123456789") signs[one.charCodeAt(0)] = 1

/** What stands where a literal was. */
const hole = "?"

/**
 * SQL text without its literals (strings, dollar quotes, bit and hex strings, numbers) and comments; names and placeholders stay. In one
 * pass. Where dialects disagree on where a string ends (a backslash before its quote) all that follows is left out.
 */
export const withoutLiterals = (text: string, numbers = true): string => {
  let out = ""
  let from = 0
  let i = 0
  const { length } = text
  // Looked for when a double quote asks for it: most statements have none.
  let values = -1
  const replace = (start: number, end: number, by: string): void => {
    out += text.slice(from, start) + by
    from = end
    i = end
  }
  while (i < length) {
    const c = text.charCodeAt(i)
    if (c > 127 || signs[c] === 0) i++
    else if (c === quote) {
      const start = prefixed(text, i) ? i - 1 : i
      const end = stringEnd(text, i, start < i && (text.charCodeAt(start) | 32) === letterE)
      replace(Math.max(start, from), end, hole)
    } else if (c === backtick) {
      const end = text.indexOf("`", i + 1)
      i = end < 0 ? length : end + 1
    } else if (c === doubleQuote) {
      const found = text.indexOf("\"", i + 1)
      const end = found < 0 ? length : found + 1
      if (values < 0) values = afterValues(text)
      // A name in standard SQL, a string in MySQL: where a value stands it is taken for one.
      if (found < 0 || (i > values && text.charCodeAt(end) !== dot) || (isOperator(before(text, i)) && text.charCodeAt(end) !== dot)) {
        replace(i, end, hole)
      } else i = end
    } else if (c === dollar && !isWord(text.charCodeAt(i - 1))) {
      const tag = /\$([A-Za-z_][A-Za-z0-9_]{0,62})?\$/y
      tag.lastIndex = i
      const opening = tag.exec(text)?.[0]
      if (opening === undefined) i++
      else {
        const end = text.indexOf(opening, i + opening.length)
        replace(i, end < 0 ? length : end + opening.length, hole)
      }
    } else if (c === dash && text.charCodeAt(i + 1) === dash) {
      const end = text.indexOf("\n", i)
      replace(i, end < 0 ? length : end, "")
    } else if (c === slash && text.charCodeAt(i + 1) === star) {
      const end = text.indexOf("*/", i + 2)
      replace(i, end < 0 ? length : end + 2, "")
    } else if (numbers && isDigit(c) && !isWord(text.charCodeAt(i - 1)) && !isPlaceholder(text, i)) {
      let end = i + 1
      while (end < length && (isWord(text.charCodeAt(end)) || (text.charCodeAt(end) === dot && isDigit(text.charCodeAt(end + 1))))) end++
      replace(i, end, hole)
    } else i++
  }
  return out + text.slice(from)
}

/** The last character before a place that is no blank. */
const before = (text: string, at: number): number => {
  let i = at - 1
  while (i >= 0 && text.charCodeAt(i) === 32 && at - i < 16) i--
  return text.charCodeAt(i)
}

/** `=`, `<`, `>` */
const isOperator = (c: number): boolean => c >= 60 && c <= 62

const afterValues = (text: string): number => {
  const at = text.search(/\bvalues\b/i)
  return at < 0 ? text.length : at
}

/** Where a string that opens at `start` ends. */
const stringEnd = (text: string, start: number, escapes: boolean): number => {
  let i = start + 1
  while (i < text.length) {
    const c = text.charCodeAt(i)
    if (c === backslash) {
      // MySQL escapes the quote, standard SQL ends there: whoever reads on may read a secret as code.
      if (!escapes && text.charCodeAt(i + 1) === quote) return text.length
      i += escapes ? 2 : 1
    } else if (c === quote) {
      if (text.charCodeAt(i + 1) !== quote) return i + 1
      i += 2
    } else i++
  }
  return text.length
}

/** `E'…'`, `B'…'`, `X'…'`, `N'…'` */
const prefixed = (text: string, at: number): boolean => {
  const c = text.charCodeAt(at - 1) | 32
  return (c === letterE || c === 98 || c === 120 || c === 110) && !isWord(text.charCodeAt(at - 2))
}

/** `$1`, `?1`, `:1`, `@1` */
const isPlaceholder = (text: string, at: number): boolean => {
  const c = text.charCodeAt(at - 1)
  return (c === dollar || c === 63 || c === 58 || c === 64) && text.charCodeAt(at - 2) !== 58
}

/** Places in one text where a statement is looked for. */
const maxStarts = 4
const verb = /\b(?:select|insert|update|delete|merge|with|create|alter)\s/gi
const statement =
  /(?:select\s[^]{1,4000}?\sfrom\s|insert\s+into\s|update\s[^]{1,400}?\sset\s|delete\s+from\s|merge\s+into\s|with\s[^]{1,400}?\sas\s{0,4}\(|(?:create|alter)\s+(?:user|role)\s)/iy

/** A text without the strings of the SQL statement that it is or quotes: from its first verb on. The same string when there is none. */
export const withoutQuotedSql = (text: string): string => {
  // Most texts end here: without a quote there is no literal.
  if (!text.includes("'") && !text.includes("$") && !text.includes("\"")) return text
  verb.lastIndex = 0
  for (let i = 0; i < maxStarts; i++) {
    const found = verb.exec(text)
    if (found === null) return text
    statement.lastIndex = found.index
    if (statement.test(text)) return text.slice(0, found.index) + withoutLiterals(text.slice(found.index), false)
  }
  return text
}

const isDigit = (c: number): boolean => c >= 48 && c <= 57
const isWord = (c: number): boolean => isDigit(c) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95 || c > 127
const quote = 39
const doubleQuote = 34
const backtick = 96
const dollar = 36
const dash = 45
const slash = 47
const star = 42
const dot = 46
const backslash = 92
const letterE = 101
