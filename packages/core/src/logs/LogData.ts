/**
 * A log line as listeners receive it: plain, immutable and without secrets.
 *
 * Ids are lower-case hex: 32 digits for a trace or an error, 16 for a span.
 */
export interface LogData {
  /** Nanoseconds since the Unix epoch. */
  readonly time: bigint
  readonly level: LogDataLevel
  /** All that was logged, joined by spaces; what is no text is JSON. Control characters are as they were logged. */
  readonly message: string
  /** The line's annotations; plain values as on a span. */
  readonly attributes: ReadonlyMap<string, unknown>
  readonly traceId: string | undefined
  readonly spanId: string | undefined
  /** W3C trace flags: 1 when the trace is sampled, else 0. */
  readonly traceFlags: number
  readonly requestId: string | undefined
  readonly userId: string | undefined
  readonly tenantId: string | undefined
  readonly module: string | undefined
  /** The error the line is about, where it has an id. */
  readonly errorId: string | undefined
  /** Effect's log spans: how long each has been open, in milliseconds, the innermost first. */
  readonly logSpans: ReadonlyArray<{ readonly name: string; readonly millis: number }>
  /** What was logged as a `Cause`, in words; `undefined` for none. */
  readonly cause: string | undefined
}

export type LogDataLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal"
