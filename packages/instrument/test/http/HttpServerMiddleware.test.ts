import { Sampler, type SpanData, StandardMetrics } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { HttpInstrumentation, RequestId } from "../../src/index.ts"
import { makeHub } from "./support/hub.ts"
import { abandon, send, serving } from "./support/server.ts"

class OutOfStock extends Data.TaggedError("OutOfStock")<{ readonly message: string }> {}

class Unavailable extends Data.TaggedError("Unavailable")<{ readonly message: string }> {
  [HttpServerRespondable.symbol]() {
    return Effect.succeed(HttpServerResponse.empty({ status: 503 }))
  }
}

class NotYours extends Data.TaggedError("NotYours")<{}> {
  [HttpServerRespondable.symbol]() {
    return Effect.succeed(HttpServerResponse.empty({ status: 403 }))
  }
}

const text = HttpServerResponse.text("hi")
const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/users/:id", Effect.as(Effect.void.pipe(Effect.withSpan("load user")), text)),
  HttpRouter.add("POST", "/users", HttpServerResponse.empty({ status: 201 })),
  HttpRouter.add("GET", "/defect", Effect.die(new TypeError("broken"))),
  HttpRouter.add("GET", "/fails", Effect.fail(new OutOfStock({ message: "no more" })) as Effect.Effect<never>),
  HttpRouter.add("GET", "/unavailable", Effect.fail(new Unavailable({ message: "later" })) as Effect.Effect<never>),
  HttpRouter.add("GET", "/forbidden", Effect.fail(new NotYours()) as Effect.Effect<never>),
  HttpRouter.add("GET", "/overloaded", HttpServerResponse.empty({ status: 503 })),
  HttpRouter.add("GET", "/id", Effect.map(RequestId, (id) => HttpServerResponse.text(String(id)))),
  HttpRouter.add("GET", "/health/live", Effect.as(Effect.void.pipe(Effect.withSpan("orphan")), text)),
  HttpRouter.add("GET", "/healthy", text),
  HttpRouter.add("GET", "/files/*", text),
  HttpRouter.add("*", "/any", text)
)

const trace = "0af7651916cd43dd8448eb211c80319c"
const parent = "b7ad6b7169203331"

describe("sampling", () => {
  it.live("rules on the route and a tail see a request when it was answered; nothing below a dropped one begins a trace", () => {
    const hub = makeHub({
      sampler: Sampler.rules(
        [{ route: "/forbidden", sampler: Sampler.always }],
        Sampler.tail({ rest: Sampler.never, firstSeen: 0, slowerThan: false })
      )
    })
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        for (const path of ["/users/7", "/forbidden", "/users/7", "/fails", "/healthy"]) yield* send(port, path)
        assert.deepStrictEqual(hub.spans.map((span) => span.name), ["GET /forbidden", "GET /fails"])
        assert.strictEqual(Object.values(hub.requests()).reduce((sum, n) => sum + n, 0), 5)
      }))
  })
})

describe("a request", () => {
  it.live("is one span with its route, its metrics and its ids", () => {
    const hub = makeHub()
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        const answer = yield* send(port, "/users/7?token=s3cret", { headers: { "user-agent": "probe/1" } })
        assert.strictEqual(answer.status, 200)
        assert.deepStrictEqual(hub.spans.map((span) => span.name), ["load user", "GET /users/:id"])
        const [inner, server] = hub.spans as [SpanData, SpanData]
        assert.strictEqual(inner.parentSpanId, server.spanId)
        assert.strictEqual(server.kind, "server")
        assert.isUndefined(server.parentSpanId)
        assert.strictEqual(server.status, "unset")
        assert.isTrue(server.endTime >= server.startTime)
        const requestId = answer.headers["x-request-id"] as string
        assert.match(requestId, /^[0-9a-f]{32}$/)
        assert.deepStrictEqual(Object.fromEntries(server.attributes), {
          "http.request.method": "GET",
          "url.path": "/users/7",
          "url.query": "token=REDACTED",
          "url.scheme": "http",
          "server.address": "127.0.0.1",
          "server.port": port,
          "user_agent.original": "probe/1",
          "client.address": "127.0.0.1",
          "network.protocol.version": "1.1",
          "env": "dev",
          "http.route": "/users/:id",
          "http.response.status_code": 200,
          "request_id": requestId
        })
        assert.strictEqual(answer.headers["traceresponse"], `00-${server.traceId}-${server.spanId}-01`)
        assert.deepStrictEqual(hub.requests(), { "GET /users/:id 200": 1 })
        const [seconds] = hub.values(StandardMetrics.HttpRequestDuration, "GET", "/users/:id")
        assert.isTrue(seconds! > 0 && seconds! < 5)
        assert.deepStrictEqual(hub.values(StandardMetrics.HttpResponseSize, "GET", "/users/:id"), [2])
      }))
  })

  it.live("nobody routes is one span and one count, without its path as a label", () => {
    const hub = makeHub()
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        for (let i = 0; i < 20; i++) assert.strictEqual((yield* send(port, `/nope/${i}`)).status, 404)
        assert.strictEqual(hub.spans.length, 20)
        for (const span of hub.spans) {
          assert.strictEqual(span.name, "GET _unmatched")
          assert.strictEqual(span.status, "unset")
          assert.strictEqual(span.attributes.get("http.response.status_code"), 404)
          assert.isFalse(span.attributes.has("http.route"))
        }
        assert.deepStrictEqual(hub.requests(), { "GET _unmatched 404": 20 })
        assert.isTrue(hub.series().every((series) => !series.includes("nope")))
      }))
  })

  const failures: ReadonlyArray<
    readonly [path: string, status: number, spanStatus: string, errorType: string | undefined, message: string | undefined, exceptions: number]
  > = [
    ["/defect", 500, "error", "TypeError", "TypeError: broken", 1],
    ["/fails", 500, "error", "OutOfStock", "OutOfStock: no more", 1],
    ["/unavailable", 503, "error", "Unavailable", "Unavailable: later", 1],
    ["/overloaded", 503, "error", "503", "HTTP 503", 0],
    ["/forbidden", 403, "unset", undefined, undefined, 0]
  ]
  for (const [path, status, spanStatus, errorType, message, exceptions] of failures) {
    it.live(`that ends badly is told as what it is: ${path}`, () => {
      const hub = makeHub()
      return serving(routes, hub.layer, (port) =>
        Effect.gen(function*() {
          const answer = yield* send(port, path)
          assert.strictEqual(answer.status, status)
          assert.strictEqual(hub.spans.length, 1)
          const [span] = hub.spans
          assert.strictEqual(span!.name, `GET ${path}`)
          assert.strictEqual(span!.status, spanStatus)
          assert.strictEqual(span!.statusMessage, message)
          assert.strictEqual(span!.attributes.get("error.type"), errorType)
          assert.strictEqual(span!.attributes.get("http.response.status_code"), status)
          assert.strictEqual(span!.events.filter((event) => event.name === "exception").length, exceptions)
          assert.deepStrictEqual(hub.requests(), { [`GET ${path} ${status}`]: 1 })
          assert.isString(answer.headers["x-request-id"])
          assert.isString(answer.headers["traceresponse"])
        }))
    })
  }

  it.live("of a client that leaves is counted as 499 and is no error", () => {
    const hub = makeHub()
    return Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const slow = HttpRouter.add(
        "GET",
        "/slow",
        Deferred.succeed(begun, undefined).pipe(Effect.andThen(Effect.never), Effect.ensuring(Deferred.succeed(ended, undefined)))
      )
      yield* serving(slow, hub.layer, (port) =>
        abandon(port, "/slow", Deferred.await(begun)).pipe(Effect.andThen(Deferred.await(ended)), Effect.andThen(Effect.sleep("20 millis"))))
      assert.deepStrictEqual(hub.requests(), { "GET /slow 499": 1 })
      assert.strictEqual(hub.spans.length, 1)
      assert.strictEqual(hub.spans[0]!.status, "unset")
      assert.isTrue(hub.spans[0]!.attributes.get("effect.fiber.interrupted"))
      assert.strictEqual(hub.spans[0]!.attributes.get("http.route"), "/slow")
    })
  })

  it.live("that is still running when the server stops is counted as 503", () => {
    const hub = makeHub()
    return Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const slow = HttpRouter.add("GET", "/slow", Effect.andThen(Deferred.succeed(begun, undefined), Effect.never))
      yield* serving(slow, hub.layer, (port) =>
        Effect.andThen(Effect.forkDetach(Effect.exit(send(port, "/slow"))), Deferred.await(begun)))
      assert.deepStrictEqual(hub.requests(), { "GET /slow 503": 1 })
      assert.strictEqual(hub.spans[0]!.status, "error")
    })
  })

  it.live("with a streamed answer lasts until the last byte", () => {
    const hub = makeHub()
    const body = Stream.make("a", "b", "c").pipe(Stream.encodeText, Stream.tap(() => Effect.sleep("20 millis")))
    return Effect.gen(function*() {
      const stream = HttpRouter.add("GET", "/stream", HttpServerResponse.stream(body))
      const answer = yield* serving(stream, hub.layer, (port) => Effect.tap(send(port, "/stream"), Effect.sleep("20 millis")))
      assert.strictEqual(answer.body, "abc")
      assert.deepStrictEqual(hub.requests(), { "GET /stream 200": 1 })
      assert.isAtLeast(hub.values(StandardMetrics.HttpRequestDuration, "GET", "/stream")[0]!, 0.055)
      assert.strictEqual(hub.spans.length, 1)
      assert.isTrue(hub.spans[0]!.endTime - hub.spans[0]!.startTime >= 55_000_000n)
    })
  })

  it.live("keeps its route when a middleware inside moves it to another fiber", () => {
    const hub = makeHub()
    const timeout = HttpRouter.middleware(
      (app) => Effect.timeoutOrElse(app, { duration: "5 seconds", orElse: () => Effect.succeed(HttpServerResponse.empty({ status: 504 })) }),
      { global: true }
    )
    return serving(Layer.mergeAll(routes, timeout), hub.layer, (port) =>
      Effect.gen(function*() {
        yield* send(port, "/users/1")
        assert.deepStrictEqual(hub.requests(), { "GET /users/:id 200": 1 })
      }))
  })

  it.live("and a thousand others at the same time are a thousand spans", () => {
    const hub = makeHub()
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        const paths = ["/users/1", "/nope", "/defect", "/any"]
        const answers = yield* Effect.forEach(
          Array.from({ length: 1_000 }, (_, i) => paths[i % 4]!),
          (path) => send(port, path),
          { concurrency: 50 }
        )
        const servers = hub.spans.filter((span) => span.kind === "server")
        assert.strictEqual(servers.length, 1_000)
        assert.strictEqual(new Set(servers.map((span) => span.traceId)).size, 1_000)
        assert.strictEqual(new Set(answers.map((answer) => answer.headers["x-request-id"])).size, 1_000)
        assert.strictEqual(new Set(answers.map((answer) => answer.headers["traceresponse"])).size, 1_000)
        assert.deepStrictEqual(hub.requests(), {
          "GET /users/:id 200": 250,
          "GET _unmatched 404": 250,
          "GET /defect 500": 250,
          "GET /any 200": 250
        })
      }))
  })
})

describe("labels", () => {
  it.live("are the method, if it is a known one, and the template with its prefix", () => {
    const hub = makeHub()
    const prefixed = HttpRouter.use((router) => router.prefixed("/v1").add("GET", "/orders/:id", text))
    return serving(Layer.mergeAll(routes, prefixed), hub.layer, (port) =>
      Effect.gen(function*() {
        yield* send(port, "/v1/orders/3")
        yield* send(port, "/files/a/b")
        yield* send(port, "/users", { method: "POST", body: "12345", headers: { "content-length": "5" } })
        yield* send(port, "/users/1", { method: "HEAD" })
        yield* send(port, "/any", { method: "PROPFIND" })
        yield* send(port, "/users/1", { method: "PURGE" })
        assert.deepStrictEqual(hub.requests(), {
          "GET /v1/orders/:id 200": 1,
          "GET /files/* 200": 1,
          "POST /users 201": 1,
          "HEAD /users/:id 200": 1,
          "_OTHER /any 200": 1,
          "_OTHER _unmatched 404": 1
        })
        assert.deepStrictEqual(hub.values(StandardMetrics.HttpRequestSize, "POST", "/users"), [5])
        assert.deepStrictEqual(hub.values(StandardMetrics.HttpResponseSize, "HEAD", "/users/:id"), [0])
        const other = hub.spans.find((span) => span.name === "HTTP /any")
        assert.strictEqual(other?.attributes.get("http.request.method"), "_OTHER")
        assert.strictEqual(other?.attributes.get("http.request.method_original"), "PROPFIND")
      }))
  })
})

describe("the caller's trace", () => {
  const spanOf = (headers: Record<string, string | Array<string>>, instrumentation?: Layer.Layer<never, never, any>) =>
    Effect.gen(function*() {
      const hub = makeHub()
      const answer = yield* serving(routes, hub.layer, (port) => send(port, "/any", { headers }), instrumentation === undefined ? {} : { instrumentation })
      return { answer, spans: hub.spans }
    })

  for (const header of [`00-${trace}-${parent}-01`, `cc-${trace}-${parent}-01-future`]) {
    it.live(`is continued: ${header.slice(0, 2)}`, () =>
      Effect.gen(function*() {
        const { answer, spans } = yield* spanOf({ traceparent: header })
        assert.strictEqual(spans.length, 1)
        assert.strictEqual(spans[0]!.traceId, trace)
        assert.strictEqual(spans[0]!.parentSpanId, parent)
        assert.strictEqual(answer.headers["traceresponse"], `00-${trace}-${spans[0]!.spanId}-01`)
      }))
  }

  it.live("is continued from B3 headers too", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* spanOf({ b3: `${trace}-${parent}-1` })).spans[0]!.parentSpanId, parent)
      assert.strictEqual((yield* spanOf({ "x-b3-traceid": trace, "x-b3-spanid": parent })).spans[0]!.traceId, trace)
    }))

  for (const header of [`00-${"0".repeat(32)}-${parent}-01`, `ff-${trace}-${parent}-01`, `00-${trace}-${parent}-01-x`, trace, "x".repeat(4_000)]) {
    it.live(`is begun anew for ${header.slice(0, 60)}`, () =>
      Effect.gen(function*() {
        const { spans } = yield* spanOf({ traceparent: header })
        assert.strictEqual(spans.length, 1)
        assert.notStrictEqual(spans[0]!.traceId, trace)
        assert.isUndefined(spans[0]!.parentSpanId)
      }))
  }

  it.live("is not kept when the caller does not", () =>
    Effect.gen(function*() {
      const { answer, spans } = yield* spanOf({ traceparent: `00-${trace}-${parent}-00` })
      assert.deepStrictEqual(spans, [])
      assert.match(answer.headers["traceresponse"] as string, new RegExp(`^00-${trace}-[0-9a-f]{16}-00$`))
    }))

  it.live("is only linked at an edge that trusts nobody", () =>
    Effect.gen(function*() {
      const header = { traceparent: `00-${trace}-${parent}-00` }
      const { spans } = yield* spanOf(header, HttpInstrumentation.layerWith({ trustIncoming: false }))
      assert.strictEqual(spans.length, 1)
      assert.notStrictEqual(spans[0]!.traceId, trace)
      assert.deepStrictEqual(spans[0]!.links, [{ traceId: trace, spanId: parent, attributes: {} }])
    }))
})

describe("the request id", () => {
  it.live("is the caller's where it is harmless, and handlers see the same", () => {
    const hub = makeHub()
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        const mine = yield* send(port, "/id", { headers: { "x-request-id": "order-7.A_b" } })
        assert.strictEqual(mine.headers["x-request-id"], "order-7.A_b")
        assert.strictEqual(mine.body, "order-7.A_b")
        for (const id of ["<script>", "a b", "x".repeat(129), "'; drop table", ""]) {
          const fresh = yield* send(port, "/id", { headers: { "x-request-id": id } })
          assert.match(fresh.body, /^[0-9a-f]{32}$/)
          assert.strictEqual(fresh.headers["x-request-id"], fresh.body)
        }
        assert.strictEqual(hub.spans[0]!.attributes.get("request_id"), "order-7.A_b")
      }))
  })
})

describe("Effect's own server span", () => {
  for (const doubled of [true, false]) {
    it.live(`is ${doubled ? "thrown away where it is not switched off" : "not even opened"}`, () => {
      const hub = makeHub()
      return serving(routes, hub.layer, (port) =>
        Effect.gen(function*() {
          for (const path of ["/users/1", "/nope", "/defect", "/health/live"]) yield* send(port, path)
          yield* Effect.sleep("20 millis")
          assert.deepStrictEqual(hub.spans.filter((span) => span.kind === "server").map((span) => span.name), [
            "GET /users/:id", "GET _unmatched", "GET /defect"
          ])
        }), { doubled })
    })
  }
})

describe("ignored paths", () => {
  it.live("are neither traced nor counted, nor is what happens below them", () => {
    const hub = makeHub()
    const seen: Array<HttpServerRequest.HttpServerRequest["headers"]> = []
    const target = HttpRouter.add("GET", "/target", (request) => Effect.sync(() => {
      seen.push(request.headers)
      return text
    }))
    const calls = HttpRouter.add("GET", "/health/deep", (request) =>
      Effect.as(HttpClient.get(`http://${request.headers["host"]}/target`).pipe(Effect.provide(FetchHttpClient.layer), Effect.orDie), text))
    return serving(Layer.mergeAll(routes, target, calls), hub.layer, (port) =>
      Effect.gen(function*() {
        for (const path of ["/health", "/health/live", "/health/live?x=1", "/metrics"]) {
          const answer = yield* send(port, path)
          assert.isUndefined(answer.headers["traceresponse"])
          assert.isUndefined(answer.headers["x-request-id"])
        }
        assert.deepStrictEqual(hub.spans, [])
        assert.deepStrictEqual(hub.series(), [])
        yield* send(port, "/health/deep")
        assert.deepStrictEqual(hub.spans.map((span) => span.name), ["GET /target"])
        assert.isUndefined(seen[0]!["traceparent"])
        assert.isUndefined(seen[0]!["b3"])
        yield* send(port, "/healthy")
        assert.deepStrictEqual(hub.requests(), { "GET /target 200": 1, "GET /healthy 200": 1 })
      }))
  })
})

describe("with nobody listening for spans", () => {
  it.live("metrics and ids are there all the same", () => {
    const hub = makeHub({ listening: false })
    return serving(routes, hub.layer, (port) =>
      Effect.gen(function*() {
        const answer = yield* send(port, "/users/1", { headers: { traceparent: `00-${trace}-${parent}-01` } })
        assert.deepStrictEqual(hub.spans, [])
        assert.deepStrictEqual(hub.requests(), { "GET /users/:id 200": 1 })
        assert.match(answer.headers["traceresponse"] as string, new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`))
        const alone = yield* send(port, "/users/1")
        assert.isUndefined(alone.headers["traceresponse"])
        assert.isString(alone.headers["x-request-id"])
        assert.deepStrictEqual(hub.requests(), { "GET /users/:id 200": 2 })
      }))
  })
})
