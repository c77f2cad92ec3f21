import { Health, Ledger, MemoryHistory, MetricsHistory, MetricsRecorder, ObservabilityConfig, Telemetry, TraceHistory } from "@effect-observability/core"
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { ClickHouse } from "../src/index.ts"
import { fakeServer, fates } from "./support/fakeServer.ts"

// The Layer as a program has it, against a server that answers, and against none.

const at = (url: string, user = "user:canary-91") => Redacted.make(`${url.replace("//", `//${user}@`)}/x`)

/** Does not wait long for what will not come. */
const hurried = Layer.succeed(ObservabilityConfig, { ...ObservabilityConfig.defaultValue(), shutdownTimeout: 300 })

const ledgers = (telemetry: Telemetry["Service"]) => telemetry.reports().flatMap(({ signals }) => signals)

it.live("a program's metrics, spans, errors and lines arrive; the books balance", () =>
  Effect.gen(function*() {
    const server = yield* fakeServer
    const signals = yield* Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const telemetry = yield* Telemetry
      yield* metrics.incrementCounter("orders_total", 2, { channel: "web" })
      yield* Effect.fail("no funds").pipe(Effect.withErrorReporting, Effect.withSpan("charge"), Effect.ignore)
      yield* Effect.logWarning("stock is low")
      yield* telemetry.flush
      return ledgers(telemetry)
    }).pipe(Effect.provide(ClickHouse.layer({ connection: at(server.url), logs: true })))
    assert.deepStrictEqual(signals.map(({ signal }) => signal), ["metrics", "spans", "errors", "logs"])
    for (const { ledger } of signals) {
      assert.strictEqual(Ledger.imbalance(ledger), undefined)
      assert.isAbove(ledger.exported, 0)
      assert.deepStrictEqual(ledger.dropped, {})
    }
    for (const table of ["otel_metrics_sum", "otel_traces", "otel_logs"]) assert.isAbove(server.stored(table).length, 0, table)
    assert.isTrue(server.stored("otel_logs").some(({ body }) => body.includes("no funds")))
    assert.isTrue(server.stored("otel_logs").some(({ body }) => body.includes("stock is low")))
    assert.isTrue(server.requests().every(({ sql, url }) => !sql.includes("canary-91") && !url.includes("canary-91")))
  }))

it.live("without a server the program goes on, is told why, and ends in time", () =>
  Effect.gen(function*() {
    const began = performance.now()
    yield* Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const telemetry = yield* Telemetry
      for (let n = 0; n < 1_000; n++) yield* metrics.incrementCounter("orders_total", 1)
      yield* Effect.void.pipe(Effect.withSpan("alone"))
      for (let n = 0; n < 100 && telemetry.reports()[0]!.status !== "down"; n++) yield* Effect.sleep("20 millis")
      const health = yield* (yield* Health).check
      assert.deepInclude(health.components[0], { name: "clickhouse", status: "down" })
      assert.include(health.components[0]!.reason ?? "", "ECONNREFUSED")
      assert.notInclude(JSON.stringify(telemetry.reports()), "canary-91")
      const answer = yield* Effect.flip((yield* TraceHistory).searchTraces())
      assert.strictEqual(answer.reason, "unavailable")
    }).pipe(Effect.provide(ClickHouse.layer({ connection: at("http://127.0.0.1:1") }).pipe(Layer.provide(hurried))))
    assert.isBelow(performance.now() - began, 8_000)
  }))

it.live("a dead one beside a live one changes nothing for it", () =>
  Effect.gen(function*() {
    const server = yield* fakeServer
    server.next(fates.loseAnswer)
    yield* Effect.gen(function*() {
      const telemetry = yield* Telemetry
      yield* Effect.void.pipe(Effect.withSpan("both"))
      yield* Effect.timeoutOption(telemetry.flush, "2 seconds")
    }).pipe(Effect.provide(
      Layer.mergeAll(
        ClickHouse.layerBackend({ connection: at(server.url), name: "alive" }),
        ClickHouse.layerBackend({ connection: at("http://127.0.0.1:1"), name: "dead", history: false })
      ).pipe(Layer.provideMerge(Telemetry.layer), Layer.provide(hurried))
    ))
    assert.strictEqual(server.stored("otel_traces").length, 1)
  }))

it.live("one history in a composition; two of a kind need two names; switched off it does nothing", () =>
  Effect.gen(function*() {
    const connection = at("http://127.0.0.1:1")
    const build = <A, E>(layer: Layer.Layer<A, E>) => Effect.exit(Effect.scoped(Layer.build(layer.pipe(Layer.provide(hurried)))))
    const twice = yield* build(Layer.mergeAll(ClickHouse.layerBackend({ connection }), MemoryHistory.layerBackend()).pipe(Layer.provideMerge(Telemetry.layer)))
    assert.isTrue(Exit.isFailure(twice) && String(twice.cause).includes("provide MetricsHistory"))
    const same = yield* build(Layer.mergeAll(ClickHouse.layerBackend({ connection }), ClickHouse.layerBackend({ connection, history: false })).pipe(Layer.provideMerge(Telemetry.layer)))
    assert.isTrue(Exit.isFailure(same) && String(same.cause).includes("two backends are named \"clickhouse\""))
    const none = yield* Effect.scoped(Layer.build(ClickHouse.layer({ connection, history: false }).pipe(Layer.provide(hurried))))
    assert.isUndefined(Context.getOrUndefined(none as unknown as Context.Context<MetricsHistory>, MetricsHistory))
    const off = ClickHouse.layer({ connection: Redacted.make("nonsense") }).pipe(Layer.provide(Layer.succeed(ObservabilityConfig, { ...ObservabilityConfig.defaultValue(), enabled: false })))
    const answer = yield* Effect.provide(Effect.flatMap(MetricsHistory, (history) => Effect.flip(history.getMetricsHistory({ name: "x", startTime: 0, endTime: 1 }))), off)
    assert.include(answer.message, "switched off")
  }))
