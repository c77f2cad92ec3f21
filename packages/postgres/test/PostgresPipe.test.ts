import { BatchProcessor, Ledger, mergeFrames, weighFrame } from "@effect-observability/core"
import type { Exporter, MetricFrame, SpanData } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Lane from "../src/internal/Lane.ts"
import * as Store from "../src/internal/Store.ts"
import * as Encoding from "../src/PostgresEncoding.ts"
import * as Metrics from "../src/PostgresMetrics.ts"
import { ask, configOf, Database, freshNames, historyOf, Requests, resource, startProcess } from "./support/database.ts"
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

  it.effect("a frozen server: every attempt ends at its deadline, and what wakes up late doubles nothing", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const proxy = yield* startProxy((target.address as { readonly port: number }).port)
      const named = { ...target, applicationName: names.schema, address: { host: "127.0.0.1", port: proxy.port } }
      const process = yield* startProcess(named, names, { timeout: 400 })
      const history = yield* historyOf(target, names)
      const store = new Series4()
      const frame = (value: number) => store.frame(start, start + 1_000, [{ metric: Requests, labels: { method: "GET", status: "200" }, value }])
      yield* process.exportFrames(1, frame(1))
      yield* process.exportFrames(2, frame(10))
      proxy.freeze()
      const stuck = frame(100)
      for (let attempt = 1; attempt <= 4; attempt++) {
        const [took, error] = yield* Effect.timed(Effect.flip(process.metrics.export([stuck], { number: 3, attempt })))
        assert.strictEqual(error.reason._tag, "Unavailable")
        assert.isBelow(Duration.toMillis(took), 600)
      }
      const [took, gaveUp] = yield* Effect.timed(Effect.exit(process.metrics.giveUp!({ number: 3, attempt: 4 })))
      assert.isBelow(Duration.toMillis(took), 600)
      assert.isTrue(Exit.isFailure(gaveUp), "nobody knows yet")
      proxy.thaw()
      yield* process.exportFrames(3, stuck)
      yield* process.exportFrames(4, frame(1_000))
      const points = yield* history.getMetricsHistory({ name: "http_requests_total", ...range })
      assert.strictEqual(points.reduce((sum, point) => sum + point.value, 0), 1_111)
      // One connection writes; those that were given up are gone.
      const open = Effect.map(
        ask(target, "select count(*)::int4 as n from pg_stat_activity where application_name = $1 and query like '%obs_%'", [names.schema]),
        (rows) => rows[0]!["n"] as number
      )
      yield* Effect.sleep("700 millis")
      assert.strictEqual(yield* open, 1)
    }))

  it.effect("attempts that fail leave no connection behind", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess({ ...target, applicationName: names.schema }, names)
      const frame = new Series4().frame(start, start + 1_000, [{ metric: Requests, labels: { method: "GET", status: "200" }, value: 1 }])
      yield* process.exportFrames(1, frame)
      for (let i = 0; i < 12; i++) {
        yield* ask(target, `delete from ${names.schema}.obs_lane`)
        yield* Effect.flip(process.exportFrames(2 + i, frame))
        yield* process.exportFrames(2 + i, frame)
      }
      yield* Effect.sleep("300 millis")
      const open = yield* ask(target, "select count(*)::int4 as n from pg_stat_activity where application_name = $1", [names.schema])
      // The writer, and the store's own while it looks after its partitions.
      assert.isAtMost(open[0]!["n"] as number, 2)
    }))

  it.effect("a list of series that grew behind our back is read again, and goes on from there", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const store = new Series4()
      const all = (values: Readonly<Record<string, number>>) =>
        Object.entries(values).map(([method, value]) => ({ metric: Requests, labels: { method, status: "200" }, value }))
      yield* process.exportFrames(1, store.frame(start, start + 1_000, all({ A: 1 })))
      const grown = store.frame(start + 1_000, start + 2_000, all({ A: 2, B: 3, C: 4 }))
      // What an attempt that was thought lost commits: the first of the two new series.
      const family = Encoding.family(Requests)
      const late = Encoding.series(grown.counters.series[1]!, family, {})
      yield* ask(target, `with s as (
          insert into ${names.schema}.obs_series (hash, family, labels)
          select $1::uuid, id, $2::text::jsonb from ${names.schema}.obs_family where name = 'http_requests_total' returning id)
        insert into ${names.schema}.obs_lane_series (lane, kind, pos, series)
        select l.id, 0, 1, array[s.id] from s, ${names.schema}.obs_lane l where l.signal = 'metrics'`, [late.hash, late.labels])
      yield* process.exportFrames(2, grown)
      const points = yield* history.getMetricsHistory({ name: "http_requests_total", ...range })
      assert.deepStrictEqual(points.map((point) => [point.labels["method"], point.value]).sort(), [["A", 1], ["A", 2], ["B", 3], ["C", 4]])
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
          statusMessage: undefined, attributes: new Map([["n", n]]), events: [], links: [], droppedAttributes: 0, droppedEvents: 0, droppedLinks: 0, weight: 1, traceState: ""
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
