import * as Context from "effect/Context"

/**
 * The id of the HTTP request being answered: the caller's `x-request-id` where it is harmless, a fresh one otherwise; the
 * response carries it too. `undefined` outside requests and on ignored paths.
 */
export const RequestId: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "@effect-observability/instrument/RequestId",
  { defaultValue: () => undefined }
)

const harmless = /^[A-Za-z0-9._-]{1,128}$/

/** Whether an id from outside may go into headers, logs and attributes as it is. */
export const isRequestId = (text: string | undefined): text is string => text !== undefined && harmless.test(text)
