import { parseTracestate } from "../tracing/Propagation.ts"

// Editing of a `tracestate` (W3C Trace Context, 3.3 and 3.5). All of these take a checked value (`Propagation.parseTracestate`, or what
// left with a span) and give one; what would break a rule changes nothing.

const key = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/
const value = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** The value of a member; `undefined` when there is none. */
export const get = (tracestate: string, name: string): string | undefined => {
  const found = members(tracestate).find((member) => member.startsWith(`${name}=`))
  return found?.slice(name.length + 1)
}

/** Adds or changes a member: it moves to the front, the others keep their order, and of more than 32 the last ones go. */
export const set = (tracestate: string, name: string, text: string): string =>
  key.test(name) && value.test(text) ? parseTracestate([`${name}=${text}`, ...without(tracestate, name)].slice(0, maxMembers).join(",")) : tracestate

/** Takes a member out; the others keep their order. */
export const remove = (tracestate: string, name: string): string => without(tracestate, name).join(",")

const maxMembers = 32

const members = (tracestate: string): ReadonlyArray<string> => tracestate === "" ? [] : tracestate.split(",")

const without = (tracestate: string, name: string): ReadonlyArray<string> =>
  members(tracestate).filter((member) => !member.startsWith(`${name}=`))
