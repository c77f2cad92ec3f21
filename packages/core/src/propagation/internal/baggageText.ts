import type { Baggage, BaggageEntry } from "../Baggage.ts"
import { trimBlanks } from "./carriers.ts"

/** What must be passed on at least (W3C Baggage, 3.3.2), and what we read and write at most. */
const maxEntries = 64
const maxBytes = 8_192
/** One entry with its properties. */
const maxEntryBytes = 4_096

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]{1,256}"
/** baggage-octet of the specification: printable ASCII without quote, comma, semicolon and backslash. */
const octets = "[\\x21\\x23-\\x2b\\x2d-\\x3a\\x3c-\\x5b\\x5d-\\x7e]*"
const wholeToken = new RegExp(`^${token}$`)
const pair = new RegExp(`^(${token})[ \\t]*=[ \\t]*(${octets})$`)
const property = new RegExp(`^${token}(?:[ \\t]*=[ \\t]*${octets})?$`)

/** Reads no more than the limits allow, whatever the length of the header: an entry that does not fit is left out whole. */
export const parse = (header: string): Baggage => {
  const out = new Map<string, BaggageEntry>()
  let from = 0
  while (from < header.length && out.size < maxEntries) {
    const comma = header.indexOf(",", from)
    const end = comma < 0 ? header.length : comma
    if (end > maxBytes) break
    if (end - from <= maxEntryBytes) read(header.slice(from, end), out)
    from = end + 1
  }
  return out
}

const read = (text: string, out: Map<string, BaggageEntry>): void => {
  const [first, ...rest] = text.split(";")
  const found = pair.exec(trimBlanks(first!))
  if (found === null) return
  const value = decoded(found[2]!)
  if (value === undefined) return
  let properties = ""
  for (const one of rest) {
    const kept = trimBlanks(one)
    // A property that breaks a rule goes alone: the entry says enough without it.
    if (property.test(kept)) properties += `;${kept}`
  }
  // The last of two entries of one name counts, as in OpenTelemetry's propagators; it takes the place of the first.
  out.set(found[1]!, { value, properties })
}

/** A percent sign must be followed by two hex digits; bytes that are no UTF-8 become U+FFFD (W3C Baggage, 3.3.1.3). */
const decoded = (text: string): string | undefined => {
  if (!text.includes("%")) return text
  if (!/^(?:[^%]|%[0-9A-Fa-f]{2})*$/.test(text)) return undefined
  const bytes = new Uint8Array(text.length)
  let length = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "%") {
      bytes[length++] = Number.parseInt(text.slice(i + 1, i + 3), 16)
      i += 2
    } else bytes[length++] = text.charCodeAt(i)
  }
  return decoder.decode(bytes.subarray(0, length))
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

const areProperties = (text: unknown): boolean =>
  text === "" || (typeof text === "string" && text.startsWith(";") && text.slice(1).split(";").every((one) => property.test(one)))

/** Whether a text may be the name of an entry. */
export const isToken = (name: string): boolean => wholeToken.test(name)

/** Everything that is no baggage-octet is percent-encoded anew, and so is `%`: nothing decoded leaves as it is. */
export const encode = (baggage: Baggage): string => {
  let out = ""
  let count = 0
  for (const [name, { properties, value }] of baggage) {
    if (count >= maxEntries) break
    // A map that a program made by itself may hold anything.
    if (!isToken(name) || typeof value !== "string" || !areProperties(properties)) continue
    const entry = `${name}=${encodeURIComponent(value.toWellFormed())}${properties}`
    if (entry.length > maxEntryBytes || out.length + entry.length + 1 > maxBytes) continue
    out += out === "" ? entry : `,${entry}`
    count++
  }
  return out
}
