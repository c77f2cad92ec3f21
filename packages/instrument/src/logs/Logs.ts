import {
  annotatedFiber, type CompositionError, type ErrorData, type LogData, type LogEntry, MetricsRecorder, type ServiceResource, StandardMetrics, Telemetry
} from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { escape, escapeLines } from "./internal/escape.ts"
import { type Fields, fieldsOf } from "./internal/fields.ts"
import * as Formats from "./internal/formats.ts"
import { Held } from "./internal/Held.ts"
import { watchMetrics } from "./internal/watchMetrics.ts"

export interface LogsOptions {
  /**
   * How lines are written to the console: `"pretty"` for people, `"json"` and `"logfmt"` for machines, `"none"` not at all (backends and
   * `loggers` get them all the same), or any Effect logger that makes a text, such as `Logger.formatSimple`. Default `"pretty"` where
   * `env` is `dev`, `development`, `local` or `test`, else `"json"`.
   */
  readonly format?: "pretty" | "json" | "logfmt" | "none" | Logger.Logger<unknown, string>
  /** More loggers; every line they get carries the ids and the shared context as annotations. Default none. */
  readonly loggers?: ReadonlyArray<Logger.Logger<unknown, unknown>>
  /** Where a trace is shown, with `{trace_id}` and `{span_id}` in it: becomes `trace_url`. Default `tracing.traceUrl` of the settings. */
  readonly traceUrl?: string
  /** `module` of lines outside of a request context that has one. Default none. */
  readonly module?: string
  /** Whether colours are used by `"pretty"`. Default `true`. */
  readonly colors?: boolean
  /**
   * `"trace"`: of a trace that is not kept, lines below warnings are held back, in a ring of `maxHeld` lines, and written when it turns
   * bad (a line at or above warnings, or a reported error). Lines outside of traces, of kept ones, and at or above warnings are always
   * written. Default `"all"`.
   */
  readonly sampling?: "all" | "trace"
  /** Default 1,000. */
  readonly maxHeld?: number
  /** How often metrics are looked at for crossed `alertThreshold`s and for changes of those marked `logChanges`. Default 15 seconds; `"off"`. */
  readonly metrics?: Duration.Input | "off"
}

/**
 * Log lines with `trace_id`, `span_id`, `trace_flags`, `request_id`, `error_id`, `service`, `env`, `cluster`, `instance`, `module`, `tenant_id`, `user_id` and
 * `trace_url`, in any format, without secrets and without characters that a terminal obeys.
 *
 * The program logs as ever, with `Effect.log`. Loggers given outside of the composition are kept and get the fields as annotations;
 * `format` takes the place of Effect's default logger. See `docs/logs.md` for `Logger.layer` in other places.
 *
 * @example
 * ```ts
 * const Observability = Layer.mergeAll(Prometheus.layer(), Logs.layer({ traceUrl: "https://obs.example.com/traces/{trace_id}" }))
 * ```
 */
export const layer = (options: LogsOptions = {}): Layer.Layer<Layer.Success<typeof Telemetry.layer>, CompositionError> =>
  layerOn(options).pipe(Layer.provideMerge(Telemetry.layer))

/** The same on a hub that is there. */
export const layerOn = (options: LogsOptions = {}): Layer.Layer<never, CompositionError, Telemetry | MetricsRecorder> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const recorder = yield* MetricsRecorder
    const writer = new Writer(options, telemetry, recorder)
    yield* telemetry.writeLogs({ log: (entry) => writer.take(entry) })
    yield* Effect.addFinalizer(() => Effect.sync(() => writer.close()))
    if (writer.samples) {
      // A trace whose error was reported has turned bad, whatever is logged about it.
      yield* telemetry.register({
        name: "log-sampling",
        kind: "logs",
        onError: (error) => writer.turnedBad(error),
        report: () => ({ name: "log-sampling", kind: "logs", status: "up", reason: undefined, signals: [] })
      })
    }
    if (options.metrics !== "off") yield* watchMetrics(telemetry.store, options.metrics ?? "15 seconds")
  }))

/** An Effect logger whose lines carry the fields as annotations: for loggers given nearer to the program. */
export const enriched = (logger: Logger.Logger<unknown, unknown>, options: Pick<LogsOptions, "traceUrl" | "module"> = {}): Effect.Effect<Logger.Logger<unknown, void>, never, Telemetry> =>
  Effect.map(Telemetry, (telemetry) =>
    Logger.make((given) => {
      const line = telemetry.lineOf(given)
      logger.log(safe(given, fieldsOf(line, telemetry.resource, urlOf(options, telemetry), options.module), line))
    }))

/**
 * Ids and shared context of the running fiber, for loggers that are not Effect's: give it to pino as `mixin`. Outside of a fiber it has
 * service and env alone.
 *
 * @example
 * ```ts
 * const log = pino({ mixin: yield* Logs.mixin() })
 * ```
 */
export const mixin = (options: Pick<LogsOptions, "traceUrl" | "module"> = {}): Effect.Effect<() => Record<string, unknown>, never, Telemetry> =>
  Effect.map(Telemetry, (telemetry) => () => {
    const fiber = Fiber.getCurrent()
    return fiber === undefined
      ? { service: telemetry.resource.service, env: telemetry.resource.env }
      : fieldsOf(telemetry.lineOf(nothing(fiber)), telemetry.resource, urlOf(options, telemetry), options.module)
  })

const urlOf = ({ traceUrl }: Pick<LogsOptions, "traceUrl">, telemetry: Telemetry["Service"]): string | undefined =>
  traceUrl ?? telemetry.settings().tracing.traceUrl

const nothing = (fiber: Fiber.Fiber<unknown, unknown>): Logger.Options<unknown> => ({
  message: "", logLevel: "Info", cause: Cause.empty, fiber, date: new Date(0)
})

/** A line that waits for what becomes of its trace. */
interface Waiting {
  readonly line: LogData
  readonly write: (line: LogData) => void
}

const development: ReadonlySet<string> = new Set(["dev", "development", "local", "test"])

/** Traces that turned bad and may still log. */
const maxBad = 1_000

/** Writes lines to the console and to loggers, and decides which. */
class Writer {
  readonly samples: boolean
  private readonly options: LogsOptions
  private readonly telemetry: Telemetry["Service"]
  private readonly resource: ServiceResource
  private readonly recorder: MetricsRecorder["Service"]
  private readonly format: Formats.Format | undefined
  private readonly formatter: Logger.Logger<unknown, string> | undefined
  private readonly held: Held<Waiting>
  private readonly bad = new Set<string>()
  private others: ReadonlyArray<Logger.Logger<unknown, unknown>> | undefined = undefined

  constructor(options: LogsOptions, telemetry: Telemetry["Service"], recorder: MetricsRecorder["Service"]) {
    this.options = options
    this.telemetry = telemetry
    this.resource = telemetry.resource
    this.recorder = recorder
    this.samples = options.sampling === "trace"
    const wanted = options.format ?? (development.has(telemetry.resource.env.toLowerCase()) ? "pretty" : "json")
    this.formatter = typeof wanted === "string" ? undefined : wanted
    this.format = wanted === "json" ? Formats.json : wanted === "logfmt" ? Formats.logfmt : wanted === "pretty" ? Formats.pretty(options.colors ?? true) : undefined
    this.held = new Held(Math.max(1, options.maxHeld ?? 1_000), (count) => this.recorder.incrementCounterUnsafe(StandardMetrics.LogsSampledOut, count))
  }

  take(entry: LogEntry): void {
    const trace = this.samples ? this.waitsFor(entry) : undefined
    if (trace === undefined) {
      this.write(entry)
      entry.keep()
      return
    }
    entry.remember()
    const { id } = entry.options.fiber
    const { date, fiber, logLevel } = entry.options
    const output = fiber.getRef(Console.Console)
    const loggers = this.loggersOf(entry)
    this.held.add(trace, {
      line: entry.data(),
      write: (line) => {
        const fields = this.fields(line)
        const again = { message: [line.message], logLevel, cause: causeOf(line), date, fiber: standIn(id, { ...Object.fromEntries(line.attributes), ...fields }) }
        this.print(line, fields, again, (text) => output.log(text))
        for (const logger of loggers) quietlyLog(logger, again)
      }
    })
  }

  /** The trace whose fate the line waits for; `undefined` when it is written at once. */
  private waitsFor({ options: { fiber, logLevel }, traced }: LogEntry): string | undefined {
    const span = fiber.cache.span
    if (!traced || span === undefined || span.traceId.length !== 32) return undefined
    if (severe.has(logLevel)) {
      if (!span.sampled) this.release(span.traceId)
      return undefined
    }
    return span.sampled || this.bad.has(span.traceId) ? undefined : span.traceId
  }

  turnedBad({ sampled, traceId }: ErrorData): void {
    if (traceId !== undefined && !sampled) this.release(traceId)
  }

  private release(traceId: string): void {
    this.bad.delete(traceId)
    if (this.bad.size >= maxBad) for (const oldest of this.bad) { this.bad.delete(oldest); break }
    this.bad.add(traceId)
    for (const { line, write } of this.held.release(traceId)) {
      try {
        write(line)
      } catch {
        // What cannot be written now is not worth more.
      }
      this.telemetry.recordLogUnsafe(line)
    }
  }

  close(): void {
    this.held.clear()
  }

  private fields(line: LogData): Fields {
    return fieldsOf(line, this.resource, urlOf(this.options, this.telemetry), this.options.module)
  }

  /** Effect's default logger gives way to the format; one for span events is the hub's affair. */
  private loggersOf({ loggers }: LogEntry): ReadonlyArray<Logger.Logger<unknown, unknown>> {
    return this.others ??= [
      ...[...loggers].filter((one) => one !== Logger.tracerLogger && one !== Logger.defaultLogger),
      ...this.options.loggers ?? []
    ]
  }

  private write(entry: LogEntry): void {
    const { options } = entry
    const { fiber } = options
    const line = entry.data()
    const fields = this.fields(line)
    // With loggers of its own and no wish for a format the program writes its lines itself.
    if (this.options.format !== undefined || entry.loggers.has(Logger.defaultLogger)) {
      this.print(line, fields, options, (text) => {
        const output = fiber.getRef(Console.Console)
        if (fiber.getRef(Logger.LogToStderr)) output.error(text)
        else output.log(text)
      })
    }
    const loggers = this.loggersOf(entry)
    if (loggers.length === 0) return
    const told = safe(options, fields, line)
    for (const logger of loggers) quietlyLog(logger, told)
  }

  private print(line: LogData, fields: Fields, options: Logger.Options<unknown>, out: (text: string) => void): void {
    try {
      if (this.format !== undefined) out(this.format(line, fields))
      else if (this.formatter !== undefined) out(this.formatter.log({ ...safe(options, fields, line), cause: causeOf(line) }))
    } catch {
      // A console that throws must not keep the line from the loggers.
    }
  }
}

const severe: ReadonlySet<string> = new Set(["Warn", "Error", "Fatal"])

const quietlyLog = (logger: Logger.Logger<unknown, unknown>, options: Logger.Options<unknown>): void => {
  try {
    logger.log(options)
  } catch {
    // One logger's trouble is not the others'.
  }
}

/** A line for any Effect logger: with the fields as annotations, without secrets in message and annotations, on one line each. */
const safe = (options: Logger.Options<unknown>, fields: Fields, line: LogData): Logger.Options<unknown> => ({
  ...options,
  message: [escape(line.message)],
  fiber: annotatedFiber(options.fiber, escaped({ ...Object.fromEntries(line.attributes), ...fields }))
})

const escaped = (values: Fields): Fields => {
  const out: Fields = {}
  for (const key in values) {
    const value = values[key]
    out[escape(key)] = typeof value === "string" ? escape(value) : value
  }
  return out
}

const causeOf = ({ cause }: LogData): Cause.Cause<unknown> => {
  if (cause === undefined) return Cause.empty
  const shown = new Error(escape(cause.split("\n", 1)[0]!))
  shown.stack = escapeLines(cause)
  return Cause.fail(shown)
}

/** What a logger asks of a fiber, for a line whose fiber may be gone. */
const standIn = (id: number, annotations: Fields): Fiber.Fiber<unknown, unknown> =>
  ({
    id,
    context: Context.empty(),
    cache: { span: undefined },
    getRef: (ref: Context.Reference<unknown>) => ref.key === References.CurrentLogAnnotations.key ? annotations : Context.get(Context.empty(), ref)
  }) as unknown as Fiber.Fiber<unknown, unknown>
