import type { LogData, LogDataLevel } from "@effect-observability/core"
import { escape, escapeLines } from "./escape.ts"
import type { Fields } from "./fields.ts"

/** A line as text, without the newline at its end. */
export type Format = (line: LogData, fields: Fields) => string

/** One JSON object: time, level and message, then ids and shared context, then the line's own annotations, which take the place of none of them. */
export const json: Format = (line, fields) => {
  const out: Record<string, unknown> = { timestamp: isoOf(line.time), level: line.level.toUpperCase(), message: line.message }
  for (const key in fields) out[key] = fields[key]
  for (const [key, value] of line.attributes) if (!(key in out)) out[key] = writable(value)
  if (line.logSpans.length > 0) out["spans"] = Object.fromEntries(line.logSpans.map(({ millis, name }) => [name, millis]))
  if (line.cause !== undefined) out["cause"] = line.cause
  return escape(JSON.stringify(out))
}

/** `key=value` pairs; values with blanks or quotes are JSON strings. */
export const logfmt: Format = (line, fields) => {
  const parts = [`timestamp=${isoOf(line.time)}`, `level=${line.level.toUpperCase()}`, `message=${quoted(line.message)}`]
  const add = (key: string, value: unknown) => void parts.push(`${key.replace(/[\s="]/g, "_")}=${quoted(shown(value))}`)
  for (const key in fields) add(escape(key), fields[key])
  for (const [key, value] of line.attributes) if (!(key in fields)) add(escape(key), value)
  for (const { millis, name } of line.logSpans) add(escape(name), `${millis}ms`)
  if (line.cause !== undefined) add("cause", line.cause)
  return parts.join(" ")
}

/** For people at a terminal: the time of day, the message, what belongs to it, and a cause below it. */
export const pretty = (colors: boolean): Format => (line, fields) => {
  const paint = (code: string, text: string) => colors ? `\u001b[${code}m${text}\u001b[0m` : text
  const { cluster: _, env: __, instance: ___, service: ____, span_id: _____, trace_flags: ______, ...rest } = fields
  const pairs = [...Object.entries(rest), ...[...line.attributes].filter(([key]) => !(key in fields))]
    .map(([key, value]) => ` ${paint("2", `${escape(key)}=`)}${paint("2", escape(shown(value)))}`).join("")
  const spans = line.logSpans.map(({ millis, name }) => ` ${paint("2", `${escape(name)}=${millis}ms`)}`).join("")
  const cause = line.cause === undefined ? "" : `\n${escapeLines(line.cause).split("\n").map((one) => `  ${one}`).join("\n")}`
  return `${paint("2", isoOf(line.time).slice(11, 23))} ${paint(color[line.level], line.level.toUpperCase().padEnd(5))} ${escape(line.message)}${pairs}${spans}${cause}`
}

const color: Readonly<Record<LogDataLevel, string>> = { trace: "90", debug: "34", info: "32", warn: "33", error: "31", fatal: "41;97" }

const shown = (value: unknown): string => typeof value === "string" ? value : Array.isArray(value) ? JSON.stringify(writable(value)) : String(value)

const quoted = (text: string): string => /^[\w.:/@%+-]+$/.test(text) ? text : escape(JSON.stringify(text))

/** As JSON takes it. Attributes are flat: to look at every value with a replacer would cost a third of a line. */
const writable = (value: unknown): unknown =>
  typeof value === "bigint" ? String(value) : Array.isArray(value) ? value.map((one: unknown) => typeof one === "bigint" ? String(one) : one) : value

/** The last second that was written: most lines share it with the one before. */
let second = { at: -1, text: "" }

/** ISO 8601 with milliseconds. */
const isoOf = (time: bigint): string => {
  const millis = Number(time / 1_000_000n)
  const at = Math.floor(millis / 1_000)
  if (at !== second.at) second = { at, text: textOf(millis) }
  return `${second.text}${String(millis - at * 1_000).padStart(3, "0")}Z`
}

/** Up to the milliseconds. A time that no calendar has is the first. */
const textOf = (millis: number): string => {
  const date = new Date(millis)
  return Number.isNaN(date.getTime()) ? "1970-01-01T00:00:00." : date.toISOString().slice(0, -4)
}
