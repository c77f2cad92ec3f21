import { Diagnostics, Ledger, MetricsRecorder, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Postgres from "../../src/Postgres.ts"
import { describe } from "../../src/internal/errors.ts"
import * as Session from "../../src/internal/session.ts"
import { make as makeLive } from "../../src/Live.ts"
import { ask, configOf, Database, freshNames, startProcess, targetOf } from "../support/database.ts"
import { startProxy } from "../support/proxy.ts"
import { span } from "../support/spans.ts"

layer(Database.layer, { excludeTestServices: true })("a connection that swallows everything", (it) => {
  it.effect("is replaced by another: nothing lost, nothing doubled, and no storm of connections", () =>
    Effect.gen(function*() {
      const { target, url } = yield* Database
      const { schema } = freshNames()
      const proxy = yield* startProxy((target.address as { readonly port: number }).port)
      const through = new URL(Redacted.value(url))
      through.port = String(proxy.port)
      let counted = 0
      let spans = 0
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        const telemetry = yield* Telemetry
        const work = Effect.gen(function*() {
          yield* metrics.incrementCounter("stuck_total", 1)
          counted++
          yield* Effect.void.pipe(Effect.withSpan("job"))
          spans++
        })
        for (let i = 0; i < 50; i++) yield* work
        yield* telemetry.flush
        for (let round = 0; round < 3; round++) {
          proxy.swallow()
          for (let i = 0; i < 50; i++) {
            yield* work
            yield* Effect.sleep("20 millis")
          }
          yield* telemetry.flush
        }
        const { queues } = yield* (yield* Diagnostics).report
        const rebuilt = queues.filter(({ rebuilds }) => rebuilds > 0).map(({ signal }) => signal)
        assert.includeMembers(rebuilt, ["metrics", "spans"])
        assert.isTrue(queues.every(({ hangs }) => hangs === 0))
        // Everything swallows for five seconds: a deadline, a pause, another try.
        const before = proxy.connections()
        proxy.freeze()
        const end = Date.now() + 5_000
        while (Date.now() < end) {
          yield* work
          yield* Effect.sleep("50 millis")
        }
        const { queues: during } = yield* (yield* Diagnostics).report
        assert.isAbove(Math.max(...during.map(({ hangs }) => hangs)), 0)
        assert.isBelow(proxy.connections() - before, 40)
        proxy.thaw()
        yield* telemetry.flush
        for (const { ledger, signal } of telemetry.reports().flatMap((report) => report.signals)) {
          assert.isUndefined(Ledger.imbalance(ledger), signal)
          assert.deepStrictEqual([ledger.dropped, ledger.unconfirmed, ledger.queued + ledger.inFlight], [{}, 0, 0], signal)
        }
      }).pipe(
        Effect.provide(Postgres.layer({ connection: Redacted.make(String(through)), schema, flushInterval: "100 millis", packing: false })),
        Effect.provide(ObservabilityConfig.layer({ requestTimeout: "600 millis" }))
      )
      const [row] = yield* ask(target, `select (select sum(value) from "${schema}".observability_metrics where name = 'stuck_total')::int4 as counted,
        (select count(*) from "${schema}".observability_spans where name = 'job')::int4 as spans`)
      assert.deepStrictEqual(row, { counted, spans })
    }).pipe(Effect.scoped), 60_000)

  it.effect("a statement of upkeep that gets no answer fails, and takes its connection along", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const proxy = yield* startProxy((target.address as { readonly port: number }).port)
      const url = new URL(Redacted.value(target.url))
      url.port = String(proxy.port)
      const session = yield* Effect.acquireRelease(Session.open(targetOf(Redacted.make(String(url))), 10_000), (open) => open.close)
      const guarded = Session.guarded(session, 300)
      assert.deepStrictEqual(yield* guarded.query("select 1::int4 as n"), [{ n: 1 }])
      proxy.swallow()
      const began = Date.now()
      const error = yield* Effect.flip(guarded.query("select 2::int4 as n"))
      assert.include(describe(error), "no answer within 300 ms")
      assert.isBelow(Date.now() - began, 5_000)
      yield* Effect.flip(guarded.execute("select 3"))
    }).pipe(Effect.scoped), 30_000)

  it.effect("live changes are heard again on another connection", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const proxy = yield* startProxy((target.address as { readonly port: number }).port)
      const url = new URL(Redacted.value(target.url))
      url.port = String(proxy.port)
      const live = yield* makeLive(configOf(targetOf(Redacted.make(String(url))), names), "500 millis")
      let heard = 0
      yield* Effect.forkScoped(Stream.runForEach(live.changes, () => Effect.sync(() => void heard++)))
      let number = 0
      const told = Effect.gen(function*() {
        heard = 0
        for (let i = 0; i < 100 && heard === 0; i++) {
          yield* process.exportSpans(++number, span())
          yield* Effect.sleep("100 millis")
        }
        assert.isAbove(heard, 0)
      })
      yield* told
      proxy.swallow()
      yield* told
      assert.isBelow(proxy.connections(), 10)
    }).pipe(Effect.scoped), 30_000)
})
