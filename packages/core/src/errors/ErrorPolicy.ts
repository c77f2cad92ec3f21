import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import type { ErrorClass, ErrorKind, ErrorLevel } from "./ErrorData.ts"

/**
 * What becomes of an error: nothing at all (`"ignore"`), only `errors_total` (`"count"`), a log line and every backend besides (`"report"`),
 * or also the alert hook (`"alert"`).
 */
export type ErrorStrategy = "ignore" | "count" | "report" | "alert"

/** What a classifier says about an error; what it leaves out the next one says, and in the end the default. */
export interface ErrorVerdict {
  readonly errorClass?: ErrorClass | undefined
  readonly level?: ErrorLevel | undefined
  readonly strategy?: ErrorStrategy | undefined
  /** Errors of one fingerprint are one group; any text, kept as a hash. */
  readonly fingerprint?: string | undefined
  /** The status of the response when the error reaches the edge of an HTTP request: 400 to 599. */
  readonly status?: number | undefined
  /** Said to the client as the problem's `detail`: it must be safe for strangers. */
  readonly publicMessage?: string | undefined
}

/** An error to judge. */
export interface ErrorSubject {
  readonly error: unknown
  readonly kind: ErrorKind
  /** As `ErrorData.errorType`. */
  readonly errorType: string
}

/** Judges an error; one that throws says nothing. */
export type ErrorClassifier = (subject: ErrorSubject) => ErrorVerdict | undefined

/** How errors are treated. */
export interface ErrorPolicy {
  /** Asked in order. */
  readonly classifiers: ReadonlyArray<ErrorClassifier>
  /** Whether every reported error also makes one log line with its id. */
  readonly log: boolean
  /** Most reports of one fingerprint per `window`; the others are counted, and the next report of it says how many they were. */
  readonly maxRepeats: number
  /** Milliseconds. */
  readonly window: number
}

/** What a program writes; everything has a default. */
export interface ErrorPolicyInput {
  /** Asked before the default. */
  readonly classify?: ErrorClassifier | ReadonlyArray<ErrorClassifier>
  /** Default `true`. */
  readonly log?: boolean
  /** Default 100; at least 1. */
  readonly maxRepeats?: number
  /** Default one minute. */
  readonly window?: Duration.Input
}

/**
 * The policy in force where an error is reported. It belongs to the running fiber, so that a part of the program may have its own.
 */
export const ErrorPolicy: Context.Reference<ErrorPolicy> = Context.Reference("@effect-observability/core/ErrorPolicy", {
  defaultValue: () => make()
})

export const make = (input: ErrorPolicyInput = {}): ErrorPolicy => ({
  classifiers: typeof input.classify === "function" ? [input.classify] : input.classify ?? [],
  log: input.log ?? true,
  maxRepeats: Math.max(1, input.maxRepeats ?? 100),
  window: Math.max(1, Duration.toMillis(input.window ?? "1 minute"))
})

export const layer = (input: ErrorPolicyInput): Layer.Layer<never> => Layer.succeed(ErrorPolicy, make(input))

/**
 * Verdicts by `_tag` or class name.
 *
 * @example
 * ```ts
 * const classify = ErrorPolicy.byType({
 *   OutOfStock: { strategy: "count", status: 409, publicMessage: "out of stock" },
 *   LedgerBroken: { level: "fatal", strategy: "alert" }
 * })
 * ```
 */
export const byType = (verdicts: Readonly<Record<string, ErrorVerdict>>): ErrorClassifier => {
  const table = new Map(Object.entries(verdicts))
  return ({ errorType }) => table.get(errorType)
}
