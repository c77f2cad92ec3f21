import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { HttpClientInstrumentation } from "../../src/index.ts"
import { echo, sendRaw } from "./support/echo.ts"
import { makeHub } from "./support/hub.ts"
import { serving } from "./support/server.ts"
import { suite } from "./support/traceContextSuite.ts"

/** A service that answers `/call?to=…&times=…` by calling there. */
const service = Layer.unwrap(Effect.map(HttpClient.HttpClient, (client) =>
  HttpRouter.add("GET", "/call", (request) =>
    Effect.gen(function*() {
      const query = new URL(request.url, "http://localhost").searchParams
      for (let i = 0; i < Number(query.get("times") ?? 1); i++) yield* client.get(query.get("to")!)
      return HttpServerResponse.text("done")
    }).pipe(Effect.orDie)))).pipe(Layer.provide(HttpClientInstrumentation.layer.pipe(Layer.provide(FetchHttpClient.layer))))

suite("server and client", (lines, times) =>
  Effect.scoped(Effect.gen(function*() {
    const { seen, url } = yield* echo
    const path = `/call?to=${encodeURIComponent(url)}&times=${times}`
    return { answer: yield* serving(service, makeHub().layer, (port) => sendRaw(port, path, lines)), seen }
  })))
