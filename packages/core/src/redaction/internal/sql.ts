import { dialects, type Dialect } from "./sqlDialects.ts"

/** What is known of a statement after one look at it. */
export interface SqlScan {
  /** Without literals and comments. */
  readonly text: string
  /** Whether it has comments. */
  readonly commented: boolean
  /** Whether a string, a quoted name or a comment in it never ends, or ends where dialects disagree: what follows was left out. */
  readonly open: boolean
}

/** Characters at which a word, a literal or a comment may begin. */
const signs = new Uint8Array(128)
for (const one of "'\"`[$-/#0123456789_") signs[one.charCodeAt(0)] = 1
for (let c = 65; c <= 90; c++) signs[c] = signs[c + 32] = 1

/** What stands where a literal was. */
const hole = "?"

/** `scan(text).text` for statements of any dialect; without `numbers` those stay. */
export const withoutLiterals = (text: string, numbers = true): string => new Scanner(text, dialects.unknown, numbers).run().text

/**
 * SQL text without its literals (strings, dollar quotes, bit and hex strings, numbers) and comments; names and placeholders stay. In one
 * pass. Where it is not certain where a string ends (a backslash before its quote) all that follows is left out.
 */
export const scan = (text: string, dialect: Dialect): SqlScan => new Scanner(text, dialect, true).run()

class Scanner {
  private readonly text: string
  private readonly dialect: Dialect
  private readonly numbers: boolean
  private out = ""
  private from = 0
  private i = 0
  private commented = false
  private open = false
  /** Looked for when a double quote asks for it: most statements have none. */
  private values = -1

  constructor(text: string, dialect: Dialect, numbers: boolean) {
    this.text = text
    this.dialect = dialect
    this.numbers = numbers
  }

  run(): SqlScan {
    const { text } = this
    const { length } = text
    while (this.i < length) {
      const c = text.charCodeAt(this.i)
      if (c > 127) this.word()
      else if (signs[c] === 0) this.i++
      else if (isDigit(c)) this.number()
      else if (isWord(c)) this.word()
      else this.sign(c)
    }
    return { text: this.from === 0 ? text : this.out + text.slice(this.from), commented: this.commented, open: this.open }
  }

  private sign(c: number): void {
    const next = this.text.charCodeAt(this.i + 1)
    switch (c) {
      case quote:
        return this.string(this.i, this.dialect.backslash)
      case doubleQuote:
        return this.doubleQuoted()
      case backtick:
        return this.dialect.backticks ? this.name(backtick) : this.skip()
      case bracket:
        return this.dialect.brackets ? this.name(closingBracket) : this.skip()
      case dollar:
        return this.dollar(next)
      case dash:
        return next === dash && (!this.dialect.dashesNeedBlank || !(this.text.charCodeAt(this.i + 2) > 32)) ? this.line() : this.skip()
      case hash:
        return this.dialect.hashes === "all" || (this.dialect.hashes === "blank" && (next === 32 || next === exclamation)) ? this.line() : this.skip()
      case slash:
        return next === star ? this.comment() : this.skip()
      default:
        this.skip()
    }
  }

  private skip(): void {
    this.i++
  }

  private replace(start: number, end: number, by: string): void {
    this.out += this.text.slice(this.from, Math.max(start, this.from)) + by
    this.from = end
    this.i = end
  }

  /** The end of a text that was looked for from `i` on; -1 means that there is none. */
  private closing(found: number, length: number): number {
    if (found >= 0) return found + length
    this.open = true
    return this.text.length
  }

  private line(): void {
    this.commented = true
    const found = this.text.indexOf("\n", this.i)
    this.replace(this.i, found < 0 ? this.text.length : found, "")
  }

  private comment(): void {
    const { text } = this
    const start = this.i
    this.commented = true
    let depth = 1
    let at = start + 2
    let inner = this.dialect.nestedComments ? text.indexOf("/*", at) : -1
    while (depth > 0) {
      const end = text.indexOf("*/", at)
      if (end < 0) {
        at = this.closing(-1, 0)
        break
      }
      // One that begins inside has to end as well.
      if (inner >= 0 && inner < end) {
        depth++
        at = inner + 2
        inner = text.indexOf("/*", at)
      } else {
        depth--
        at = end + 2
        if (inner >= 0 && inner < at) inner = text.indexOf("/*", at)
      }
    }
    // A comment parts words.
    this.replace(start, at, isWord(text.charCodeAt(start - 1)) && isWord(text.charCodeAt(at)) ? " " : "")
  }

  /** A word, or a prefix with the string that it belongs to: `E'…'`, `B'…'`, `X'…'`, `N'…'`. */
  private word(): void {
    const { text } = this
    const start = this.i
    let end = start + 1
    while (end < text.length && isPartOfWord(text.charCodeAt(end))) end++
    this.i = end
    if (end - start !== 1 || text.charCodeAt(end) !== quote) return
    const letter = text.charCodeAt(start) | 32
    this.i = end
    if (letter === letterE) this.string(start, this.dialect.backslash === "unsure" ? "unsure-unless-E" : this.dialect.backslash)
    else if (letter === 98 || letter === 120 || letter === 110) this.string(start, this.dialect.backslash)
  }

  private string(start: number, backslashes: Backslash): void {
    const end = this.endOfString(this.text.indexOf("'", start), quote, backslashes)
    this.replace(start, end, hole)
  }

  /** Where a string ends whose quote opens at `start`. */
  private endOfString(start: number, closer: number, backslashes: Backslash): number {
    const { text } = this
    const escapes = backslashes === "escape" || (backslashes === "unsure-unless-E" && this.dialect.escapeStrings)
    let i = start + 1
    while (i < text.length) {
      const c = text.charCodeAt(i)
      if (c === backslash && backslashes !== "plain") {
        // MySQL escapes the quote, standard SQL ends there: whoever reads on may read a secret as code.
        if (!escapes && text.charCodeAt(i + 1) === closer) return this.closing(-1, 0)
        i += escapes ? 2 : 1
      } else if (c === closer) {
        if (text.charCodeAt(i + 1) !== closer) return i + 1
        i += 2
      } else i++
    }
    return this.closing(-1, 0)
  }

  /** A name in standard SQL, a string in MySQL. */
  private doubleQuoted(): void {
    const { text } = this
    const start = this.i
    if (this.dialect.doubleQuotes === "string") return this.replace(start, this.endOfString(start, doubleQuote, this.dialect.backslash), hole)
    const found = text.indexOf("\"", start + 1)
    const end = this.closing(found, 1)
    if (found < 0) return this.replace(start, end, hole)
    if (this.dialect.doubleQuotes === "guess") {
      if (this.values < 0) this.values = afterValues(text)
      // Where a value stands it is taken for one.
      if ((start > this.values || isOperator(before(text, start))) && text.charCodeAt(end) !== dot) return this.replace(start, end, hole)
    }
    this.i = end
  }

  /** A name in backticks or brackets; one that holds a quote, or never ends, may be no name at all. */
  private name(closer: number): void {
    const found = this.text.indexOf(String.fromCharCode(closer), this.i + 1)
    const end = this.closing(found, 1)
    if (found < 0 || this.text.slice(this.i, end).includes("'")) this.replace(this.i, end, hole)
    else this.i = end
  }

  /** `$1`, or `$tag$…$tag$`, or money. */
  private dollar(next: number): void {
    const { text } = this
    if (isDigit(next)) {
      this.i++
      if (this.dialect.placeholders.includes("$")) this.digits()
      else this.number()
      return
    }
    if (!this.dialect.dollarQuotes) return this.skip()
    let end = this.i + 1
    while (end < text.length && isWord(text.charCodeAt(end))) end++
    if (text.charCodeAt(end) !== dollar) return this.skip()
    const opening = text.slice(this.i, end + 1)
    this.replace(this.i, this.closing(text.indexOf(opening, end + 1), opening.length), hole)
  }

  private digits(): void {
    while (isDigit(this.text.charCodeAt(this.i))) this.i++
  }

  private number(): void {
    const { text } = this
    const start = this.i
    if (!this.numbers || this.isPlaceholder(start)) return this.digits()
    let end = start + 1
    while (end < text.length) {
      const c = text.charCodeAt(end)
      if (isWord(c)) end++
      else if (c === dot && text.charCodeAt(end + 1) !== dot) end++
      else if ((c === plus || c === dash) && (text.charCodeAt(end - 1) | 32) === letterE && isDigit(text.charCodeAt(end + 1))) end++
      else break
    }
    this.replace(start, end, hole)
  }

  /** `?1`, `:1`, `@1`, `@p1` */
  private isPlaceholder(at: number): boolean {
    const c = this.text.charCodeAt(at - 1)
    return (c === 63 || c === 58 || c === 64) && this.text.charCodeAt(at - 2) !== 58 && this.dialect.placeholders.includes(String.fromCharCode(c))
  }
}

type Backslash = "plain" | "escape" | "unsure" | "unsure-unless-E"

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
const isPartOfWord = (c: number): boolean => isWord(c) || c === dollar
const exclamation = 33
const doubleQuote = 34
const hash = 35
const dollar = 36
const quote = 39
const star = 42
const plus = 43
const dash = 45
const dot = 46
const slash = 47
const bracket = 91
const backslash = 92
const closingBracket = 93
const backtick = 96
const letterE = 101
