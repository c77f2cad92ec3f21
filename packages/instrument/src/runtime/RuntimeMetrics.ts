import { type MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { fibers as ofFibers, standard, Uptime } from "./internal/definitions.ts"
import { FiberCounts } from "./internal/FiberCounts.ts"
import { observeGc } from "./internal/gc.ts"
import { LoopDelay } from "./internal/LoopDelay.ts"
import { ProcessReader } from "./internal/ProcessReader.ts"

export interface RuntimeMetricsOptions {
  /** How long the delay of the event loop is looked at before the figures begin anew. Default 15 seconds. */
  readonly window?: Duration.Input
  /** How often the event loop's delay is measured. Default 10 milliseconds; each measurement is a timer. */
  readonly resolution?: Duration.Input
  /** Also counts fibers, which costs some ten nanoseconds for each. Default `true`. */
  readonly fibers?: boolean
}

/** What is recorded under the names of prom-client, for what is generated from definitions: `effect-observability generate`. */
export const definitions: ReadonlyArray<MetricDefinition.MetricDefinition> = (({ delays, ...others }) => [...Object.values(others), ...Object.values(delays), Uptime, ...Object.values(ofFibers)])(standard)

/** The layer with options; see `layer`. */
export const layerWith = (options: RuntimeMetricsOptions): Layer.Layer<never, never, Telemetry | MetricsRecorder> =>
  Layer.effectContext(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const recorder = yield* MetricsRecorder
    const clock = yield* Clock.Clock
    const { conventions, enabled } = telemetry.settings().metrics
    if (!enabled || !telemetry.settings().enabled) return Context.empty()
    const { fibers = true, resolution = Duration.millis(10), window = Duration.seconds(15) } = options

    const delay = yield* LoopDelay.make(Duration.toMillis(resolution), Duration.toMillis(window), () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
    const reader = new ProcessReader(recorder, conventions, delay, clock.currentTimeMillisUnsafe())
    const counts = fibers ? new FiberCounts(recorder, yield* Metric.FiberRuntimeMetrics) : undefined
    yield* observeGc(recorder, conventions)
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        telemetry.store.onRead(() => {
          reader.read()
          counts?.read()
        })
      ),
      (stop) => Effect.sync(stop)
    )
    return counts === undefined ? Context.empty() : Context.make(Metric.FiberRuntimeMetrics, counts)
  }))

/**
 * What the process and Node.js themselves do, read whenever values are read: CPU, memory, heap and its spaces, garbage collection, delay
 * and utilisation of the event loop, active resources, uptime, versions, and Effect's fibers. Names are prom-client's, OpenTelemetry's,
 * or both, as `metrics.conventions` says. All observers stop with the scope.
 *
 * Provide it around the program, so that its fibers are counted:
 *
 * @example
 * ```ts
 * const Observability = RuntimeMetrics.layer.pipe(Layer.provideMerge(Prometheus.layer()))
 * NodeRuntime.runMain(program.pipe(Effect.provide(Observability)))
 * ```
 */
export const layer: Layer.Layer<never, never, Telemetry | MetricsRecorder> = layerWith({})
