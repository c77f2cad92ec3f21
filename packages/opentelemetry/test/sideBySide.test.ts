import { assert, describe, it } from "@effect/vitest"
import { Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import * as Scope from "effect/Scope"
import { OpenTelemetry } from "../src/index.ts"
import { allExported } from "./support/books.ts"
import { type Answer, type Collector, collector } from "./support/collector.ts"

// The same faults, at the same time, for this package and for the exporter that Effect has: both get the same spans at the same rate on the
// same intervals, each its own receiver. All scenarios run side by side, in real time.

const perTick = 25
const tick = 250
const seconds = 14

/** Answers by seconds since the start, and by which request it is. */
type Fault = (at: number, n: number) => Answer

const faults: Readonly<Record<string, Fault>> = {
  "an outage of ten seconds (503)": (at) => at >= 2 && at < 12 ? { status: 503 } : undefined,
  "one 400": (_, n) => n === 2 ? { status: 400, body: "no" } : undefined,
  "a receiver that accepts and never answers, for five seconds": (at) => at >= 1 && at < 6 ? "hang" : undefined,
  "429 with a Retry-After of three decades, once": (_, n) => n === 2 ? { status: 429, headers: { "retry-after": "999999999" } } : undefined
}

/** Makes spans on a schedule and closes; how many of them the receiver has, each counted once. */
const run = <R, E>(fault: Fault, name: string, layerOf: (url: string) => Layer.Layer<R, E>, end: Effect.Effect<void, never, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const receiver = yield* collector()
    const began = performance.now()
    receiver.answer = (_, n) => fault((performance.now() - began) / 1_000, n)
    const scope = yield* Scope.make()
    const context = yield* Effect.orDie(Layer.buildWithMemoMap(layerOf(receiver.url), Layer.makeMemoMapUnsafe(), scope))
    let made = 0
    for (let at = 0; at < seconds * 1_000; at += tick) {
      yield* Effect.provideContext(
        Effect.forEach(Array.from({ length: perTick }, () => made++), (i) => Effect.withSpan(Effect.void, `${name} ${i}`, { root: true }), { discard: true }),
        context
      )
      yield* Effect.sleep(tick)
    }
    yield* Effect.provideContext(end, context)
    yield* Scope.close(scope, Exit.void)
    return { made, arrived: arrivedAt(receiver), requests: receiver.requests() }
  }))

const arrivedAt = (receiver: Collector): number => new Set(receiver.spans().map(({ name }) => name)).size

describe("beside Effect's own OTLP exporter", () => {
  it.live("what it loses arrives here whole", () =>
    Effect.gen(function*() {
      const results = yield* Effect.forEach(
        Object.entries(faults),
        ([name, fault]) =>
          Effect.map(
            Effect.all({
              ours: run(
                fault,
                "ours",
                // The close is a last try of everything; before it the queue holds what is not delivered.
                (url) => OpenTelemetry.layer({ endpoint: url, metrics: false, flushInterval: "1 second", timeout: "1 second" }),
                Effect.flatMap(Telemetry, ({ flush }) => Effect.andThen(flush, allExported()))
              ),
              effects: run(
                fault,
                "effects",
                (url) =>
                  OtlpTracer.layer({ url: `${url}/v1/traces`, resource: { serviceName: "effects" }, exportInterval: "1 second", shutdownTimeout: "5 seconds" }).pipe(
                    Layer.provide(Layer.merge(FetchHttpClient.layer, OtlpSerialization.layerProtobuf))
                  ),
                Effect.void
              )
            }, { concurrency: 2 }),
            (result) => ({ name, ...result })
          ),
        { concurrency: "unbounded" }
      )
      for (const { effects, name, ours } of results) {
        console.log(`${name}: ${ours.made} spans; arrived here ${ours.arrived}, by Effect's exporter ${effects.arrived}`)
        assert.deepEqual([name, ours.arrived], [name, ours.made])
      }
      const lost = (start: string) => {
        const { effects } = results.find(({ name }) => name.startsWith(start))!
        return effects.made - effects.arrived
      }
      // The comparison means something only while Effect's exporter does lose.
      for (const name of ["an outage", "one 400", "a receiver"]) assert.isAtLeast(lost(name), 100, name)
    }), 60_000)
})
