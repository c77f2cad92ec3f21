import * as Toml from "effect/encoding/Toml"
import * as Yaml from "effect/encoding/Yaml"
import * as Result from "effect/Result"

/** Bytes of a configuration file: a thousand rules fit, what is not a configuration does not. */
export const maxBytes = 1024 * 1024
/** Levels of groups, lists and indentation; ours has six. */
const maxDepth = 32
/** Values in all, those behind an alias counted each time it is used. */
const maxValues = 100_000
const maxAliases = 100

export type Format = "yaml" | "json" | "toml"

export const formatOf = (path: string): Format | undefined =>
  /\.ya?ml$/i.test(path) ? "yaml" : /\.json$/i.test(path) ? "json" : /\.toml$/i.test(path) ? "toml" : undefined

type Fields = Readonly<Record<string, unknown>>

/** What a file says, or what is wrong with it; its text is never repeated. */
export const parse = (bytes: Uint8Array, format: Format): Result.Result<Fields, string> => {
  if (bytes.length > maxBytes) return Result.fail(`is larger than ${maxBytes} bytes: it is hardly a configuration`)
  if (bytes.includes(0)) return Result.fail("has bytes of zero in it: expected text in UTF-8")
  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    return Result.fail("is not text in UTF-8")
  }
  if (text.trim() === "") return Result.fail("is empty: write {} where nothing is to be set (a file that is being written is empty for a moment)")
  if (nesting(text) > maxDepth) return Result.fail(`is nested more than ${maxDepth} levels deep`)
  if (format === "yaml" && (text.match(/(^|[\s[{,:])[*][^\s\],}]+/g)?.length ?? 0) > maxAliases) return Result.fail(`has more than ${maxAliases} aliases`)
  let value: unknown
  try {
    value = format === "toml" ? Result.getOrThrow(Toml.parse(text)) : format === "yaml" ? Yaml.parse(text) : parseJson(text)
  } catch (error) {
    return Result.fail(`cannot be read as ${format.toUpperCase()}: ${where(error, text)}`)
  }
  if (value === null) return Result.fail("holds nothing but comments: write {} where nothing is to be set")
  if (typeof value !== "object" || Array.isArray(value)) return Result.fail("expected groups of settings at the top")
  if (sizeOf(value) > maxValues) return Result.fail(`holds more than ${maxValues} values, those behind aliases included`)
  return Result.succeed(value as Fields)
}

/** Brackets and indentation, before a parser that recurses sees them. */
const nesting = (text: string): number => {
  let open = 0
  let most = 0
  for (const char of text) {
    if (char === "[" || char === "{") most = Math.max(most, ++open)
    else if ((char === "]" || char === "}") && open > 0) open--
  }
  const indents: Array<number> = []
  for (const line of text.split("\n")) {
    const indent = line.search(/[^ ]/)
    if (indent < 0 || line[indent] === "#") continue
    while (indents.length > 0 && indents[indents.length - 1]! >= indent) indents.pop()
    indents.push(indent)
    most = Math.max(most, indents.length)
  }
  return most
}

const sizeOf = (root: unknown): number => {
  let count = 0
  const visit = (value: unknown, depth: number): void => {
    if (++count > maxValues || typeof value !== "object" || value === null) return
    if (depth > maxDepth) count = maxValues
    for (const one of Object.values(value)) {
      if (count > maxValues) return
      visit(one, depth + 1)
    }
  }
  visit(root, 0)
  return count
}

/** JSON.parse lets the last of two equal keys win; here a key stands once. */
const parseJson = (text: string): unknown => {
  const value: unknown = JSON.parse(text)
  const stack: Array<{ readonly keys: Set<string> | undefined; key: boolean }> = []
  // The text is valid JSON: strings, brackets and commas are all there is to look at.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    const top = stack[stack.length - 1]
    if (token === "{" || token === "[") stack.push({ keys: token === "{" ? new Set() : undefined, key: token === "{" })
    else if (token === "}" || token === "]") stack.pop()
    else if (token === ",") { if (top !== undefined) top.key = top.keys !== undefined }
    else if (token !== ":" && top?.keys !== undefined && top.key) {
      const key = JSON.parse(token) as string
      if (top.keys.has(key)) throw new SyntaxError(`Duplicate key '${key.slice(0, 60)}'`)
      top.keys.add(key)
      top.key = false
    }
  }
  return value
}

/** What the parser says, without the piece of text it may show. */
const where = (error: unknown, text: string): string => {
  const message = error instanceof Error ? error.message : String(error)
  const line = /line (\d+)/.exec(message)?.[1]
  const position = /(?:position|offset) (\d+)/.exec(message)?.[1]
  const at = line ?? (position === undefined ? undefined : String(text.slice(0, Number(position)).split("\n").length))
  const duplicate = /^(Duplicate key|Cannot redefine existing key)/.test(message)
  return `${duplicate ? "a key stands twice" : "wrong syntax, or cut off"}${at === undefined ? "" : ` at line ${at}`}`
}

/** The line on which a path stands, found by its keys one after the other; 0 when it does not. */
export const lineOf = (text: string, path: string): number => {
  const lines = text.split("\n")
  let line = 0
  let found = 0
  for (const key of path.split(".")) {
    if (/^\d+$/.test(key)) continue
    const names = [key, key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)].map((name) => name.replaceAll(/[^\w]/g, "\\$&")).join("|")
    const pattern = new RegExp(`(^|[\\s{,[."'])(${names})["']?\\s*[:=\\].]`)
    const next = lines.findIndex((one, i) => i >= line && pattern.test(one))
    if (next < 0) break
    line = next
    found = next + 1
  }
  return found
}
