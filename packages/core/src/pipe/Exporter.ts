import type * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * Where batches go: the one verb that tells backends apart. Queue, timer, retry and drain belong to `BatchProcessor`.
 */
export interface Exporter<in A> {
  /**
   * Delivers one batch. Called by one fiber at a time. A retry passes the same `attempt.number` and the same items, so
   * that a sink can recognise what it already has. An attempt that outlives its deadline is abandoned, not awaited: it
   * may still be running when the next attempt of the same batch starts.
   */
  readonly export: (
    batch: Arr.NonEmptyReadonlyArray<A>,
    attempt: Attempt
  ) => Effect.Effect<ExportOutcome, ExportError>
  /**
   * Called once when the processor gives a batch up, before it is counted as dropped, so that a late attempt of it can be
   * fenced off. Its failure is ignored: the batch is then counted `unconfirmed`.
   */
  readonly giveUp?: (attempt: Attempt) => Effect.Effect<void, ExportError>
}

export interface Attempt {
  /** Which batch: 1, 2, 3, … for each processor; one number always means the same items. */
  readonly number: number
  /** Which try of it: 1 is the first. */
  readonly attempt: number
}

/** A partial success is an answer, not an error: `rejected` items were refused for good, the rest were taken. */
export interface ExportOutcome {
  /** Items refused for good, 0 to the batch's length. */
  readonly rejected: number
  /** Why, as it shall stand in the ledger: `"partial_success"`, `"poison"`, …. */
  readonly reason: string
}

export const complete: ExportOutcome = { rejected: 0, reason: "" }

/** The sink was not reached, or asked to be tried again later. */
export class Unavailable extends Schema.TaggedClass<Unavailable>()("Unavailable", {
  message: Schema.String,
  /** The delay the sink asked for; honoured within the policy's cap. */
  retryAfter: Schema.optionalKey(Schema.Duration)
}) {
  get isRetryable(): boolean {
    return true
  }
}

/** The sink was reached and refuses this batch; trying again cannot help, a smaller batch might. */
export class Refused extends Schema.TaggedClass<Refused>()("Refused", {
  message: Schema.String,
  /** As it shall stand in the ledger: `"rejected:400"`, `"poison"`, …. */
  reason: Schema.String,
  /** Whether splitting the batch can find the guilty item. */
  divisible: Schema.Boolean
}) {
  get isRetryable(): boolean {
    return false
  }
}

export type ExportErrorReason = Unavailable | Refused

export class ExportError extends Schema.TaggedError<ExportError>()("ExportError", {
  reason: Schema.Union([Unavailable, Refused])
}) {
  override get message(): string {
    return this.reason.message
  }
}

export const unavailable = (message: string, retryAfter?: Duration.Duration): ExportError =>
  new ExportError({ reason: new Unavailable(retryAfter === undefined ? { message } : { message, retryAfter }) })

export const refused = (message: string, reason: string, divisible = true): ExportError =>
  new ExportError({ reason: new Refused({ message, reason, divisible }) })

/** A day: no answer keeps a sink waiting for longer. */
const longestWait = Duration.days(1)

/**
 * The wait that a `Retry-After` header asks for (RFC 9110, 10.2.3): whole seconds, or a date in one of the three forms of 5.6.7,
 * at most a day. None for a header that is absent or makes no sense. `now` in milliseconds since the epoch.
 *
 * @example
 * ```ts
 * Exporter.retryAfter("120", now) // two minutes
 * Exporter.retryAfter("Wed, 21 Oct 2015 07:28:00 GMT", now) // until then; 0 if it is past
 * ```
 */
export const retryAfter = (header: unknown, now: number): Duration.Duration | undefined => {
  if (typeof header !== "string" || header.length > 64) return undefined
  const asked = Headers.parseRetryAfter(header)
  return Result.isFailure(asked) ? undefined : Duration.min(Headers.retryAfterDelay(asked.success, now), longestWait)
}
