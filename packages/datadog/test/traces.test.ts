import { assert, describe, it } from "@effect/vitest"
import { ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { Effect, Layer } from "effect"
import { createServer, type Server, type Socket } from "node:net"
import type { AddressInfo } from "node:net"
import { Datadog, DatadogAgent } from "../src/index.ts"
import { type Respond, startAgent } from "./support/agent.ts"
import { agent, balanced, books, captured, scoped, until } from "./support/scoped.ts"

const settings = ObservabilityConfig.layer({ requestTimeout: "300 millis", shutdownTimeout: "500 millis", tracing: { serviceName: "shop", serviceVersion: "1.2" }, env: "test" })
const backend = (traces: string, options: Datadog.DatadogOptions = {}) =>
  Datadog.layer({ dogstatsd: false, traces, containerId: false, spanInterval: "20 millis", ...options }).pipe(Layer.provide(settings))

const spans = (count: number) => Effect.forEach(Array.from({ length: count }), (_, i) => Effect.withSpan(Effect.void, `work ${i}`, { root: true }), { discard: true })

/** Spans meet an agent that answers so, until `healed`; then it is well again. */
const meets = (respond: Respond, healed: (answers: number) => boolean, check: (telemetry: Telemetry["Service"], received: ReadonlyArray<string>) => void, count = 50, options: Datadog.DatadogOptions = {}) =>
  Effect.gen(function*() {
    const fake = yield* agent
    let answers = 0
    fake.respond = (request, response, n) => {
      answers = n
      if (healed(n)) {
        fake.respond = undefined
        ;(fake.spans() as Array<unknown>).push(...request.chunks.flat())
        response.end("{}")
      } else respond(request, response, n)
    }
    yield* Effect.gen(function*() {
      const telemetry = yield* Telemetry
      yield* spans(count)
      yield* telemetry.flush
      // Life goes on: what comes afterwards arrives.
      yield* Effect.withSpan(Effect.void, "fresh")
      yield* telemetry.flush
      balanced(telemetry)
      check(telemetry, fake.spans().map(({ resource }) => resource))
      assert.include(fake.spans().map(({ resource }) => resource), "fresh")
      assert.deepStrictEqual(fake.failures, [])
      assert.isAbove(answers, 0)
    }).pipe(Effect.provide(backend(fake.url, options)))
  }).pipe(Effect.scoped)

const names = (count: number) => Array.from({ length: count }, (_, i) => `work ${i}`)
const whole = (telemetry: Telemetry["Service"], received: ReadonlyArray<string>): void => {
  assert.deepStrictEqual(received.filter((name) => name !== "fresh").toSorted(), names(50).toSorted())
  assert.deepStrictEqual(books(telemetry, "datadog", "spans").dropped, {})
}
const status = (code: number, headers: Record<string, string | Array<string>> = {}, body = "no"): Respond => (_, response) => void response.writeHead(code, headers).end(body)

describe.concurrent("an agent in trouble", () => {
  for (const code of [500, 502, 503, 504, 408, 429]) {
    it.live(`${code} for a while: all spans arrive, once`, () => meets(status(code), (n) => n > 3, whole))
  }

  for (const retryAfter of ["0", "-5", "1000000000000", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "soon", ""]) {
    it.live(`429 with Retry-After ${JSON.stringify(retryAfter)}: waits, within its cap`, () =>
      Effect.gen(function*() {
        const fake = yield* agent
        fake.respond = status(429, { "retry-after": retryAfter })
        yield* Effect.gen(function*() {
          const telemetry = yield* Telemetry
          yield* spans(10)
          yield* Effect.sleep("700 millis")
          assert.isAtMost(fake.requests.length, 4, "no hot loop")
          assert.strictEqual(telemetry.reports()[0]?.status, "degraded")
          assert.match(telemetry.reports()[0]?.reason ?? "", /answered 429: no/)
          fake.respond = undefined
          // A flush cuts the wait short.
          yield* telemetry.flush
          assert.strictEqual(books(telemetry, "datadog", "spans").exported, 10)
          assert.strictEqual(fake.spans().length, 10)
        }).pipe(Effect.provide(backend(fake.url)))
      }).pipe(Effect.scoped))
  }

  it.live("two values of Retry-After are no value", () => meets(status(503, { "retry-after": ["1", "2"] }), (n) => n > 1, whole))

  for (const code of [401, 403, 404, 415]) {
    it.live(`${code}: costs its batch alone, and says why`, () =>
      meets(status(code), (n) => n > 1, (telemetry, received) => {
        assert.deepStrictEqual(received, ["fresh"])
        assert.deepStrictEqual(books(telemetry, "datadog", "spans").dropped, { [`rejected:${code}`]: 50 })
      }))
  }

  for (const code of [301, 307, 308]) {
    it.live(`${code}: a redirect is not followed`, () =>
      meets(status(code, { location: "http://127.0.0.1:9/elsewhere" }), (n) => n > 1, (telemetry, received) => {
        assert.deepStrictEqual(received, ["fresh"])
        assert.deepStrictEqual(books(telemetry, "datadog", "spans").dropped, { redirect: 50 })
      }))
  }

  it.live("400 for one span: it alone is lost", () =>
    meets(
      (request, response) => {
        if (request.chunks.flat().some(({ resource }) => resource === "work 17")) response.writeHead(400).end("poison")
        else {
          seen.push(...request.chunks.flat().map(({ resource }) => resource))
          response.end("{}")
        }
      },
      (n) => n > 1 && seen.length === 49,
      (telemetry) => {
        assert.deepStrictEqual(seen.toSorted(), names(50).filter((name) => name !== "work 17").toSorted())
        assert.deepStrictEqual(books(telemetry, "datadog", "spans").dropped, { "rejected:400": 1 })
      }
    ))
  const seen: Array<string> = []

  it.live("413: smaller requests", () =>
    meets(
      (request, response) => {
        if (request.chunks.length > 8) response.writeHead(413).end()
        else {
          small.push(...request.chunks.flat().map(({ resource }) => resource))
          response.end("{}")
        }
      },
      () => small.length === 50,
      (telemetry) => {
        assert.strictEqual(new Set(small).size, 50)
        assert.deepStrictEqual(books(telemetry, "datadog", "spans").dropped, {})
      }
    ))
  const small: Array<string> = []

  it.live("says nothing: the attempt ends, the same spans go again", () => meets(() => {}, (n) => n > 1, whole))

  it.live("a header byte now and then: the whole deadline holds", () =>
    meets((_, response) => {
      const socket = response.socket!
      let n = 0
      const slow = setInterval(() => socket.destroyed ? clearInterval(slow) : socket.write("HTTP/1.1 200 OK\r\nX-Slow: "[n++] ?? "a"), 50)
      socket.on("close", () => clearInterval(slow))
    }, (n) => n > 1, whole))

  it.live("an endless answer is read no further than needed", () => {
    let written = 0
    return meets((request, response) => {
      kept.push(...request.chunks.flat().map(({ resource }) => resource))
      response.writeHead(200)
      const chunk = Buffer.alloc(64 * 1024, 32)
      const pour = (): void => {
        if (response.destroyed || written > 256 * 1024 * 1024) return
        written += chunk.length
        if (response.write(chunk)) setImmediate(pour)
        else response.once("drain", pour)
      }
      pour()
    }, (n) => n > 1, (telemetry) => {
      assert.isBelow(written, 64 * 1024 * 1024)
      assert.deepStrictEqual(kept.toSorted(), names(50).toSorted())
      assert.strictEqual(books(telemetry, "datadog", "spans").exported, 51)
    })
  })
  const kept: Array<string> = []

  it.live("a huge header, an answer that is no HTTP, a cut in the middle of it: tried again", () =>
    meets((_, response, n) => {
      const socket = response.socket!
      if (n === 1) socket.end(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(10_000_000)}\r\n\r\n`)
      else if (n === 2) socket.end("hello\r\n\r\n")
      else if (n === 3) {
        response.writeHead(500, { "content-length": "1000" })
        response.write("half")
        setTimeout(() => socket.destroy(), 20)
      } else socket.destroy()
    }, (n) => n > 4, whole))

  it.live("its own words are shown without what a terminal would obey", () =>
    Effect.gen(function*() {
      const fake = yield* agent
      fake.respond = status(503, {}, "\u001b[2Jgone\nsecond line")
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        yield* spans(1)
        yield* until(() => telemetry.reports()[0]?.status === "degraded", "degraded")
        assert.match(telemetry.reports()[0]!.reason!, /answered 503: \[2Jgone$/)
        fake.respond = undefined
        yield* telemetry.flush
        balanced(telemetry)
      }).pipe(Effect.provide(backend(fake.url)))
    }).pipe(Effect.scoped))
})

describe.concurrent("an agent that is not there", () => {
  it.live("is waited for; what came meanwhile arrives, once", () =>
    Effect.gen(function*() {
      const { close, port } = yield* Effect.promise(() => startAgent())
      yield* Effect.promise(close)
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        yield* spans(30)
        yield* until(() => telemetry.reports()[0]?.status === "degraded", "degraded")
        assert.match(telemetry.reports()[0]!.reason!, /ECONNREFUSED/)
        yield* Effect.sleep("300 millis")
        const fake = yield* scoped(() => startAgent(port))
        yield* spans(20)
        yield* telemetry.flush
        assert.strictEqual(fake.spans().length, 50)
        assert.strictEqual(new Set(fake.spans().map(({ span_id }) => span_id)).size, 50)
        const ledger = books(telemetry, "datadog", "spans")
        assert.deepStrictEqual([ledger.exported, ledger.dropped, ledger.unconfirmed], [50, {}, 0])
        assert.strictEqual(telemetry.reports()[0]?.status, "up")
      }).pipe(Effect.provide(backend(`http://127.0.0.1:${port}`)))
    }).pipe(Effect.scoped))

  it.live("restarts between two requests of one connection", () =>
    Effect.gen(function*() {
      const first = yield* Effect.promise(() => startAgent())
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        yield* spans(5)
        yield* telemetry.flush
        yield* Effect.promise(first.close)
        const second = yield* scoped(() => startAgent(first.port))
        yield* spans(5)
        yield* telemetry.flush
        assert.deepStrictEqual([first.spans().length, second.spans().length], [5, 5])
        assert.deepStrictEqual(books(telemetry, "datadog", "spans").dropped, {})
      }).pipe(Effect.provide(backend(first.url)))
    }).pipe(Effect.scoped))

  it.live("a name nobody has", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      yield* spans(3)
      yield* until(() => telemetry.reports()[0]?.status === "degraded", "degraded")
      assert.match(telemetry.reports()[0]!.reason!, /ENOTFOUND|EAI_AGAIN/)
      balanced(telemetry)
    }).pipe(Effect.provide(backend("http://agent.invalid:8126"))))

  it.live("hangs while the program ends: it ends in time, and what may have arrived is unconfirmed", () =>
    Effect.gen(function*() {
      const taken: Array<Socket> = []
      const server: Server = yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<Server>((done) => {
          const made = createServer((socket) => void taken.push(socket.on("error", () => {}).resume()))
          made.listen(0, "127.0.0.1", () => done(made))
        })),
        (made) => Effect.promise(() => {
          for (const socket of taken) socket.destroy()
          return new Promise<void>((done) => made.close(() => done()))
        })
      )
      const listener = captured()
      let began = 0
      yield* Effect.gen(function*() {
        yield* spans(20)
        yield* Effect.sleep("100 millis")
        assert.isAbove(listener.books("datadog", "spans").inFlight, 0)
        yield* spans(5)
        began = Date.now()
      }).pipe(Effect.provide(listener.layer({ dogstatsd: false, traces: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, containerId: false, spanInterval: "20 millis", nativeSpanEvents: false }).pipe(Layer.provide(settings))))
      assert.isBelow(Date.now() - began, 500 + 250)
      // The request had left: nobody knows. What had not is lost, and counted.
      const { dropped, exported, offered, unconfirmed } = listener.books("datadog", "spans")
      assert.deepStrictEqual([offered, exported, unconfirmed, dropped], [25, 0, 20, { shutdown: 5 }])
      assert.isAbove(taken.length, 0)
    }).pipe(Effect.scoped))
})

describe("what an agent says", () => {
  it.live("about sampling is there for the program", () =>
    Effect.gen(function*() {
      const fake = yield* agent
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const said = yield* DatadogAgent
        assert.strictEqual(yield* said.rate, 1)
        yield* spans(1)
        yield* telemetry.flush
        assert.strictEqual(yield* said.rate, 0.25)
        assert.deepStrictEqual([...yield* said.rates], [["service:,env:", 1], ["service:shop,env:test", 0.25]])
        for (const body of ["", "null", "[]", "{\"rate_by_service\":7}", "{\"rate_by_service\":{\"__proto__\":0.5,\"a\":2,\"b\":\"1\",\"c\":null}}"]) {
          fake.respond = status(200, {}, body)
          yield* spans(1)
          yield* telemetry.flush
        }
        assert.deepStrictEqual([...yield* said.rates], [["__proto__", 0.5]])
        balanced(telemetry)
      }).pipe(Effect.provide(backend(fake.url)))
    }).pipe(Effect.scoped))

  it.live("about events decides their form; an agent that says nothing gets text", () =>
    Effect.gen(function*() {
      for (const [info, native] of [[{ span_events: true }, true], [{ span_events: false }, false], [undefined, false], [{ span_events: "yes" }, false]] as const) {
        const fake = yield* agent
        fake.info = info
        yield* Effect.gen(function*() {
          const telemetry = yield* Telemetry
          yield* Effect.currentSpan.pipe(Effect.map((span) => span.event("step", 7n, { n: 1 })), Effect.withSpan("evented"), Effect.orDie)
          yield* telemetry.flush
          const [span] = fake.spans()
          assert.strictEqual(span?.span_events !== undefined, native)
          if (!native) assert.strictEqual(span?.meta["events"], "[{\"name\":\"step\",\"time_unix_nano\":7,\"attributes\":{\"n\":1}}]")
          balanced(telemetry)
        }).pipe(Effect.provide(backend(fake.url)))
      }
    }).pipe(Effect.scoped))
})
