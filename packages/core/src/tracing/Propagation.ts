import * as Context from "effect/Context"
import * as EffectTracer from "effect/Tracer"
import { readList, readOne, type Settable, trimBlanks, write } from "../propagation/internal/carriers.ts"

/** Headers, message properties or anything else that carries strings from one process to the next. */
export type Carrier = Record<string, string>

/**
 * A carrier as the environment of a process to start: `TRACEPARENT`, `X_B3_TRACEID`. That process reads it with `Tracer.continueFrom` of its
 * own environment.
 */
export const toEnvironment = (carrier: Carrier): Record<string, string> =>
  Object.fromEntries(Object.entries(carrier).map(([key, value]) => [key.toUpperCase().replaceAll("-", "_"), value]))

/** What a `traceparent` says. Ids are lower-case hex. */
export interface SpanContext {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
  /** Whether whoever began the trace says that its id is random (level 2's flag); passed on as it came. */
  readonly random?: boolean
}

/** Level 2's random flag, among the annotations of a remote span. */
export const RandomFlag: Context.Reference<boolean> = Context.Reference("@effect-observability/core/RandomFlag", {
  defaultValue: () => false
})

/** The checked `tracestate` that came with a remote span, among the span's annotations; empty when there was none. */
export const TraceState: Context.Reference<string> = Context.Reference("@effect-observability/core/TraceState", {
  defaultValue: () => ""
})

const traceId = /^(?!0{32})[0-9a-f]{32}$/
const spanId = /^(?!0{16})[0-9a-f]{16}$/
const traceparent = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** 32 lower-case hex digits, not all zero. */
export const isTraceId = (text: string): boolean => traceId.test(text)

/** 16 lower-case hex digits, not all zero. */
export const isSpanId = (text: string): boolean => spanId.test(text)

/** Longest header that is looked at; a version 00 header has 55 characters, future versions may be longer. */
const maxTraceparent = 512

/**
 * Reads a `traceparent` (W3C Trace Context, 3.2 and 4.3): version 00 exactly, later versions by their first four fields and
 * the two bits we know; surrounding blanks are not part of the value. `undefined` for anything else.
 */
export const parseTraceparent = (value: unknown): SpanContext | undefined => {
  if (typeof value !== "string" || value.length < 55 || value.length > maxTraceparent) return undefined
  const found = traceparent.exec(value.length === 55 ? value : trimBlanks(value))
  if (found === null || (found[1] === "00" && found[5] !== undefined)) return undefined
  const flags = Number.parseInt(found[4]!, 16)
  const context = { traceId: found[2]!, spanId: found[3]!, sampled: (flags & 1) === 1 }
  return (flags & 2) === 2 ? { ...context, random: true } : context
}

/** `00-{trace id}-{span id}-{flags}`: the form of `traceparent` and of level 2's `traceresponse`. */
export const formatTraceparent = (context: SpanContext): string =>
  `00-${context.traceId}-${context.spanId}-0${(context.sampled ? 1 : 0) + (context.random === true ? 2 : 0)}`

const maxTracestate = 8192
const maxMembers = 32
/** What is passed on (3.3.1.5: at least 512 characters; the entries over 128 characters go first, then the last ones). */
const keptLength = 512
const longMember = 128
/** Level 2's grammar: `@` may stand anywhere but first. */
const member = /^([a-z0-9][a-z0-9_\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/**
 * Checks a `tracestate` (W3C Trace Context, 3.3): the value to pass on, at most 512 characters. Empty when it breaks a rule:
 * then none of it can be trusted. A repeated key keeps its first value.
 */
export const parseTracestate = (value: unknown): string => {
  if (typeof value !== "string" || value === "" || value.length > maxTracestate) return ""
  const seen = new Set<string>()
  let members: Array<string> = []
  for (const part of value.split(",")) {
    const text = trimBlanks(part)
    if (text === "") continue
    const found = member.exec(text)
    if (found === null) return ""
    if (seen.has(found[1]!)) continue
    seen.add(found[1]!)
    members.push(text)
  }
  if (members.length > maxMembers) return ""
  let joined = members.join(",")
  if (joined.length > keptLength) {
    members = members.filter((one) => one.length <= longMember)
    joined = members.join(",")
  }
  while (joined.length > keptLength) {
    members.pop()
    joined = members.join(",")
  }
  return joined
}

/**
 * The remote span a carrier names in W3C's format, whatever the case of its keys; `undefined` when there is none, when it is invalid, or
 * when two keys that differ in case both claim to be it. Never throws, whatever the carrier is. `Propagator` reads other formats too.
 */
export const extract = (carrier: unknown): EffectTracer.ExternalSpan | undefined => {
  const context = parseTraceparent(readOne(carrier, "traceparent"))
  return context === undefined ? undefined : remoteSpan(context, parseTracestate(readList(carrier, "tracestate")))
}

/** A parent that lives in another process. `tracestate` is already checked. */
export const remoteSpan = ({ random, sampled, spanId, traceId }: SpanContext, tracestate: string): EffectTracer.ExternalSpan => {
  let annotations: Context.Context<never> = tracestate === "" ? Context.empty() : Context.make(TraceState, tracestate)
  if (random === true) annotations = Context.add(annotations, RandomFlag, true)
  return EffectTracer.externalSpan({ traceId, spanId, sampled, annotations })
}

/** Writes `traceparent` and, when there is one, `tracestate`. Never throws: a carrier that takes no keys stays as it is. */
export const inject = (carrier: Carrier | Settable, context: SpanContext, tracestate: string): void => {
  write(carrier, "traceparent", formatTraceparent(context))
  if (tracestate !== "") write(carrier, "tracestate", tracestate)
}
