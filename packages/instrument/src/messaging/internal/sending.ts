import { MetricDefinition } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { PublishError } from "../errors.ts"
import { known } from "./known.ts"
import type { SendOutcome } from "./Topic.ts"

/** How an attempt to publish ended that did not succeed. */
export const sendOutcome = (cause: Cause.Cause<unknown>): SendOutcome => {
  if (Cause.hasInterruptsOnly(cause)) return "interrupted"
  const error = Cause.squash(cause)
  return isPublishError(error) ? error.reason : "failed"
}

/** The error type of a failed attempt: the reason where the broker gave one, else what kind of error stopped it. */
export const sendErrorType = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (!isPublishError(error)) return MetricDefinition.errorTypeOf(Exit.failCause(cause))
  return error.reason === "failed" ? errorType(error.cause) : error.reason
}

const isPublishError = (error: unknown): error is PublishError => known(() => error instanceof PublishError) === true

/** The `code` of a system error (`ECONNREFUSED`), else tag or name; of an error that only tells of retries, that of what was retried. */
export const errorType = (error: unknown): string =>
  known(() => {
    let at: any = error
    for (let depth = 0; depth < 3 && at?.name === "KafkaJSNumberOfRetriesExceeded" && at.cause !== undefined; depth++) at = at.cause
    const code: unknown = at?.code
    return typeof code === "string" && /^[A-Z][A-Z0-9_]{1,62}$/.test(code) ? code : MetricDefinition.errorTypeOf(Exit.fail(at))
  }) ?? "_OTHER"
