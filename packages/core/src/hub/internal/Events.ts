import type * as Clock from "effect/Clock"
import type * as ErrorReporter from "effect/ErrorReporter"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import type { ObservabilitySettings } from "../../config/ObservabilityConfig.ts"
import type { ErrorData } from "../../errors/ErrorData.ts"
import { placeOf, Reports } from "../../errors/internal/Reports.ts"
import { scrubError } from "../../errors/internal/scrub.ts"
import { lineOf } from "../../logs/internal/Lines.ts"
import { Recent } from "../../logs/internal/Recent.ts"
import { scrubLog } from "../../logs/internal/scrub.ts"
import type { LogData } from "../../logs/LogData.ts"
import type { Registry } from "../../metrics/internal/Registry.ts"
import * as StandardMetrics from "../../metrics/StandardMetrics.ts"
import type { Values } from "../../tracing/internal/values.ts"
import { OwnWork } from "../quietly.ts"
import type { Listeners } from "./Listeners.ts"

/** Lines of the whole program that are remembered for errors to come, and how many of them one error gets. */
const rememberedLines = 1_000
const breadcrumbs = 30

interface Hub {
  readonly settings: () => ObservabilitySettings
  readonly values: () => Values
  readonly listeners: Listeners
  readonly store: Registry
  readonly clock: Clock.Clock
}

/** Errors and log lines on their way from Effect's reporters and loggers to the listeners. */
export class Events {
  private readonly hub: Hub
  private readonly recent = new Recent(rememberedLines)
  private readonly reports: Reports

  constructor(hub: Hub) {
    this.hub = hub
    this.reports = new Reports({ values: hub.values, breadcrumbs: (fiber) => this.recent.of(keyOf(fiber), breadcrumbs) })
  }

  /** Takes what Effect reports at its boundaries: HTTP and RPC servers, `Effect.withErrorReporting`. */
  readonly reporter: ErrorReporter.ErrorReporter = {
    "~effect/ErrorReporter": "~effect/ErrorReporter",
    report: ({ cause, fiber, timestamp }) => {
      try {
        if (!this.hub.settings().enabled || fiber.getRef(OwnWork)) return
        const error = this.reports.make({ cause, fiber, time: timestamp, handled: false })
        if (error !== undefined) this.tell(error, fiber)
      } catch {
        // Who reports an error must not get another one for it.
      }
    }
  }

  /** Takes every line that is logged. */
  readonly logger: Logger.Logger<unknown, void> = Logger.make((options) => {
    try {
      const { listeners, settings, values } = this.hub
      if (listeners.logs.length === 0 && listeners.errors.length === 0) return
      const { fiber } = options
      if (!settings().enabled || fiber.getRef(OwnWork)) return
      const line = lineOf(options, values(), this.hub.clock.currentTimeNanosUnsafe(), (cause, of) => this.reports.idOf(cause, of))
      if (listeners.errors.length > 0) this.recent.add(keyOf(fiber), line)
      listeners.log(line)
    } catch {
      // A line that cannot be read is its loggers' affair.
    }
  })

  recordError(error: ErrorData): void {
    try {
      if (this.hub.settings().enabled) this.tell(scrubError(error, this.hub.values()), undefined)
    } catch {
      // As above.
    }
  }

  recordLog(line: LogData): void {
    try {
      if (this.hub.settings().enabled) this.hub.listeners.log(scrubLog(line, this.hub.values()))
    } catch {
      // As above.
    }
  }

  private tell(error: ErrorData, fiber: Fiber.Fiber<unknown, unknown> | undefined): void {
    const { listeners, store } = this.hub
    const { errorClass, errorId, errorType, level } = error
    store.increment(StandardMetrics.Errors, 1, { class: errorClass, level, error_type: errorType })
    const span = fiber?.cache.span
    if (span?._tag === "Span") span.attribute("error.id", errorId)
    listeners.error(error)
  }
}

/** Lines and errors of one trace, one request or, outside of both, one fiber belong together. */
const keyOf = (fiber: Fiber.Fiber<unknown, unknown>): string => placeOf(fiber) || `fiber ${fiber.id}`
