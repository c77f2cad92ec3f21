import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { signalReport } from "../../hub/pipesReport.ts"
import type { CompositionError, Telemetry } from "../../hub/Telemetry.ts"
import type { MetricsRecorder } from "../../metrics/MetricsRecorder.ts"
import * as StandardMetrics from "../../metrics/StandardMetrics.ts"
import * as BatchProcessor from "../../pipe/BatchProcessor.ts"
import { complete } from "../../pipe/Exporter.ts"
import type { AlertSink } from "../AlertSink.ts"
import type { Turn } from "./Board.ts"
import { Notifier, type NotifierOptions } from "./Notifier.ts"

export interface SinkPipe {
  /** Queues what is due. Never waits. */
  readonly tell: (turn: Turn, now: number) => void
  /** Another process speaks: what is queued here is its to say. */
  readonly hush: () => void
  readonly owed: Notifier["owed"]
}

/** Tries of one notification; then it is dropped, and its rule is told again when the next one is due. */
const maxAttempts = 8

/**
 * A sink behind a bounded queue. An item is a rule that has something to tell, at most one of each at a time: what is sent is the rule as it
 * stands when it is sent, so that a sink that was away hears the truth, once, and not its past.
 */
export const makeSink = (
  telemetry: Telemetry["Service"],
  recorder: MetricsRecorder["Service"],
  sink: AlertSink,
  /** `staleAfter`, milliseconds: who had no turn for so long (a paused process) says nothing before the next, another may speak. */
  options: NotifierOptions & { readonly now: () => number; readonly staleAfter: number }
): Effect.Effect<SinkPipe, CompositionError, Scope.Scope> =>
  Effect.gen(function*() {
    const notifier = new Notifier(sink, options)
    const count = (outcome: "sent" | "failed" | "dropped", n = 1) =>
      recorder.incrementCounterUnsafe(StandardMetrics.AlertNotifications, n, { sink: sink.name, outcome })
    let spokeAt = -Infinity
    /** The rule in flight, for when it is given up. */
    let current: string | undefined
    const lost = () => {
      if (current !== undefined) notifier.settled(current, options.now())
    }
    const processor = yield* BatchProcessor.make<string>(
      {
        export: ([rule]) =>
          Effect.suspend(() => {
            current = rule
            if (options.now() - spokeAt > options.staleAfter) {
              notifier.withdrawn(rule)
              return Effect.succeed(complete)
            }
            const rendered = notifier.render(rule, options.now())
            if (rendered === undefined) {
              notifier.settled(rule, options.now())
              return Effect.succeed(complete)
            }
            return Effect.onExit(Effect.as(sink.send(rendered.notification), complete), (exit) =>
              Effect.sync(() => {
                if (exit._tag === "Success") {
                  count("sent")
                  notifier.settled(rule, options.now(), rendered.alerts)
                } else count("failed")
              }))
          }),
        giveUp: () => Effect.sync(() => lost())
      },
      {
        ...BatchProcessor.defaultPolicy<string>(),
        batchSize: 1,
        flushInterval: 0,
        attemptTimeout: "15 seconds",
        maxAttempts,
        backoff: "1 second",
        drainDeadline: telemetry.settings().shutdownTimeout
      },
      {
        onLoss: (n) => {
          count("dropped", n)
          lost()
        }
      }
    )
    const name = `alerts-${sink.name}`
    yield* telemetry.register({
      name,
      kind: "alert-sink",
      flush: processor.flush,
      report: () => {
        const { failures, lastError } = processor.status()
        return {
          name,
          kind: "alert-sink",
          status: failures > 0 ? "degraded" : "up",
          reason: failures > 0 ? lastError : undefined,
          signals: [signalReport({ signal: "alerts", processor: processor })]
        }
      }
    })
    return {
      hush: () => void (spokeAt = -Infinity),
      owed: () => notifier.owed(),
      tell: (turn, now) => {
        spokeAt = options.now()
        if (turn.inherited !== undefined) notifier.seed(turn.inherited, now)
        for (const rule of notifier.due(turn.firing, turn.muted, now)) {
          notifier.queued(rule)
          if (!processor.offerUnsafe(rule)) notifier.settled(rule, now)
        }
      }
    }
  })
