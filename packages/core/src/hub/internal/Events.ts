import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as ErrorReporter from "effect/ErrorReporter"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as EffectTracer from "effect/Tracer"
import type { ObservabilitySettings } from "../../config/ObservabilityConfig.ts"
import { ErrorPolicy } from "../../errors/ErrorPolicy.ts"
import type { Verdict } from "../../errors/internal/judge.ts"
import type { ErrorData } from "../../errors/ErrorData.ts"
import { type Occurrence, placeOf, type Report, Reports } from "../../errors/internal/Reports.ts"
import { Repeats } from "../../errors/internal/Repeats.ts"
import { scrubError } from "../../errors/internal/scrub.ts"
import type { LogEntry, LogOutput } from "../../logs/LogOutput.ts"
import { spanEvent } from "../../logs/internal/spanEvent.ts"
import { lineOf } from "../../logs/internal/Lines.ts"
import { Recent } from "../../logs/internal/Recent.ts"
import { speak } from "../../logs/internal/speak.ts"
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
  /** Those given outside of the hub. */
  readonly loggers: ReadonlySet<Logger.Logger<unknown, any>>
}

/** Errors and log lines on their way from Effect's reporters and loggers to the listeners. */
export class Events {
  private readonly hub: Hub
  private readonly recent = new Recent(rememberedLines)
  private readonly reports: Reports
  private readonly repeats = new Repeats((error) => this.hub.listeners.error(error))

  constructor(hub: Hub) {
    this.hub = hub
    this.reports = new Reports({ values: hub.values, breadcrumbs: (fiber) => this.recent.of(keyOf(fiber), breadcrumbs) })
  }

  /** Takes what Effect reports at its boundaries: HTTP and RPC servers, `Effect.withErrorReporting`. */
  readonly reporter: ErrorReporter.ErrorReporter = {
    "~effect/ErrorReporter": "~effect/ErrorReporter",
    report: ({ cause, fiber, timestamp }) => void this.report({ cause, fiber, time: timestamp, handled: false })
  }

  /** Reports what failed in a cause, once; `undefined` when nothing did, or it is to be ignored. */
  report(report: Report): Occurrence | undefined {
    try {
      const { fiber } = report
      if (!this.hub.settings().enabled || fiber.getRef(OwnWork)) return undefined
      const occurrence = this.reports.make(report)
      if (occurrence?.data !== undefined) this.occur(occurrence.data, report, occurrence.verdict)
      return occurrence
    } catch {
      // Who reports an error must not get another one for it.
      return undefined
    }
  }

  /** The id under which a cause is or will be reported. */
  errorId(cause: Cause.Cause<unknown>, fiber: Fiber.Fiber<unknown, unknown>): string | undefined {
    try {
      return this.reports.idOf(cause, fiber)
    } catch {
      return undefined
    }
  }

  private occur(error: ErrorData, { fiber }: Report, { strategy }: Verdict): void {
    this.count(error)
    mark(fiber.cache.span, error)
    if (strategy === "count") return
    const { log, maxRepeats, window } = fiber.getRef(ErrorPolicy)
    const passed = this.repeats.pass(error, this.now(), maxRepeats, window)
    if (passed === undefined) {
      this.hub.store.increment(StandardMetrics.ErrorRepeats, 1, {})
      return
    }
    if (log) {
      speak(fiber, this.hub.clock, {
        logLevel: logLevels[error.level],
        message: error.message === "" ? error.errorType : `${error.errorType}: ${error.message}`,
        // An expected failure needs no stack to be understood.
        cause: error.level === "error" || error.level === "fatal" ? Cause.fail(withoutSecrets(error)) : Cause.empty,
        annotations: { error_id: error.errorId }
      })
    }
    this.hub.listeners.error(passed)
  }

  /** Tells of errors that were held back, when their time is over or the hub closes. */
  sweep(all = false): void {
    this.repeats.sweep(this.now(), all)
  }

  private now(): number {
    return Number(this.hub.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  /**
   * Who writes the lines, when it is not the loggers that were given outside of the hub; one at a time.
   */
  output: LogOutput | undefined = undefined

  /** The only logger of the program: it passes every line on. */
  readonly logger: Logger.Logger<unknown, void> = Logger.make((options) => {
    if (!reaches(options.logLevel, this.hub.settings().logs.level)) return
    const entry = new Entry(this, options)
    try {
      if (this.output === undefined) entry.write()
      else this.output.log(entry)
    } catch {
      // Who writes lines must not disturb those who log them.
    }
  })

  /** A line as it is kept. */
  lineOf(options: Logger.Options<unknown>): LogData {
    const { clock, values } = this.hub
    return lineOf(options, values(), clock.currentTimeNanosUnsafe(), (cause, fiber) => this.reports.idOf(cause, fiber))
  }

  get loggers(): ReadonlySet<Logger.Logger<unknown, any>> {
    return this.hub.loggers
  }

  get traced(): boolean {
    return this.hub.listeners.spans.length > 0
  }

  /** What becomes of a line besides being written: an event of its span, a breadcrumb, and a line for the backends. */
  keep(entry: Entry): void {
    try {
      const { clock, listeners, settings } = this.hub
      const { options } = entry
      if (!settings().enabled) return
      spanEvent(options, clock)
      if (options.fiber.getRef(OwnWork) || !reaches(options.logLevel, settings().logs.keepLevel)) return
      if (listeners.errors.length > 0) this.recent.add(keyOf(options.fiber), entry.data())
      if (listeners.logs.length > 0) listeners.log(entry.data())
    } catch {
      // A line that cannot be read is its loggers' affair.
    }
  }

  remember({ data, options }: Entry): void {
    try {
      if (this.hub.listeners.errors.length > 0 && this.hub.settings().enabled && !options.fiber.getRef(OwnWork)) this.recent.add(keyOf(options.fiber), data())
    } catch {
      // As above.
    }
  }

  recordError(error: ErrorData): void {
    try {
      if (this.hub.settings().enabled) this.recorded(scrubError(error, this.hub.values()))
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

  private recorded(error: ErrorData): void {
    this.count(error)
    this.hub.listeners.error(error)
  }

  private count({ errorClass, errorType, level }: ErrorData): void {
    this.hub.store.increment(StandardMetrics.Errors, 1, { class: errorClass, level, error_type: errorType })
  }
}

const reaches = (level: LogLevel.LogLevel, least: LogLevel.LogLevel): boolean => least === "All" || LogLevel.isGreaterThanOrEqualTo(level, least)

/** One line for as long as the call that logs it. */
class Entry implements LogEntry {
  readonly options: Logger.Options<unknown>
  private readonly events: Events
  private line: LogData | undefined

  constructor(events: Events, options: Logger.Options<unknown>) {
    this.events = events
    this.options = options
  }

  get loggers(): ReadonlySet<Logger.Logger<unknown, any>> {
    return this.events.loggers
  }

  get traced(): boolean {
    return this.events.traced
  }

  readonly data = (): LogData => this.line ??= this.events.lineOf(this.options)
  readonly keep = (): void => this.events.keep(this)
  readonly remember = (): void => this.events.remember(this)

  /** As the program's loggers do it. */
  write(): void {
    for (const logger of this.loggers) {
      // Span events are made by the hub, of lines that matter.
      if (logger === Logger.tracerLogger) continue
      try {
        logger.log(this.options)
      } catch {
        // One logger's trouble is not the others'.
      }
    }
    this.keep()
  }
}

/** Writes the id on the span the error was reported in and on the first one of this process, which is a request's own. */
const mark = (span: EffectTracer.AnySpan | undefined, { errorId }: ErrorData): void => {
  let outermost: EffectTracer.Span | undefined
  for (let one = span, depth = 0; one?._tag === "Span" && depth < 100; one = Option.getOrUndefined(one.parent), depth++) outermost = one
  if (span?._tag === "Span") span.attribute("error.id", errorId)
  if (outermost !== undefined && outermost !== span) outermost.attribute("error.id", errorId)
}

/** The error for loggers: what it says, without the secrets in it. */
const withoutSecrets = ({ errorType, message, stack }: ErrorData): Error => {
  const shown = new Error(message)
  shown.name = errorType
  shown.stack = stack ?? `${errorType}: ${message}`
  return shown
}

const logLevels = { debug: "Debug", info: "Info", warn: "Warn", error: "Error", fatal: "Fatal" } as const

/** Lines and errors of one trace, one request or, outside of both, one fiber belong together. */
const keyOf = (fiber: Fiber.Fiber<unknown, unknown>): string => placeOf(fiber) || `fiber ${fiber.id}`
