import { isDigit, isHex, isLetter, isWord, skip } from "./chars.ts"

// Personal data that names a person or a machine: e-mail and network addresses.

const maxLocal = 64
const maxDomain = 253

/** Endings that are no top-level domains but suffixes of files: `icon@2x.png`. */
const suffixes: ReadonlySet<string> = new Set(["png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "mjs", "ts", "tsx", "jsx", "json", "html", "map", "service", "local"])

/** The e-mail address around the `@` (or `%40`, of `width` 3) at `at`: where it begins and ends. Needs a dotted domain that ends in letters. */
export const email = (text: string, at: number, low: number, width = 1): readonly [from: number, end: number] | undefined => {
  let from = at
  while (from > low && at - from < maxLocal && isLocal(text.charCodeAt(from - 1))) from--
  while (from < at && text.charCodeAt(from) === dot) from++
  if (from === at) return undefined
  const domain = at + width
  const last = Math.min(text.length, domain + maxDomain)
  let end = skip(text, domain, last, isDomain)
  while (end > domain && (text.charCodeAt(end - 1) === dot || text.charCodeAt(end - 1) === hyphen)) end--
  let cut = end - 1
  while (cut > domain && text.charCodeAt(cut) !== dot) cut--
  if (cut <= domain || end - cut < 3) return undefined
  for (let i = cut + 1; i < end; i++) if (!isLetter(text.charCodeAt(i))) return undefined
  if (suffixes.has(text.slice(cut + 1, end).toLowerCase())) return undefined
  // git@github.com:team/project.git is a place, not a person.
  if (text.charCodeAt(end) === colon && text.slice(from, at) === "git") return undefined
  return [from, end]
}

const isLocal = (c: number): boolean => (c < 128 && isWord(c)) || c > 160 || c === dot || c === hyphen || c === 43 || c === 39
const isDomain = (c: number): boolean => (isWord(c) && c !== 95) || c === dot || c === hyphen

/** A dotted IPv4 address that begins at `at`: where it ends, or -1. */
export const ipv4 = (text: string, at: number): number => {
  let i = at
  for (let part = 0; part < 4; part++) {
    if (part > 0) {
      if (text.charCodeAt(i) !== dot) return -1
      i++
    }
    const end = skip(text, i, Math.min(i + 4, text.length), isDigit)
    if (end === i || end - i > 3 || Number(text.slice(i, end)) > 255) return -1
    i = end
  }
  const next = text.charCodeAt(i)
  return isWord(next) || next === hyphen || (next === dot && isDigit(text.charCodeAt(i + 1))) ? -1 : i
}

/** An IPv6 address (RFC 4291, 2.2) that begins at `at`: where it ends, or -1. */
export const ipv6 = (text: string, at: number): number => {
  let end = skip(text, at, Math.min(text.length, at + 46), (c) => isHex(c) || c === colon || c === dot)
  while (end > at && text.charCodeAt(end - 1) === dot) end--
  // The cheapest of the conditions first: most words have no colon.
  let first = at
  while (first < end && text.charCodeAt(first) !== colon) first++
  if (first === end || isWord(text.charCodeAt(end))) return -1
  const halves = text.slice(at, end).split("::")
  if (halves.length > 2) return -1
  const groups = halves.flatMap((half) => half === "" ? [] : half.split(":"))
  const valid = groups.every((group, i) =>
    /^[0-9a-fA-F]{1,4}$/.test(group) || (i === groups.length - 1 && group.includes(".") && ipv4(group, 0) === group.length)
  )
  const wide = groups.at(-1)?.includes(".") === true ? groups.length + 1 : groups.length
  return valid && (halves.length === 2 ? wide >= 1 && wide <= 7 : wide === 8) ? end : -1
}

const dot = 46
const hyphen = 45
const colon = 58
