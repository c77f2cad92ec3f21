import type { Alerts, SilenceInput } from "@effect-observability/core"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import { json, refuse } from "./answers.ts"

type Request = HttpServerRequest.HttpServerRequest

/** Browsers let no foreign page send this header without asking first, and nobody here says yes. */
export const sameOrigin = (request: Request) => {
  const site = request.headers["sec-fetch-site"]
  return request.headers["x-observability"] === "1" && (site === undefined || site === "same-origin")
    ? Effect.void
    : refuse(403, "Only the page itself may change something: send the header x-observability: 1.")
}

export const addSilence = (alerts: Alerts["Service"], request: Request) =>
  Effect.gen(function*() {
    const body = yield* request.json.pipe(
      // Also of a body that does not tell its length.
      Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.kilobytes(64)),
      Effect.catch(({ reason }) => "reason" in reason && reason.reason === "BodyTooLarge"
        ? refuse(413, "A silence is at most 64 kB of JSON.")
        : refuse(400, "The body is no JSON."))
    )
    if (typeof body !== "object" || body === null) return yield* refuse(400, "The body must be an object: { matchers, endsAt, comment }.")
    const silence = yield* Effect.catch(alerts.silence(body as unknown as SilenceInput), ({ message }) => refuse(400, message))
    return json(silence, 201)
  })

export const removeSilence = (alerts: Alerts["Service"], request: Request) =>
  Effect.gen(function*() {
    const id = request.url.split("?")[0]!.split("/").at(-1)!
    return (yield* alerts.unsilence(id)) ? json({ ended: true }) : yield* refuse(404, "There is no such silence.")
  })
