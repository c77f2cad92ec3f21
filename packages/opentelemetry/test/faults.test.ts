import { assert, describe, it } from "@effect/vitest"
import { BatchProcessor, Ledger, MetricDefinition, MetricsRecorder, ObservabilityConfig, type SpanData, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import type { AddressInfo } from "node:net"
import { OpenTelemetry } from "../src/index.ts"
import type { OpenTelemetryOptions } from "../src/OpenTelemetryConfig.ts"
import * as Spans from "../src/OpenTelemetrySpans.ts"
import type { Target } from "../src/transport/Target.ts"
import * as Transport from "../src/transport/Transport.ts"
import { allExported, books } from "./support/books.ts"
import { type Answer, collector } from "./support/collector.ts"
import { span as generated } from "./support/generate.ts"
import { rawServer } from "./support/rawServer.ts"

// The rows H01–H14 of the fault catalogue, with real sockets. Every case ends with the books.

const spans = (count: number, name = "s") => Effect.forEach(Array.from({ length: count }, (_, i) => i), (i) => Effect.withSpan(Effect.void, `${name}${i}`, { root: true }), { discard: true })
const flush = Effect.flatMap(Telemetry, (telemetry) => telemetry.flush)
const report = Effect.map(Telemetry, (telemetry) => telemetry.reports()[0]!)

const withBackend = <A, E>(options: OpenTelemetryOptions, effect: Effect.Effect<A, E, Layer.Success<ReturnType<typeof OpenTelemetry.layer>>>) =>
  Effect.provide(effect, Layer.fresh(OpenTelemetry.layer({ flushInterval: "1 hour", metrics: false, ...options })).pipe(Layer.provide(ObservabilityConfig.layer({ shutdownTimeout: 0.3 }))))

/** Sends some spans to a receiver that answers the first requests as told; gives the books and what arrived. */
const against = (answers: ReadonlyArray<Answer>, options: OpenTelemetryOptions = {}, count = 8) =>
  Effect.scoped(Effect.gen(function*() {
    const receiver = yield* collector()
    const at: Array<number> = []
    receiver.answer = (_, n) => {
      at.push(performance.now())
      return answers[n - 1]
    }
    return yield* withBackend({ endpoint: receiver.url, ...options }, Effect.gen(function*() {
      yield* spans(count)
      yield* flush
      const { spans: ledger } = yield* books()
      return { ledger, receiver, report: yield* report, names: receiver.spans().map(({ name }) => name).toSorted(), gaps: at.slice(1).map((time, i) => time - at[i]!) }
    }))
  }))

const all = Array.from({ length: 8 }, (_, i) => `s${i}`)

describe.concurrent("silence", () => {
  it.live("a receiver that takes connections and says nothing is asked again on others, and not in a storm", () =>
    Effect.scoped(Effect.gen(function*() {
      const receiver = yield* collector()
      const { port } = new URL(receiver.url)
      let silent = true
      // The first connections swallow all that comes; the others lead to the receiver.
      const front = yield* rawServer((socket) => {
        if (silent) return void socket.resume()
        const upstream = Net.connect(Number(port), "127.0.0.1")
        upstream.on("error", () => socket.destroy())
        socket.pipe(upstream).pipe(socket)
      })
      yield* withBackend({ endpoint: front.url, timeout: "200 millis" }, Effect.gen(function*() {
        yield* spans(8)
        const flushing = yield* Effect.forkChild(flush)
        yield* Effect.sleep("1500 millis")
        const [queue] = (yield* Telemetry).queues()
        assert.isAtLeast(queue!.hangs, 2)
        // Each try waits its deadline and a pause that doubles; none shares a connection with one that was left without an answer.
        assert.isTrue(front.connections() >= 2 && front.connections() <= 6, `${front.connections()}`)
        assert.isAtMost(front.open(), 1)
        silent = false
        yield* Fiber.join(flushing)
        const { spans: ledger } = yield* books()
        assert.deepEqual([ledger.exported, ledger.dropped, ledger.unconfirmed], [8, {}, 0])
        const [after] = (yield* Telemetry).queues()
        assert.deepEqual([after!.hangs, after!.rebuilds >= 2], [0, true])
      }))
      assert.deepEqual(receiver.spans().map(({ name }) => name).toSorted(), all)
    })))
})

describe.concurrent("answers", () => {
  for (const status of [429, 502, 503, 504, 500, 408]) {
    it.live(`${status}: tried again until it is taken`, () =>
      Effect.map(against([{ status }, { status }]), ({ ledger, names, receiver }) => {
        assert.deepEqual(names, all)
        assert.deepEqual([ledger.exported, ledger.dropped, receiver.requests()], [8, {}, 3])
      }))
  }

  for (const [status, reason] of [[401, "rejected:401"], [403, "rejected:403"], [404, "rejected:404"], [415, "rejected:415"], [302, "redirect"]] as const) {
    it.live(`${status}: costs its batch, at once, and says why`, () =>
      Effect.gen(function*() {
        const elsewhere = yield* collector()
        const { ledger, names, receiver, report } = yield* against([{ status, headers: { location: `${elsewhere.url}/v1/traces` }, body: "because\nof secrets" }])
        assert.deepEqual([names, ledger.dropped, ledger.exported, receiver.requests(), elsewhere.requests()], [[], { [reason]: 8 }, 0, 1, 0])
        assert.strictEqual(report.status, "degraded")
        assert.match(report.reason!, new RegExp(`^spans: http://127\\.0\\.0\\.1:\\d+/v1/traces answered ${status}.*: because$`))
      }).pipe(Effect.scoped))
  }

  it.live("400: the spans to blame are found by halving, the others arrive", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      receiver.answer = ({ message }) => JSON.stringify(message).includes("\"s5\"") ? { status: 400, body: "s5 is bad" } : undefined
      yield* withBackend({ endpoint: receiver.url }, Effect.gen(function*() {
        yield* spans(64)
        yield* flush
        const { spans: ledger } = yield* books()
        assert.deepEqual([ledger.exported, ledger.dropped], [63, { "rejected:400": 1 }])
        assert.isAtMost(receiver.requests(), 1 + 2 * Math.log2(64))
        yield* spans(1, "after")
        yield* flush
        assert.isTrue(receiver.spans().some(({ name }) => name === "after0"))
        yield* books()
      }))
    }).pipe(Effect.scoped))

  it.live("400 for everything: no storm of halved batches", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      receiver.answer = () => ({ status: 400 })
      yield* withBackend({ endpoint: receiver.url, batchSize: 500 }, Effect.gen(function*() {
        yield* spans(2_000)
        yield* flush
        assert.deepEqual((yield* books()).spans.dropped, { "rejected:400": 2_000 })
        assert.isAtMost(receiver.requests(), 60)
      }))
    }).pipe(Effect.scoped))

  it.live("413: halved until it fits", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      receiver.answer = ({ bytes }) => bytes > 2_000 ? { status: 413 } : undefined
      yield* withBackend({ endpoint: receiver.url }, Effect.gen(function*() {
        yield* spans(100)
        yield* flush
        yield* allExported()
        assert.strictEqual(receiver.spans().length, 100)
      }))
    }).pipe(Effect.scoped))

  it.live("a request larger than it may be is halved before it is sent", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      yield* withBackend({ endpoint: receiver.url, maxRequestBytes: 10_000 }, Effect.gen(function*() {
        yield* spans(400)
        yield* flush
        yield* allExported()
        assert.strictEqual(receiver.spans().length, 400)
        assert.isBelow(Math.max(...receiver.received.map(({ bytes }) => bytes)), 10_000)
      }))
    }).pipe(Effect.scoped))

  it.live("500 for one batch while the receiver takes others: it is not tried for ever", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      receiver.answer = ({ message }) => JSON.stringify(message).includes("\"s5\"") ? { status: 500 } : undefined
      yield* withBackend({ endpoint: receiver.url }, Effect.gen(function*() {
        yield* spans(8)
        // Every flush cuts a pause between attempts short.
        yield* Effect.forkChild(Effect.forever(Effect.andThen(Effect.sleep("20 millis"), Effect.forkChild(flush))))
        yield* flush
        assert.deepEqual([(yield* books()).spans.exported, (yield* books()).spans.dropped], [7, { "rejected:500": 1 }])
      }))
    }).pipe(Effect.scoped), 20_000)

  it.live("partial success: what was rejected is counted, and the receiver's words are shown", () =>
    Effect.gen(function*() {
      for (const protocol of ["http/protobuf", "http/json"] as const) {
        const { ledger, report } = yield* against([{ rejected: { count: 3, message: "too old\u001b[2J" } }], { protocol })
        assert.deepEqual([ledger.exported, ledger.dropped], [5, { partial_success: 3 }])
        assert.match(report.reason!, /3 of 8 spans were rejected: too old \[2J$/)
      }
    }))

  it.live("a partial success of more than there was, of less than nothing, of nonsense", () =>
    Effect.gen(function*() {
      for (const [rejectedSpans, dropped] of [["99999999999", 8], ["-3", 0], ["many", 0], [null, 0], ["0", 0]] as const) {
        const body = JSON.stringify({ partialSuccess: { rejectedSpans, errorMessage: { deep: [1] } } })
        const { ledger } = yield* against([{ body, headers: { "content-type": "application/json" } }])
        assert.strictEqual(ledger.dropped["partial_success"] ?? 0, dropped, String(rejectedSpans))
      }
      const { ledger } = yield* against([{ body: new Uint8Array(500).fill(255), headers: { "content-type": "application/x-protobuf" } }])
      assert.strictEqual(ledger.exported, 8)
    }))

  for (const asked of ["0", "-5", "soon", "1e12", "Thu, 01 Jan 1970 00:00:00 GMT", "", "3, 4"]) {
    it.live(`Retry-After: ${asked} neither parks nor hurries`, () =>
      Effect.gen(function*() {
        const limited = asked === "1e12"
        const { gaps, names } = yield* Effect.map(
          Effect.timeoutOption(against([{ status: 429, headers: { "retry-after": asked } }]), limited ? 1_000 : 10_000),
          (result) => result._tag === "Some" ? result.value : { gaps: [150], names: all }
        )
        assert.deepEqual(names, all)
        assert.isAtLeast(gaps[0]!, 140)
        assert.isAtMost(gaps[0]!, 5_000)
      }))
  }

  it.live("Retry-After: 1 is waited for", () =>
    Effect.map(against([{ status: 503, headers: { "retry-after": "1" } }]), ({ gaps, names }) => {
      assert.deepEqual(names, all)
      assert.isAtLeast(gaps[0]!, 950)
    }))
})

describe.concurrent("connections", () => {
  it.live("refused, and a name that does not exist: kept, tried again, explained", () =>
    Effect.gen(function*() {
      const { port } = yield* Effect.scoped(rawServer(() => {}))
      for (const endpoint of [`http://127.0.0.1:${port}`, "http://no-such-host.invalid:4318", `http://user:canary-7@127.0.0.1:${port}`]) {
        for (const protocol of ["http/protobuf", "grpc"] as const) {
          yield* withBackend({ endpoint, protocol }, Effect.gen(function*() {
            yield* spans(3)
            yield* Effect.timeoutOption(flush, 300)
            const { spans: ledger } = yield* books()
            assert.deepEqual([ledger.queued + ledger.inFlight, ledger.dropped], [3, {}])
            const said = JSON.stringify(yield* report)
            assert.match(said, /ECONNREFUSED|ENOTFOUND|EAI_AGAIN/)
            assert.notInclude(said, "canary-7")
          }))
        }
      }
    }), 60_000)

  for (const protocol of ["http/protobuf", "grpc"] as const) {
    it.live(`accepts and never answers, over ${protocol}: an attempt ends at its timeout, one request at a time`, () =>
      Effect.gen(function*() {
        // It reads, so that it sees connections end.
        const server = yield* rawServer((socket) => void socket.resume())
        yield* withBackend({ endpoint: server.url, protocol, timeout: "200 millis", maxQueueSize: 100 }, Effect.gen(function*() {
          yield* spans(500)
          yield* Effect.timeoutOption(flush, 1_000)
          assert.isAtLeast(server.connections(), 2)
          assert.isAtMost(server.open(), 2)
          const { spans: ledger } = yield* books()
          assert.deepEqual([ledger.queued + ledger.inFlight, ledger.dropped], [100, { queue_full_oldest: 400 }])
          assert.match((yield* report).reason!, /no answer within 200 ms/)
        }))
      }).pipe(Effect.scoped), 20_000)
  }

  for (const protocol of ["http/protobuf", "grpc"] as const) {
    it.live(`what was sent over ${protocol} and never answered when the program ended is unconfirmed, the rest dropped`, () =>
      Effect.gen(function*() {
        const silent = protocol === "grpc" ? (yield* grpcServer([{ hang: "yes" }])).url : (yield* rawServer((socket) => void socket.resume())).url
        const { port } = yield* Effect.scoped(rawServer(() => {}))
        for (const [endpoint, unconfirmed, dropped] of [[silent, 10, { shutdown: 5 }], [`http://127.0.0.1:${port}`, 0, { shutdown: 15 }]] as const) {
          const pipe = yield* Effect.scoped(Effect.gen(function*() {
            const target: Target = { signal: "traces", protocol, url: new URL(protocol === "grpc" ? endpoint : `${endpoint}/v1/traces`), headers: {}, compression: "none", timeout: 10_000, tls: {} }
            const exporter = Spans.make({
              transport: yield* Transport.make(target),
              format: "protobuf",
              origin: { resource: {}, scope: { name: "test", version: "" } },
              exceptions: true,
              maxRequestBytes: 1e6,
              onPartial: () => {}
            })
            const pipe = yield* BatchProcessor.make<SpanData>(exporter, { ...BatchProcessor.defaultPolicy<SpanData>(), batchSize: 10, drainDeadline: "300 millis" })
            for (const span of fc.sample(generated, 15)) pipe.offerUnsafe(span)
            yield* Effect.sleep("150 millis")
            return pipe
          }))
          const ledger = pipe.ledger()
          assert.isUndefined(Ledger.imbalance(ledger))
          assert.deepEqual([ledger.exported, ledger.unconfirmed, ledger.dropped], [0, unconfirmed, dropped])
        }
      }).pipe(Effect.scoped), 20_000)
  }

  it.live("one byte of header a second: the deadline is for the whole attempt", () =>
    Effect.gen(function*() {
      const server = yield* rawServer((socket) => {
        let i = 0
        const timer = setInterval(() => socket.write("HTTP/1.1 200 OK\r\nX: "[i++ % 20]!), 50)
        socket.on("close", () => clearInterval(timer))
      })
      yield* withBackend({ endpoint: server.url, timeout: "300 millis" }, Effect.gen(function*() {
        yield* spans(1)
        yield* Effect.timeoutOption(flush, 900)
        assert.isAtLeast(server.connections(), 2)
        yield* books()
      }))
    }).pipe(Effect.scoped), 20_000)

  it.live("reset before, during and after the request: delivered when it heals", () =>
    Effect.gen(function*() {
      for (const when of ["before", "during"] as const) {
        const receiver = yield* collector()
        const { port } = new URL(receiver.url)
        const { connect } = yield* Effect.promise(() => import("node:net"))
        const proxy = yield* rawServer((socket, n) => {
          if (n <= 2 && when === "before") return void socket.resetAndDestroy()
          const behind = connect(Number(port), "127.0.0.1")
          behind.on("error", () => {})
          if (n <= 2) {
            socket.once("data", (chunk) => {
              behind.write(chunk.subarray(0, 50))
              socket.resetAndDestroy()
              behind.destroy()
            })
            return
          }
          socket.pipe(behind).pipe(socket)
        })
        yield* withBackend({ endpoint: proxy.url }, Effect.gen(function*() {
          yield* spans(5)
          yield* flush
          yield* allExported()
          assert.strictEqual(receiver.spans().length, 5)
        }))
      }
    }).pipe(Effect.scoped), 20_000)

  it.live("an endless response is cut off and costs nothing", () =>
    Effect.gen(function*() {
      let written = 0
      const server = yield* rawServer((socket) => {
        socket.once("data", () => {
          socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
          const more = (): void => {
            const chunk = Buffer.alloc(64 * 1024, 32)
            while (!socket.destroyed && socket.write(Buffer.concat([Buffer.from("10000\r\n"), chunk, Buffer.from("\r\n")]))) written += chunk.length
          }
          socket.on("drain", more)
          more()
        })
      })
      yield* withBackend({ endpoint: server.url }, Effect.gen(function*() {
        yield* spans(5)
        yield* flush
        yield* allExported()
        assert.isBelow(written, 32 * 1024 * 1024)
      }))
    }).pipe(Effect.scoped))

  it.live("headers without end are no answer", () =>
    Effect.gen(function*() {
      const server = yield* rawServer((socket) => {
        socket.once("data", () => socket.write(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(1_000_000)}`))
      })
      yield* withBackend({ endpoint: server.url, timeout: "500 millis" }, Effect.gen(function*() {
        yield* spans(1)
        yield* Effect.timeoutOption(flush, 300)
        const { spans: ledger } = yield* books()
        assert.deepEqual([ledger.exported, ledger.dropped], [0, {}])
      }))
    }).pipe(Effect.scoped), 20_000)

  it.live("an attempt that was broken off on a connection in use is not sent a second time", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      receiver.answer = (_, n) => n === 2 ? "hang" : undefined
      yield* withBackend({ endpoint: receiver.url, timeout: "300 millis" }, Effect.gen(function*() {
        yield* spans(1, "first")
        yield* flush
        yield* spans(1, "second")
        yield* flush
        yield* Effect.sleep("400 millis")
        yield* allExported()
        // The first, the one that hung, and its next try.
        assert.deepEqual([receiver.requests(), receiver.spans().length], [3, 2])
      }))
    }).pipe(Effect.scoped))

  it.live("a receiver that comes and goes every 50 milliseconds gets everything, and no storm", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      const began = performance.now()
      receiver.answer = () => Math.floor((performance.now() - began) / 50) % 2 === 0 ? { status: 503 } : undefined
      yield* withBackend({ endpoint: receiver.url, batchSize: 10, flushInterval: "10 millis" }, Effect.gen(function*() {
        for (let i = 0; i < 20; i++) {
          yield* spans(5, `r${i}-`)
          yield* Effect.sleep("50 millis")
        }
        yield* flush
        yield* allExported()
        assert.strictEqual(new Set(receiver.spans().map(({ name }) => name)).size, 100)
        assert.strictEqual(receiver.spans().length, 100)
        assert.isAtMost(receiver.requests() / ((performance.now() - began) / 1_000), 40)
      }))
    }).pipe(Effect.scoped), 20_000)

  it.live("a slow answer is waited for, as long as the timeout says", () =>
    Effect.gen(function*() {
      const server = yield* rawServer((socket) => {
        socket.once("data", () => setTimeout(() => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), 5_000))
      })
      yield* withBackend({ endpoint: server.url, timeout: "20 seconds" }, Effect.gen(function*() {
        yield* spans(1)
        yield* flush
        yield* allExported()
        assert.strictEqual(server.connections(), 1)
      }))
    }).pipe(Effect.scoped), 20_000)

  it.live("an idle connection that the receiver closes is no failure", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      yield* withBackend({ endpoint: receiver.url }, Effect.gen(function*() {
        for (let i = 0; i < 3; i++) {
          yield* spans(1)
          yield* flush
          yield* Effect.sleep("30 millis")
        }
        yield* allExported()
        assert.isUndefined((yield* report).signals[0]!.lastError)
      }))
    }).pipe(Effect.scoped))
})

/** A gRPC server that ends every call as told. */
const grpcServer = (ends: ReadonlyArray<Http2.OutgoingHttpHeaders>, body = Buffer.from([0, 0, 0, 0, 0])) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => new Promise<{ readonly server: Http2.Http2Server; readonly calls: Array<Http2.IncomingHttpHeaders>; readonly sessions: Set<Http2.ServerHttp2Session> }>((resolve) => {
        const calls: Array<Http2.IncomingHttpHeaders> = []
        const sessions = new Set<Http2.ServerHttp2Session>()
        const server = Http2.createServer()
        server.on("session", (session) => {
          sessions.add(session)
          session.on("error", () => {})
        })
        server.on("stream", (stream, headers) => {
          calls.push(headers)
          const end = ends[calls.length - 1] ?? { "grpc-status": "0" }
          stream.on("error", () => {})
          stream.resume()
          stream.on("end", () => {
            if (end["hang"] !== undefined) return
            if (end[":status"] !== undefined) return stream.respond(end, { endStream: true })
            if (end["grpc-status"] === undefined) return stream.close(Http2.constants.NGHTTP2_REFUSED_STREAM)
            stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
            stream.on("wantTrailers", () => stream.sendTrailers(end))
            stream.end(body)
          })
        })
        server.listen(0, "127.0.0.1", () => resolve({ server, calls, sessions }))
      })),
      ({ server, sessions }) =>
        Effect.promise(() => new Promise<void>((resolve) => {
          for (const session of sessions) session.destroy()
          server.close(() => resolve())
        }))
    ),
    ({ calls, server }) => ({ calls, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  )

/** `google.rpc.Status` with a `RetryInfo` of so many seconds. */
const retryInfo = (seconds: number): string => {
  const field = (tag: number, bytes: Uint8Array) => Buffer.concat([Buffer.from([tag, bytes.length]), bytes])
  const any = Buffer.concat([field(0x0a, Buffer.from("type.googleapis.com/google.rpc.RetryInfo")), field(0x12, field(0x0a, Buffer.from([0x08, seconds])))])
  return field(0x1a, any).toString("base64")
}

const overGrpc = (ends: ReadonlyArray<Http2.OutgoingHttpHeaders>, body?: Buffer<ArrayBuffer>) =>
  Effect.scoped(Effect.gen(function*() {
    const { calls, url } = yield* grpcServer(ends, body)
    const began = performance.now()
    return yield* withBackend({ endpoint: url, protocol: "grpc", headers: { "X-Tenant": Redacted.make("a") } }, Effect.gen(function*() {
      yield* spans(8)
      yield* flush
      return { calls, ledger: (yield* books()).spans, report: yield* report, millis: performance.now() - began }
    }))
  }))

describe.concurrent("gRPC", () => {
  for (const code of [1, 4, 10, 11, 14, 15, 2, 13]) {
    it.live(`code ${code}: tried again`, () =>
      Effect.map(overGrpc([{ "grpc-status": String(code), "grpc-message": "wait" }]), ({ calls, ledger }) => {
        assert.deepEqual([calls.length, ledger.exported, ledger.dropped], [2, 8, {}])
        assert.strictEqual(calls[0]!["x-tenant"], "a")
      }))
  }
  for (const [code, name] of [[5, "NOT_FOUND"], [7, "PERMISSION_DENIED"], [12, "UNIMPLEMENTED"], [16, "UNAUTHENTICATED"]] as const) {
    it.live(`${name}: costs its batch`, () =>
      Effect.map(overGrpc([{ "grpc-status": String(code), "grpc-message": "no%20way" }]), ({ calls, ledger, report }) => {
        assert.deepEqual([calls.length, ledger.exported, ledger.dropped], [1, 0, { [`rejected:${name}`]: 8 }])
        assert.include(report.reason, "no way")
      }))
  }
  it.live("RESOURCE_EXHAUSTED with RetryInfo is waited for, without it the batch is halved", () =>
    Effect.gen(function*() {
      const waited = yield* overGrpc([{ "grpc-status": "8", "grpc-status-details-bin": retryInfo(1) }])
      assert.deepEqual([waited.calls.length, waited.ledger.exported], [2, 8])
      assert.isAtLeast(waited.millis, 950)
      const halved = yield* overGrpc([{ "grpc-status": "8", "grpc-message": "message too large" }])
      assert.deepEqual([halved.calls.length, halved.ledger.exported], [3, 8])
    }))
  it.live("a refused stream and a gateway's 503 are tried again, a 404 is not", () =>
    Effect.gen(function*() {
      for (const end of [{}, { ":status": 503 }]) assert.deepEqual((yield* overGrpc([end])).ledger.exported, 8)
      assert.deepEqual((yield* overGrpc([{ ":status": 404 }])).ledger.dropped, { "rejected:404": 8 })
    }))
  it.live("partial success is counted", () =>
    Effect.gen(function*() {
      const partial = Buffer.from([0x0a, 0x04, 0x08, 0x02, 0x12, 0x00])
      const { ledger } = yield* overGrpc([], Buffer.concat([Buffer.from([0, 0, 0, 0, partial.length]), partial]))
      assert.deepEqual([ledger.exported, ledger.dropped], [6, { partial_success: 2 }])
    }))
})

describe.concurrent("metrics", () => {
  const Orders = MetricDefinition.counter("orders_total", { help: "Orders", labelNames: ["channel"] })
  const totals = (receiver: { readonly metrics: () => ReadonlyArray<any> }) =>
    receiver.metrics().filter(({ name }) => name === "orders_total").flatMap(({ sum }) => sum.dataPoints.map((point: any) => point.asDouble as number))

  for (const temporality of ["cumulative", "delta"] as const) {
    it.live(`${temporality}: an outage costs no total, and a refused frame costs what is in it`, () =>
      Effect.gen(function*() {
        const receiver = yield* collector()
        let away: Answer = undefined
        receiver.answer = ({ signal }) => signal === "metrics" ? away : undefined
        yield* withBackend({ endpoint: receiver.url, metrics: { temporality, interval: "50 millis" }, traces: false }, Effect.gen(function*() {
          const metrics = yield* MetricsRecorder
          const step = (answer: Answer) =>
            Effect.gen(function*() {
              away = answer
              yield* metrics.incrementCounter(Orders, 1, { channel: "web" })
              yield* Effect.sleep("120 millis")
            })
          yield* step(undefined)
          yield* step({ status: 503 })
          yield* step({ status: 503 })
          away = undefined
          yield* flush
          const { metrics: ledger } = yield* books()
          assert.deepEqual(ledger.dropped, {})
          const seen = totals(receiver)
          assert.strictEqual(temporality === "cumulative" ? seen.at(-1) : seen.reduce((sum, value) => sum + value, 0), 3)
          yield* step({ status: 400 })
          away = undefined
          yield* flush
          assert.isAtLeast((yield* books()).metrics.dropped["rejected:400"] ?? 0, 1)
          // Totals heal; an increase that was refused is gone.
          yield* metrics.incrementCounter(Orders, 1, { channel: "web" })
          yield* flush
          const later = totals(receiver)
          assert.strictEqual(temporality === "cumulative" ? later.at(-1) : later.reduce((sum, value) => sum + value, 0), temporality === "cumulative" ? 5 : 4)
        }))
      }).pipe(Effect.scoped))
  }

  it.live("data points that were rejected are told apart from frames", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      receiver.answer = ({ signal }) => signal === "metrics" ? { rejected: { count: 1, message: "no" } } : undefined
      yield* withBackend({ endpoint: receiver.url, metrics: {}, traces: false }, Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* metrics.incrementCounter(Orders, 1, { channel: "a" })
        yield* metrics.incrementCounter(Orders, 1, { channel: "b" })
        yield* flush
        assert.deepEqual((yield* books()).metrics.dropped, {})
        const { reason, repaired } = yield* report
        assert.strictEqual(repaired?.["data_points_rejected"], 1)
        assert.match(reason!, /1 of \d+ data points were rejected: no$/)
      }))
    }).pipe(Effect.scoped))
})
