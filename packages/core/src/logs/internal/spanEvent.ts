import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"

/**
 * Keeps a line as an event of its span, in the words of Effect's `tracerLogger`, which keeps every line: here those at or above
 * warnings are kept, so that chatter does not fill the span's limits.
 */
export const spanEvent = ({ cause, fiber, logLevel, message }: Logger.Options<unknown>, clock: Clock.Clock): void => {
  const span = fiber.cache.span
  if (span?._tag !== "Span" || !span.sampled || span.status._tag === "Ended" || LogLevel.isGreaterThan("Warn", logLevel)) return
  span.event(nameOf(message), clock.currentTimeNanosUnsafe(), {
    ...fiber.getRef(References.CurrentLogAnnotations),
    "effect.fiberId": fiber.id,
    "effect.logLevel": logLevel.toUpperCase(),
    ...(cause.reasons.length === 0 ? {} : { "effect.cause": Cause.pretty(cause) })
  })
}

const nameOf = (message: unknown): string => {
  const pieces = Array.isArray(message) ? message : [message]
  return pieces.map((piece) => typeof piece === "string" ? piece : shown(piece)).join(" ")
}

const shown = (piece: unknown): string => {
  try {
    return String(JSON.stringify(piece, plain) ?? piece)
  } catch {
    return "[unreadable]"
  }
}

const plain = (_: string, value: unknown): unknown => typeof value === "bigint" ? String(value) : value
