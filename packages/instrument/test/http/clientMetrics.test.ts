import { Requests } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { HttpClientInstrumentation } from "../../src/index.ts"
import { echo } from "./support/echo.ts"
import { type HubOptions, makeHub } from "./support/hub.ts"

const Client = HttpClientInstrumentation.layer.pipe(Layer.provide(FetchHttpClient.layer))

const calling = <A, E>(use: (client: HttpClient.HttpClient, url: string) => Effect.Effect<A, E>, options: HubOptions = {}) => {
  const hub = makeHub(options)
  return Effect.scoped(Effect.gen(function*() {
    const { seen, url } = yield* echo
    yield* Effect.flatMap(HttpClient.HttpClient, (client) => use(client, url)).pipe(Effect.exit, Effect.provide(Client.pipe(Layer.provideMerge(hub.layer))))
    return { hub, headers: seen.map((lines) => Object.fromEntries(lines)), port: new URL(url).port }
  }))
}

const times = Schedule.recurs(3)

describe("the client's metrics", () => {
  it.live("are a count by status, durations, and errors by type, under the document's manner of naming", () =>
    Effect.gen(function*() {
      const { hub } = yield* calling((client, url) =>
        Effect.gen(function*() {
          yield* client.get(`${url}/a?token=s3cret`)
          yield* client.get(`${url}/b`)
          yield* client.get(`${url}/503`)
          yield* Effect.exit(client.get("http://127.0.0.1:1/"))
          yield* Effect.exit(HttpClient.filterStatusOk(client).get(`${url}/404`))
          yield* Effect.timeoutOption(Effect.andThen(client.get("http://127.0.0.1:1/"), Effect.never), "20 millis")
        }))
      assert.deepStrictEqual(hub.totals("http_client_requests_total"), {
        "GET 127.0.0.1 200": 2,
        "GET 127.0.0.1 503": 1,
        "GET 127.0.0.1 404": 1,
        "GET 127.0.0.1 _error": 2
      })
      assert.deepStrictEqual(hub.totals("http_client_errors_total"), {
        "GET 127.0.0.1 503": 1,
        "GET 127.0.0.1 TransportError": 2,
        "GET 127.0.0.1 404": 1
      })
      assert.deepStrictEqual(hub.series().filter((one) => one.startsWith("http_client_duration")), ["http_client_duration_seconds GET 127.0.0.1"])
    }))

  it.live("count a call that was given up as interrupted", () =>
    Effect.gen(function*() {
      const hub = makeHub()
      const hanging = HttpClientInstrumentation.layer.pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, HttpClient.make(() => Effect.never))))
      yield* Effect.flatMap(HttpClient.HttpClient, (client) => client.get("http://example.org/")).pipe(
        Effect.timeoutOption("10 millis"),
        Effect.provide(hanging.pipe(Layer.provideMerge(hub.layer)))
      )
      assert.deepStrictEqual(hub.totals("http_client_errors_total"), { "GET example.org interrupted": 1 })
    }))

  it.live("have OpenTelemetry's name and labels where those are asked for", () =>
    Effect.gen(function*() {
      const { hub, port } = yield* calling((client, url) => Effect.andThen(client.get(url), client.get(`${url}/500`)), { conventions: "otel" })
      assert.deepStrictEqual(hub.series().filter((one) => one.startsWith("http_client")).toSorted(), [
        `http_client_request_duration_seconds GET 127.0.0.1 ${port} 200 `,
        `http_client_request_duration_seconds GET 127.0.0.1 ${port} 500 500`
      ])
      const both = yield* calling((client, url) => client.get(url), { conventions: "both" })
      assert.strictEqual(both.hub.series().filter((one) => one.startsWith("http_client")).length, 3)
    }))
})

describe("a retry", () => {
  const countsOf = ({ hub }: { readonly hub: ReturnType<typeof makeHub> }) => ({
    spans: hub.spans.filter((span) => span.kind === "client").map((span) => span.attributes.get("http.request.resend_count")),
    resends: hub.totals("http_client_resends_total")
  })

  const retried = { spans: [undefined, 1, 2, 3], resends: { "GET 127.0.0.1 1": 1, "GET 127.0.0.1 2": 1, "GET 127.0.0.1 3": 1 } }

  it.live("of the client is counted with its attempt, on the span and as a metric", () =>
    Effect.gen(function*() {
      const transient = yield* calling((client, url) => HttpClient.retryTransient(client, { schedule: Schedule.spaced("1 millis"), times: 3 }).get(`${url}/503`))
      assert.deepStrictEqual(countsOf(transient), retried)
      const refused = yield* calling((client) => HttpClient.retry(client, times).get("http://127.0.0.1:1/"))
      assert.deepStrictEqual(countsOf(refused), retried)
    }))

  it.live("of the program is one too, whatever error it makes of the answer", () =>
    Effect.gen(function*() {
      const mine = yield* calling((client, url) =>
        client.get(`${url}/500`).pipe(
          Effect.flatMap(HttpClientResponse.filterStatusOk),
          Effect.mapError(() => "mine" as const),
          Effect.retry(times)
        ))
      assert.deepStrictEqual(countsOf(mine), retried)
    }))

  it.live("is not what is asked again after it went well, nor another request", () =>
    Effect.gen(function*() {
      const polled = yield* calling((client, url) => client.get(url).pipe(Effect.repeat(times)))
      assert.deepStrictEqual(countsOf(polled), { spans: [undefined, undefined, undefined, undefined], resends: {} })
      const two = yield* calling((client, url) =>
        Effect.andThen(client.get(`${url}/first`), HttpClient.filterStatusOk(client).get(`${url}/500`)).pipe(Effect.retry({ times: 1 })))
      assert.deepStrictEqual(countsOf(two), { spans: [undefined, undefined, undefined, 1], resends: { "GET 127.0.0.1 1": 1 } })
    }))
})

describe("the request id", () => {
  it.live("goes along to those who may receive the trace, and replaces none", () =>
    Effect.gen(function*() {
      const within = Requests.within({ requestId: "r-1" })
      const sent = yield* calling((client, url) => client.get(url).pipe(within))
      assert.strictEqual(sent.headers[0]!["x-request-id"], "r-1")
      const outside = yield* calling((client, url) => client.get(url))
      assert.isUndefined(outside.headers[0]!["x-request-id"])
      const own = yield* calling((client, url) => client.get(url, { headers: { "x-request-id": "mine" } }).pipe(within))
      assert.strictEqual(own.headers[0]!["x-request-id"], "mine")
      const foreign = yield* calling((client, url) => client.get(url).pipe(within), { tracing: { propagateTo: ["example.org"] } })
      assert.isUndefined(foreign.headers[0]!["x-request-id"])
    }))
})
