import { type CounterHandle, type MetricsRecorder, type ObserverHandle, StandardMetrics } from "@effect-observability/core"
import * as CacheMetrics from "../CacheMetrics.ts"

const maxTypes = 50

/** The series of one cache, found once and then only written. */
export class CacheSeries {
  readonly name: string
  private readonly recorder: MetricsRecorder["Service"]
  private readonly hitHandle: CounterHandle
  private readonly missHandle: CounterHandle
  private readonly durations = new Map<string, ObserverHandle>()
  private readonly types = new Set<string>()

  constructor(recorder: MetricsRecorder["Service"], name: string) {
    this.name = name
    this.recorder = recorder
    this.hitHandle = recorder.bind(StandardMetrics.CacheHits, { cache_name: name })
    this.missHandle = recorder.bind(StandardMetrics.CacheMisses, { cache_name: name })
  }

  hits(count: number): void {
    if (count > 0) this.hitHandle.incrementUnsafe(count)
  }

  misses(count: number): void {
    if (count > 0) this.missHandle.incrementUnsafe(count)
  }

  /** `operation` is one of few. */
  duration(operation: string, seconds: number): void {
    let handle = this.durations.get(operation)
    if (handle === undefined) this.durations.set(operation, handle = this.recorder.bind(StandardMetrics.CacheOperationDuration, { operation }))
    handle.observeUnsafe(seconds)
  }

  error(operation: string, type: string): void {
    this.recorder.incrementCounterUnsafe(CacheMetrics.Errors, 1, { cache_name: this.name, operation, error_type: this.bounded(type) })
  }

  evicted(reason: "capacity" | "expired"): void {
    this.recorder.incrementCounterUnsafe(CacheMetrics.Evictions, 1, { cache_name: this.name, reason })
  }

  private bounded(type: string): string {
    if (this.types.has(type)) return type
    if (this.types.size >= maxTypes) return "_OTHER"
    this.types.add(type)
    return type
  }
}
