import * as Cause from "effect/Cause"
import type * as Fiber from "effect/Fiber"
import type * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import { RequestContext } from "../../context/RequestContext.ts"
import { isPropagated } from "../../tracing/ObservabilityTracer.ts"
import { isTraceId } from "../../tracing/Propagation.ts"
import type { Values } from "../../tracing/internal/values.ts"
import type { LogData, LogDataLevel } from "../LogData.ts"

/** Pieces of one message that are kept. */
const maxPieces = 32
const maxCause = 16_384

/** A line of Effect's loggers, plain and without secrets. Never throws. */
export const lineOf = (
  { cause, date, fiber, logLevel, message }: Logger.Options<unknown>,
  values: Values,
  time: bigint,
  errorId: (cause: Cause.Cause<unknown>, fiber: Fiber.Fiber<unknown, unknown>) => string | undefined
): LogData => {
  const span = fiber.cache.span
  const traced = span !== undefined && isTraceId(span.traceId)
  const annotations = fiber.getRef(References.CurrentLogAnnotations)
  const { module, requestId, tenantId, userId } = fiber.getRef(RequestContext)
  const failed = cause.reasons.length > 0
  const { error_id: told, ...rest } = annotations
  const named = typeof told === "string" && isTraceId(told)
  return {
    time,
    level: levelName(logLevel),
    message: textOf(message, values),
    attributes: new Map(Object.entries(values.record(named ? rest : annotations, values.limits.attributeCount))),
    traceId: traced ? span.traceId : undefined,
    spanId: traced ? span.spanId : undefined,
    traceFlags: traced && isPropagated(span) ? 1 : 0,
    requestId,
    userId,
    tenantId,
    module,
    errorId: named ? told : (failed ? errorId(cause, fiber) : undefined) ?? (span?._tag === "Span" ? text(span.attributes.get("error.id")) : undefined),
    logSpans: fiber.getRef(References.CurrentLogSpans).map(([name, began]) => ({ name: values.text(name, 256), millis: date.getTime() - began })),
    cause: failed ? values.text(prettyOf(cause), maxCause) : undefined
  }
}

export const levelName = (level: LogLevel.LogLevel): LogDataLevel => names[level] ?? "info"

const names: Readonly<Record<string, LogDataLevel>> = { Fatal: "fatal", Error: "error", Warn: "warn", Info: "info", Debug: "debug", Trace: "trace", All: "trace" }

const text = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

/** What was logged as one text: strings as they are, everything else as an attribute's value would be. */
const textOf = (message: unknown, values: Values): string => {
  const length = values.limits.attributeValueLength
  if (!Array.isArray(message)) return pieceOf(message, values, length)
  if (message.length === 1) return pieceOf(message[0], values, length)
  const pieces: Array<string> = []
  for (let i = 0; i < message.length && i < maxPieces; i++) pieces.push(pieceOf(message[i], values, length))
  return pieces.join(" ")
}

const pieceOf = (piece: unknown, values: Values, length: number): string => {
  if (typeof piece === "string") return values.text(piece, length)
  const plain = values.plain("", piece)
  return Array.isArray(plain) ? JSON.stringify(plain, (_, one) => typeof one === "bigint" ? String(one) : one) : String(plain ?? piece)
}

const prettyOf = (cause: Cause.Cause<unknown>): string => {
  try {
    return Cause.pretty(cause)
  } catch {
    return "a cause that cannot be read"
  }
}
