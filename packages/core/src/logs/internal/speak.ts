import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"

/** A view of a fiber with other log annotations, for loggers: any format then shows them. Nothing about the fiber itself changes. */
export const annotated = (fiber: Fiber.Fiber<unknown, unknown>, annotations: Readonly<Record<string, unknown>>): Fiber.Fiber<unknown, unknown> => {
  return Object.create(fiber, {
    getRef: { value: (ref: any) => ref.key === References.CurrentLogAnnotations.key ? annotations : fiber.getRef(ref) }
  })
}

/** Logs one line to the loggers of a fiber, as `Effect.log` does; a line below its minimum level is none. */
export const speak = (
  fiber: Fiber.Fiber<unknown, unknown>,
  clock: Clock.Clock,
  line: { readonly logLevel: LogLevel.Severity; readonly message: string; readonly cause: Cause.Cause<unknown>; readonly annotations: Readonly<Record<string, unknown>> }
): void => {
  if (LogLevel.isGreaterThan(fiber.getRef(References.MinimumLogLevel), line.logLevel)) return
  const loggers = fiber.getRef(Logger.CurrentLoggers)
  if (loggers.size === 0) return
  const options = {
    message: [line.message],
    logLevel: line.logLevel,
    cause: line.cause,
    fiber: annotated(fiber, { ...fiber.getRef(References.CurrentLogAnnotations), ...line.annotations }),
    date: new Date(clock.currentTimeMillisUnsafe())
  }
  for (const logger of loggers) {
    try {
      logger.log(options)
    } catch {
      // One logger's trouble is not the others'.
    }
  }
}
