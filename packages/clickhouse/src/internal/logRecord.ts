import type { ErrorData, LogData } from "@effect-observability/core"

/** A row of the table of logs (OpenTelemetry logs data model). */
export interface LogRecord {
  readonly time: bigint
  readonly level: keyof typeof severities
  readonly body: string
  readonly attributes: ReadonlyMap<string, unknown>
  readonly traceId: string | undefined
  readonly spanId: string | undefined
  readonly flags: number
}

/** `SeverityNumber`: the first of each range of four. */
export const severities = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 } as const

export const ofLog = (log: LogData): LogRecord => ({
  time: log.time,
  level: log.level,
  body: log.message,
  attributes: told([
    ...who(log),
    ["error.id", log.errorId],
    ["exception.stacktrace", log.cause],
    ...log.logSpans.map(({ millis, name }) => [`log.span.${name}`, millis] as const),
    ...log.attributes
  ]),
  traceId: log.traceId,
  spanId: log.spanId,
  flags: log.traceFlags
})

/** Semantic conventions, "Exceptions in logs", with what the toolkit knows besides. */
export const ofError = (error: ErrorData): LogRecord => ({
  time: error.time,
  level: error.level,
  body: error.message === "" ? error.errorType : `${error.errorType}: ${error.message}`,
  attributes: told([
    ...error.attributes,
    ...who(error),
    ["event.name", "exception"],
    ["exception.type", error.errorType],
    ["exception.message", error.message],
    ["exception.stacktrace", error.stack],
    ["error.id", error.errorId],
    ["error.fingerprint", error.fingerprint],
    ["error.class", error.errorClass],
    ["error.handled", error.handled],
    ["effect.cause", error.kind === "failure" ? "fail" : "die"],
    ["error.causes", error.causes.length > 1 ? error.causes.slice(1).map(({ message, type }) => `${type}: ${message}`) : undefined],
    ["error.spans", error.spanNames.length > 0 ? error.spanNames : undefined],
    ["error.repeats", error.repeats]
  ]),
  traceId: error.traceId,
  spanId: error.spanId,
  flags: error.sampled ? 1 : 0
})

const who = (of: Pick<LogData, "requestId" | "userId" | "tenantId" | "module">): ReadonlyArray<readonly [string, unknown]> => [
  ["request_id", of.requestId], ["user_id", of.userId], ["tenant_id", of.tenantId], ["module", of.module]
]

const told = (entries: ReadonlyArray<readonly [string, unknown]>): ReadonlyMap<string, unknown> => new Map(entries.filter(([, value]) => value !== undefined))
