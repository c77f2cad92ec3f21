import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AlertEvent } from "../../alerting/Alert.ts"
import { weighError } from "../../errors/internal/weigh.ts"
import { weighLog } from "../../logs/internal/weigh.ts"
import type { ObservabilitySettings } from "../../config/ObservabilityConfig.ts"
import type { Registry } from "../../metrics/internal/Registry.ts"
import { merge, type MetricFrame, weigh } from "../../metrics/MetricFrame.ts"
import * as BatchProcessor from "../../pipe/BatchProcessor.ts"
import type { Policy } from "../../pipe/BatchProcessor.ts"
import type { Exporter } from "../../pipe/Exporter.ts"
import { weighSpan } from "../../tracing/internal/weigh.ts"
import { quietly } from "../quietly.ts"
import type { Signal, Telemetry } from "../Telemetry.ts"
import { Succession } from "./Succession.ts"
import { selecting } from "./selecting.ts"
import type { Books } from "./Books.ts"
import type { Heirs } from "./Heirs.ts"
import type { Queues } from "./Queues.ts"
import type { SelfMetrics } from "./SelfMetrics.ts"

interface Hub {
  readonly settings: () => ObservabilitySettings
  readonly self: SelfMetrics
  readonly budget: ShutdownBudget
  /** Called with every new settings; gives the way to stop it. */
  readonly onReload: (hook: (settings: ObservabilitySettings) => void) => () => void
  readonly queues: Queues
  readonly books: Books
  readonly heirs: Heirs
  /** Whether the program goes on without the backend that closes. */
  readonly goesOn: () => boolean
}

/** The queues of one backend close one after the other; together they have the shutdown timeout. */
export class ShutdownBudget {
  private readonly began = new Map<string, number>()
  private readonly now: () => number

  /** `now` is monotonic milliseconds. */
  constructor(now: () => number) {
    this.now = now
  }

  /** A backend of this name starts anew: a former one's end is none of its business. */
  open(backend: string): void {
    this.began.delete(backend)
  }

  /** `backend` tells a backend and its successor apart. */
  remaining(backend: string, whole: number): number {
    const now = this.now()
    const began = this.began.get(backend) ?? now
    this.began.set(backend, began)
    return whole - (now - began)
  }
}

/** Frames wait here when a sink is away; then the lightest pair is merged, so that an outage costs resolution, never totals. */
const maxFrames = 512
const maxFrameBytes = 32 * 1024 * 1024

interface FramesHub extends Hub {
  readonly store: Registry
  /** By name: how a running pipe of frames takes its last one. */
  readonly ends: Map<string, () => void>
}

export const exportFrames = (hub: FramesHub): Telemetry["Service"]["exportFrames"] => (options) =>
  Effect.gen(function*() {
    const { ends, self, store } = hub
    const handover = yield* Succession
    const settings = handover?.settings() ?? hub.settings()
    const clock = yield* Clock.Clock
    const { interval, name } = options
    const turn = handover?.turn ?? 0
    const key = `${name} ${turn}`
    hub.budget.open(key)
    const keep = yield* hub.books.enter(name, "metrics")
    const ties = yield* hub.heirs.enter(name, "metrics")
    const processor = yield* BatchProcessor.make<MetricFrame>(
      options.exporter,
      {
        ...BatchProcessor.defaultPolicy<MetricFrame>(),
        maxItems: maxFrames,
        maxBytes: maxFrameBytes,
        batchSize: 8,
        // A frame is a batch by itself: it leaves at once, several share a statement only when they have piled up.
        flushInterval: 0,
        attemptTimeout: settings.requestTimeout,
        drainDeadline: settings.shutdownTimeout,
        overflow: { merge },
        weigh,
        count: (frame) => frame.sources,
        ...options.policy
      },
      {
        ...ties,
        onSettled: (seconds) => self.settled(name, seconds),
        onLoss: (count, reason) => self.loss(name, "metrics", count, reason),
        endReason: () => endReason(hub),
        drainBudget: () => hub.budget.remaining(key, hub.settings().shutdownTimeout),
        onTune: tuning(hub, options.policy, (now) => ({ attemptTimeout: now.requestTimeout, drainDeadline: now.shutdownTimeout }))
      }
    )
    keep(processor.ledger)
    yield* hub.queues.enter(name, "metrics", processor)
    const reader = store.frames()
    let start = clock.currentTimeMillisUnsafe()
    let begun = handover === undefined
    let ended = false
    const take = (end: number) => {
      if (!begun || ended) return
      store.refresh()
      self.refresh()
      if (store.size > 0) processor.offerUnsafe(reader.take(Math.min(start, end), end))
      start = end
    }
    const takeNow = Effect.sync(() => take(clock.currentTimeMillisUnsafe()))
    // Runs before the processor's own finalizer: the last frame is part of its drain.
    const end = () => {
      take(clock.currentTimeMillisUnsafe())
      if (!ended) reader.close()
      ended = true
      if (ends.get(name) === end) ends.delete(name)
    }
    // What was recorded up to here is the former one's, what comes after is ours.
    const begin = () => {
      if (ended) return
      if (handover !== undefined) {
        ends.get(name)?.()
        start = clock.currentTimeMillisUnsafe()
        // A new reader begins with all there ever was: the former one, or the time in which there was none, has had that. Who keeps something beside
        // the frames is asked for the weight of each in the step in which it was taken.
        const before = reader.take(start, start)
        options.policy?.weigh?.(before)
      }
      begun = true
      ends.set(name, end)
    }
    if (handover === undefined) begin()
    else handover.defer(begin)
    yield* Effect.addFinalizer(() => Effect.sync(end))
    const tick = Effect.suspend(() => {
      const now = clock.currentTimeMillisUnsafe()
      return Effect.sleep(interval - (now % interval))
    }).pipe(
      // One frame covers all the grid points missed while the process stood still.
      Effect.andThen(Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        const point = now - (now % interval)
        // A wall clock that was set back must not stop the frames until it is where it was.
        if (point > start || start - now >= interval) take(point)
      })),
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause(() => Effect.void)
    )
    yield* Effect.forkScoped(quietly(Effect.forever(tick)))
    return { ...processor, flush: quietly(Effect.andThen(takeNow, processor.flush)) }
  })

export const exportSpans = (hub: Hub): Telemetry["Service"]["exportSpans"] => (options) =>
  Effect.map(
    exportItems(hub, "spans", options, { maxItems: 50_000, maxBytes: 64 * 1024 * 1024, overflow: "oldest", weigh: weighSpan }),
    (processor) => ({ ...processor, offerUnsafe: selecting(processor, options.select) })
  )

export const exportErrors = (hub: Hub): Telemetry["Service"]["exportErrors"] => (options) =>
  exportItems(hub, "errors", options, {
    maxItems: 5_000,
    maxBytes: 32 * 1024 * 1024,
    // The first of a storm say more than the last.
    overflow: "newest",
    flushInterval: Math.min(1_000, hub.settings().flushInterval),
    weigh: weighError
  })

export const exportLogs = (hub: Hub): Telemetry["Service"]["exportLogs"] => (options) =>
  exportItems(hub, "logs", options, { maxItems: 50_000, maxBytes: 32 * 1024 * 1024, overflow: "oldest", weigh: weighLog })

export const exportAlerts = (hub: Hub): Telemetry["Service"]["exportAlerts"] => (options) =>
  exportItems(hub, "alerts", options, { maxItems: 10_000, maxBytes: 16 * 1024 * 1024, overflow: "oldest", flushInterval: Math.min(1_000, hub.settings().flushInterval), weigh: weighAlert })

const weighAlert = ({ description, labels, summary }: AlertEvent): number =>
  512 + 2 * (summary.length + (description?.length ?? 0) + Object.entries(labels).reduce((sum, [name, value]) => sum + name.length + value.length, 0))

/** A pipe for things that come one by one. */
const exportItems = <A>(
  hub: Hub,
  signal: Signal,
  options: { readonly name: string; readonly exporter: Exporter<A>; readonly policy?: Partial<Policy<A>> },
  defaults: Partial<Policy<A>>
): Effect.Effect<BatchProcessor.BatchProcessor<A>, never, Scope.Scope> =>
  Effect.flatMap(Succession, (handover) => {
    const settings = handover?.settings() ?? hub.settings()
    const key = `${options.name} ${handover?.turn ?? 0}`
    return Effect.flatMap(Effect.all([hub.books.enter(options.name, signal), hub.heirs.enter(options.name, signal)]), ([keep, ties]) => Effect.tap(BatchProcessor.make<A>(
      options.exporter,
      {
        ...BatchProcessor.defaultPolicy<A>(),
        batchSize: settings.batchSize,
        flushInterval: settings.flushInterval,
        attemptTimeout: settings.requestTimeout,
        drainDeadline: settings.shutdownTimeout,
        ...defaults,
        ...options.policy
      },
      {
        ...ties,
        onSettled: (seconds) => hub.self.settled(options.name, seconds),
        onLoss: (count, reason) => hub.self.loss(options.name, signal, count, reason),
        endReason: () => endReason(hub),
        drainBudget: () => hub.budget.remaining(key, hub.settings().shutdownTimeout),
        onTune: tuning(hub, { ...defaults, ...options.policy }, (now) => ({
          batchSize: now.batchSize, flushInterval: now.flushInterval, attemptTimeout: now.requestTimeout, drainDeadline: now.shutdownTimeout
        }))
      }
    ), (processor) => {
      keep(processor.ledger)
      return hub.queues.enter(options.name, signal, processor)
    }))
  })

/** Follows the settings in what the backend did not say itself. */
const tuning = <A>(hub: Hub, own: Partial<Policy<A>> | undefined, of: (settings: ObservabilitySettings) => BatchProcessor.Tuning) =>
(tune: (tuning: BatchProcessor.Tuning) => void): (() => void) =>
  hub.onReload((settings) => {
    const wanted: Record<string, unknown> = { ...of(settings) }
    for (const key of Object.keys(own ?? {})) delete wanted[key]
    tune(wanted)
  })

const endReason = (hub: Hub): string => hub.goesOn() ? "backend_removed" : "shutdown"
