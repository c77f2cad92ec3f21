import { type CompositionError, ConfigurationError, LoadControl, type Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as process from "node:process"
import * as v8 from "node:v8"

export interface NodeLoadOptions extends Omit<LoadControl.LoadControlOptions, "memory"> {
  /** Bytes of V8's heap from which things are given up. Default 80 % of `--max-old-space-size`, as V8 says it. */
  readonly heapSoftLimit?: number
  /** Bytes the whole process may take (RSS). Default 90 % of the limit of its container where there is one, else none. */
  readonly rssSoftLimit?: number
}

/** What V8's limit holds beyond the old generation, whose end is the end of the process (`--max-old-space-size`): up to three semi-spaces of 64 MiB in Node 24. */
const young = 192 * 1024 * 1024

/**
 * `LoadControl.layer` with the memory of this process: V8's heap against its limit, and RSS against that of the container (cgroup).
 *
 * @example
 * ```ts
 * const Observability = NodeLoad.layer().pipe(Layer.provideMerge(Postgres.layer()))
 * ```
 */
export const layer = (options: NodeLoadOptions = {}): Layer.Layer<never, ConfigurationError | CompositionError, Telemetry> => {
  const { heapSoftLimit, rssSoftLimit, ...rest } = options
  const problems = Object.entries({ heapSoftLimit, rssSoftLimit }).flatMap(([field, value]) =>
    value === undefined || (Number.isFinite(value) && value >= 1_048_576) ? [] : [{ path: `load.${field}`, message: "expected bytes, at least 1 MiB" }])
  if (problems.length > 0) return Layer.effectDiscard(Effect.fail(new ConfigurationError({ problems })))
  const constrained = process.constrainedMemory()
  // Without a limit the kernel names one beyond all memory.
  const rss = rssSoftLimit ?? (constrained > 0 && constrained < 2 ** 50 ? 0.9 * constrained : 0)
  return LoadControl.layer({
    ...rest,
    memory: () => {
      const { heap_size_limit, used_heap_size: used } = v8.getHeapStatistics()
      return [{ name: "heap", used, softLimit: heapSoftLimit ?? 0.8 * Math.max(heap_size_limit / 4, heap_size_limit - young) }, { name: "rss", used: process.memoryUsage.rss(), softLimit: rss }]
    }
  })
}
