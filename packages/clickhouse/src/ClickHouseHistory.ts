import { MetricRange, type MetricsHistory, type TraceHistory, TraceQuestions } from "@effect-observability/core"
import { quietly } from "@effect-observability/core"
import { type Connection } from "./internal/Connection.ts"
import { type Layout, qualified, quoted, sqlNames } from "./internal/names.ts"
import { asking, type Source } from "./history/ask.ts"
import * as Figures from "./history/figures.ts"
import { liveTraces } from "./history/liveTraces.ts"
import * as Metrics from "./history/metrics.ts"
import * as Traces from "./history/traces.ts"

export const sourceOf = (connection: Connection, layout: Layout, timeout: number): Source => {
  const t = sqlNames(layout.names)
  const local = (name: string) => qualified(layout.names, layout.distributed ? `${name}_local` : name)
  return {
    t,
    ask: asking(connection, { timeout, reads: true }),
    change: asking(connection, { timeout, reads: false }),
    local: { traces: local(layout.names.traces), traceTimes: local(`${layout.names.traces}_trace_id_ts`) },
    on: layout.cluster === undefined ? "" : ` ON CLUSTER ${quoted(layout.cluster)}`
  }
}

// The observer does not observe itself.

export const metrics = (source: Source): MetricsHistory["Service"] => {
  const points = Metrics.getMetricsHistory(source)
  const range = Metrics.queryRange(source)
  const queryRange: typeof range = (query) => quietly(range(query))
  return { getMetricsHistory: (query) => quietly(points(query)), queryRange, streamRange: MetricRange.streamed(queryRange) }
}

export const traces = (source: Source): TraceHistory["Service"] => {
  const search = Traces.searchTraces(source)
  const searchTraces: typeof search = (query) => quietly(search(query))
  const [getTrace, getRecentTraces, deleteTraces] = [Traces.getTrace(source), Traces.getRecentTraces(source), Traces.deleteTraces(source)]
  const [operations, dependencies] = [Figures.operations(source), Figures.dependencies(source)]
  const [latency, whatDiffers] = [Figures.latency(source), Figures.whatDiffers(source)]
  return {
    getTrace: (traceId) => quietly(getTrace(traceId)),
    getRecentTraces: (query) => quietly(getRecentTraces(query)),
    searchTraces,
    streamTraces: TraceQuestions.stream(searchTraces),
    liveTraces: liveTraces({ ...source, ask: (sql, parameters) => quietly(source.ask(sql, parameters)) }),
    operations: (query) => quietly(operations(query)),
    dependencies: (query) => quietly(dependencies(query)),
    latency: (query) => quietly(latency(query)),
    whatDiffers: (query) => quietly(whatDiffers(query)),
    deleteTraces: (what) => quietly(deleteTraces(what))
  }
}
