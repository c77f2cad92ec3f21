import { Requests } from "@effect-observability/core"

/** The header of the request id, in messages as in HTTP. */
export const requestIdHeader = "x-request-id"

interface View {
  readonly get: (name: string) => unknown
  /** Only there so that a propagator sees a map. */
  readonly set: undefined
}

/**
 * Headers of any form as a map that is asked by lower-case names. Looking for another case takes a pass over the names, which is made
 * only where there are few of them: a message with thousands is looked at by exact name. Never throws.
 */
export const viewOf = (headers: unknown): View => {
  try {
    return unguarded(headers)
  } catch {
    return nothing
  }
}

const unguarded = (headers: unknown): View => {
  if (typeof headers !== "object" || headers === null) return nothing
  if (headers instanceof Map) return viewOfEntries([...headers].slice(0, maxScanned), (name) => headers.get(name))
  const { get } = headers as { readonly get?: unknown }
  if (typeof get === "function") {
    const { values } = headers as { readonly values?: unknown }
    // NATS: `values` has all of a name, whatever its case; `get` only the first.
    const ask = typeof values === "function" && values.length > 0
      ? (name: string) => values.call(headers, name, "insensitive") as unknown
      : (name: string) => get.call(headers, name) as unknown
    return { get: guarded(ask), set: undefined }
  }
  const record = headers as Readonly<Record<string, unknown>>
  const names = Object.keys(record)
  return names.length <= maxScanned
    ? viewOfEntries(names.map((name) => [name, record[name]]), (name) => record[name])
    : { get: guarded((name) => Object.hasOwn(record, name) ? record[name] : undefined), set: undefined }
}

/** Two names that differ only in case both count: the propagators refuse what is claimed twice. */
const viewOfEntries = (entries: ReadonlyArray<readonly [unknown, unknown]>, exact: (name: string) => unknown): View => ({
  get: guarded((name) => {
    let found: unknown
    for (const [key, value] of entries) {
      if (typeof key !== "string" || value === null || value === undefined || key.length !== name.length || key.toLowerCase() !== name) continue
      found = found === undefined ? value : [found, value].flat()
    }
    return found ?? exact(name)
  }),
  set: undefined
})

const guarded = (ask: (name: string) => unknown) => (name: string): unknown => {
  try {
    return ask(name)
  } catch {
    return undefined
  }
}

const nothing: View = { get: () => undefined, set: undefined }
const maxScanned = 128

/** The request id a message brought, when there is exactly one and it is harmless. */
export const requestIdOf = (view: View): string | undefined => {
  const value = view.get(requestIdHeader)
  const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value
  const text = one instanceof Uint8Array && one.length <= 128 ? String.fromCharCode(...one) : one
  return Requests.isRequestId(text) ? text : undefined
}

/**
 * A message's own headers with those it is to carry. What it carries is of now: of a message that is sent on, what it brought of that kind is left
 * out, whatever the case of its names, or the next consumer would read two traces and believe neither.
 */
export const withHeaders = (own: object | undefined, carried: Readonly<Record<string, string>>): Record<string, unknown> => {
  const out: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(own ?? {})) if (!replaces(carried, name)) out[name] = value
  return Object.assign(out, carried)
}

/** Whether a header of this name gives way. An old `tracestate` does not go with a new `traceparent`. */
export const replaces = (carried: Readonly<Record<string, string>>, name: string): boolean => {
  const lower = name.toLowerCase()
  return Object.hasOwn(carried, lower) || (lower === "tracestate" && Object.hasOwn(carried, "traceparent"))
}
