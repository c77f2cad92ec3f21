import type * as Fiber from "effect/Fiber"
import { isHttpClientError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import * as Schedule from "effect/Schedule"

/** The last request of a fiber, if that failed: what is sent again is the same to the same place. */
const failures = new WeakMap<Fiber.Fiber<unknown, unknown>, string>()

/**
 * How many times a request was sent before because it failed (`http.request.resend_count`). Retries run in a schedule, which counts them; a
 * schedule that repeats what succeeds is no retry, so it must have been this request that failed: as the schedule's own input says
 * (`HttpClient.retry`, `retryTransient`), or the fiber's last request.
 */
export const resendsOf = (fiber: Fiber.Fiber<unknown, unknown>, request: HttpClientRequest): number => {
  const { attempt, input } = fiber.getRef(Schedule.CurrentMetadata)
  if (attempt === 0) return 0
  const key = keyOf(request)
  return failedRequest(input) === key || failures.get(fiber) === key ? attempt : 0
}

export const remember = (fiber: Fiber.Fiber<unknown, unknown>, request: HttpClientRequest, failed: boolean): void => {
  if (failed) failures.set(fiber, keyOf(request))
  else failures.delete(fiber)
}

const keyOf = ({ method, url }: HttpClientRequest): string => `${method} ${url}`

const failedRequest = (input: unknown): string | undefined => {
  if (isHttpClientError(input)) return keyOf(input.request)
  if (typeof input !== "object" || input === null || !("status" in input) || !("request" in input)) return undefined
  const { request, status } = input as { readonly request: HttpClientRequest; readonly status: unknown }
  return typeof status === "number" && status >= 400 ? keyOf(request) : undefined
}
