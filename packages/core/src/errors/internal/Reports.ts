import * as Cause from "effect/Cause"
import * as ErrorReporter from "effect/ErrorReporter"
import type * as Fiber from "effect/Fiber"
import type * as EffectTracer from "effect/Tracer"
import { RequestContext } from "../../context/RequestContext.ts"
import type { LogData } from "../../logs/LogData.ts"
import { hexId, IdGenerator } from "../../tracing/IdGenerator.ts"
import { isTraceId } from "../../tracing/Propagation.ts"
import type { Values } from "../../tracing/internal/values.ts"
import type { ErrorData } from "../ErrorData.ts"
import { ErrorPolicy, type ErrorSubject, type ErrorVerdict } from "../ErrorPolicy.ts"
import { fingerprint, hash } from "./fingerprint.ts"
import { judge, type Verdict } from "./judge.ts"
import { causesOf, type Failed, failuresOf, typeOf } from "./unravel.ts"

/** Spans that are named. */
const maxSpans = 32

/** Where a fiber works: what tells two occurrences of one object apart. */
interface Place {
  readonly traceId: string | undefined
  readonly requestId: string | undefined
}

/** What is known of one occurrence. */
interface Known extends Place {
  readonly errorId: string
  reported: boolean
}

/** Occurrences that are remembered of one object. */
const maxKnown = 16

/** What there is to say about an error besides what it says itself. */
export interface Report {
  readonly cause: Cause.Cause<unknown>
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** Nanoseconds since the epoch. */
  readonly time: bigint
  readonly handled: boolean
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
  /** What whoever reports it thinks of it, where neither the policy nor the error says otherwise. */
  readonly fallback?: ErrorVerdict | undefined
}

/** An occurrence and what is to become of it. */
export interface Occurrence {
  readonly errorId: string
  readonly verdict: Verdict
  /** What to hand on; `undefined` when it was reported before. */
  readonly data: ErrorData | undefined
}

export interface ReportsOptions {
  readonly values: () => Values
  readonly breadcrumbs: (fiber: Fiber.Fiber<unknown, unknown>) => ReadonlyArray<LogData>
}

/** Makes one `ErrorData` of every occurrence, whoever reports it and how often. */
export class Reports {
  private readonly options: ReportsOptions
  /** By error object or, of what is no object, by the reason that holds it. */
  private readonly known = new WeakMap<object, Array<Known>>()

  constructor(options: ReportsOptions) {
    this.options = options
  }

  /** The id of what failed in a cause, drawn when it is first asked for; `undefined` when nothing failed: it was only interrupted. */
  idOf(cause: Cause.Cause<unknown>, fiber: Fiber.Fiber<unknown, unknown>): string | undefined {
    const main = mainOf(failuresOf(cause).filter((one) => !isIgnored(one.error)))
    return main === undefined ? undefined : this.knownOf(main, fiber).errorId
  }

  /** The occurrence, or `undefined` when nothing failed or is to be ignored. Never throws. */
  make(report: Report): Occurrence | undefined {
    const { fiber } = report
    const all = failuresOf(report.cause).filter((one) => !isIgnored(one.error))
    const fresh = all.filter((one) => !this.knownOf(one, fiber).reported)
    const main = mainOf(fresh) ?? mainOf(all)
    if (main === undefined) return undefined
    const { errorId } = this.knownOf(main, fiber)
    const verdict = judge(fiber.getRef(ErrorPolicy), subjectOf(main, this.options.values()), report.fallback)
    // All failures of one cause are one occurrence: whoever reports a part of it again reports the same.
    for (const one of all) this.knownOf(one, fiber).reported = true
    if (verdict.strategy === "ignore") return undefined
    return { errorId, verdict, data: fresh.length === 0 ? undefined : this.data(report, errorId, verdict, main, [main, ...all.filter((one) => one !== main)]) }
  }

  private data({ attributes, fiber, handled, time }: Report, errorId: string, verdict: Verdict, main: Failed, all: ReadonlyArray<Failed>): ErrorData {
    const values = this.options.values()
    const causes = causesOf(all, values)
    const { message, stack, type } = causes[0]!
    const span = fiber.cache.span
    const traceId = span !== undefined && isTraceId(span.traceId) ? span.traceId : undefined
    const { module, requestId, tenantId, userId } = fiber.getRef(RequestContext)
    return {
      errorId,
      time,
      kind: main.defect ? "defect" : "failure",
      errorClass: verdict.errorClass,
      level: verdict.level,
      errorType: type,
      message,
      stack,
      causes,
      fingerprint: verdict.fingerprint === undefined ? fingerprint(type, message, stack) : hash(verdict.fingerprint),
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
      breadcrumbs: this.options.breadcrumbs(fiber),
      ...(verdict.strategy === "alert" ? { alert: true } : {})
    }
  }

  /**
   * What is known of an occurrence. The same object in another request or trace is another one: some programs fail with a constant, others
   * share a failure between requests.
   */
  private knownOf({ error, reason }: Failed, fiber: Fiber.Fiber<unknown, unknown>): Known {
    const place = placeIn(fiber)
    const key = typeof error === "object" && error !== null ? error : reason
    const all = this.known.get(key)
    const found = all?.find((one) => isSame(one, place))
    if (found !== undefined) return found
    const known = { ...place, errorId: hexId(fiber.getRef(IdGenerator)), reported: false }
    if (all === undefined) this.known.set(key, [known])
    else {
      if (all.length >= maxKnown) all.shift()
      all.push(known)
    }
    return known
  }
}

const placeIn = (fiber: Fiber.Fiber<unknown, unknown>): Place => {
  const span = fiber.cache.span
  return { traceId: span !== undefined && isTraceId(span.traceId) ? span.traceId : undefined, requestId: fiber.getRef(RequestContext).requestId }
}

/** Whether an occurrence is what is seen here. On its way out an error leaves its trace; it does not come into another one. */
const isSame = (known: Known, { requestId, traceId }: Place): boolean => {
  if (requestId !== undefined && known.requestId !== undefined) return requestId === known.requestId
  return traceId === undefined || traceId === known.traceId
}

/** The trace or the request a fiber works for; `""` for neither. */
export const placeOf = (fiber: Fiber.Fiber<unknown, unknown>): string => {
  const { requestId, traceId } = placeIn(fiber)
  return traceId ?? requestId ?? ""
}

const subjectOf = ({ defect, error }: Failed, values: Values): ErrorSubject => ({ error, kind: defect ? "defect" : "failure", errorType: typeOf(error, values) })

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
