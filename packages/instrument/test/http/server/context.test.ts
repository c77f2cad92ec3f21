import { RequestContext, Requests } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import { HttpInstrumentation } from "../../../src/index.ts"
import { makeHub } from "../support/hub.ts"
import { capturing } from "../support/logs.ts"
import { send, serving } from "../support/server.ts"

const seen = Effect.map(RequestContext, ({ module, requestId, tenantId, userId }) =>
  HttpServerResponse.text(JSON.stringify([requestId ?? null, userId ?? null, tenantId ?? null, module ?? null])))
const text = HttpServerResponse.text("hi")
const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/me", seen),
  HttpRouter.add("GET", "/late", Effect.as(Requests.identify({ userId: "late" }), text)),
  HttpRouter.add("GET", "/inner", Effect.as(Effect.void.pipe(Effect.withSpan("inner")), text)),
  HttpRouter.add("GET", "/broken", Effect.die(new Error("broken"))),
  HttpRouter.add("GET", "/stream/:n", text)
)

const authenticate = (request: HttpServerRequest.HttpServerRequest) => {
  const user = request.headers["x-user"]
  if (user === "throws") throw new Error("no")
  if (user === "fails") return Effect.fail("no")
  if (user === "dies") return Effect.die("no")
  if (user === "slow") return Effect.as(Effect.sleep("5 millis"), { userId: "slow", tenantId: "acme" })
  return user === undefined ? undefined : { userId: user, tenantId: "acme" }
}

describe("the authentication hook", () => {
  it.live("names user and tenant on the server span and on those inside, for this request alone", () => {
    const hub = makeHub()
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
        const ask = (path: string, user?: string) => send(port, path, { agent, headers: { "x-request-id": `of-${user}`, ...(user === undefined ? {} : { "x-user": user }) } })
        assert.strictEqual((yield* ask("/me", "ada")).body, `["of-ada","ada","acme","web"]`)
        // Nothing is left on the same connection.
        assert.strictEqual((yield* ask("/me")).body, `["of-undefined",null,null,"web"]`)
        assert.strictEqual((yield* ask("/me", "slow")).body, `["of-slow","slow","acme","web"]`)
        for (const user of ["throws", "fails", "dies"]) assert.strictEqual((yield* ask("/me", user)).body, `["of-${user}",null,null,"web"]`)
        yield* ask("/inner", "ada")
        yield* ask("/late")
        yield* ask("/broken", "eve")
        yield* ask("/nope", "bob")
        agent.destroy()
        const named = hub.spans.map(({ attributes, name }) => [name, attributes.get("user_id"), attributes.get("tenant_id"), attributes.get("request_id"), attributes.get("module")])
        assert.deepStrictEqual(named, [
          ["GET /me", "ada", "acme", "of-ada", "web"],
          ["GET /me", undefined, undefined, "of-undefined", "web"],
          ["GET /me", "slow", "acme", "of-slow", "web"],
          ["GET /me", undefined, undefined, "of-throws", "web"],
          ["GET /me", undefined, undefined, "of-fails", "web"],
          ["GET /me", undefined, undefined, "of-dies", "web"],
          ["inner", "ada", "acme", "of-ada", "web"],
          ["GET /inner", "ada", "acme", "of-ada", "web"],
          ["GET /late", "late", undefined, "of-undefined", "web"],
          ["GET /broken", "eve", "acme", "of-eve", "web"],
          ["GET _unmatched", "bob", "acme", "of-bob", "web"]
        ])
      }), { instrumentation: HttpInstrumentation.layerWith({ authenticate, module: "web" }) })
  })

  it.live("that is interrupted ends the request, counted", () => {
    const hub = makeHub()
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        yield* send(port, "/me").pipe(Effect.timeoutOption("50 millis"))
        yield* Effect.sleep("50 millis")
        assert.deepStrictEqual(hub.requests(), { "GET _unmatched 499": 1 })
      }), { instrumentation: HttpInstrumentation.layerWith({ authenticate: () => Effect.never }) })
  })
})

describe("the access log", () => {
  const lineOf = (path: string, options: { readonly headers?: Record<string, string>; readonly effectsLogger?: boolean; readonly accessLog?: boolean } = {}) => {
    const hub = makeHub()
    const log = capturing()
    const instrumentation = HttpInstrumentation.layerWith({ authenticate, ...(options.accessLog === undefined ? {} : { accessLog: options.accessLog }) })
    return serving(routes, hub.layer.pipe(Layer.provideMerge(log.layer)), (port) =>
      Effect.gen(function*() {
        const answer = yield* send(port, path, { headers: options.headers ?? {} })
        yield* Effect.sleep("20 millis")
        return { answer, hub, lines: log.lines.filter((line) => !line.message.includes("Listening")) }
      }), { instrumentation, effectsLogger: options.effectsLogger ?? true })
  }

  it.live("is one line in the place of Effect's, after the response, with the ids of span and response", () =>
    Effect.gen(function*() {
      const { answer, hub, lines } = yield* lineOf("/stream/7?token=s3cret", { headers: { "x-user": "ada", "user-agent": "probe/1" } })
      assert.strictEqual(lines.length, 1)
      const [span] = hub.spans
      const { duration_ms, ...fields } = lines[0]!.fields
      assert.isAbove(duration_ms as number, 0)
      assert.strictEqual(lines[0]!.level, "Info")
      assert.strictEqual(lines[0]!.message, "GET /stream/:n 200")
      assert.deepStrictEqual(fields, {
        "http.request.method": "GET",
        "url.path": "/stream/7",
        "http.route": "/stream/:n",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": 2,
        "client.address": "127.0.0.1",
        "user_agent.original": "probe/1",
        request_id: answer.headers["x-request-id"],
        user_id: "ada",
        tenant_id: "acme",
        trace_id: span!.traceId,
        span_id: span!.spanId
      })
    }))

  it.live("has a level by status", () =>
    Effect.gen(function*() {
      const five = yield* lineOf("/broken")
      assert.deepStrictEqual(five.lines.filter((line) => line.fields["http.response.status_code"] === 500).map((line) => line.level), ["Error"])
      const four = yield* lineOf("/nope")
      assert.deepStrictEqual(four.lines.map((line) => [line.level, line.message]), [["Warn", "GET _unmatched 404"]])
    }))

  it.live("is written when asked for, where Effect's is off", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* lineOf("/me", { effectsLogger: false })).lines.length, 0)
      assert.strictEqual((yield* lineOf("/me", { effectsLogger: false, accessLog: true })).lines.length, 1)
      const off = yield* lineOf("/me", { accessLog: false })
      assert.deepStrictEqual(off.lines.map((line) => line.message), ["Sent HTTP response"])
    }))

  it.live("leaves ignored paths out", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* lineOf("/health")).lines, [])
    }))

  it.live("lets nobody forge a line or steer a terminal", () =>
    Effect.gen(function*() {
      const { lines } = yield* lineOf("/%0d%0a%1b[2Jx", { headers: { "x-user": "\u001b[2J", "user-agent": "a\u0085b\u001b[2J" } }).pipe(
        Effect.catchCause(() => Effect.succeed({ lines: [] }))
      )
      for (const line of lines) assert.notMatch(Object.values(line.fields).join(" ") + line.message, /\p{Cc}/u)
    }))
})

describe("an app that no server runs", () => {
  it.effect("is observed too", () => {
    const hub = makeHub()
    const request = HttpServerRequest.fromWeb(new Request("http://localhost/x"))
    return Effect.gen(function*() {
      yield* HttpInstrumentation.around()(Effect.succeed(text)).pipe(Effect.provideService(HttpServerRequest.HttpServerRequest, request))
      assert.deepStrictEqual(hub.requests(), { "GET _unmatched 200": 1 })
      assert.strictEqual(hub.inFlight(), 0)
    }).pipe(Effect.provide(hub.layer))
  })
})

describe("the outside part", () => {
  const app = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    if (request.url === "/dies") return yield* Effect.die(new Error("broken"))
    if (request.url === "/stream") return HttpServerResponse.stream(streamOf(["abc", "de"]))
    return HttpServerResponse.text(request.url)
  })

  it.live("observes an app without a router, whether it is wrapped or given as the server's middleware", () =>
    Effect.gen(function*() {
      for (const serve of [HttpServer.serve(HttpInstrumentation.around()(app)), HttpServer.serve(app, HttpInstrumentation.around())]) {
        const hub = makeHub()
        const server = serve.pipe(
          Layer.provide(HttpInstrumentation.serverSpanOff),
          Layer.provideMerge(NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "100 millis" })),
          Layer.provide(capturing().layer),
          Layer.provide(hub.layer)
        )
        yield* Effect.gen(function*() {
          const { address } = yield* HttpServer.HttpServer
          const port = "port" in address ? address.port : 0
          const answer = yield* send(port, "/x", { headers: { "x-request-id": "r-1" } })
          assert.strictEqual(answer.headers["x-request-id"], "r-1")
          assert.isString(answer.headers["traceresponse"])
          assert.strictEqual((yield* send(port, "/stream")).body, "abcde")
          assert.strictEqual((yield* send(port, "/dies")).status, 500)
          yield* send(port, "/health")
          yield* Effect.sleep("20 millis")
          assert.deepStrictEqual(hub.requests(), { "GET _unmatched 200": 2, "GET _unmatched 500": 1 })
          assert.deepStrictEqual(hub.spans.map((span) => [span.name, span.status, span.attributes.get("error.type")]), [
            ["GET _unmatched", "unset", undefined],
            ["GET _unmatched", "unset", undefined],
            ["GET _unmatched", "error", "Error"]
          ])
          assert.strictEqual(hub.inFlight(), 0)
        }).pipe(Effect.provide(server as Layer.Layer<HttpServer.HttpServer>))
      }
    }))

  it.live("and the router part together observe each request once, with its route", () => {
    const hub = makeHub()
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        for (const path of ["/me", "/nope", "/broken", "/health"]) yield* send(port, path)
        yield* Effect.sleep("20 millis")
        assert.deepStrictEqual(hub.requests(), { "GET /me 200": 1, "GET _unmatched 404": 1, "GET /broken 500": 1 })
        assert.deepStrictEqual(hub.spans.map((span) => span.name), ["GET /me", "GET _unmatched", "GET /broken"])
      }), { middleware: HttpInstrumentation.around() })
  })
})

const streamOf = (parts: ReadonlyArray<string>) => Stream.fromIterable(parts).pipe(Stream.map((part) => new TextEncoder().encode(part)))
