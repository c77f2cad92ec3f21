import { Diagnostics, Health, Ledger, type Listener, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Data, Effect, Layer } from "effect"
import { Sentry } from "../src/index.ts"
import { ClientReports } from "../src/internal/ClientReports.ts"
import { RateLimits } from "../src/internal/RateLimits.ts"
import type { Receiver } from "./support/receiver.ts"
import { receiver } from "./support/scoped.ts"

class Broken extends Data.TaggedError("Broken")<{ readonly message: string }> {}

const fail = (message: string) => Effect.exit(Effect.withErrorReporting(Effect.fail(new Broken({ message }))))
const messages = (sentry: Receiver): ReadonlyArray<string> => sentry.items("event").map((event) => event.exception.values.at(-1).value)

const books = Effect.gen(function*() {
  const report = yield* (yield* Diagnostics).report
  assert.deepStrictEqual(report.imbalances, [])
  const [component] = report.components
  return new Map(component!.signals.map(({ ledger, signal }) => [signal, ledger] as const))
})

const until = (what: string, holds: () => boolean) =>
  Effect.gen(function*() {
    for (let i = 0; i < 400; i++) {
      if (holds()) return
      yield* Effect.sleep("25 millis")
    }
    assert.fail(`waited for ${what}`)
  })

const hub = (sentry: Receiver, options: Sentry.SentryOptions = {}, settings = {}) =>
  Sentry.layer({ dsn: sentry.dsn, ...options }).pipe(Layer.provide(ObservabilityConfig.layer({ shutdownTimeout: 1, requestTimeout: 1, ...settings })))

describe("a Sentry that fails", () => {
  it.live("an outage loses nothing the queue can hold, and nothing arrives twice", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      yield* Effect.gen(function*() {
        yield* Effect.promise(sentry.stop)
        for (let i = 0; i < 50; i++) yield* fail(`outage ${i}`)
        yield* until("degraded", () => true)
        yield* Effect.sleep("300 millis")
        assert.include(["degraded", "down"], (yield* (yield* Health).check).status)
        yield* Effect.promise(sentry.start)
        yield* (yield* Telemetry).flush
        const errors = (yield* books).get("errors")!
        assert.deepStrictEqual([errors.accepted, errors.exported], [50, 50])
      }).pipe(Effect.provide(hub(sentry)))
      assert.deepStrictEqual([messages(sentry).length, new Set(messages(sentry)).size], [50, 50])
    }).pipe(Effect.scoped), 30_000)

  it.live("a lost answer is sent again under the same id", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      sentry.answers.push((response) => response.destroy(), (response) => response.writeHead(502).end())
      yield* Effect.gen(function*() {
        yield* fail("once")
        yield* (yield* Telemetry).flush
        assert.strictEqual((yield* books).get("errors")!.exported, 1)
      }).pipe(Effect.provide(hub(sentry)))
      assert.strictEqual(sentry.requests, 3)
    }).pipe(Effect.scoped), 30_000)

  it.live("a server that never answers is left after the timeout, and does not hold the end up", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      for (let i = 0; i < 100; i++) sentry.answers.push(() => {})
      const started = performance.now()
      yield* fail("hangs").pipe(Effect.provide(hub(sentry)))
      assert.isBelow(performance.now() - started, 2_500)
    }).pipe(Effect.scoped))

  it.live("a request that was broken off on a used connection is not sent again, and does not hold the end up", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      const started = yield* Effect.gen(function*() {
        yield* fail("answered")
        yield* (yield* Telemetry).flush
        for (let i = 0; i < 100; i++) sentry.answers.push(() => {})
        yield* fail("hangs")
        yield* until("the second request", () => sentry.requests === 2)
        return performance.now()
      }).pipe(Effect.provide(hub(sentry, {}, { shutdownTimeout: 0.5, requestTimeout: 60 })))
      assert.isBelow(performance.now() - started, 500 + 100)
      yield* Effect.sleep("300 millis")
      assert.strictEqual(sentry.requests, 2)
    }).pipe(Effect.scoped))

  it.live("what was sent and never answered when the program ended is unconfirmed, what never left is dropped", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      for (let i = 0; i < 100; i++) sentry.answers.push(() => {})
      const listeners: Array<Listener> = []
      const listening = Layer.effect(Telemetry, Effect.map(Telemetry, (telemetry) =>
        Telemetry.of({ ...telemetry, register: (listener) => (listeners.push(listener), telemetry.register(listener)) })))
      yield* Effect.gen(function*() {
        for (const text of ["sent", "waiting"]) yield* fail(text)
        yield* until("the request", () => sentry.requests === 1)
      }).pipe(Effect.provide(Sentry.layerBackend({ dsn: sentry.dsn, traces: false }).pipe(
        Layer.provide(listening),
        Layer.provideMerge(Telemetry.layer),
        Layer.provide(ObservabilityConfig.layer({ shutdownTimeout: 0.5, requestTimeout: 60 }))
      )))
      const errors = listeners[0]!.report().signals[0]!.ledger
      assert.isUndefined(Ledger.imbalance(errors))
      assert.deepStrictEqual([errors.unconfirmed, errors.dropped], [1, { shutdown: 1 } as any])
    }).pipe(Effect.scoped))

  it.live("a success that stops in its body is a success", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      sentry.answers.push((response) => {
        response.writeHead(200, { "content-length": "100" })
        response.write("{")
      })
      yield* Effect.gen(function*() {
        yield* fail("taken")
        yield* (yield* Telemetry).flush
        assert.strictEqual((yield* books).get("errors")!.exported, 1)
      }).pipe(Effect.provide(hub(sentry)))
      assert.strictEqual(sentry.requests, 1)
    }).pipe(Effect.scoped))

  it.live("an endless answer is cut off, a redirect not followed", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      let timer: NodeJS.Timeout | undefined
      sentry.answers.push(
        (response) => {
          response.writeHead(200)
          timer = setInterval(() => response.write("x".repeat(10_000)), 1)
          response.on("close", () => clearInterval(timer))
        },
        { status: 307, headers: { location: `${sentry.url}/elsewhere` } }
      )
      yield* Effect.gen(function*() {
        yield* fail("endless")
        yield* fail("redirected")
        yield* (yield* Telemetry).flush
        const errors = (yield* books).get("errors")!
        assert.strictEqual(errors.exported, 1)
        assert.deepStrictEqual(errors.dropped, { redirect: 1 } as any)
      }).pipe(Effect.provide(hub(sentry)))
      clearInterval(timer)
      assert.isFalse(sentry.received.some(({ url }) => url.includes("elsewhere")))
    }).pipe(Effect.scoped))

  it.live("a 400 costs its envelope only, and 413 is halved", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      sentry.answers.push({ status: 400, body: "bad \u001b[2Jevent" })
      yield* Effect.gen(function*() {
        yield* fail("refused")
        yield* fail("taken")
        yield* (yield* Telemetry).flush
        assert.deepStrictEqual((yield* books).get("errors")!.dropped, { "rejected:400": 1 } as any)
        const text = JSON.stringify(yield* (yield* Diagnostics).report, (_, value) => typeof value === "bigint" ? String(value) : value)
        assert.notInclude(text, "\u001b")
        assert.notInclude(text, "publickey")
        sentry.answers.push({ status: 413 })
        yield* Effect.forEach([1, 2, 3, 4], (i) => Effect.withSpan(Effect.void, `span ${i}`, { root: true }))
        yield* (yield* Telemetry).flush
        assert.strictEqual((yield* books).get("spans")!.exported, 4)
      }).pipe(Effect.provide(hub(sentry)))
      assert.deepStrictEqual(messages(sentry), ["taken"])
      assert.strictEqual(sentry.items("span").length, 2)
    }).pipe(Effect.scoped))

  it.live("a wrong key is said, without the key", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      sentry.answers.push({ status: 401, body: "{\"detail\":\"bad sentry_key publickey\"}" })
      yield* Effect.gen(function*() {
        yield* fail("refused")
        yield* (yield* Telemetry).flush
        const [component] = (yield* (yield* Diagnostics).report).components
        assert.match(component!.signals[0]!.lastError!.message, /check the key of the DSN/)
        assert.notInclude(component!.signals[0]!.lastError!.message, "publickey")
      }).pipe(Effect.provide(hub(sentry)))
    }).pipe(Effect.scoped))

  it.live("a limit holds its category and no other; the held ones arrive", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      sentry.answers.push({ status: 429, headers: { "x-sentry-rate-limits": "1:error:organization, 9:weird" } })
      yield* Effect.gen(function*() {
        yield* fail("limited")
        yield* until("the first answer", () => sentry.requests === 1)
        yield* Effect.withSpan(Effect.void, "meanwhile")
        yield* until("the span", () => sentry.items("span").length === 1)
        assert.deepStrictEqual(messages(sentry), [])
        yield* (yield* Telemetry).flush
        const ledgers = yield* books
        assert.deepStrictEqual([ledgers.get("errors")!.exported, ledgers.get("spans")!.exported], [1, 1])
      }).pipe(Effect.provide(hub(sentry, { flushInterval: "20 millis" })))
      assert.deepStrictEqual(messages(sentry), ["limited"])
    }).pipe(Effect.scoped), 30_000)

  it.live("Retry-After may be a date: it is waited for, not a minute", () =>
    Effect.gen(function*() {
      const sentry = yield* receiver
      yield* Effect.gen(function*() {
        // Dates are whole seconds: between one and two of them from now.
        const date = new Date((yield* Clock.currentTimeMillis) + 2_000).toUTCString()
        sentry.answers.push({ status: 429, headers: { "retry-after": date } })
        yield* fail("asked to wait")
        yield* until("the first answer", () => sentry.requests === 1)
        yield* until("the second request", () => sentry.requests === 2)
        assert.isAtLeast(yield* Clock.currentTimeMillis, Date.parse(date) - 50)
        yield* (yield* Telemetry).flush
        const errors = (yield* books).get("errors")!
        assert.deepStrictEqual([errors.accepted, errors.exported], [1, 1])
      }).pipe(Effect.provide(hub(sentry)))
      assert.deepStrictEqual(messages(sentry), ["asked to wait"])
    }).pipe(Effect.scoped), 30_000)
})

describe("the table of limits", () => {
  it("reads what Sentry writes, and whatever else comes", () => {
    const limits = new RateLimits()
    const waits = () => (["error", "transaction", "span", "log_item"] as const).map((one) => limits.wait(one, 0))
    limits.learn({ status: 200, limits: "60:error;transaction:key, 2700:default;span:organization", retryAfter: 5 }, 0)
    assert.deepStrictEqual(waits(), [60_000, 60_000, 2_700_000, 0])
    limits.learn({ status: 429, limits: undefined, retryAfter: 3_000 }, 0)
    assert.deepStrictEqual(waits(), [3_000_000, 3_000_000, 3_000_000, 3_000_000])
    const hostile = new RateLimits()
    for (const text of ["", " ", ":::", "x:error", "-5:error", "1e99:error", "99999999999999:span", `${"1:a,".repeat(1_000_000)}`, "NaN::", "60:__proto__"]) {
      hostile.learn({ status: 200, limits: text, retryAfter: undefined }, 0)
    }
    assert.isAtMost(hostile.wait("span", 0), 86_400_000)
    assert.strictEqual(Object.keys(Object.prototype).length, 0)
  })
})

describe("client reports", () => {
  it("tell each loss once, when it arrived", () => {
    const ledger = new Ledger.Ledger()
    const reports = new ClientReports()
    reports.watch("span", () => ledger.snapshot())
    assert.isUndefined(reports.take())
    ledger.reject(3, "sampled_out")
    ledger.accept(2)
    ledger.evict(2, "overflow")
    const first = [{ reason: "queue_overflow", category: "span", quantity: 2 }, { reason: "sample_rate", category: "span", quantity: 3 }] as const
    assert.sameDeepMembers([...reports.take()!], [...first])
    assert.isUndefined(reports.take(), "not twice at the same time")
    reports.returned()
    assert.sameDeepMembers([...reports.take()!], [...first], "what did not arrive is told again")
    reports.arrived()
    assert.isUndefined(reports.take())
    ledger.reject(1, "filtered")
    assert.deepStrictEqual(reports.take(), [{ reason: "event_processor", category: "span", quantity: 1 }])
  })
})
