import * as Cause from "effect/Cause"
import * as ErrorReporter from "effect/ErrorReporter"
import type * as Fiber from "effect/Fiber"
import type * as EffectTracer from "effect/Tracer"
import { RequestContext } from "../../context/RequestContext.ts"
import type { LogData } from "../../logs/LogData.ts"
import { hexId, IdGenerator } from "../../tracing/IdGenerator.ts"
import { isTraceId } from "../../tracing/Propagation.ts"
import type { Values } from "../../tracing/internal/values.ts"
import type { ErrorClass, ErrorData, ErrorKind, ErrorLevel } from "../ErrorData.ts"
import { fingerprint } from "./fingerprint.ts"
import { causesOf, type Failed, failuresOf } from "./unravel.ts"

/** Spans that are named. */
const maxSpans = 32

/** What is known of one occurrence. */
interface Known {
  readonly errorId: string
  /** The trace or request it was seen in. */
  readonly place: string
  reported: boolean
}

/** What there is to say about an error besides what it says itself. */
export interface Report {
  readonly cause: Cause.Cause<unknown>
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** Nanoseconds since the epoch. */
  readonly time: bigint
  readonly handled: boolean
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

export interface ReportsOptions {
  readonly values: () => Values
  readonly breadcrumbs: (fiber: Fiber.Fiber<unknown, unknown>) => ReadonlyArray<LogData>
}

/** Makes one `ErrorData` of every occurrence, whoever reports it and how often. */
export class Reports {
  private readonly options: ReportsOptions
  /** By error object or, of what is no object, by the reason that holds it. */
  private readonly known = new WeakMap<object, Known>()

  constructor(options: ReportsOptions) {
    this.options = options
  }

  /** The id of what failed in a cause, drawn when it is first asked for; `undefined` when nothing failed: it was only interrupted. */
  idOf(cause: Cause.Cause<unknown>, fiber: Fiber.Fiber<unknown, unknown>): string | undefined {
    const main = mainOf(failuresOf(cause))
    return main === undefined ? undefined : this.knownOf(main, fiber).errorId
  }

  /** The occurrence, or `undefined` when there is nothing new to report. Never throws. */
  make(report: Report): ErrorData | undefined {
    const { fiber } = report
    const all = failuresOf(report.cause)
    const fresh = all.filter((one) => !isIgnored(one.error) && !this.knownOf(one, fiber).reported)
    const main = mainOf(fresh)
    if (main === undefined) return undefined
    // All failures of one cause are one occurrence: whoever reports a part of it again reports the same.
    for (const one of all) this.knownOf(one, fiber).reported = true
    return this.data(report, main, [main, ...all.filter((one) => one !== main)])
  }

  private data({ attributes, fiber, handled, time }: Report, main: Failed, all: ReadonlyArray<Failed>): ErrorData {
    const values = this.options.values()
    const causes = causesOf(all, values)
    const { message, stack, type } = causes[0]!
    const kind: ErrorKind = main.defect ? "defect" : "failure"
    const errorClass = classOf(kind, type)
    const span = fiber.cache.span
    const traceId = span !== undefined && isTraceId(span.traceId) ? span.traceId : undefined
    const { module, requestId, tenantId, userId } = fiber.getRef(RequestContext)
    return {
      errorId: this.knownOf(main, fiber).errorId,
      time,
      kind,
      errorClass,
      level: levelOf(main.error) ?? (errorClass === "business" ? "warn" : "error"),
      errorType: type,
      message,
      stack,
      causes,
      fingerprint: fingerprint(type, message, stack),
      spanNames: namesOf(span, values),
      traceId,
      spanId: traceId === undefined ? undefined : span!.spanId,
      sampled: traceId !== undefined && span!.sampled,
      requestId,
      userId,
      tenantId,
      module,
      attributes: new Map(Object.entries({
        ...values.record(attributesOf(main.error), values.limits.attributeCount),
        ...values.record(attributes, values.limits.attributeCount)
      })),
      handled,
      breadcrumbs: this.options.breadcrumbs(fiber)
    }
  }

  /**
   * What is known of an occurrence. The same object in another trace or request is another occurrence: some programs fail with a constant.
   */
  private knownOf({ error, reason }: Failed, fiber: Fiber.Fiber<unknown, unknown>): Known {
    const byReason = this.known.get(reason)
    if (byReason !== undefined) return byReason
    const place = placeOf(fiber)
    const key = typeof error === "object" && error !== null ? error : reason
    let known = this.known.get(key)
    if (known === undefined || known.place !== place) {
      known = { errorId: hexId(fiber.getRef(IdGenerator)), place, reported: false }
      this.known.set(key, known)
    }
    this.known.set(reason, known)
    return known
  }
}

/** The trace or the request a fiber works for; `""` for neither. */
export const placeOf = (fiber: Fiber.Fiber<unknown, unknown>): string => {
  const span = fiber.cache.span
  return span !== undefined && isTraceId(span.traceId) ? span.traceId : fiber.getRef(RequestContext).requestId ?? ""
}

/** A bug before an expected failure: it is the one to mend. */
const mainOf = (failures: ReadonlyArray<Failed>): Failed | undefined => failures.find((one) => one.defect) ?? failures[0]

const namesOf = (span: EffectTracer.AnySpan | undefined, values: Values): ReadonlyArray<string> => {
  const out: Array<string> = []
  for (let one = span; one?._tag === "Span" && out.length < maxSpans; one = one.parent._tag === "Some" ? one.parent.value : undefined) {
    if (one.status._tag === "Started") out.push(values.text(one.name, 256))
  }
  return out
}

const isIgnored = (error: unknown): boolean => {
  try {
    return ErrorReporter.isIgnored(error)
  } catch {
    return false
  }
}

const attributesOf = (error: unknown): Readonly<Record<string, unknown>> | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  try {
    return ErrorReporter.getAttributes(error)
  } catch {
    return undefined
  }
}

/** The level that the error itself asks for (`ErrorReporter.severity`). */
const levelOf = (error: unknown): ErrorLevel | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  try {
    return ErrorReporter.severity in error ? levels[ErrorReporter.getSeverity(error)] : undefined
  } catch {
    return undefined
  }
}

const levels: Readonly<Record<string, ErrorLevel>> = { Fatal: "fatal", Error: "error", Warn: "warn", Info: "info", Debug: "debug", Trace: "debug" }

/** Bugs and what the program stands on are the system's; other typed errors are words of the domain. */
const classOf = (kind: ErrorKind, type: string): ErrorClass => kind === "defect" || infrastructure.test(type) ? "system" : "business"

const infrastructure = /^(Error|TypeError|RangeError|SyntaxError|ReferenceError|EvalError|URIError|AggregateError|UnknownError|string|number|object|Object|unknown)$|(Sql|Platform|System|Socket|HttpClient|HttpServer|Request|Response|Timeout|Connection|Network|Config|Redis|Kafka|Export|Worker|Rpc|Dns|Tls|ExceededCapacity|Persistence|Cluster)\w*(Error|Exception)$|(Timeout|Connection|Unavailable)\w*$/
