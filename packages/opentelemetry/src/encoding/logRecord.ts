import type { ErrorData, LogData } from "@effect-observability/core"

/** A log record before it is encoded (OpenTelemetry logs data model). */
export interface LogRecord {
  /** Nanoseconds since the epoch: when it happened, and when it was seen. */
  readonly time: bigint
  readonly severity: number
  readonly severityText: string
  readonly body: string
  readonly attributes: ReadonlyArray<readonly [name: string, value: unknown]>
  readonly traceId: string | undefined
  readonly spanId: string | undefined
  readonly flags: number
}

/** `SeverityNumber`: the first of each range of four. */
const severities = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 } as const

export const ofLog = (log: LogData): LogRecord => {
  const attributes: Array<readonly [string, unknown]> = [...log.attributes]
  shared(attributes, log)
  add(attributes, "error.id", log.errorId)
  // Its type and message are in the text; a stack trace is what the conventions have a name for.
  add(attributes, "exception.stacktrace", log.cause)
  for (const { millis, name } of log.logSpans) attributes.push([`log.span.${name}`, millis])
  return {
    time: log.time,
    severity: severities[log.level],
    severityText: log.level.toUpperCase(),
    body: log.message,
    attributes,
    traceId: log.traceId,
    spanId: log.spanId,
    flags: log.traceFlags
  }
}

/** An error as a record (semantic conventions, "Exceptions in logs"), with what the toolkit knows of it besides. */
export const ofError = (error: ErrorData): LogRecord => {
  const attributes: Array<readonly [string, unknown]> = [
    ["event.name", "exception"],
    ["exception.type", error.errorType],
    ["exception.message", error.message]
  ]
  add(attributes, "exception.stacktrace", error.stack)
  attributes.push(
    ["error.id", error.errorId],
    ["error.fingerprint", error.fingerprint],
    ["error.class", error.errorClass],
    ["error.handled", error.handled],
    ["effect.cause", error.kind === "failure" ? "fail" : "die"]
  )
  if (error.causes.length > 1) attributes.push(["error.causes", error.causes.slice(1).map(({ message, type }) => `${type}: ${message}`)])
  if (error.spanNames.length > 0) attributes.push(["error.spans", error.spanNames])
  shared(attributes, error)
  for (const one of error.attributes) attributes.push(one)
  return {
    time: error.time,
    severity: severities[error.level],
    severityText: error.level.toUpperCase(),
    body: error.message === "" ? error.errorType : `${error.errorType}: ${error.message}`,
    attributes,
    traceId: error.traceId,
    spanId: error.spanId,
    flags: error.sampled ? 1 : 0
  }
}

const shared = (attributes: Array<readonly [string, unknown]>, of: Pick<LogData, "requestId" | "userId" | "tenantId" | "module">): void => {
  add(attributes, "request_id", of.requestId)
  add(attributes, "user_id", of.userId)
  add(attributes, "tenant_id", of.tenantId)
  add(attributes, "module", of.module)
}

const add = (attributes: Array<readonly [string, unknown]>, name: string, value: unknown): void => {
  if (value !== undefined && !attributes.some(([known]) => known === name)) attributes.push([name, value])
}
