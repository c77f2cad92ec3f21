import type { Alerts, SilenceInput } from "@effect-observability/core"
import * as Effect from "effect/Effect"
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
    if (Number(request.headers["content-length"] ?? "0") > 65_536) return yield* refuse(413, "A silence is at most 64 kB of JSON.")
    const body = yield* Effect.catch(request.json, () => refuse(400, "The body is no JSON."))
    if (typeof body !== "object" || body === null) return yield* refuse(400, "The body must be an object: { matchers, endsAt, comment }.")
    const silence = yield* Effect.catch(alerts.silence(body as unknown as SilenceInput), ({ message }) => refuse(400, message))
    return json(silence, 201)
  })

export const removeSilence = (alerts: Alerts["Service"], request: Request) =>
  Effect.gen(function*() {
    const id = decodeURIComponent(request.url.split("?")[0]!.split("/").at(-1)!)
    return (yield* alerts.unsilence(id)) ? json({ ended: true }) : yield* refuse(404, "There is no such silence.")
  })
