import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import type { Bench } from "../../../test/bench/Bench.ts"
import { Exporter, type SpanData, Telemetry } from "../src/index.ts"

// X1: what one hanging exporter of five costs the four others, in real time: the rate at which they deliver, and the 99th percentile of the
// time from a span's end to its delivery. Promise: at least 95 % of the rate, at most 1.1 times the latency.

const spans = 20_000
const exporters = 5

interface Run {
  /** Delivered spans per second, over the four. */
  readonly rate: number
  /** Milliseconds. */
  readonly p99: number
}

const span = Effect.withSpan(Effect.void, "op")

const run = async (third: Effect.Effect<void>): Promise<Run> => {
  const runtime = ManagedRuntime.make(Layer.fresh(Telemetry.layer))
  const latencies: Array<number> = []
  const began = performance.now()
  await runtime.runPromise(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const scope = yield* Scope.make()
    const flushes: Array<Effect.Effect<void>> = []
    for (let i = 0; i < exporters; i++) {
      const hangs = i === 2
      const pipe = yield* telemetry.exportSpans({
        name: `b${i}`,
        exporter: {
          export: (batch: ReadonlyArray<SpanData>) =>
            Effect.andThen(hangs ? third : Effect.sleep("1 millis"), Effect.clockWith((clock) =>
              Effect.sync(() => {
                const now = clock.currentTimeNanosUnsafe()
                if (!hangs) for (const one of batch) latencies.push(Number(now - one.endTime) / 1e6)
                return Exporter.complete
              })))
        },
        policy: { batchSize: 512, flushInterval: "20 millis", drainDeadline: "1 millis" }
      }).pipe(Scope.provide(scope))
      yield* telemetry.register({
        name: `b${i}`,
        kind: "bench",
        onSpan: (one) => void pipe.offerUnsafe(one),
        report: () => ({ name: `b${i}`, kind: "bench", status: "up", reason: undefined, signals: [] })
      }).pipe(Scope.provide(scope))
      if (!hangs) flushes.push(pipe.flush)
    }
    for (let i = 0; i < spans / 100; i++) {
      for (let k = 0; k < 100; k++) yield* span
      // Room for the exporters, as a program that waits for its own work gives it.
      yield* Effect.sleep("1 millis")
    }
    yield* Effect.all(flushes, { concurrency: "unbounded" })
    yield* Scope.close(scope, Exit.void)
  }))
  const seconds = (performance.now() - began) / 1000
  await runtime.dispose()
  latencies.sort((a, b) => a - b)
  return { rate: latencies.length / seconds, p99: latencies[Math.ceil(latencies.length * 0.99) - 1]! }
}

export default (bench: Bench): void => {
  const healthy = Effect.sleep("1 millis")
  const hung = Effect.never
  bench.measure({
    name: "X1.rate", unit: "spans/s", must: 0.95, moonshot: 0.99, better: "higher", samples: 5,
    run: async () => (await run(hung)).rate,
    baseline: { name: "five healthy exporters", run: async () => (await run(healthy)).rate }
  })
  bench.measure({
    name: "X1.p99", unit: "ms", must: 1.1, moonshot: 1, samples: 5,
    run: async () => (await run(hung)).p99,
    baseline: { name: "five healthy exporters", run: async () => (await run(healthy)).p99 }
  })
}
