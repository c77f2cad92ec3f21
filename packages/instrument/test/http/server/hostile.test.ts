import { assert, describe, it } from "@effect/vitest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import * as Net from "node:net"
import { Readable } from "node:stream"
import { HttpInstrumentation } from "../../../src/index.ts"
import { sendRaw } from "../support/echo.ts"
import { makeHub } from "../support/hub.ts"
import { abandon, send, serving } from "../support/server.ts"

const text = HttpServerResponse.text("hi")
const bytes = (...parts: ReadonlyArray<string>) => Stream.fromIterable(parts).pipe(Stream.map((part) => new TextEncoder().encode(part)))
const endless = Stream.fromEffectRepeat(Effect.as(Effect.sleep("2 millis"), new Uint8Array(100)))

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/users/:id", text),
  HttpRouter.add("POST", "/echo", Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.map(Effect.orDie(request.text), HttpServerResponse.text))),
  HttpRouter.add("POST", "/unread", text),
  HttpRouter.add("GET", "/stream", HttpServerResponse.stream(bytes("abc", "dé"))),
  HttpRouter.add("GET", "/raw", Effect.sync(() => HttpServerResponse.raw(Readable.from([Buffer.from("abc"), Buffer.from("de")])))),
  HttpRouter.add("GET", "/form", Effect.sync(() => {
    const form = new FormData()
    form.append("a", "b")
    return HttpServerResponse.formData(form)
  })),
  HttpRouter.add("GET", "/breaks", HttpServerResponse.stream(Stream.concat(bytes("abc"), Stream.die(new Error("broken"))))),
  HttpRouter.add("GET", "/endless", HttpServerResponse.stream(endless)),
  HttpRouter.add("GET", "/none", HttpServerResponse.empty()),
  HttpRouter.add("*", "/any", text)
)

/** Requests that have been counted so far, awaited until there are as many. */
const counted = (hub: ReturnType<typeof makeHub>, wanted: number) =>
  Effect.gen(function*() {
    const total = () => Object.values(hub.requests()).reduce((sum, n) => sum + n, 0)
    for (let i = 0; i < 200 && total() < wanted; i++) yield* Effect.sleep("10 millis")
    return total()
  })

describe("whatever is sent", () => {
  it.live("10,000 random URLs make one path value, and every request is counted once", () => {
    const hub = makeHub({ listening: false })
    let seed = 7
    const random = (below: number) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % below
    const letters = "abcdefghijklmnopqrstuvwxyz0123456789-._~%41;=&?/"
    const url = () => `/r${Array.from({ length: 1 + random(40) }, () => letters[random(letters.length)]).join("")}`
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        const agent = new Http.Agent({ keepAlive: true, maxSockets: 16 })
        yield* Effect.forEach(Array.from({ length: 10_000 }, url), (path) => send(port, path, { agent }), { concurrency: 16, discard: true })
        agent.destroy()
        assert.strictEqual(yield* counted(hub, 10_000), 10_000)
        const paths = new Set(hub.series().filter((one) => one.startsWith("http_requests_total")).map((one) => one.split(" ")[2]))
        assert.deepStrictEqual([...paths], ["_unmatched"])
        assert.strictEqual(hub.inFlight(), 0)
      }))
  }, 60_000)

  it.live("the sum of http_requests_total is the number of requests, however they end", () => {
    const hub = makeHub()
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        const paths = ["/users/1", "/nope", "/stream", "/raw", "/form", "/none", "/breaks", "/any", "/users/x%20y", "/echo"]
        let sent = 0
        for (let round = 0; round < 20; round++) {
          for (const path of paths) {
            yield* Effect.exit(send(port, path, { method: round % 5 === 0 ? "HEAD" : round % 7 === 0 ? "OPTIONS" : "GET" }))
            sent++
          }
        }
        yield* abandon(port, "/endless", Effect.sleep("30 millis"))
        assert.strictEqual(yield* counted(hub, sent + 1), sent + 1)
        assert.strictEqual(hub.spans.filter((span) => span.kind === "server").length, sent + 1)
        assert.strictEqual(hub.inFlight(), 0)
      }))
  })

  const ids = ["x\u001b[2Jy", "a\u0085b", "<script>", "é", "x".repeat(129), "x".repeat(10_000), "'; drop table x", "a,b", ""]
  for (const id of ids) {
    it.live(`a request id is not taken: ${JSON.stringify(id).slice(0, 30)}`, () => {
      const hub = makeHub()
      return serving(routes, hub.layer, (port) =>
        Effect.gen(function*() {
          const answer = yield* sendRaw(port, "/users/1", [["x-request-id", id]])
          const echoed = /^x-request-id: (.*)$/im.exec(answer)?.[1]
          if (echoed === undefined) assert.match(answer, /^HTTP\/1.1 4/)
          else assert.match(echoed.trim(), /^[0-9a-f]{32}$/)
          for (const span of hub.spans) assert.match(String(span.attributes.get("request_id")), /^[0-9a-f]{32}$/)
        }))
    })
  }

  it.live("two request ids, or a line break in one, forge nothing", () => {
    const hub = makeHub()
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        const two = yield* sendRaw(port, "/users/1", [["x-request-id", "first"], ["x-request-id", "second"]])
        assert.match(/^x-request-id: (.*)$/im.exec(two)![1]!.trim(), /^[0-9a-f]{32}$/)
        const split = yield* sendRaw(port, "/users/1", [["x-request-id", "x\r\nset-cookie: a=b"]])
        assert.notMatch(split, /set-cookie/i)
      }))
  })

  it.live("methods, targets and hosts of any kind end as answers and known labels", () => {
    const hub = makeHub()
    const raw = (head: string) =>
      Effect.callback<string>((resume) => {
        const socket = Net.connect(Number(head.split("|")[0]), "127.0.0.1")
        let text = ""
        socket.setEncoding("latin1").on("data", (chunk: string) => text += chunk).on("error", () => {}).on("close", () => resume(Effect.succeed(text)))
        socket.write(head.slice(head.indexOf("|") + 1), "latin1")
      })
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        const lines = [
          "GET http://user:s3cret@evil.example/users/1?token=s3cret HTTP/1.1\r\nHost: a\r\n",
          "OPTIONS * HTTP/1.1\r\nHost: a\r\n",
          "PROPFIND /any HTTP/1.1\r\nHost: a\r\n",
          "GET //users///1 HTTP/1.1\r\nHost: ]]:99999\r\n",
          "GET /users/%00%0d%0a%1b[2J HTTP/1.1\r\nHost: a b\r\n",
          `GET /${"x".repeat(7_000)} HTTP/1.1\r\nHost: ${"h".repeat(3_000)}\r\n`,
          "GET /users/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
          "GET /users/\u001b[2J HTTP/1.1\r\nHost: a\r\n"
        ]
        for (const line of lines) assert.match(yield* raw(`${port}|${line}Connection: close\r\n\r\n`), /^HTTP\/1\.1 \d{3}/)
        yield* Effect.sleep("50 millis")
        for (const span of hub.spans) {
          const told = JSON.stringify([span.name, ...span.attributes])
          assert.notInclude(told, "s3cret")
          assert.notMatch(told, /\\u001b|\\r|\\n/)
          assert.match(span.name, /^(GET|OPTIONS|HTTP) (\/users\/:id|_unmatched|\/any)$/)
        }
      }))
  })
})

describe("bodies are measured to their end", () => {
  const one = (path: string, options: Http.RequestOptions & { readonly body?: string } = {}) => {
    const hub = makeHub()
    return Effect.as(serving(routes, hub.layer, (port) => Effect.andThen(Effect.exit(send(port, path, options)), counted(hub, 1))), hub)
  }
  const chunked = { method: "POST", headers: { "transfer-encoding": "chunked" } }

  it.live("streams, Node's own and forms; nothing for HEAD and 204", () =>
    Effect.gen(function*() {
      const sizes = (hub: ReturnType<typeof makeHub>) => Object.values(hub.sums("http_response_size_bytes"))
      assert.deepStrictEqual(sizes(yield* one("/stream")), [6])
      assert.deepStrictEqual(sizes(yield* one("/raw")), [5])
      const [form] = sizes(yield* one("/form"))
      assert.isAbove(form!, 50)
      assert.deepStrictEqual(sizes(yield* one("/stream", { method: "HEAD" })), [0])
      assert.deepStrictEqual(sizes(yield* one("/none")), [0])
      // What was sent before it broke.
      const broken = yield* one("/breaks")
      assert.deepStrictEqual(sizes(broken), [3])
      assert.deepStrictEqual([broken.spans[0]!.status, broken.spans[0]!.attributes.get("error.type")], ["error", "Error"])
    }))

  it.live("under their route, with nobody listening for spans", () => {
    const hub = makeHub({ listening: false })
    return Effect.gen(function*() {
      yield* serving(routes, hub.layer, (port) => Effect.andThen(send(port, "/stream"), counted(hub, 1)))
      assert.deepStrictEqual(hub.requests(), { "GET /stream 200": 1 })
    })
  })

  it.live("requests, with a length or without, read or not", () =>
    Effect.gen(function*() {
      const sizes = (hub: ReturnType<typeof makeHub>) => Object.values(hub.sums("http_request_size_bytes"))
      assert.deepStrictEqual(sizes(yield* one("/echo", { ...chunked, body: "héllo" })), [6])
      assert.deepStrictEqual(sizes(yield* one("/echo", { method: "POST", headers: { "content-length": "5" }, body: "12345" })), [5])
      assert.deepStrictEqual(sizes(yield* one("/users/1")), [0])
      const [unread] = sizes(yield* one("/unread", { ...chunked, body: "x".repeat(1_000) }))
      assert.isAtMost(unread!, 1_000)
    }))

  it.live("of a client that leaves in the middle: what was sent, and that it left", () => {
    const hub = makeHub()
    return Effect.gen(function*() {
      const sent = yield* Deferred.make<void>()
      let chunks = 0
      const watched = HttpRouter.add("GET", "/endless", HttpServerResponse.stream(Stream.tap(endless, () => ++chunks < 5 ? Effect.void : Deferred.succeed(sent, undefined))))
      yield* serving(watched, hub.layer, (port) => Effect.andThen(abandon(port, "/endless", Deferred.await(sent)), counted(hub, 1)))
      assert.deepStrictEqual(hub.requests(), { "GET /endless 200": 1 })
      assert.isAbove(Object.values(hub.sums("http_response_size_bytes"))[0]!, 100)
      assert.deepStrictEqual([hub.spans[0]!.status, hub.spans[0]!.attributes.get("http.aborted_by")], ["unset", "client"])
    })
  })
})

describe("a server that stops", () => {
  it.live("in the middle of requests tells them apart from clients that left, and counts each once", () => {
    const hub = makeHub()
    return Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const slow = HttpRouter.add("GET", "/slow", Effect.andThen(Deferred.succeed(begun, undefined), Effect.never))
      const scope = yield* Scope.make()
      // The hub outlives the server, as it does around a program.
      const context = yield* Layer.buildWithScope(
        HttpRouter.serve(slow.pipe(Layer.provide(HttpInstrumentation.layer)), { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provide(HttpInstrumentation.serverSpanOff),
          Layer.provideMerge(NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "10 millis" })),
          Layer.provideMerge(hub.layer)
        ),
        scope
      )
      const port = yield* Effect.map(HttpServer.HttpServer, ({ address }) => "port" in address ? address.port : 0).pipe(Effect.provideContext(context))
      const asked = yield* Effect.forkChild(Effect.exit(send(port, "/slow")), { startImmediately: true })
      yield* Deferred.await(begun)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.yieldNow
      assert.isDefined(asked.pollUnsafe())
      assert.deepStrictEqual(hub.requests(), { "GET /slow 503": 1 })
      assert.deepStrictEqual(hub.spans.map(({ attributes, status }) => [status, attributes.get("http.aborted_by"), attributes.get("http.response.status_code")]), [["error", "server", 503]])
    })
  })
})
