import { RequestContext, Requests } from "@effect-observability/core"
import * as Effect from "effect/Effect"

/**
 * The id of the HTTP request being answered: the caller's `x-request-id` where it is harmless, a fresh one otherwise; the
 * response carries it too. `undefined` outside requests and on ignored paths. The same as `RequestContext` has.
 */
export const RequestId: Effect.Effect<string | undefined> = Effect.map(RequestContext, ({ requestId }) => requestId)

/** Whether an id from outside may go into headers, logs and attributes as it is. */
export const isRequestId = Requests.isRequestId
