import { isDigit } from "../../redaction/internal/chars.ts"

/** Frames that count: the ones nearest to where the error was made. */
const maxFrames = 6
const maxLine = 512

/**
 * 16 hex digits that are the same for the same mistake: its type and where in the code it was made, without lines and columns, so that an
 * edit above does not make a new one; without frames, what of its message is no id, number or quotation.
 */
export const fingerprint = (type: string, message: string, stack: string | undefined): string => {
  const frames = stack === undefined ? [] : framesOf(stack)
  return hash(`${type}\n${frames.length > 0 ? frames.join("\n") : template(message)}`)
}

const framesOf = (stack: string): ReadonlyArray<string> => {
  const own: Array<string> = []
  const all: Array<string> = []
  for (const line of stack.split("\n", 64)) {
    const text = line.trim()
    if (!text.startsWith("at ")) continue
    const frame = placeOf(text.slice(3, maxLine))
    all.push(frame)
    if (!foreign.test(text)) own.push(frame)
    if (own.length === maxFrames) break
  }
  return own.length > 0 ? own : all.slice(0, maxFrames)
}

/** Function and file of a frame, without line, column and directory: the same program is installed in different places. */
const placeOf = (frame: string): string => {
  const open = frame.indexOf("(")
  const file = frame.slice(Math.max(frame.lastIndexOf("/"), frame.lastIndexOf("\\"), open) + 1)
  let end = file.endsWith(")") ? file.length - 1 : file.length
  for (let numbers = 0; numbers < 2; numbers++) {
    let digits = end
    while (digits > 0 && isDigit(file.charCodeAt(digits - 1))) digits--
    if (digits < end && file[digits - 1] === ":") end = digits - 1
  }
  return (open > 0 ? frame.slice(0, open) : "") + file.slice(0, end)
}

/** What everything runs through says nothing about the mistake. */
const foreign = /node_modules|\(node:|at node:|native\)$|<anonymous>\)?$/

/** A message without what differs each time. */
const template = (message: string): string =>
  message.slice(0, maxLine)
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, "\"\"")
    .replace(/\b[0-9a-f]{8}-[0-9a-f-]{13,36}\b|\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b/gi, "#")
    .replace(/\d+/g, "#")

/** Two FNV-1a hashes of 32 bits over UTF-16 code units, from different offsets. */
export const hash = (text: string): string => {
  let a = 0x811c9dc5
  let b = 0x9747b28c
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    a = Math.imul(a ^ c, 0x01000193)
    b = Math.imul(b ^ c, 0x01000193) ^ (b >>> 15)
  }
  return hex(a) + hex(b)
}

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0")
