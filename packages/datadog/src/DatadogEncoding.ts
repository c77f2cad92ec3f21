// Text of DogStatsD, as Datadog's own clients write it ("Datagram format", protocol 1.0 to 1.6).

/** A tag for the wire: `text` is `key:value`. */
export interface Tag {
  readonly key: string
  readonly text: string
}

export type MetricKind = "c" | "g" | "h" | "d" | "ms" | "s"

/** Longest metric name and tag that Datadog keeps. */
const maxName = 200
const maxTag = 200

const badInKey = /[:|@,#\n\r]/g
const badInValue = /[|@,#\n\r]/g

/** What would be read as something else becomes `_`; longer than Datadog keeps is cut. */
export const tag = (key: string, value: string): Tag => {
  const name = key.replace(badInKey, "_")
  const text = `${name}:${value.replace(badInValue, "_")}`
  return { key: name, text: text.length <= maxTag ? text : cut(text, maxTag) }
}

/** Tags of pairs, later ones replacing earlier ones of the same key; without a key there is none, without a value the key alone. */
export const tagsOf = (pairs: ReadonlyArray<readonly [key: string, value: string]>): ReadonlyArray<Tag> => {
  const out = new Map<string, Tag>()
  for (const [key, value] of pairs) {
    if (key === "") continue
    const whole = tag(key, value)
    const made = value === "" ? { key: whole.key, text: whole.key } : whole
    out.delete(made.key)
    out.set(made.key, made)
  }
  return [...out.values()]
}

/** `|#a:b,c:d`, the tags of one message over those of all; empty when there are none. */
export const tagField = (all: ReadonlyArray<Tag>, own: ReadonlyArray<Tag>): string => {
  const keys = new Set(own.map(({ key }) => key))
  const texts = [...all.filter(({ key }) => !keys.has(key)), ...own].map(({ text }) => text)
  return texts.length === 0 ? "" : `|#${texts.join(",")}`
}

/** What would end a name, or a line, becomes `_`, and it is cut to what Datadog keeps. */
export const metricName = (name: string): string => {
  const clean = String(name).replace(/[:|\n\r]/g, "_")
  return clean.length <= maxName ? clean : cut(clean, maxName)
}

/**
 * The name of a metric of ours: Datadog wants a letter first and keeps 200 characters. `_` at the start gets an `x` before it; of a name that
 * is cut the end becomes a hash of all of it, so that two do not become one.
 */
export const seriesName = (name: string): string => {
  const begun = /^[a-zA-Z]/.test(name) ? name : `x${name}`
  return begun.length <= maxName ? begun : `${begun.slice(0, maxName - 9)}_${hash(name)}`
}

/** A number as every client writes it; `1e+21` and the like are read by the agent too. */
export const number = (value: number): string => String(value)

/** FNV-1a, 8 hex digits. */
export const hash = (text: string): string => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return (h >>> 0).toString(16).padStart(8, "0")
}

/** Cut without half a surrogate pair at the end. */
const cut = (text: string, length: number): string => text.slice(0, length).toWellFormed().replace(/\ufffd$/, "")

/** An event (`_e`). */
export interface EventFields {
  readonly title: string
  readonly text: string
  readonly tags: string
  /** Seconds since the epoch. */
  readonly time?: number | undefined
  readonly hostname?: string | undefined
  readonly aggregationKey?: string | undefined
  readonly priority?: "normal" | "low" | undefined
  readonly sourceTypeName?: string | undefined
  readonly alertType?: "error" | "warning" | "info" | "success" | undefined
}

/** Lengths are bytes, as the agent counts them; line ends travel as `\n` of two characters. */
export const event = (fields: EventFields, originFields: string): string => {
  const title = escaped(fields.title)
  const text = escaped(fields.text)
  let out = `_e{${Buffer.byteLength(title)},${Buffer.byteLength(text)}}:${title}|${text}`
  if (fields.time !== undefined) out += `|d:${fields.time}`
  if (fields.hostname !== undefined) out += `|h:${field(fields.hostname)}`
  if (fields.aggregationKey !== undefined) out += `|k:${field(fields.aggregationKey)}`
  if (fields.priority !== undefined) out += `|p:${fields.priority}`
  if (fields.sourceTypeName !== undefined) out += `|s:${field(fields.sourceTypeName)}`
  if (fields.alertType !== undefined) out += `|t:${fields.alertType}`
  return `${out}${fields.tags}${originFields}`
}

/** A service check (`_sc`). */
export interface CheckFields {
  readonly name: string
  readonly status: 0 | 1 | 2 | 3
  readonly tags: string
  /** Seconds since the epoch. */
  readonly time?: number | undefined
  readonly hostname?: string | undefined
  readonly message?: string | undefined
}

/** The message comes last: it goes to the end of the line. */
export const check = (fields: CheckFields, originFields: string): string => {
  let out = `_sc|${field(fields.name)}|${fields.status}`
  if (fields.time !== undefined) out += `|d:${fields.time}`
  if (fields.hostname !== undefined) out += `|h:${field(fields.hostname)}`
  out += `${fields.tags}${originFields}`
  return fields.message === undefined ? out : `${out}|m:${escaped(fields.message).replaceAll("|", "_")}`
}

const escaped = (text: string): string => text.toWellFormed().replaceAll("\r", "").replaceAll("\n", "\\n")
const field = (text: string): string => text.replace(/[|\n\r]/g, "_")
