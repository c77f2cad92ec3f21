import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ErrorClass, ErrorData, ErrorKind, ErrorLevel } from "../errors/ErrorData.ts"
import type { HistoryError } from "./HistoryError.ts"
import type { ResourceQuery } from "./ResourceQuery.ts"

/** An error as a history keeps it. */
export interface StoredError extends ErrorData {
  readonly serviceName: string
}

/** Conditions that all hold; without any, every error of the last hour. */
export interface ErrorQuery {
  /** Milliseconds since the epoch, or a `Date`; inclusive. Default: an hour before `endTime`. */
  readonly startTime?: number | Date
  /** Exclusive. Default: now. */
  readonly endTime?: number | Date
  readonly serviceName?: string
  /** Errors of these processes. */
  readonly resource?: ResourceQuery
  readonly fingerprint?: string
  readonly errorType?: string
  readonly errorClass?: ErrorClass
  readonly kind?: ErrorKind
  readonly level?: ErrorLevel
  readonly traceId?: string
  readonly requestId?: string
  /** Part of type or message, whatever the case of A to Z; at most 256 characters. */
  readonly text?: string
  /** 1 to 1,000; default 100. */
  readonly limit?: number
  /** The `cursor` of the page before. */
  readonly cursor?: string
}

export interface ErrorPage {
  /** The youngest first. */
  readonly errors: ReadonlyArray<StoredError>
  /** For the next page; `undefined` when there is none. */
  readonly cursor: string | undefined
}

/** The errors of one fingerprint in the time that was asked for. */
export interface ErrorGroup {
  readonly fingerprint: string
  /** Of the last one. */
  readonly errorType: string
  readonly message: string
  readonly kind: ErrorKind
  readonly errorClass: ErrorClass
  readonly level: ErrorLevel
  readonly serviceName: string
  /** Milliseconds since the epoch. */
  readonly firstSeen: number
  readonly lastSeen: number
  /** Those too that were held back and only counted. */
  readonly count: number
  /** The id of the last one, to show as a sample. */
  readonly lastErrorId: string
}

/** The errors that were reported. Nothing waits but for the store; questions that make no sense fail with a message that names the field. */
export class ErrorHistory extends Context.Service<ErrorHistory, {
  /** The error of this id (32 hex digits), whenever it was. */
  readonly getError: (errorId: string) => Effect.Effect<StoredError | undefined, HistoryError>
  readonly searchErrors: (query?: ErrorQuery) => Effect.Effect<ErrorPage, HistoryError>
  /** Groups by fingerprint and service, the last seen first; at most `limit`. No pages. */
  readonly errorGroups: (query?: ErrorQuery) => Effect.Effect<ReadonlyArray<ErrorGroup>, HistoryError>
}>()("@effect-observability/core/ErrorHistory") {}
