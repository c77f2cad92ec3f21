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

/** Whether a path is one of the ignored ones or below one of them: `/health` covers `/health/live`, not `/healthy`. */
export const isIgnored = (path: string, ignored: ReadonlyArray<string>): boolean => {
  for (const one of ignored) {
    const prefix = one.length > 1 && one.endsWith("/") ? one.slice(0, -1) : one
    // "/" covers the root alone: everything would be an odd way to switch the instrumentation off.
    if (path === prefix || (prefix.length > 1 && path.startsWith(prefix) && path.charCodeAt(prefix.length) === slash)) return true
  }
  return false
}

const slash = 47
