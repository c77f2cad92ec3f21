/** The path of a request target, without query and fragment. */
export const pathOf = (url: string): string => {
  const query = url.indexOf("?")
  const fragment = url.indexOf("#")
  const end = query === -1 ? fragment : fragment === -1 ? query : Math.min(query, fragment)
  return end === -1 ? url : url.slice(0, end)
}

/**
 * The names in a query with their values left out: values carry tokens, passwords and personal data. What has no `=` may be a
 * value itself and is left out too. `undefined` when nothing remains.
 */
export const queryNames = (url: string): string | undefined => {
  const start = url.indexOf("?")
  if (start === -1) return undefined
  const fragment = url.indexOf("#", start)
  const names: Array<string> = []
  for (const part of url.slice(start + 1, fragment === -1 ? undefined : fragment).split("&", maxNames)) {
    const equals = part.indexOf("=")
    if (equals > 0 && equals <= maxNameLength) names.push(`${part.slice(0, equals)}=REDACTED`)
  }
  return names.length === 0 ? undefined : names.join("&")
}

const maxNames = 32
const maxNameLength = 64

/**
 * The paths that are left alone. One without `*` covers itself and all below it: `/health` covers `/health/live`, not `/healthy`. In one with
 * `*` that stands for any text without a slash, `**` for any text; such a pattern covers the whole path or nothing.
 */
export const isIgnored = (path: string, ignored: ReadonlyArray<string>): boolean => {
  let covers = compiled.get(ignored)
  if (covers === undefined) compiled.set(ignored, covers = compile(ignored))
  return covers(path)
}

const compiled = new WeakMap<ReadonlyArray<string>, (path: string) => boolean>()

const compile = (ignored: ReadonlyArray<string>): (path: string) => boolean => {
  const rules = ignored.map((one) => one.includes("*") ? pattern(one) : prefix(one))
  return (path) => {
    for (const covers of rules) if (covers(path)) return true
    return false
  }
}

const prefix = (one: string) => {
  const start = one.length > 1 && one.endsWith("/") ? one.slice(0, -1) : one
  // "/" covers the root alone: everything would be an odd way to switch the instrumentation off.
  return (path: string): boolean =>
    path.startsWith(start) && (path.length === start.length || (start.length > 1 && path.charCodeAt(start.length) === slash))
}

const pattern = (one: string) => {
  const parts = one.split(/(\*+)/).filter((part) => part !== "")
  return (path: string): boolean => matches(path, parts)
}

/** Time is at most the product of both lengths: the positions reached by the parts so far, and never a step back. */
const matches = (path: string, parts: ReadonlyArray<string>): boolean => {
  if (path.length > maxPathLength) return false
  let reached: ReadonlySet<number> = new Set([0])
  for (const part of parts) {
    const next = new Set<number>()
    for (const at of reached) {
      if (!part.startsWith("*")) {
        if (path.startsWith(part, at)) next.add(at + part.length)
        continue
      }
      for (let end = at; !next.has(end); end++) {
        next.add(end)
        if (end >= path.length || (part === "*" && path.charCodeAt(end) === slash)) break
      }
    }
    if (next.size === 0) return false
    reached = next
  }
  return reached.has(path.length)
}

const slash = 47
const maxPathLength = 4_096
