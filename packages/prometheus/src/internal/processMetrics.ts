import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import perfHooks from "node:perf_hooks"
import { collectDefaultMetrics, Registry } from "prom-client"

/** prom-client's process metrics (CPU, memory, event loop, garbage collection) in a registry of their own; they stop with the scope. */
export const processMetrics: Effect.Effect<Registry, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const registry = new Registry()
      const stop = stoppable(() => collectDefaultMetrics({ register: registry }))
      return { registry, stop }
    }),
    ({ registry, stop }) =>
      Effect.sync(() => {
        stop()
        registry.clear()
      })
  ),
  ({ registry }) => registry
)

/**
 * `collectDefaultMetrics` starts an event loop monitor (a timer every 10 ms) and a garbage collection observer and keeps no way to
 * stop them. It asks `perf_hooks` for both while it runs, so for the length of this synchronous call they are noted down there.
 */
const stoppable = (start: () => void): () => void => {
  const { monitorEventLoopDelay, PerformanceObserver } = perfHooks
  const stops: Array<() => void> = []
  perfHooks.monitorEventLoopDelay = (options) => {
    const monitor = monitorEventLoopDelay(options)
    stops.push(() => monitor.disable())
    return monitor
  }
  perfHooks.PerformanceObserver = class extends PerformanceObserver {
    constructor(callback: ConstructorParameters<typeof PerformanceObserver>[0]) {
      super(callback)
      stops.push(() => this.disconnect())
    }
  }
  try {
    start()
  } finally {
    perfHooks.monitorEventLoopDelay = monitorEventLoopDelay
    perfHooks.PerformanceObserver = PerformanceObserver
  }
  return () => {
    for (const stop of stops) stop()
  }
}
