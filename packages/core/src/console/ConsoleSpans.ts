import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type CompositionError, type SpanSelection, Telemetry } from "../hub/Telemetry.ts"
import * as Exporter from "../pipe/Exporter.ts"
import type { SpanData } from "../tracing/SpanData.ts"
import { render } from "./internal/tree.ts"

export interface ConsoleSpansOptions extends SpanSelection {
  /** Default `"console"`. */
  readonly name?: string
  /** Default: only where the output is a terminal. */
  readonly colors?: boolean
}

/** Spans held back until their trace is complete; of more the oldest traces are printed as they are. */
const maxHeld = 5_000
/** How long a trace whose root is not seen (it is in another process, or still open) waits for the rest of its spans. Milliseconds. */
const maxWait = 1_000

/**
 * Prints every trace as a tree when its first span has ended, through Effect's `Console`: for development. Control characters are escaped,
 * siblings stand in the order in which they began.
 *
 * @example
 * ```ts
 * program.pipe(Effect.provide(ConsoleSpans.layer()))
 * // checkout  12.3 ms
 * // ├─ validate  1 ms
 * // └─ charge  8.2 ms  ✗ PaymentFailed: card declined
 * ```
 */
export const layer = (options: ConsoleSpansOptions = {}): Layer.Layer<Layer.Success<typeof Telemetry.layer>, CompositionError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))

/** The printing alone, on a hub that is there. */
export const layerBackend = (options: ConsoleSpansOptions = {}): Layer.Layer<never, CompositionError, Telemetry> =>
  Layer.effectDiscard(make(options))

const make = (options: ConsoleSpansOptions) =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const { name = "console" } = options
    const colors = options.colors ?? isTerminal()
    const held = new Traces()
    const terminal = yield* Console.Console
    const print = (traces: ReadonlyArray<ReadonlyArray<SpanData>>): void => {
      for (const trace of traces) terminal.log(render(trace, colors))
    }
    // Runs after the pipe's last batch: what is still held then has no more to wait for.
    yield* Effect.addFinalizer(() => Effect.sync(() => print(held.takeAll())))
    const spans = yield* telemetry.exportSpans({
      name,
      select: options,
      exporter: {
        export: (batch) =>
          Effect.clockWith((clock) =>
            Effect.sync(() => {
              held.add(batch, clock.currentTimeMillisUnsafe())
              print(held.takeComplete(clock.currentTimeMillisUnsafe()))
              return Exporter.complete
            })
          )
      },
      policy: { batchSize: 1_000, flushInterval: "100 millis" }
    })
    yield* telemetry.register({
      name,
      kind: "console",
      onSpan: (span) => void spans.offerUnsafe(span),
      flush: Effect.andThen(spans.flush, Effect.sync(() => print(held.takeAll()))),
      report: () => {
        const { lastError, lastErrorAt, oldestAgeMillis, queuedBytes, queuedItems } = spans.status()
        return {
          name,
          kind: "console",
          status: "up",
          reason: undefined,
          signals: [{
            signal: "spans",
            ledger: spans.ledger(),
            queuedItems,
            queuedBytes,
            oldestAgeMillis,
            lastError: lastError === undefined ? undefined : { message: lastError, at: lastErrorAt ?? 0 }
          }]
        }
      }
    })
  })

/** Whether the program writes to a terminal; there may be no process at all (a browser, an edge runtime). */
const isTerminal = (): boolean =>
  (globalThis as { readonly process?: { readonly stdout?: { readonly isTTY?: unknown } } }).process?.stdout?.isTTY === true

/** Traces that are not printed yet, in the order in which their first spans came. */
class Traces {
  private readonly byId = new Map<string, { readonly spans: Array<SpanData>; readonly since: number }>()
  private count = 0

  add(spans: ReadonlyArray<SpanData>, now: number): void {
    for (const span of spans) {
      let trace = this.byId.get(span.traceId)
      if (trace === undefined) this.byId.set(span.traceId, trace = { spans: [], since: now })
      trace.spans.push(span)
      this.count++
    }
  }

  /** Traces whose root has ended, that have waited long enough, or for which there is no room. */
  takeComplete(now: number): ReadonlyArray<ReadonlyArray<SpanData>> {
    const out: Array<ReadonlyArray<SpanData>> = []
    for (const [id, { since, spans }] of this.byId) {
      if (this.count <= maxHeld && now - since < maxWait && !spans.some(isRoot)) continue
      this.byId.delete(id)
      this.count -= spans.length
      out.push(spans)
    }
    return out
  }

  takeAll(): ReadonlyArray<ReadonlyArray<SpanData>> {
    const out = [...this.byId.values()].map(({ spans }) => spans)
    this.byId.clear()
    this.count = 0
    return out
  }
}

/** A span without a parent, or one that somebody outside asked for. */
const isRoot = (span: SpanData): boolean => span.parentSpanId === undefined || span.kind === "server" || span.kind === "consumer"
