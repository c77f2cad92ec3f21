import { type ErrorData, ErrorHistory, ErrorPolicy, type LogData, Memory, MemoryBackend, type SpanData, StandardMetrics } from "@effect-observability/core"
import { Errors, HttpErrors, HttpInstrumentation } from "@effect-observability/instrument"
import { TestLayer } from "@effect-observability/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Console, Data, Effect, ErrorReporter, Fiber, Layer } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Http from "node:http"
import { abandon, send, serving } from "../http/support/server.ts"

class OutOfStock extends Data.TaggedError("OutOfStock")<{ readonly message: string }> {}
class SqlError extends Data.TaggedError("SqlError")<{ readonly message: string }> {}
class Teapot extends Data.TaggedError("Teapot")<{}> implements HttpServerRespondable.Respondable {
  [HttpServerRespondable.symbol]() {
    return Effect.succeed(HttpServerResponse.text("short and stout", { status: 418 }))
  }
}

const mute = Layer.succeed(Console.Console, { ...globalThis.console, log: () => {}, error: () => {} })

const defect = Effect.die(new TypeError("select * from users where token = 'hunter2secret' at /srv/app on db-1.internal"))
const nested = defect.pipe(
  Effect.withSpan("innermost"),
  Effect.forkChild,
  Effect.flatMap(Fiber.join),
  Effect.withErrorReporting,
  Effect.withSpan("inner")
)

/** An error that throws whatever it is asked. */
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/ok", Effect.succeed(HttpServerResponse.text("fine"))),
  HttpRouter.add("GET", "/defect", nested as Effect.Effect<never>),
  HttpRouter.add("GET", "/stock", Effect.fail(new OutOfStock({ message: "internal: shelf 7" })) as Effect.Effect<never, any>),
  HttpRouter.add("GET", "/sql", Effect.fail(new SqlError({ message: "relation users does not exist" })) as Effect.Effect<never, any>),
  HttpRouter.add("GET", "/teapot", Effect.fail(new Teapot()) as Effect.Effect<never, any>),
  HttpRouter.add("GET", "/thrown", Effect.die(HttpServerResponse.text("thrown", { status: 202 }))),
  HttpRouter.add("GET", "/slow", Effect.as(Effect.never, HttpServerResponse.empty())),
  HttpRouter.add("GET", "/interrupted", Effect.interrupt as Effect.Effect<never>),
  HttpRouter.add("GET", "/revoked", Effect.suspend(() => Effect.fail(revoked())) as Effect.Effect<never, any>),
  HttpRouter.add("GET", "/revoked-defect", Effect.suspend(() => Effect.die(revoked()))),
  HttpRouter.add("GET", "/background", Effect.as(Errors.forkDetach(Effect.andThen(Effect.yieldNow, Effect.fail(new SqlError({ message: "later" })))), HttpServerResponse.text("started")))
)

/** Serves the routes with everything on, and gives what was seen. */
const world = <A>(use: (port: number) => Effect.Effect<A, Error>) => {
  let ask: Effect.Effect<readonly [ReadonlyArray<ErrorData>, ReadonlyArray<SpanData>, ReadonlyArray<LogData>, number]> = Effect.die("not built")
  let history: ErrorHistory["Service"] | undefined
  const peek = Layer.effectDiscard(Effect.gen(function*() {
    const backend = yield* MemoryBackend
    history = yield* ErrorHistory
    ask = Effect.all([backend.errors, backend.spans, backend.logs, backend.getCounterValue(StandardMetrics.Errors)])
  }))
  const hub = Layer.mergeAll(
    peek.pipe(Layer.provideMerge(TestLayer)), mute,
    ErrorPolicy.layer({ classify: ErrorPolicy.byType({ OutOfStock: { status: 409, publicMessage: "out of stock" } }) })
  )
  return Effect.gen(function*() {
    const answer = yield* serving(routes, Layer.orDie(hub), use, {
      instrumentation: Layer.provideMerge(HttpErrors.layer, HttpInstrumentation.layer)
    })
    const [errors, spans, logs, counted] = yield* ask
    return { answer, errors, spans, logs, counted, history: history! }
  })
}

describe("failed HTTP requests", () => {
  it.live("an error that throws when it is looked at is answered, reported, counted and traced like any other", () =>
    Effect.gen(function*() {
      for (const path of ["/revoked", "/revoked-defect"]) {
        const { answer, errors, spans } = yield* world((port) => send(port, path))
        assert.strictEqual(answer.status, 500)
        assert.strictEqual(answer.headers["x-error-id"], errors[0]!.errorId)
        assert.strictEqual(JSON.parse(answer.body).error_id, errors[0]!.errorId)
        assert.deepStrictEqual(spans.map(({ name, status }) => [name, status]), [[`GET ${path}`, "error"]])
      }
    }))

  it.live("a defect in a nested fiber is one report, with the same id in all its places", () =>
    Effect.gen(function*() {
      const { answer, counted, errors, history, logs, spans } = yield* world((port) => send(port, "/defect", { headers: { "x-request-id": "req-1" } }))
      assert.strictEqual(answer.status, 500)
      assert.strictEqual(errors.length, 1)
      const { errorId } = errors[0]!
      const body = JSON.parse(answer.body)
      assert.deepStrictEqual(body, {
        type: "about:blank", status: 500, title: "Internal Server Error", error_id: errorId, request_id: "req-1",
        instance: `urn:uuid:${errorId.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}`
      })
      assert.strictEqual(answer.headers["content-type"], "application/problem+json")
      assert.strictEqual(answer.headers["x-error-id"], errorId)
      assert.strictEqual(answer.headers["x-request-id"], "req-1")
      assert.strictEqual(answer.headers["cache-control"], "no-store")
      const lines = logs.filter((line) => line.level === "error")
      assert.isAtLeast(lines.length, 1)
      for (const line of lines) assert.deepStrictEqual([line.errorId, line.requestId], [errorId, "req-1"])
      const server = spans.find((span) => span.kind === "server")!
      assert.strictEqual(server.attributes.get("error.id"), errorId)
      assert.strictEqual(server.status, "error")
      assert.deepStrictEqual([errors[0]!.kind, errors[0]!.traceId, errors[0]!.requestId], ["defect", server.traceId, "req-1"])
      assert.deepStrictEqual(errors[0]!.spanNames, ["inner", server.name === "GET /defect" ? "GET" : server.name])
      assert.strictEqual(counted, 1)
      // The queue was drained when the program ended.
      assert.strictEqual((yield* history.getError(errorId))?.requestId, "req-1")
      assert.deepStrictEqual((yield* history.errorGroups()).map((group) => [group.errorType, group.count]), [["TypeError", 1]])
    }))

  it.live("the answer says nothing about the program", () =>
    Effect.gen(function*() {
      const { answer } = yield* world((port) => Effect.forEach(["/defect", "/stock", "/sql"], (path) => send(port, path)))
      for (const { body, headers } of answer) {
        for (const word of ["select", "users", "hunter2", "/srv", "db-1", "internal:", "shelf", "SqlError", "OutOfStock", "TypeError", "    at ", process.cwd()]) {
          assert.notInclude(body + JSON.stringify(headers), word)
        }
      }
    }))

  it.live("the policy gives status and words; what is the caller's mistake is counted, not reported", () =>
    Effect.gen(function*() {
      const { answer, counted, errors } = yield* world((port) => send(port, "/stock"))
      assert.strictEqual(answer.status, 409)
      const body = JSON.parse(answer.body)
      assert.deepStrictEqual([body.status, body.title, body.detail], [409, "Conflict", "out of stock"])
      assert.match(body.error_id, /^[0-9a-f]{32}$/)
      assert.deepStrictEqual(errors, [])
      assert.strictEqual(counted, 1)
    }))

  it.live("a response that an error gives itself is kept, with the id; a thrown response is no error", () =>
    Effect.gen(function*() {
      const { answer: [teapot, thrown, missing], counted, errors } = yield* world((port) => Effect.forEach(["/teapot", "/thrown", "/nowhere"], (path) => send(port, path)))
      assert.deepStrictEqual([teapot!.status, teapot!.body], [418, "short and stout"])
      assert.match(String(teapot!.headers["x-error-id"]), /^[0-9a-f]{32}$/)
      assert.deepStrictEqual([thrown!.status, thrown!.body, thrown!.headers["x-error-id"]], [202, "thrown", undefined])
      assert.strictEqual(missing!.status, 404)
      assert.deepStrictEqual([JSON.parse(missing!.body).title, JSON.parse(missing!.body).error_id], ["Not Found", undefined])
      assert.deepStrictEqual(errors, [])
      assert.strictEqual(counted, 1)
    }))

  it.live("a client that leaves and an interruption report nothing", () =>
    Effect.gen(function*() {
      const { counted, errors } = yield* world((port) => Effect.andThen(abandon(port, "/slow", Effect.sleep("50 millis")), Effect.andThen(send(port, "/interrupted"), Effect.sleep("50 millis"))))
      assert.deepStrictEqual(errors, [])
      assert.strictEqual(counted, 0)
    }))

  it.live("nothing of a request is left for the next on the same connection", () =>
    Effect.gen(function*() {
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      const { answer: [first, second, third], errors } = yield* world((port) =>
        Effect.gen(function*() {
          const first = yield* send(port, "/sql", { agent, headers: { "x-request-id": "one" } })
          const second = yield* send(port, "/ok", { agent })
          const third = yield* send(port, "/sql", { agent })
          return [first, second, third]
        }).pipe(Effect.ensuring(Effect.sync(() => agent.destroy()))))
      assert.isDefined(first!.headers["x-error-id"])
      assert.isUndefined(second!.headers["x-error-id"])
      assert.deepStrictEqual(errors.map((one) => one.requestId), ["one", third!.headers["x-request-id"] as string])
      assert.notStrictEqual(errors[0]!.errorId, errors[1]!.errorId)
      assert.notStrictEqual(errors[0]!.traceId, errors[1]!.traceId)
      assert.deepStrictEqual(errors[1]!.breadcrumbs.filter((line) => line.requestId === "one"), [])
    }))

  it.live("work that a request leaves behind is reported as the request's", () =>
    Effect.gen(function*() {
      const { answer, errors } = yield* world((port) => Effect.tap(send(port, "/background", { headers: { "x-request-id": "bg" } }), () => Effect.sleep("30 millis")))
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(errors.map((one) => [one.message, one.requestId]), [["later", "bg"]])
    }))

  it.live("an error's own reporting marks are honoured", () => {
    class Quiet extends Data.TaggedError("Quiet")<{}> {
      override readonly [ErrorReporter.ignore] = true
    }
    return Effect.gen(function*() {
      const seen: Array<ErrorData> = []
      const peek = Layer.effectDiscard(Effect.map(MemoryBackend, (backend) => Effect.addFinalizer(() => Effect.map(backend.errors, (all) => void seen.push(...all)))).pipe(Effect.flatten))
      const answer = yield* serving(
        HttpRouter.add("GET", "/quiet", Effect.fail(new Quiet()) as Effect.Effect<never, any>),
        Layer.orDie(Layer.mergeAll(peek.pipe(Layer.provideMerge(Memory.layer())), mute)),
        (port) => send(port, "/quiet"),
        { instrumentation: Layer.provideMerge(HttpErrors.layer, HttpInstrumentation.layer) }
      )
      assert.strictEqual(answer.status, 500)
      assert.deepStrictEqual(seen, [])
    })
  })
})
