import type { LogData } from "../logs/LogData.ts"

/**
 * An error as listeners receive it: plain, immutable and without secrets. One `ErrorData` stands for one occurrence, however many fibers
 * and boundaries it crossed.
 *
 * Ids are lower-case hex: 32 digits for an error or a trace, 16 for a span.
 */
export interface ErrorData {
  /** What response, log line, span, history and vendors name this occurrence by. */
  readonly errorId: string
  /** When it was reported, nanoseconds since the Unix epoch. */
  readonly time: bigint
  /** An expected failure of the program (the error channel), or a bug (a defect). Interruptions are no errors. */
  readonly kind: ErrorKind
  /** Whether the caller or the domain is the reason (`"business"`), or the program or what it stands on (`"system"`). */
  readonly errorClass: ErrorClass
  readonly level: ErrorLevel
  /** Of low cardinality: the error's class name or `_tag`. */
  readonly errorType: string
  /** May be empty; lines of it are not joined. */
  readonly message: string
  /** With the names of the spans it came through where Effect knows them; `undefined` for what is no object. */
  readonly stack: string | undefined
  /**
   * Everything that went wrong, the error itself first, then what caused it, then failures beside it (parallel branches, finalizers), each
   * followed by its own causes. At most 16.
   */
  readonly causes: ReadonlyArray<ErrorCause>
  /** 16 hex digits: the same for what is probably the same mistake, whatever ids and numbers its message has. */
  readonly fingerprint: string
  /** Names of the spans that were open around it, the innermost first; at most 32. */
  readonly spanNames: ReadonlyArray<string>
  readonly traceId: string | undefined
  readonly spanId: string | undefined
  /** Whether the trace was kept, as far as that was decided. */
  readonly sampled: boolean
  readonly requestId: string | undefined
  readonly userId: string | undefined
  readonly tenantId: string | undefined
  readonly module: string | undefined
  /** What the error and whoever reported it said besides; plain values as on a span. */
  readonly attributes: ReadonlyMap<string, unknown>
  /** Whether the program went on after it, or it reached the edge of a request or a fiber. */
  readonly handled: boolean
  /** The last log lines of the same trace, request or fiber, oldest first. */
  readonly breadcrumbs: ReadonlyArray<LogData>
  /** How many more of this fingerprint it stands for, that were held back because there were too many; absent for none. */
  readonly repeats?: number
  /** Whether somebody is to be called; absent for no. */
  readonly alert?: boolean
}

export type ErrorKind = "failure" | "defect"
export type ErrorClass = "business" | "system"
export type ErrorLevel = "debug" | "info" | "warn" | "error" | "fatal"

/** One error in the tree of what went wrong. */
export interface ErrorCause {
  readonly type: string
  readonly message: string
  readonly stack: string | undefined
  /** Place in `causes` of the error this is a cause of; `undefined` for the error itself and for failures beside it. */
  readonly parent: number | undefined
}
