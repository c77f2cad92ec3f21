import { BatchProcessor, Ledger, MetricDefinition, mergeFrames, type MetricFrame, type SpanData, weighFrame } from "@effect-observability/core"
import { FrameMaker } from "@effect-observability/testkit/contract"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { resolve } from "../src/ClickHouseConfig.ts"
import * as Metrics from "../src/ClickHouseMetrics.ts"
import * as Spans from "../src/ClickHouseSpans.ts"
import * as Inserter from "../src/internal/Inserter.ts"
import { resourceBytes } from "../src/internal/resource.ts"
import * as Store from "../src/internal/Store.ts"
import { fakeServer, type FakeServer, type Fate, fates } from "./support/fakeServer.ts"
import { rowsOf } from "./support/RowReader.ts"
import { span } from "./support/spans.ts"

// The rows of the fault table about HTTP sinks (H01 to H14), against a server that does what it is told.

const password = "canary-7f3a"
const resource = resourceBytes({ service: "shop", version: "1", instance: "i", env: "test", cluster: "" })

const exporters = (url: string) =>
  Effect.gen(function*() {
    const config = yield* Effect.orDie(resolve({ connection: Redacted.make(`${url.replace("//", `//user:${password}@`)}/x`) }))
    const store = yield* Store.make(config, "test")
    return {
      store,
      spans: Spans.make(Inserter.make(store, "p1", "spans"), resource),
      metrics: Metrics.make(Inserter.make(store, "p1", "metrics"), resource)
    }
  })

const policy = <A>(more: Partial<BatchProcessor.Policy<A>>): BatchProcessor.Policy<A> => ({
  ...BatchProcessor.defaultPolicy<A>(),
  batchSize: 10, flushInterval: 5, attemptTimeout: 400, maxAttempts: Infinity, backoff: 10, maxBackoff: 60, drainDeadline: 1_500,
  ...more
})

const spanCount = (server: FakeServer): number =>
  server.stored("otel_traces").reduce((sum, { body }) => sum + bodyRows(body).length, 0)

/** Rows behind the header. */
const bodyRows = (body: Buffer) => {
  const mark = Buffer.from("UInt32")
  return rowsOf("traces", body.subarray(body.lastIndexOf(mark, body.indexOf(Buffer.from("telemetry.sdk"))) + mark.length))
}

/** Sends 30 spans in batches of ten through a pipe to a server that fails as told; the books, and what arrived. */
const run = (misfortune: ReadonlyArray<Fate>, more: Partial<BatchProcessor.Policy<SpanData>> = {}) =>
  Effect.scoped(Effect.gen(function*() {
    const server = yield* fakeServer
    const { spans, store } = yield* exporters(server.url)
    while (!store.state().ready) yield* Effect.sleep("10 millis")
    server.next(...misfortune)
    const scope = yield* Scope.make()
    const processor = yield* Scope.provide(BatchProcessor.make(spans, policy<SpanData>(more)), scope)
    const sent = Array.from({ length: 30 }, () => span())
    for (const one of sent) processor.offerUnsafe(one)
    yield* Effect.timeoutOption(processor.flush, "5 seconds")
    const lastError = processor.status().lastError ?? ""
    yield* Scope.close(scope, { _tag: "Success", value: undefined } as never)
    const ledger = processor.ledger()
    assert.strictEqual(Ledger.imbalance(ledger), undefined)
    assert.notInclude(lastError + JSON.stringify(store.state()), password)
    return { ledger, sent, server, lastError, ids: new Set(server.stored("otel_traces").flatMap(({ body }) => bodyRows(body).map((row) => row["SpanId"]))) }
  }))

describe("faults that pass cost nothing", () => {
  const cases: ReadonlyArray<readonly [name: string, fates: ReadonlyArray<Fate>, says: RegExp]> = [
    ["reset while the request is answered", [fates.reset, fates.reset], /socket hang up|ECONNRESET/],
    ["answers lost after the rows were stored", [fates.loseAnswer, fates.loseAnswer, fates.loseAnswer], /socket hang up|ECONNRESET|aborted/],
    ["no answer", [fates.hang], /no answer within/],
    ["a header that comes byte by byte", [fates.drip], /no answer within/],
    ["500, 502, 503, 504, 408", [500, 502, 503, 504, 408].map((status) => fates.status(status)), /answered/],
    ["too many queries at once", [fates.exception(202, "TOO_MANY_SIMULTANEOUS_QUERIES")], /code 202/],
    ["out of memory", [fates.exception(241, "MEMORY_LIMIT_EXCEEDED")], /code 241/],
    ["too many parts, as a 400", [fates.exception(252, "TOO_MANY_PARTS", 400)], /code 252/],
    ["its own timeout", [fates.exception(159, "TIMEOUT_EXCEEDED", 400)], /code 159/],
    ["429 with a sensible delay", [fates.status(429, { "retry-after": "0" })], /answered 429/],
    ["429 with delays that make no sense", ["-5", "1e12", "99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", ""].map((after) => fates.status(429, { "retry-after": after })), /answered 429/],
    ["a redirect is not followed", [fates.status(307, { location: "http://127.0.0.1:9/" }), fates.status(301, { location: "/elsewhere" })], /redirects are not followed/],
    ["an endless answer of a proxy", [fates.endless(502)], /answered 502/],
    ["an endless answer after 200", [fates.endless(200)], /answered with text|answered 200/],
    ["a page instead of an answer", [fates.status(200, {}, "<html>login</html>")], /is this ClickHouse/],
    ["an exception after the answer began", [fates.status(200, {}, "Code: 241. DB::Exception: Memory limit. (MEMORY_LIMIT_EXCEEDED)")], /Memory limit/]
  ]
  for (const [name, misfortune, says] of cases) {
    it.live(name, () =>
      Effect.gen(function*() {
        const { ids, ledger, lastError, sent, server } = yield* run(misfortune)
        assert.deepStrictEqual({ ...ledger, rejected: {}, dropped: {} }, { offered: 30, accepted: 30, exported: 30, unconfirmed: 0, queued: 0, spooled: 0, inFlight: 0, rejected: {}, dropped: {} })
        assert.deepStrictEqual(ids, new Set(sent.map(({ spanId }) => spanId)))
        assert.strictEqual(spanCount(server), 30)
        assert.match(lastError, says)
        // A repeat has the token of the first try.
        assert.strictEqual(new Set(server.attempts().map(({ token }) => token)).size, 3)
        assert.isTrue(server.requests().every(({ authorization, url }) => authorization === `Basic ${btoa(`user:${password}`)}` && !url.includes(password)))
      }))
  }
})

describe("what is refused costs its batch only", () => {
  it.live("a 400 with one poisoned span: the others arrive", () =>
    Effect.gen(function*() {
      let poisoned: string | undefined
      const judge: Fate = ({ body }, { effect, response }) => {
        const ids = bodyRows(body).map((row) => row["SpanId"] as string)
        poisoned ??= ids[3]
        if (ids.includes(poisoned!)) {
          response.writeHead(400, { "x-clickhouse-exception-code": "117" })
          return response.end("Code: 117. DB::Exception: bad row. (INCORRECT_DATA)")
        }
        effect()
        response.end()
      }
      const { ids, ledger, sent } = yield* run(Array.from({ length: 40 }, () => judge))
      assert.deepStrictEqual(ledger.dropped, { "rejected:117": 1 })
      assert.strictEqual(ledger.exported, 29)
      assert.deepStrictEqual(new Set(sent.map(({ spanId }) => spanId)), new Set([...ids, poisoned]))
    }))
  for (const status of [401, 403, 404, 415]) {
    it.live(`a ${status}`, () =>
      Effect.gen(function*() {
        const { ledger, server } = yield* run([fates.status(status)])
        assert.deepStrictEqual(ledger.dropped, { [`rejected:${status}`]: 10 })
        assert.deepStrictEqual([ledger.exported, server.attempts().length, spanCount(server)], [20, 3, 20])
      }))
  }
  it.live("a 413 is split until it fits", () =>
    Effect.gen(function*() {
      const narrow: Fate = ({ body }, { effect, response }) => {
        if (bodyRows(body).length > 4) {
          response.writeHead(413)
          return response.end()
        }
        effect()
        response.end()
      }
      const { ids, ledger } = yield* run(Array.from({ length: 40 }, () => narrow))
      assert.deepStrictEqual([ledger.exported, ids.size], [30, 30])
    }))
  it.live("rights and settings are not split: one try", () =>
    Effect.gen(function*() {
      const { ledger, server } = yield* run([fates.exception(497, "ACCESS_DENIED", 403)])
      assert.deepStrictEqual(ledger.dropped, { "rejected:497": 10 })
      assert.strictEqual(server.attempts().length, 3)
    }))
})

describe("what cannot be known is said", () => {
  it.live("given up with answers outstanding: unconfirmed, not lost", () =>
    Effect.gen(function*() {
      const { ledger, server } = yield* run(Array.from({ length: 50 }, () => fates.loseAnswer), { maxAttempts: 2 })
      assert.strictEqual(ledger.unconfirmed, 30)
      // They are there, once.
      assert.strictEqual(spanCount(server), 30)
    }))
  it.live("never reached: lost for certain", () =>
    Effect.gen(function*() {
      const { ledger } = yield* Effect.scoped(Effect.gen(function*() {
        const dead = yield* exporters("http://127.0.0.1:1")
        const scope = yield* Scope.make()
        const processor = yield* Scope.provide(BatchProcessor.make(dead.spans, policy<SpanData>({ maxAttempts: 2 })), scope)
        for (let n = 0; n < 10; n++) processor.offerUnsafe(span())
        yield* processor.flush
        yield* Scope.close(scope, { _tag: "Success", value: undefined } as never)
        return { ledger: processor.ledger() }
      }))
      assert.deepStrictEqual(ledger.dropped, { retries_spent: 10 })
      assert.strictEqual(Ledger.imbalance(ledger), undefined)
    }))
  it.live("every request hangs: the end comes in time", () =>
    Effect.gen(function*() {
      const began = performance.now()
      const { ledger } = yield* run(Array.from({ length: 50 }, () => fates.hang), { attemptTimeout: 60_000, drainDeadline: 300 }).pipe(Effect.timeout("9 seconds"))
      assert.strictEqual(ledger.unconfirmed + (ledger.dropped["shutdown"] ?? 0), 30)
      assert.isBelow(performance.now() - began, 8_000)
    }))
})

describe("frames over several tables", () => {
  const requests = MetricDefinition.counter("requests_total", { help: "x" })
  const seconds = MetricDefinition.histogram("seconds", { help: "x", buckets: [1] })
  const frames = () => {
    const maker = new FrameMaker()
    return Array.from({ length: 6 }, (_, n) => maker.frame(n * 1_000, n * 1_000 + 1_000, [{ metric: requests, value: 1 }, { metric: seconds, observed: [0.5] }]))
  }
  const send = (misfortune: ReadonlyArray<Fate>) =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* fakeServer
      const { metrics } = yield* exporters(server.url)
      server.next(...misfortune)
      const scope = yield* Scope.make()
      const processor = yield* Scope.provide(
        BatchProcessor.make(metrics, policy<MetricFrame>({ batchSize: 2, overflow: { merge: mergeFrames }, weigh: weighFrame, count: (frame) => frame.sources })),
        scope
      )
      for (const frame of frames()) processor.offerUnsafe(frame)
      yield* processor.flush
      yield* Scope.close(scope, { _tag: "Success", value: undefined } as never)
      const ledger = processor.ledger()
      assert.strictEqual(Ledger.imbalance(ledger), undefined)
      return { ledger, server }
    }))
  it.live("a fault between two tables doubles neither", () =>
    Effect.gen(function*() {
      for (const misfortune of [[fates.loseAnswer], [(_: unknown, { effect, response }) => (effect(), void response.end()), fates.loseAnswer, fates.reset] as ReadonlyArray<Fate>]) {
        const { ledger, server } = yield* send(misfortune)
        assert.strictEqual(ledger.exported, 6)
        assert.deepStrictEqual([server.stored("otel_metrics_sum").length, server.stored("otel_metrics_histogram").length], [3, 3])
      }
    }))
  it.live("a table that refuses costs its frames once, and keeps nothing from the others", () =>
    Effect.gen(function*() {
      const { ledger, server } = yield* send([fates.exception(117, "INCORRECT_DATA", 400)])
      assert.deepStrictEqual(ledger.dropped, { "rejected:117": 2 })
      assert.deepStrictEqual([ledger.exported, server.stored("otel_metrics_sum").length, server.stored("otel_metrics_histogram").length, server.attempts().length], [4, 2, 3, 6])
    }))
})

describe("the beginning", () => {
  it.live("somebody else's server, wrong rights and a hostile one: said, waited for, nothing lost", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* fakeServer
      const answers: ReadonlyArray<readonly [(response: import("node:http").ServerResponse) => void, RegExp]> = [
        [(response) => response.end("<html>welcome</html>"), /not ClickHouse's/],
        [(response) => void (response.writeHead(403, { "x-clickhouse-exception-code": "516" }), response.end(`Code: 516. DB::Exception: user: password ${password} is incorrect. (AUTHENTICATION_FAILED)`)), /is incorrect.*516/],
        [(response) => void (response.writeHead(302, { location: "http://169.254.169.254/" }), response.end()), /redirects are not followed/],
        [(response) => fates.endless(200)({} as never, { response } as never), /./],
        [(response) => response.socket!.destroy(), /hang up|ECONNRESET/]
      ]
      for (const [answer, says] of answers) {
        server.questions((_, response) => answer(response))
        const { spans, store } = yield* Effect.provideService(exporters(server.url), Scope.Scope, yield* Effect.scope)
        for (let n = 0; n < 100 && store.state().problem === undefined; n++) yield* Effect.sleep("50 millis")
        assert.match(store.state().problem ?? "", says)
        assert.isFalse(store.state().ready)
        assert.notInclude(store.state().problem ?? "", password)
        const error = yield* Effect.flip(spans.export([span()], { number: 1, attempt: 1 }))
        assert.isTrue(error.reason.isRetryable)
      }
      server.questions(undefined)
    })))
  it.live("a table that is gone is made again, and the batch stays", () =>
    Effect.gen(function*() {
      const { ledger, server } = yield* run([fates.exception(60, "UNKNOWN_TABLE", 404)])
      assert.strictEqual(ledger.exported, 30)
      assert.isAbove(server.requests().filter(({ sql }) => sql.includes("system.tables")).length, 1)
    }))
})
