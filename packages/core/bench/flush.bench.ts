import * as Effect from "effect/Effect"
import * as EffectTracer from "effect/Tracer"
import type { Bench } from "../../../test/bench/Bench.ts"
import * as BatchProcessor from "../src/pipe/BatchProcessor.ts"
import * as Exporter from "../src/pipe/Exporter.ts"
import { imbalance } from "../src/pipe/Ledger.ts"
import * as ObservabilityTracer from "../src/tracing/ObservabilityTracer.ts"
import type { SpanData } from "../src/tracing/SpanData.ts"
import { Tracer } from "../src/tracing/Tracer.ts"

// B8: spans that are neither delivered nor counted as dropped, from spans that end to a sink that fails, refuses and takes half. B9: the
// longest time for which flushing the pipe's own part of 50,000 spans keeps the event loop from other work; what an exporter adds by
// encoding is its own (B6).

const spans = 50_000

const policy = (batchSize: number): BatchProcessor.Policy<SpanData> => ({
  ...BatchProcessor.defaultPolicy<SpanData>(),
  maxItems: spans,
  maxBytes: 2 ** 30,
  batchSize,
  flushInterval: "1 minute",
  backoff: 1,
  maxBackoff: 1,
  maxAttempts: 2
})

/** Ends `count` spans into a pipe. */
const record = (count: number, processor: BatchProcessor.BatchProcessor<SpanData>): Effect.Effect<void> => {
  const tracer = ObservabilityTracer.make({ active: () => true, now: () => 0, onEnd: (span) => void processor.offerUnsafe(span) })
  return Effect.void.pipe(Tracer.withSpan("bench"), Effect.repeat({ times: count - 1 }), Effect.provideService(EffectTracer.Tracer, tracer))
}

/** The longest gap between two turns of the event loop until the work is done, in milliseconds. */
const longestGap = async (work: Promise<void>): Promise<number> => {
  let running = true
  let longest = 0
  const watch = new Promise<void>((done) => {
    let last = performance.now()
    const turn = () => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
      if (running) setImmediate(turn)
      else done()
    }
    setImmediate(turn)
  })
  await work
  running = false
  await watch
  return longest
}

const flushed = (batchSize: number): Promise<number> =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const exporter: Exporter.Exporter<SpanData> = { export: () => Effect.succeed(Exporter.complete) }
    // Nothing leaves before the flush: the batch that is full at once would.
    const processor = yield* BatchProcessor.make(exporter, policy(Math.max(batchSize, 1)))
    yield* record(batchSize === spans ? spans - 1 : Math.min(spans, batchSize * 50), processor)
    // What recording left to the garbage collector is not the flush's doing.
    globalThis.gc?.()
    const context = yield* Effect.context<never>()
    return yield* Effect.promise(() => longestGap(Effect.runPromiseWith(context)(processor.flush)))
  })))

const unaccounted = (): Promise<number> =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    let delivered = 0
    let calls = 0
    const exporter: Exporter.Exporter<SpanData> = {
      export: (batch) =>
        Effect.suspend((): Effect.Effect<Exporter.ExportOutcome, Exporter.ExportError> => {
          switch (++calls % 5) {
            case 0:
              return Effect.fail(Exporter.unavailable("away"))
            case 1:
              return Effect.fail(Exporter.refused("no", "rejected:400", false))
            case 2: {
              const rejected = batch.length >> 1
              delivered += batch.length - rejected
              return Effect.succeed({ rejected, reason: "partial_success" })
            }
            case 3:
              throw new Error("defect")
            default:
              delivered += batch.length
              return Effect.succeed(Exporter.complete)
          }
        })
    }
    const processor = yield* BatchProcessor.make(exporter, { ...policy(100), maxItems: 5_000 })
    yield* record(20_000, processor)
    yield* processor.flush
    const books = processor.ledger()
    const dropped = Object.values(books.dropped).reduce((sum, n) => sum + n, 0)
    const rejected = Object.values(books.rejected).reduce((sum, n) => sum + n, 0)
    return Math.abs(20_000 - delivered - dropped - rejected - books.unconfirmed) + (imbalance(books) === undefined ? 0 : 1)
  })))

export default (bench: Bench): void => {
  bench.measure({ name: "B8", unit: "spans", budget: "value", run: unaccounted, samples: 5, must: 0, moonshot: 0 })
  for (const batchSize of [100, 1_000, 10_000, spans]) {
    bench.measure({ name: `B9.${batchSize}`, unit: "ms", budget: "value", run: () => flushed(batchSize), samples: 7, must: 5, moonshot: 2 })
  }
}
