import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AlertEvent } from "../alerting/Alert.ts"
import type { HistoryError } from "./HistoryError.ts"
import type { ResourceQuery } from "./ResourceQuery.ts"

/** An event as a history keeps it. */
export interface StoredAlertEvent extends AlertEvent {
  readonly serviceName: string
}

/** Conditions that all hold; without any, every event of the last day. */
export interface AlertQuery {
  /** Milliseconds since the epoch, or a `Date`; inclusive. Default: a day before `endTime`. */
  readonly startTime?: number | Date
  /** Exclusive. Default: now. */
  readonly endTime?: number | Date
  readonly alertname?: string
  readonly fingerprint?: string
  readonly severity?: AlertEvent["severity"]
  readonly state?: AlertEvent["state"]
  readonly serviceName?: string
  /** Events of these processes; with several that share a store, of the one that led them. */
  readonly resource?: ResourceQuery
  /** 1 to 1,000; default 100. */
  readonly limit?: number
  /** The `cursor` of the page before. */
  readonly cursor?: string
}

export interface AlertPage {
  /** The youngest first. */
  readonly events: ReadonlyArray<StoredAlertEvent>
  /** For the next page; `undefined` when there is none. */
  readonly cursor: string | undefined
}

/** When alerts began and ended. Nothing waits but for the store; questions that make no sense fail with a message that names the field. */
export class AlertHistory extends Context.Service<AlertHistory, {
  readonly searchAlerts: (query?: AlertQuery) => Effect.Effect<AlertPage, HistoryError>
}>()("@effect-observability/core/AlertHistory") {}
