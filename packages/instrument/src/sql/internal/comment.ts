import { Propagation, Spans } from "@effect-observability/core"
import type * as EffectTracer from "effect/Tracer"
import type { StatementInfo } from "./Statements.ts"

type Tags = ReadonlyArray<readonly [key: string, value: string]>

/**
 * A statement with the trace in a comment at its end (sqlcommenter: keys in order, keys and values URL-encoded, values in quotes). A statement that has a comment, or of which
 * it is not certain where it ends, stays as it is.
 */
export const withComment = (statement: string, { commented, complete, open }: StatementInfo, tags: Tags, span: EffectTracer.Span | undefined): string => {
  if (commented || open || !complete) return statement
  const pairs = tags.map(([key, value]) => `${encode(key)}='${encode(value)}'`)
  if (span !== undefined) {
    const context = Spans.contextOf(span)
    if (context.traceId.length === 32) pairs.push(`traceparent='${Propagation.formatTraceparent(context)}'`)
  }
  let end = statement.length
  while (end > 0 && isBlank(statement.charCodeAt(end - 1))) end--
  const last = end
  while (end > 0 && (isBlank(statement.charCodeAt(end - 1)) || statement.charCodeAt(end - 1) === semicolon)) end--
  if (pairs.length === 0 || end === 0) return statement
  return `${statement.slice(0, end)} /*${pairs.sort().join(",")}*/${statement.slice(end, last)}`
}

/** Nothing is left that could end the value or the comment. */
const encode = (text: string): string => {
  try {
    return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
  } catch {
    // Half of a surrogate pair.
    return "%EF%BF%BD"
  }
}

const isBlank = (c: number): boolean => c <= 32
const semicolon = 59
