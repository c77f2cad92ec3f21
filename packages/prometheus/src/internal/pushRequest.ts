import { Exporter } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { printable } from "./printable.ts"
import type { PushTarget } from "./pushTarget.ts"
import { contentTypes } from "./text.ts"

/** How much of an answer is read: a Pushgateway explains itself in a line. */
const maxAnswerBytes = 4 * 1024

export type PushMethod = "PUT" | "POST" | "DELETE"

/**
 * One request; done when the Pushgateway says so (2xx). No answer, 408, 429 and 5xx may be tried again; anything else is refused for
 * good with the answer's own words. Redirects are not followed: they would carry the metrics, and a DELETE, elsewhere.
 */
export const send = (
  target: PushTarget,
  method: PushMethod,
  page: string | undefined
): Effect.Effect<void, Exporter.ExportError, HttpClient.HttpClient> =>
  HttpClient.execute(requestOf(target, method, page)).pipe(
    Effect.mapError((error) => Exporter.unavailable(`the Pushgateway at ${target.label} gave no answer: ${causeOf(error)}`)),
    Effect.flatMap((response) => {
      const { status } = response
      if (status >= 200 && status < 300) return Stream.runDrain(answerOf(response))
      return Effect.flatMap(explanationOf(response), (why) => failureOf(target, response, why))
    })
  )

const requestOf = (target: PushTarget, method: PushMethod, page: string | undefined): HttpClientRequest.HttpClientRequest => {
  const headers = target.authorization === undefined ? {} : { authorization: Redacted.value(target.authorization) }
  const request = HttpClientRequest.make(method)(target.url, { headers })
  return page === undefined ? request : HttpClientRequest.bodyText(request, page, contentTypes.text)
}

/** At most so many bytes of a body; what follows is not read, and the connection is given up. */
const answerOf = (response: HttpClientResponse.HttpClientResponse): Stream.Stream<Uint8Array> => {
  let left = maxAnswerBytes
  return response.stream.pipe(
    Stream.catchCause(() => Stream.empty),
    Stream.takeWhile(() => left > 0),
    Stream.map((chunk) => {
      const part = chunk.subarray(0, left)
      left -= part.length
      return part
    })
  )
}

/** The first line of an answer, short and without control characters. */
const explanationOf = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string> =>
  Effect.map(Stream.mkString(Stream.decodeText(answerOf(response))), (text) => printable(text))

const failureOf = (target: PushTarget, response: HttpClientResponse.HttpClientResponse, why: string): Effect.Effect<never, Exporter.ExportError> => {
  const { status } = response
  const said = why === "" ? "" : `: ${why}`
  if (status === 408 || status === 429 || status >= 500) {
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.fail(Exporter.unavailable(`the Pushgateway at ${target.label} answered ${status}${said}`, Exporter.retryAfter(response.headers["retry-after"], now))))
  }
  const reason = status >= 300 && status < 400 ? "redirect" : `rejected:${status}`
  return Effect.fail(Exporter.refused(`the Pushgateway at ${target.label} refused the push (${status}${hints.get(status) ?? ""})${said}`, reason, false))
}

const hints: ReadonlyMap<number, string> = new Map([
  [400, ", the metrics do not fit what it holds: a metric of the same name with another type or help, or labels that the grouping key replaces"],
  [401, ", check username and password or token"],
  [403, ", check username and password or token"],
  [404, ", check the path of the url"],
  ...[301, 302, 303, 307, 308].map((status) => [status, ", a redirect, which is not followed: use the url it leads to"] as const)
])

/** Why a request did not come through, without the request itself: its headers are secret. */
const causeOf = (error: HttpClientError.HttpClientError): string => {
  let cause: unknown = error.reason.cause
  for (let depth = 0; depth < 5 && cause instanceof Error && cause.cause !== undefined; depth++) cause = cause.cause
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : undefined
  return code ?? (cause instanceof Error ? cause.message.slice(0, 200) : error.reason._tag)
}
