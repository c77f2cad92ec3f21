import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { type BatchProcessor, Exporter, type MetricFrame, type SpanData, Telemetry } from "effect-observability"

/** A slow backend that keeps a ledger of its own: names of spans, and the total of a counter. */
export class Sink {
  readonly name: string
  readonly spans = new Map<string, number>()
  jobs = 0
  opened = 0
  closed = 0
  readonly books: Array<() => ReturnType<BatchProcessor.BatchProcessor<unknown>["ledger"]>> = []

  constructor(name: string) {
    this.name = name
  }

  readonly layer = (delay: number) =>
    Layer.effectDiscard(Effect.gen({ self: this }, function*() {
      const { name } = this
      const telemetry = yield* Telemetry
      const slow = <A>(take: (batch: ReadonlyArray<A>) => void): Exporter.Exporter<A> => ({
        export: (batch) => Effect.delay(Effect.sync(() => (take(batch), Exporter.complete)), delay)
      })
      this.opened++
      yield* Effect.addFinalizer(() => Effect.sync(() => void this.closed++))
      const frames = yield* telemetry.exportFrames({
        name,
        interval: 50,
        exporter: slow<MetricFrame>((batch) => {
          for (const frame of batch) {
            frame.counters.series.forEach((series, i) => {
              if (series.definition.name === "jobs_total") this.jobs += frame.counters.values[i]!
            })
          }
        })
      })
      const spans = yield* telemetry.exportSpans({
        name,
        exporter: slow<SpanData>((batch) => {
          for (const { name } of batch) this.spans.set(name, (this.spans.get(name) ?? 0) + 1)
        })
      })
      this.books.push(frames.ledger, spans.ledger)
      yield* telemetry.register({
        name,
        kind: name,
        onSpan: (span) => void spans.offerUnsafe(span),
        flush: Effect.andThen(frames.flush, spans.flush),
        report: () => ({
          name,
          kind: name,
          status: "up",
          reason: undefined,
          signals: [{ signal: "metrics" as const, processor: frames }, { signal: "spans" as const, processor: spans }].map(({ processor, signal }) => ({
            signal, ledger: processor.ledger(), queuedItems: 0, queuedBytes: 0, oldestAgeMillis: 0, lastError: undefined
          }))
        })
      })
    }))

  /** That every queue there ever was delivered all it took. */
  assertBooks() {
    for (const book of this.books) {
      const { accepted, dropped, exported, inFlight, queued, rejected, unconfirmed } = book()
      assert.deepStrictEqual([rejected, dropped, unconfirmed, queued, inFlight], [{}, {}, 0, 0, 0])
      assert.strictEqual(accepted, exported)
    }
  }
}
