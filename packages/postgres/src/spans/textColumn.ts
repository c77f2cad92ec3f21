/**
 * Columns of JSON texts as one text each, which PostgreSQL compresses far better than an array: see migration 0003. JSON text
 * has no raw newline, so one value is one line; an empty line is no value.
 */

/** Printable ASCII: one byte, and never a newline. */
const firstLetter = 33
const letters = 126 - firstLetter + 1

/** `null` when there is no value at all. */
export const encodeColumn = (values: ReadonlyArray<string | undefined>): string | null => {
  const places = new Map<string, number>()
  let any = false
  let plain = 0
  let words = 0
  for (const value of values) {
    const line = value ?? ""
    any ||= value !== undefined
    const known = places.has(line)
    // What pglz makes of a line it has seen before: about three bytes.
    plain += known ? Math.min(line.length + 1, 3) : line.length + 1
    if (!known && places.size <= letters) {
      places.set(line, places.size)
      words += line.length + 1
    }
  }
  if (!any) return null
  if (places.size > letters || words + values.length >= plain) return `l${values.map((value) => value ?? "").join("\n")}`
  return `d${values.map((value) => String.fromCharCode(firstLetter + places.get(value ?? "")!)).join("")}\n${[...places.keys()].join("\n")}`
}

/** The members of a JSON object as PostgreSQL prints it, keys and values as they stand there. Numbers are not read: nothing is lost. */
export const members = (json: string): ReadonlyArray<readonly [key: string, value: string]> => {
  const out: Array<readonly [string, string]> = []
  let at = 1
  while (json[at] === "\"") {
    const key = json.slice(at, at = stringEnd(json, at))
    // `: `
    at += 2
    const from = at
    let depth = 0
    for (; at < json.length; at++) {
      const letter = json[at]!
      if (letter === "\"") at = stringEnd(json, at) - 1
      else if (letter === "{" || letter === "[") depth++
      else if (letter === "}" || letter === "]") {
        if (depth === 0) break
        depth--
      } else if (letter === "," && depth === 0) break
    }
    out.push([key, json.slice(from, at)])
    // `, `
    at += 2
  }
  return out
}

const stringEnd = (json: string, from: number): number => {
  let at = from + 1
  while (json[at] !== "\"") at += json[at] === "\\" ? 2 : 1
  return at + 1
}
