import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as PerfHooks from "node:perf_hooks"
import type { Statistic } from "./definitions.ts"

/** What the event loop did in the window. Seconds, and a share from 0 to 1. */
export interface LoopFigures {
  readonly delays: Readonly<Record<Statistic, number>> | undefined
  readonly utilization: number
  /** Seconds since the process began. */
  readonly active: number
  readonly idle: number
}

/**
 * Delay and utilisation of the event loop over a window. Node measures the delay with a timer of its own; what it reports holds the
 * timer's own interval, which is taken off.
 */
export class LoopDelay {
  private readonly monitor: ReturnType<typeof PerfHooks.monitorEventLoopDelay>
  private readonly resolution: number
  private readonly window: number
  private readonly now: () => number
  private began: number
  private base = PerfHooks.performance.eventLoopUtilization()

  private constructor(resolution: number, window: number, now: () => number) {
    this.monitor = PerfHooks.monitorEventLoopDelay({ resolution })
    this.resolution = resolution
    this.window = window
    this.now = now
    this.began = now()
    this.monitor.enable()
  }

  /** All in milliseconds; the timer stops with the scope. */
  static make(resolution: number, window: number, now: () => number): Effect.Effect<LoopDelay, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => new LoopDelay(Math.max(1, Math.round(resolution)), window, now)),
      (delay) => Effect.sync(() => delay.monitor.disable())
    )
  }

  read(): LoopFigures {
    const { monitor } = this
    const whole = PerfHooks.performance.eventLoopUtilization()
    const { utilization } = PerfHooks.performance.eventLoopUtilization(whole, this.base)
    const figures = {
      delays: monitor.count === 0 ? undefined : {
        min: this.seconds(monitor.min),
        max: this.seconds(monitor.max),
        mean: this.seconds(monitor.mean),
        stddev: monitor.stddev / 1e9,
        p50: this.seconds(monitor.percentile(50)),
        p90: this.seconds(monitor.percentile(90)),
        p99: this.seconds(monitor.percentile(99))
      },
      utilization,
      active: whole.active / 1000,
      idle: whole.idle / 1000
    }
    if (this.now() - this.began >= this.window) {
      monitor.reset()
      this.base = whole
      this.began = this.now()
    }
    return figures
  }

  private seconds(nanos: number): number {
    return Math.max(0, nanos / 1e9 - this.resolution / 1000)
  }
}
