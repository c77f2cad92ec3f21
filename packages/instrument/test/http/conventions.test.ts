import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { makeHub } from "./support/hub.ts"
import { send, serving } from "./support/server.ts"

const routes = HttpRouter.add("POST", "/users/:id", HttpServerResponse.text("hi", { status: 201 }))

/** The series of one request and an unmatched one, by convention. */
const seriesOf = (conventions: "standard" | "otel" | "both") => {
  const hub = makeHub({ conventions })
  return serving(routes, hub.layer, (port) =>
    Effect.gen(function*() {
      yield* send(port, "/users/7", { method: "POST", body: "abc", headers: { "content-length": "3" } })
      yield* send(port, "/nowhere")
      return hub.series().toSorted()
    }))
}

const standard = [
  "http_request_duration_seconds GET _unmatched",
  "http_request_duration_seconds POST /users/:id",
  "http_request_size_bytes GET _unmatched",
  "http_request_size_bytes POST /users/:id",
  "http_requests_in_flight GET",
  "http_requests_in_flight POST",
  "http_requests_total GET _unmatched 404",
  "http_requests_total POST /users/:id 201",
  "http_response_size_bytes GET _unmatched",
  "http_response_size_bytes POST /users/:id"
]
const otel = [
  "http_server_active_requests GET http",
  "http_server_active_requests POST http",
  "http_server_request_body_size_bytes GET 404 _unmatched",
  "http_server_request_body_size_bytes POST 201 /users/:id",
  "http_server_request_duration_seconds GET 404 _unmatched",
  "http_server_request_duration_seconds POST 201 /users/:id",
  "http_server_response_body_size_bytes GET 404 _unmatched",
  "http_server_response_body_size_bytes POST 201 /users/:id"
]

describe("a request is measured", () => {
  it.live("under the document's names", () => Effect.map(seriesOf("standard"), (found) => assert.deepStrictEqual(found, standard)))
  it.live("under OpenTelemetry's", () => Effect.map(seriesOf("otel"), (found) => assert.deepStrictEqual(found, otel)))
  it.live("under both", () => Effect.map(seriesOf("both"), (found) => assert.deepStrictEqual(found, [...standard, ...otel].toSorted())))
})
