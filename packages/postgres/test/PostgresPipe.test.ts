import { BatchProcessor, Ledger, mergeFrames, weighFrame } from "@effect-observability/core"
import type { Exporter, MetricFrame, SpanData } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Lane from "../src/internal/Lane.ts"
import * as Store from "../src/internal/Store.ts"
import * as Metrics from "../src/PostgresMetrics.ts"
import { configOf, Database, freshNames, historyOf, Requests, resource, startProcess } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"
import { startProxy } from "./support/proxy.ts"

const policy = <A>(more: Partial<BatchProcessor.Policy<A>>): BatchProcessor.Policy<A> => ({
  ...BatchProcessor.defaultPolicy<A>(),
  batchSize: 8,
  flushInterval: 0,
  attemptTimeout: 1_000,
  maxAttempts: Infinity,
  backoff: 20,
  maxBackoff: 200,
  drainDeadline: 1_000,
  ...more
})

const framePolicy = (more: Partial<BatchProcessor.Policy<MetricFrame>> = {}) =>
  policy<MetricFrame>({ overflow: { merge: mergeFrames }, weigh: weighFrame, count: (frame) => frame.sources, ...more })

const start = Math.floor(Date.now() / 5_000) * 5_000 - 3_600_000
const range = { startTime: start - 1_000, endTime: start + 3_600_000, limit: 100_000 }

layer(Database.layer, { excludeTestServices: true })("the whole pipe", (it) => {
  it.effect("answers that get lost cost no frame and double none", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const proxy = yield* startProxy((target.address as { readonly port: number }).port)
      const process = yield* startProcess({ ...target, address: { host: "127.0.0.1", port: proxy.port } }, names)
      const history = yield* historyOf(target, names)
      const store = new Series4()
      // The answer goes missing at every stage: joining the lane, the dictionaries, the list of series, the frame itself.
      const saboteur: Exporter.Exporter<MetricFrame> = {
        ...process.metrics,
        export: (batch, attempt) => {
          if (attempt.attempt === 1 && attempt.number % 2 === 0) setTimeout(proxy.loseNextAnswer, (attempt.number % 5) * 0.6)
          return process.metrics.export(batch, attempt)
        }
      }
      let truth = 0
      const scope = yield* Scope.make()
      const processor = yield* Scope.provide(BatchProcessor.make(saboteur, framePolicy()), scope)
      for (let n = 1; n <= 150; n++) {
        truth += n
        assert.isTrue(processor.offerUnsafe(store.frame(start + n * 1_000 - 1_000, start + n * 1_000, [
          { metric: Requests, labels: { method: `M${n % 40}`, status: "200" }, value: n }
        ])))
        if (n % 3 === 0) yield* Effect.sleep("4 millis")
      }
      yield* processor.flush
      const ledger = processor.ledger()
      assert.isUndefined(Ledger.imbalance(ledger))
      assert.deepInclude(ledger, { offered: 150, exported: 150, unconfirmed: 0, dropped: {} })
      assert.isAbove(proxy.lost(), 3)
      const points = yield* history.getMetricsHistory({ name: "http_requests_total", ...range })
      assert.strictEqual(points.reduce((sum, point) => sum + point.value, 0), truth)
      yield* Scope.close(scope, Exit.void)
    }))

  it.effect("a dead server: the books say what was lost, at the deadline", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const scope = yield* Scope.make()
      const processor = yield* Effect.gen(function*() {
        const store = yield* Store.make(configOf({ ...target, address: { host: "127.0.0.1", port: 1 } }, names), 1_000)
        const lane = yield* Lane.make(store, { signal: "metrics", producer: crypto.randomUUID(), epoch: 1, resource })
        return yield* BatchProcessor.make(Metrics.make({ names, lane, definitions: () => [], labels: () => ({}) }), framePolicy({ maxItems: 4 }))
      }).pipe(Scope.provide(scope))
      const store = new Series4()
      for (let n = 1; n <= 20; n++) {
        processor.offerUnsafe(store.frame(start + n, start + n + 1, [{ metric: Requests, labels: { method: "GET", status: "200" }, value: 1 }]))
        yield* Effect.sleep("5 millis")
      }
      assert.isUndefined(Ledger.imbalance(processor.ledger()))
      const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
      assert.isBelow(Duration.toMillis(took), 1_150)
      const ledger = processor.ledger()
      assert.isUndefined(Ledger.imbalance(ledger))
      // Nothing ever left the process, so nothing is in doubt.
      assert.deepInclude(ledger, { offered: 20, exported: 0, unconfirmed: 0, queued: 0, inFlight: 0, dropped: { shutdown: 20 } })
    }))

  it.effect("spans through the same trouble", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const proxy = yield* startProxy((target.address as { readonly port: number }).port)
      const process = yield* startProcess({ ...target, address: { host: "127.0.0.1", port: proxy.port } }, names)
      const history = yield* historyOf(target, names)
      const processor = yield* BatchProcessor.make(process.spans, policy<SpanData>({ overflow: "oldest", batchSize: 50, flushInterval: 10 }))
      const now = BigInt(Date.now()) * 1_000_000n
      for (let n = 1; n <= 1_000; n++) {
        processor.offerUnsafe({
          traceId: Math.ceil(n / 10).toString(16).padStart(32, "e"), spanId: n.toString(16).padStart(16, "0"), parentSpanId: undefined,
          name: `operation ${n % 30}`, kind: "internal", startTime: now + BigInt(n), endTime: now + BigInt(n + 5), status: "ok",
          statusMessage: undefined, attributes: new Map([["n", n]]), events: [], links: []
        })
        if (n % 40 === 0) {
          proxy.loseNextAnswer()
          yield* Effect.sleep("15 millis")
        }
      }
      yield* processor.flush
      const ledger = processor.ledger()
      assert.isUndefined(Ledger.imbalance(ledger))
      assert.deepInclude(ledger, { offered: 1_000, exported: 1_000, unconfirmed: 0, dropped: {} })
      assert.isAbove(proxy.lost(), 3)
      for (let t = 1; t <= 100; t++) {
        const trace = (yield* history.getTrace(t.toString(16).padStart(32, "e")))!
        assert.deepStrictEqual(trace.spans.map((span) => span.attributes.get("n")), Array.from({ length: 10 }, (_, i) => (t - 1) * 10 + i + 1))
      }
    }))
})
