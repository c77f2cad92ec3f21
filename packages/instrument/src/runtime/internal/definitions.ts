import { MetricDefinition as M } from "@effect-observability/core"

// Names and label values of prom-client's default metrics ("standard") and of OpenTelemetry's semantic conventions for processes, Node.js
// and V8 ("otel", with dots as underscores and units as suffixes). What both call the same is recorded once.

const seconds = "seconds"
const bytes = "bytes"
const gcBuckets = [0.001, 0.01, 0.1, 1, 2, 5]

export const Uptime = M.gauge("process_uptime_seconds", { help: "How long the process has been running", unit: seconds })

/** The kinds of collection, as prom-client calls them. */
export const gcKinds = ["major", "minor", "incremental", "weakcb"] as const
/** Shares of the event loop's delay that are shown. */
export const statistics = ["min", "max", "mean", "stddev", "p50", "p90", "p99"] as const
export type Statistic = typeof statistics[number]

const delays = (name: (statistic: Statistic) => string, help: string) =>
  Object.fromEntries(statistics.map((statistic) => [statistic, M.gauge(name(statistic), { help: `${help}: ${statistic}`, unit: seconds })])) as Record<
    Statistic,
    M.MetricDefinition.Gauge<{}>
  >

export const standard = {
  cpuUser: M.counter("process_cpu_user_seconds_total", { help: "CPU time spent in the program", unit: seconds }),
  cpuSystem: M.counter("process_cpu_system_seconds_total", { help: "CPU time spent in the kernel for the program", unit: seconds }),
  cpu: M.counter("process_cpu_seconds_total", { help: "CPU time in all", unit: seconds }),
  startTime: M.gauge("process_start_time_seconds", { help: "When the process began, in seconds since the epoch", unit: seconds }),
  residentMemory: M.gauge("process_resident_memory_bytes", { help: "Resident memory", unit: bytes }),
  heapSize: M.gauge("nodejs_heap_size_total_bytes", { help: "Size of the heap", unit: bytes }),
  heapUsed: M.gauge("nodejs_heap_size_used_bytes", { help: "Used part of the heap", unit: bytes }),
  heapLimit: M.gauge("nodejs_heap_size_limit_bytes", { help: "Size at which the process ends for want of heap", unit: bytes }),
  external: M.gauge("nodejs_external_memory_bytes", { help: "Memory of objects outside the heap", unit: bytes }),
  spaceSize: M.gauge("nodejs_heap_space_size_total_bytes", { help: "Size of a space of the heap", unit: bytes, labelNames: ["space"] }),
  spaceUsed: M.gauge("nodejs_heap_space_size_used_bytes", { help: "Used part of a space of the heap", unit: bytes, labelNames: ["space"] }),
  spaceAvailable: M.gauge("nodejs_heap_space_size_available_bytes", { help: "Free part of a space of the heap", unit: bytes, labelNames: ["space"] }),
  resources: M.gauge("nodejs_active_resources", { help: "Resources that keep the event loop alive, by type", labelNames: ["type"], maxSeries: 50 }),
  version: M.gauge("nodejs_version_info", { help: "Node.js version", labelNames: ["version", "major", "minor", "patch"] }),
  gc: M.histogram("nodejs_gc_duration_seconds", {
    help: "Garbage collection by kind",
    unit: seconds,
    labelNames: ["kind"],
    labelValues: { kind: gcKinds },
    buckets: gcBuckets,
    exemplars: false
  }),
  lag: M.gauge("nodejs_eventloop_lag_seconds", { help: "Mean delay of the event loop since the last window began", unit: seconds }),
  delays: delays((statistic) => `nodejs_eventloop_lag_${statistic}_seconds`, "Delay of the event loop since the last window began"),
  utilization: M.gauge("nodejs_eventloop_utilization_ratio", { help: "Share of time in which the event loop was busy, since the last window began", unit: "ratio" })
}

export const otel = {
  cpu: M.counter("process_cpu_time_seconds_total", { help: "CPU time by mode", unit: seconds, labelNames: ["cpu_mode"], labelValues: { cpu_mode: ["user", "system"] } }),
  memory: M.gauge("process_memory_usage_bytes", { help: "Resident memory", unit: bytes }),
  heapLimit: M.gauge("v8js_memory_heap_limit_bytes", { help: "Size of a space of the heap", unit: bytes, labelNames: ["v8js_heap_space_name"] }),
  heapUsed: M.gauge("v8js_memory_heap_used_bytes", { help: "Used part of a space of the heap", unit: bytes, labelNames: ["v8js_heap_space_name"] }),
  spaceAvailable: M.gauge("v8js_memory_heap_space_available_size_bytes", {
    help: "Free part of a space of the heap",
    unit: bytes,
    labelNames: ["v8js_heap_space_name"]
  }),
  spacePhysical: M.gauge("v8js_memory_heap_space_physical_size_bytes", {
    help: "Physical size of a space of the heap",
    unit: bytes,
    labelNames: ["v8js_heap_space_name"]
  }),
  gc: M.histogram("v8js_gc_duration_seconds", {
    help: "Garbage collection by kind",
    unit: seconds,
    labelNames: ["v8js_gc_type"],
    labelValues: { v8js_gc_type: gcKinds },
    buckets: [0.01, 0.1, 1, 10],
    exemplars: false
  }),
  delays: delays((statistic) => `nodejs_eventloop_delay_${statistic}_seconds`, "Delay of the event loop since the last window began"),
  utilization: standard.utilization,
  time: M.counter("nodejs_eventloop_time_seconds_total", {
    help: "Time of the event loop by state",
    unit: seconds,
    labelNames: ["nodejs_eventloop_state"],
    labelValues: { nodejs_eventloop_state: ["active", "idle"] }
  })
}

export const fibers = {
  active: M.gauge("effect_fibers_active", { help: "Fibers that run or wait" }),
  started: M.counter("effect_fibers_started_total", { help: "Fibers begun" }),
  ended: M.counter("effect_fibers_ended_total", {
    help: "Fibers that ended, by outcome",
    labelNames: ["outcome"],
    labelValues: { outcome: M.outcomes }
  })
}
