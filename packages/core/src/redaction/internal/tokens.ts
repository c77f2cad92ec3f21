import { isBase64Url, isDigit, isHex, isToken, isUpper, isWord, skip } from "./chars.ts"

// Keys whose form gives them away. Each finder looks at a place where a word begins and answers where the secret ends, or -1.

interface Form {
  readonly prefix: string
  readonly body: (c: number) => boolean
  /** Least characters after the prefix. */
  readonly least: number
  /** Most of them; a longer run is something else. */
  readonly most?: number
}

const isUpperOrDigit = (c: number): boolean => isUpper(c) || isDigit(c)
const isAlphanumeric = (c: number): boolean => c !== 95 && c < 128 && isWord(c)
const isDotted = (c: number): boolean => isBase64Url(c) || c === 46

/** As the vendors document their keys. */
const forms: ReadonlyArray<Form> = [
  // Amazon: 4 letters that say what it is, and 16 of base 32.
  ...["AKIA", "ASIA", "ABIA", "ACCA"].map((prefix): Form => ({ prefix, body: isUpperOrDigit, least: 16, most: 16 })),
  { prefix: "AIza", body: isBase64Url, least: 35, most: 35 },
  { prefix: "ya29.", body: isDotted, least: 20 },
  { prefix: "GOCSPX-", body: isBase64Url, least: 20 },
  ...["ghp_", "gho_", "ghu_", "ghs_", "ghr_"].map((prefix): Form => ({ prefix, body: isAlphanumeric, least: 30 })),
  { prefix: "github_pat_", body: isWord, least: 22 },
  ...["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-"].map((prefix): Form => ({ prefix, body: isBase64Url, least: 20 })),
  ...["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxe.", "xapp-"].map((prefix): Form => ({ prefix, body: isDotted, least: 10 })),
  ...["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"].map((prefix): Form => ({ prefix, body: isWord, least: 10 })),
  { prefix: "sk-", body: isBase64Url, least: 20 },
  { prefix: "npm_", body: isAlphanumeric, least: 36, most: 36 },
  { prefix: "pypi-AgE", body: isBase64Url, least: 30 },
  { prefix: "SG.", body: isDotted, least: 40 },
  { prefix: "hf_", body: isAlphanumeric, least: 30 },
  { prefix: "dapi", body: isHex, least: 32 },
  ...["dop_v1_", "doo_v1_", "dor_v1_"].map((prefix): Form => ({ prefix, body: isHex, least: 40 })),
  ...["shpat_", "shpca_", "shppa_", "shpss_"].map((prefix): Form => ({ prefix, body: isHex, least: 32 })),
  ...["hvs.", "hvb.", "hvr."].map((prefix): Form => ({ prefix, body: isBase64Url, least: 20 })),
  ...["sntrys_", "sntryu_"].map((prefix): Form => ({ prefix, body: isToken, least: 20 })),
  { prefix: "glsa_", body: isWord, least: 32 },
  { prefix: "AGE-SECRET-KEY-1", body: isUpperOrDigit, least: 40 },
  { prefix: "eyJrIjoi", body: isBase64Url, least: 30 }
]

/** By their first two characters: a look into the table settles it for nearly every word. */
const byStart = new Map<number, ReadonlyArray<Form>>()
const startOf = (text: string, at: number): number => text.charCodeAt(at) * 128 + text.charCodeAt(at + 1)
for (const form of forms) {
  const start = startOf(form.prefix, 0)
  byStart.set(start, [...byStart.get(start) ?? [], form])
}

/** A vendor's key that begins at `at`: where it ends, or -1. */
export const vendorKey = (text: string, at: number): number => {
  const own = byStart.get(startOf(text, at))
  if (own === undefined) return -1
  for (const { body, least, most, prefix } of own) {
    if (!text.startsWith(prefix, at)) continue
    const from = at + prefix.length
    const end = skip(text, from, text.length, body)
    if (end - from >= least && (most === undefined || end - from <= most) && !isWord(text.charCodeAt(end))) return end
  }
  return -1
}

/** A JSON Web Token that begins at `at` (`eyJ`, RFC 7519): where it ends, or minus the place up to which none can begin. */
export const jwt = (text: string, at: number): number => {
  const { length } = text
  const first = skip(text, at, length, isBase64Url)
  if (text.charCodeAt(first) !== dot) return -Math.max(first, 1)
  const second = skip(text, first + 1, length, isBase64Url)
  // The rest may have been cut off; a header and a beginning of claims are enough to leak.
  if (text.charCodeAt(second) !== dot && second < length && !text.startsWith("eyJ", first + 1)) return -second
  if (first - at < 16 || second - first < 5) return -1
  let end = second
  while (text.charCodeAt(end) === dot) end = skip(text, end + 1, length, isBase64Url)
  return end
}

/** `Bearer …`, `Basic …`, `Token …`, `ApiKey …` where a word begins at `at`: where the credentials begin and end. */
export const scheme = (text: string, at: number): readonly [from: number, end: number] | undefined => {
  const c = text.charCodeAt(at) | 32
  const next = text.charCodeAt(at + 1) | 32
  for (const word of schemes) {
    if (word.charCodeAt(0) !== c || word.charCodeAt(1) !== next || text.slice(at, at + word.length).toLowerCase() !== word) continue
    let from = at + word.length
    if (text.charCodeAt(from) !== 32 && text.charCodeAt(from) !== 43 && !text.startsWith("%20", from)) continue
    from += text.charCodeAt(from) === 37 ? 3 : 1
    while (text.charCodeAt(from) === 32 && from - at < 24) from++
    const end = skip(text, from, text.length, isToken)
    if (word === "basic" ? isBasic(text, from, end) : isOpaque(text, from, end)) return [from, end]
  }
  return undefined
}

const schemes = ["bearer", "basic", "token", "apikey"] as const

/** Base64 of `user:password` (RFC 7617): whether a colon is among what it stands for. */
const isBasic = (text: string, from: number, end: number): boolean => {
  if (end - from < 4) return false
  let bits = 0
  let held = 0
  for (let i = from; i < end; i++) {
    const six = sextet(text.charCodeAt(i))
    if (six < 0) return false
    bits = ((bits << 6) | six) & 0xffff
    held += 6
    if (held >= 8) {
      held -= 8
      if (((bits >> held) & 255) === 58) return true
    }
  }
  return false
}

/** Whether a run of token characters looks drawn by lot, unlike a word of prose. */
export const isOpaque = (text: string, from: number, end: number): boolean => {
  const length = end - from
  if (length < 8) return false
  if (length >= 32) return true
  let figures = 0
  let humps = 0
  let lower = 0
  for (let i = from; i < end; i++) {
    const c = text.charCodeAt(i)
    if (isDigit(c)) figures++
    else if (isUpper(c)) humps++
    else if (c >= 97) lower++
  }
  return figures > 0 || (humps > 1 && lower > 0)
}

const sextet = (c: number): number =>
  isUpper(c) ? c - 65 : c >= 97 && c <= 122 ? c - 71 : isDigit(c) ? c + 4 : c === 43 || c === 45 ? 62 : c === 47 || c === 95 ? 63 : -1

const dot = 46
