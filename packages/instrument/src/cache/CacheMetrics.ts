import { MetricDefinition as M } from "@effect-observability/core"

/** What is recorded of caches beside `StandardMetrics.CacheHits`, `CacheMisses` and `CacheOperationDuration`. OpenTelemetry has no conventions for caches: the names are the same under all. */

/** Operations on a cache that failed, loading a value among them. */
export const Errors = M.counter("cache_errors_total", { help: "Total number of failed cache operations", labelNames: ["cache_name", "operation", "error_type"] })

/** Entries a cache threw out by itself: for want of room, or because their time was up when somebody asked. */
export const Evictions = M.counter("cache_evictions_total", {
  help: "Total number of entries evicted from a cache, by reason",
  labelNames: ["cache_name", "reason"],
  labelValues: { reason: ["capacity", "expired"] }
})

/** Entries whose time is up count until somebody asks for them. */
export const Entries = M.gauge("cache_entries", { help: "Number of entries in a cache", labelNames: ["cache_name"] })

/** All of them. */
export const all: ReadonlyArray<M.MetricDefinition> = [Errors, Evictions, Entries]
