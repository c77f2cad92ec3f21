import { Exposition, Spans } from "@effect-observability/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Pull from "effect/Pull"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { bearerMatches } from "./internal/bearer.ts"
import { gzipped, isWorthIt } from "./internal/gzip.ts"
import { acceptsGzip } from "./internal/negotiate.ts"
import { ScrapeLimit } from "./internal/ScrapeLimit.ts"

export interface RouteOptions {
  /** Default `"/metrics"`. */
  readonly path?: `/${string}`
  /** Asks for `Authorization: Bearer …`; an empty token lets nobody in. */
  readonly token?: Redacted.Redacted<string>
  /** Most scrapes served at once; more are answered 429. Default 16. */
  readonly maxScrapes?: number
  /** Longest time for one scrape, its reader's slowness included; then the connection is closed. Default 30 seconds. */
  readonly scrapeTimeout?: Duration.Input
}

const headers = { "cache-control": "no-store", "x-content-type-options": "nosniff", vary: "Accept, Accept-Encoding" }

/** `GET` and `HEAD /metrics` for the program's own router, in the format and coding the scraper asks for; a scrape leaves no span. */
export const layerRoute = (options: RouteOptions = {}): Layer.Layer<never, never, HttpRouter.HttpRouter | Exposition> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const exposition = yield* Exposition
      const { maxScrapes = 16, path = "/metrics", scrapeTimeout = "30 seconds", token } = options
      const limit = new ScrapeLimit(maxScrapes, scrapeTimeout)
      yield* router.add("GET", path, (request) =>
        Effect.withFiber((fiber) => {
          const span = fiber.cache.span
          if (span?._tag === "Span" && span.kind === "server") Spans.discard(span)
          if (token !== undefined && !bearerMatches(request.headers["authorization"], Redacted.value(token))) {
            return Effect.succeed(refusal(401, "a bearer token is needed", { "www-authenticate": "Bearer" }))
          }
          return Effect.flatMap(limit.enter(fiber), (entered) =>
            entered ? page(exposition, request) : Effect.succeed(refusal(429, `${maxScrapes} scrapes are being served already`, { "retry-after": "1" })))
        }))
    })
  )

const refusal = (status: number, why: string, more: Readonly<Record<string, string>>): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`${why}\n`, { status, headers: { ...headers, ...more } })

const page = (
  exposition: Exposition["Service"],
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { body, contentType } = yield* exposition.render(request.headers["accept"])
    const plain = (body: Stream.Stream<Uint8Array>) => HttpServerResponse.stream(body, { contentType, headers })
    if (!acceptsGzip(request.headers["accept-encoding"])) return plain(body)
    const pull = yield* Stream.toPull(body)
    const first = yield* Pull.catchDone(pull, () => Effect.succeed([]))
    const whole = Stream.concat(Stream.fromArray(first), Stream.fromPull(Effect.succeed(pull)))
    return isWorthIt(first[0])
      ? HttpServerResponse.stream(gzipped(whole), { contentType, headers: { ...headers, "content-encoding": "gzip" } })
      : plain(whole)
  })
