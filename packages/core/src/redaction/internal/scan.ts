import { email, ipv4, ipv6 } from "./addresses.ts"
import { assigned, element, flag, type Found } from "./assignments.ts"
import { isDigit, isHex, isToken, isUpper, isWord, skip } from "./chars.ts"
import { card, iban } from "./numbers.ts"
import { jwt, scheme, vendorKey } from "./tokens.ts"

/** What stands where a secret was; OpenTelemetry's word for URLs, here for all. */
export const redacted = "REDACTED"

/** What is looked for besides secrets. */
export interface Wanted {
  readonly isSecret: (name: string) => boolean
  readonly emails: boolean
  readonly addresses: boolean
}

const opener = 1
const at = 2
const colon = 4
const equals = 8
const dash = 16
const percent = 32
const quote = 64
const tag = 128

/** What a character may be the sign of. A letter or digit is one only where a word begins. */
const signs = new Uint8Array(128)
for (let c = 48; c < 58; c++) signs[c] = opener
for (let c = 65; c < 91; c++) signs[c] = opener
for (let c = 97; c < 123; c++) signs[c] = opener
signs[64] = at
signs[58] = colon
signs[61] = equals
signs[45] = dash
signs[37] = percent
signs[39] = quote
signs[62] = tag

/**
 * A text with every secret in it replaced; the same string when there is none. One pass from left to right: at a sign (`@`, `=`, `://`,
 * the beginning of a word) a finder looks around, at most as far as a fixed length or as what it will replace, so that the time is linear.
 */
export const scrub = (text: string, wanted: Wanted): string => {
  const { length } = text
  let scan: Scan | undefined
  let inWord = false
  for (let i = 0; i < length;) {
    const c = text.charCodeAt(i)
    const sign = c < 128 ? signs[c]! : 0
    if (sign === opener) {
      if (inWord) {
        i++
        continue
      }
      inWord = true
      // Only these begin one of the known forms; all other words are passed over.
      if (!begins(c, wanted.addresses)) {
        i++
        continue
      }
    } else {
      inWord = c === 95 || c > 127
      if (sign === 0) {
        i++
        continue
      }
    }
    scan ??= new Scan(text, wanted)
    const next = scan.look(i, sign)
    // After a jump the last character passed decides whether a word goes on.
    if (next > i + 1) inWord = isWord(text.charCodeAt(next - 1))
    i = next
  }
  return scan === undefined ? text : scan.result()
}

/** First letters of the forms: vendors' keys, schemes, tokens, IBANs; figures for cards; hex for addresses. */
const starts: ReadonlySet<number> = new Set([..."aAbBtTyGgxsSrwnphde"].map((one) => one.charCodeAt(0)))
const beginners = new Uint8Array(128)
for (let c = 0; c < 128; c++) beginners[c] = isDigit(c) || isUpper(c) || starts.has(c) ? 1 : 0
const begins = (c: number, addresses: boolean): boolean => beginners[c] === 1 || (addresses && isHex(c))

class Scan {
  private readonly text: string
  private readonly wanted: Wanted
  private out = ""
  /** All before it is settled. */
  private from = 0
  private noJwtBefore = 0

  constructor(text: string, wanted: Wanted) {
    this.text = text
    this.wanted = wanted
  }

  result(): string {
    return this.from === 0 ? this.text : this.out + this.text.slice(this.from)
  }

  private replace(from: number, end: number, by = redacted): number {
    const start = Math.max(from, this.from)
    if (end <= start) return end
    this.out += this.text.slice(this.from, start) + by
    this.from = end
    return end
  }

  /** Looks around a sign; the place to go on from. */
  look(i: number, sign: number): number {
    const { text } = this
    switch (sign) {
      case opener:
        return isDigit(text.charCodeAt(i)) ? this.number(i) : this.word(i)
      case at: {
        const found = this.wanted.emails ? email(text, i, this.from) : undefined
        return found === undefined ? i + 1 : this.replace(found[0], found[1])
      }
      case colon:
        if (text.charCodeAt(i + 1) === 47 && text.charCodeAt(i + 2) === 47) return this.url(i)
        if (this.wanted.addresses && text.charCodeAt(i + 1) === 58) {
          const end = ipv6(text, i)
          if (end > 0) return this.replace(i, end)
        }
        return this.assignment(i, 1)
      case equals:
        return isDone(text, i + 1) ? i + 1 + redacted.length : this.assignment(i, 1)
      case percent: {
        const escape = text.slice(i + 1, i + 3)
        if (escape === "40" && this.wanted.emails) {
          const found = email(text, i, this.from, 3)
          if (found !== undefined) return this.replace(found[0], found[1])
        }
        return escape === "3D" || escape === "3d" ? this.assignment(i, 3) : i + 1
      }
      case dash:
        if (text.charCodeAt(i + 1) !== 45) return i + 1
        return text.startsWith("-----BEGIN ", i) ? this.pem(i) : this.settle(flag(text, i, this.wanted.isSecret))
      case tag:
        return this.settle(element(text, i, this.from, this.wanted.isSecret))
      default:
        return this.afterKeyword(i)
    }
  }

  private word(i: number): number {
    const { text } = this
    if (text.startsWith("eyJ", i) && i >= this.noJwtBefore) {
      const end = jwt(text, i)
      if (end > 0) return this.replace(i, end)
      this.noJwtBefore = Math.max(this.noJwtBefore, -end)
    }
    const key = vendorKey(text, i)
    if (key > 0) return this.replace(i, key)
    const credentials = scheme(text, i)
    if (credentials !== undefined) return this.replace(credentials[0], credentials[1])
    if (isUpper(text.charCodeAt(i))) {
      const end = iban(text, i)
      if (end > 0) return this.replace(i, end)
    }
    return this.wanted.addresses ? this.address(i) : i + 1
  }

  private number(i: number): number {
    const { text } = this
    const before = text.charCodeAt(i - 1)
    // The fraction of a number, a part of an id in groups.
    const inside = i > 0 && ((before === 46 && isDigit(text.charCodeAt(i - 2))) || (before === 45 && isWord(text.charCodeAt(i - 2))))
    const end = skip(text, i, text.length, isDigit)
    if (inside) return end
    if (this.wanted.addresses) {
      const last = ipv4(text, i)
      if (last > 0) return this.replace(i, last)
    }
    const key = this.botToken(i, end)
    if (key > 0) return this.replace(i, key)
    const last = card(text, i, end)
    if (last > 0) return this.replace(i, last)
    return this.wanted.addresses ? Math.max(this.address(i), end) : end
  }

  private address(i: number): number {
    const end = isHex(this.text.charCodeAt(i)) ? ipv6(this.text, i) : -1
    return end > 0 ? this.replace(i, end) : i + 1
  }

  /** Telegram's bot tokens: 8 to 10 figures, a colon, 35 characters. */
  private botToken(i: number, colon: number): number {
    const { text } = this
    if (colon - i < 8 || colon - i > 10 || text.charCodeAt(colon) !== 58) return -1
    const end = skip(text, colon + 1, Math.min(text.length, colon + 40), (c) => (c < 128 && isWord(c)) || c === 45)
    return end - colon === 36 ? end : -1
  }

  private assignment(i: number, width: number): number {
    return this.settle(assigned(this.text, i, width, this.from, this.wanted.isSecret))
  }

  private settle(found: Found): number {
    return typeof found === "number" ? found : this.replace(found.from, found.end)
  }

  /** `scheme://user:password@host`, and services whose paths are keys. */
  private url(colon: number): number {
    const { text } = this
    const { length } = text
    let scheme = colon
    while (scheme > this.from && colon - scheme < 32 && isSchemeCharacter(text.charCodeAt(scheme - 1))) scheme--
    const from = colon + 3
    if (scheme === colon) return from
    for (const path of secretPaths) {
      if (text.startsWith(path, from)) return this.replace(from + path.length, skip(text, from + path.length, length, isPath))
    }
    let end = skip(text, from, length, isAuthority)
    let sign = lastSign(text, from, end)
    if (sign < from) {
      // A `/`, `?` or `#` that should have been escaped ends the authority too early: `postgres://u:a/b@host`.
      const port = text.lastIndexOf(":", end - 1)
      if (port <= from || port === end - 1 || skip(text, port + 1, end, isDigit) === end || text.charCodeAt(from) === 91) return from
      const last = Math.min(length, from + 512)
      end = skip(text, from, last, isPath)
      sign = lastSign(text, from, end)
      if (sign < from) return from
    }
    const user = text.indexOf(":", from)
    return this.replace(from, sign, user >= 0 && user < sign ? `${redacted}:${redacted}` : redacted) + 1
  }

  private pem(i: number): number {
    const { text } = this
    const label = i + 11
    const close = text.indexOf("-----", label)
    if (close < 0 || close - label > 64) return i + 11
    if (!text.slice(label, close).includes("PRIVATE KEY")) return close + 5
    const end = text.indexOf("-----END ", close)
    if (end < 0) return this.replace(i, text.length)
    const last = text.indexOf("-----", end + 9)
    return this.replace(i, last < 0 ? text.length : last + 5)
  }

  /** `PASSWORD 'x'`, `IDENTIFIED BY 'x'`: SQL has no sign between the two. */
  private afterKeyword(i: number): number {
    const { text } = this
    if (!/(?:password|passphrase|identified by|secret)\s{1,4}[EN]?$/i.test(text.slice(Math.max(this.from, i - 24), i))) return i + 1
    const end = text.indexOf("'", i + 1)
    return end === i + 1 ? end + 1 : this.replace(i + 1, end < 0 ? text.length : end)
  }
}

/** A value that was replaced already; nothing may hang on to the word. */
const isDone = (text: string, at: number): boolean => text.startsWith(redacted, at) && !isToken(text.charCodeAt(at + redacted.length))

/** Hosts and paths after which the rest of the path is the key to a service. */
const secretPaths: ReadonlyArray<string> = [
  "hooks.slack.com/services/", "hooks.slack.com/workflows/", "discord.com/api/webhooks/", "discordapp.com/api/webhooks/", "api.telegram.org/bot"
]

/** The last `@` from `from` to `end`, or -1. */
const lastSign = (text: string, from: number, end: number): number => {
  for (let i = end - 1; i >= from; i--) if (text.charCodeAt(i) === 64) return i
  return -1
}

const isSchemeCharacter = (c: number): boolean => (isWord(c) && c !== 95) || c === 43 || c === 45 || c === 46
const isPath = (c: number): boolean => c > 32 && c !== 34 && c !== 39 && c !== 60 && c !== 62 && c !== 96
const isAuthority = (c: number): boolean => isPath(c) && c !== 47 && c !== 63 && c !== 35 && c !== 92 && c !== 124

/** All query values of a URL, or of a query alone, replaced; names stay. What has no `=` may be a value itself and is replaced too. */
export const withoutQueryValues = (text: string, isQuery: boolean): string => {
  const mark = text.indexOf("?")
  const start = mark >= 0 ? mark + 1 : isQuery ? 0 : -1
  if (start < 0) return text
  const hash = text.indexOf("#", start)
  const query = text.slice(start, hash < 0 ? text.length : hash)
  if (query === "") return text
  let out = ""
  let from = 0
  for (let count = 0; from <= query.length && count < 64; count++) {
    const and = query.indexOf("&", from)
    const end = and < 0 ? query.length : and
    const sign = query.indexOf("=", from)
    out += `${out === "" ? "" : "&"}${sign > from && sign < end ? query.slice(from, Math.min(sign, from + 64)) + "=" : ""}${redacted}`
    from = end + 1
  }
  // A fragment may carry what a query does: `#access_token=…`.
  return `${text.slice(0, start)}${out}${hash < 0 || hash === text.length - 1 ? "" : `#${redacted}`}`
}
