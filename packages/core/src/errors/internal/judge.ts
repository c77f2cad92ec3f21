import * as ErrorReporter from "effect/ErrorReporter"
import type { ErrorClass, ErrorLevel } from "../ErrorData.ts"
import type { ErrorPolicy, ErrorStrategy, ErrorSubject, ErrorVerdict } from "../ErrorPolicy.ts"

/** A verdict without gaps. */
export interface Verdict extends ErrorVerdict {
  readonly errorClass: ErrorClass
  readonly level: ErrorLevel
  readonly strategy: ErrorStrategy
}

/** What the classifiers say, then the error itself (`ErrorReporter.severity`), then the place that reports it, then the default. Never throws. */
export const judge = (policy: ErrorPolicy, subject: ErrorSubject, fallback: ErrorVerdict = {}): Verdict => {
  let said: ErrorVerdict = {}
  for (const classify of policy.classifiers) {
    try {
      const verdict = classify(subject)
      if (verdict !== undefined && verdict !== null) said = { ...verdict, ...present(said) }
    } catch {
      // One that throws says nothing.
    }
  }
  const status = statusOf(said.status) ?? statusOf(fallback.status)
  // The caller's mistake, or nothing there: what a server is asked all day.
  const client = status !== undefined && status < 500
  const errorClass = oneOf(classes, said.errorClass) ?? fallback.errorClass ?? (client ? "business" : classOf(subject))
  const level = oneOf(levels, said.level) ?? levelOf(subject.error) ?? fallback.level ?? (client ? "info" : status !== undefined ? "error" : errorClass === "business" ? "warn" : "error")
  return {
    ...said,
    errorClass,
    level,
    strategy: oneOf(strategies, said.strategy) ?? fallback.strategy ?? (client ? "count" : level === "fatal" ? "alert" : "report"),
    status
  }
}

const statusOf = (status: number | undefined): number | undefined =>
  typeof status === "number" && status >= 400 && status <= 599 ? Math.floor(status) : undefined

const present = (verdict: ErrorVerdict): ErrorVerdict => Object.fromEntries(Object.entries(verdict).filter(([, value]) => value !== undefined))

const classes = ["business", "system"] as const
const levels = ["debug", "info", "warn", "error", "fatal"] as const
const strategies = ["ignore", "count", "report", "alert"] as const

const oneOf = <A extends string>(all: ReadonlyArray<A>, value: A | undefined): A | undefined =>
  value !== undefined && all.includes(value) ? value : undefined

/** The level that the error itself asks for. */
const levelOf = (error: unknown): ErrorLevel | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  try {
    return ErrorReporter.severity in error ? effectLevels[ErrorReporter.getSeverity(error)] : undefined
  } catch {
    return undefined
  }
}

const effectLevels: Readonly<Record<string, ErrorLevel>> = { Fatal: "fatal", Error: "error", Warn: "warn", Info: "info", Debug: "debug", Trace: "debug" }

/**
 * Bugs, errors without a type of their own, and what the program stands on (databases, networks, files, time) are the system's; a typed
 * error of the program is a word of its domain.
 */
const classOf = ({ errorType, kind }: ErrorSubject): ErrorClass =>
  kind === "defect" || untyped.has(errorType) || infrastructure.has(errorType) || infrastructureEnd.test(errorType) ? "system" : "business"

const untyped: ReadonlySet<string> = new Set([
  "Error", "TypeError", "RangeError", "SyntaxError", "ReferenceError", "EvalError", "URIError", "AggregateError", "DOMException", "UnknownError",
  "Object", "unknown", "null", "undefined", "string", "number", "bigint", "boolean", "symbol", "function"
])

/** Tags of Effect's own errors and names that drivers use. */
const infrastructure: ReadonlySet<string> = new Set([
  "AsyncFiberError", "ConfigError", "DatabaseError", "ExceededCapacityError", "ExportError", "FetchError", "HttpClientError", "HttpServerError",
  "IllegalArgumentError", "KeyValueStoreError", "MigrationError", "PersistedQueueError", "PersistenceError", "PlatformError", "RequestError",
  "ResponseError", "RpcClientError", "SchemaError", "SocketError", "SqlError", "SystemError", "TimeoutError", "TimeoutException", "TransportError",
  "WorkerError", "AbortError", "AssertionError"
])

const infrastructureEnd = /(?:Sql|Database|Db|Postgres|Redis|Kafka|Amqp|Nats|Mongo|Network|Connection|Socket|Timeout|Unavailable|Transport|FileSystem)(?:Error|Exception|Failure)?$/
