import { RequestContext } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { HttpInstrumentation } from "../../src/index.ts"
import { NodeHttp } from "../../src/node.ts"
import { abandon, send } from "../http/support/server.ts"
import { makeHub } from "../http/support/hub.ts"
import { capturing } from "../http/support/logs.ts"

type Handler = NodeHttp.NodeHandler<Http.IncomingMessage, Http.ServerResponse>

/** Serves an observed handler while `use` runs. */
const serving = <A, E>(
  handler: Handler,
  use: (port: number, hub: ReturnType<typeof makeHub>, server: Http.Server) => Effect.Effect<A, E>,
  options: NodeHttp.NodeHttpOptions<Http.IncomingMessage> = {}
) => {
  const hub = makeHub()
  const log = capturing()
  return Effect.gen(function*() {
    const observe = yield* NodeHttp.make({ route: (request) => /^\/users\/\d+/.test(request.url ?? "") ? "/users/:id" : undefined, ...options })
    const server = Http.createServer(observe(handler))
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () => Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
    )
    return { log, result: yield* use((server.address() as AddressInfo).port, hub, server) }
  }).pipe(Effect.scoped, Effect.provide(hub.layer.pipe(Layer.provideMerge(log.layer))))
}

describe("a plain handler", () => {
  it.live("is one span, one count and its sizes for each request; its effects belong to the request", () =>
    serving((request, response, context) => {
      if (request.url?.startsWith("/stream")) {
        response.write("abc")
        response.write("6465", "hex")
        response.end(new Uint8Array(10))
        return
      }
      Effect.runFork(Effect.provideContext(
        Effect.map(Effect.withSpan(RequestContext, "inside"), ({ requestId, userId }) => response.writeHead(201, { "x-own": "1" }).end(`${requestId} ${userId}`)),
        context
      ))
    }, (port, hub) =>
      Effect.gen(function*() {
        const answer = yield* send(port, "/users/7?token=s3cret", { method: "POST", body: "12345", headers: { "x-request-id": "r-1", "transfer-encoding": "chunked", "x-user": "ada" } })
        assert.strictEqual(answer.body, "r-1 ada")
        assert.strictEqual(answer.status, 201)
        assert.strictEqual(answer.headers["x-own"], "1")
        assert.strictEqual(answer.headers["x-request-id"], "r-1")
        yield* send(port, "/stream")
        yield* send(port, "/users/7", { method: "HEAD" })
        yield* send(port, "/health")
        yield* Effect.sleep("20 millis")
        const [inside, span] = hub.spans
        assert.strictEqual(inside!.parentSpanId, span!.spanId)
        assert.strictEqual(answer.headers["traceresponse"], `00-${span!.traceId}-${span!.spanId}-01`)
        assert.deepStrictEqual(hub.spans.filter((one) => one.kind === "server").map((one) => one.name), ["POST /users/:id", "GET _unmatched", "HEAD /users/:id"])
        assert.strictEqual(span!.attributes.get("user_id"), "ada")
        assert.strictEqual(span!.attributes.get("url.query"), "token=REDACTED")
        assert.deepStrictEqual(hub.requests(), { "POST /users/:id 201": 1, "GET _unmatched 200": 1, "HEAD /users/:id 201": 1 })
        assert.deepStrictEqual(hub.sums("http_request_size_bytes"), { "POST /users/:id": 5, "GET _unmatched": 0, "HEAD /users/:id": 0 })
        assert.deepStrictEqual(hub.sums("http_response_size_bytes"), { "POST /users/:id": 7, "GET _unmatched": 15, "HEAD /users/:id": 0 })
        assert.strictEqual(hub.inFlight(), 0)
      }), { authenticate: (request) => ({ userId: String(request.headers["x-user"]) }) }))

  it.live("that rejects or breaks is told as it is; a client that leaves and a server that stops are told apart", () => {
    const rejected: Array<unknown> = []
    return serving((request, response) => {
      if (request.url === "/broken") {
        response.statusCode = 500
        const failing = Promise.reject(new TypeError("broken"))
        failing.catch((error: unknown) => {
          rejected.push(error)
          response.end()
        })
        return failing
      }
      if (request.url === "/busy") return response.writeHead(503).end()
      return undefined
    }, (port, hub, server) =>
      Effect.gen(function*() {
        yield* send(port, "/broken")
        yield* send(port, "/busy")
        yield* abandon(port, "/users/1", Effect.sleep("50 millis"))
        yield* Effect.sleep("50 millis")
        const waiting = yield* Effect.forkChild(Effect.exit(send(port, "/users/2")), { startImmediately: true })
        yield* Effect.sleep("50 millis")
        server.close()
        server.closeAllConnections()
        yield* Effect.yieldNow
        yield* Effect.sleep("50 millis")
        assert.strictEqual(waiting.pollUnsafe() !== undefined, true)
        assert.strictEqual(rejected.length, 1)
        assert.deepStrictEqual(hub.spans.map(({ attributes, name, status }) => [name, status, attributes.get("error.type"), attributes.get("http.response.status_code"), attributes.get("http.aborted_by")]), [
          ["GET _unmatched", "error", "TypeError", 500, undefined],
          ["GET _unmatched", "error", "503", 503, undefined],
          ["GET /users/:id", "unset", undefined, 499, "client"],
          ["GET /users/:id", "error", "503", 503, "server"]
        ])
        assert.strictEqual(hub.inFlight(), 0)
      }))
  })

  it.live("whose promise rejects hands that on, as without us", () => {
    const hub = makeHub()
    const broken = new Error("broken")
    return Effect.gen(function*() {
      const observe = yield* NodeHttp.make()
      const handler = observe<Http.IncomingMessage, Http.ServerResponse>(() => Promise.reject(broken))
      const told: Array<unknown> = []
      const server = Http.createServer((request, response) => {
        Promise.resolve(handler(request, response)).catch((error: unknown) => {
          told.push(error)
          response.writeHead(500).end()
        })
      })
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
        () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
      )
      yield* send((server.address() as AddressInfo).port, "/x")
      yield* Effect.sleep("20 millis")
      assert.deepStrictEqual(told, [broken])
      assert.deepStrictEqual(hub.spans.map(({ status }) => status), ["error"])
    }).pipe(Effect.scoped, Effect.provide(hub.layer))
  })

  it.live("writes an access log on request", () =>
    Effect.map(serving((_request, response) => response.end("hi"), (port) => Effect.andThen(send(port, "/users/1"), Effect.sleep("20 millis")), { accessLog: true }), ({ log }) => {
      assert.deepStrictEqual(log.lines.map(({ fields, level, message }) => [level, message, fields["http.response.body.size"]]), [["Info", "GET /users/:id 200", 2]])
    }))

  it.live("that is an instrumented Effect server is observed once", () => {
    const hub = makeHub()
    return Effect.gen(function*() {
      const scope = yield* Effect.scope
      const inner = yield* NodeHttpServer.makeHandler(HttpInstrumentation.around()(Effect.succeed(HttpServerResponse.text("hi"))), { scope })
      const observe = yield* NodeHttp.make()
      const server = Http.createServer(observe<Http.IncomingMessage, Http.ServerResponse>((request, response) => inner(request, response)))
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
        () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
      )
      yield* send((server.address() as AddressInfo).port, "/x")
      yield* Effect.sleep("20 millis")
      assert.deepStrictEqual(hub.requests(), { "GET _unmatched 200": 1 })
      assert.strictEqual(hub.spans.length, 1)
    }).pipe(Effect.scoped, Effect.provide(hub.layer))
  })
})
