import { ErrorHistory, MemoryBackend, MemoryHistory, type MetricFrame, type MetricPoint, type MetricRange, MetricsHistory, type SpanData, Telemetry, TraceHistory } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ErrorsProbe } from "./ErrorsContract.ts"
import { HistoryProbe } from "./HistoryContract.ts"
import { LogsProbe } from "./LogsContract.ts"
import { MetricsProbe } from "./MetricsContract.ts"
import { SpansProbe } from "./SpansContract.ts"

/** Probes over the histories, whoever provides them. */
export const historyProbes: Layer.Layer<MetricsProbe | SpansProbe, never, Telemetry | MetricsHistory | TraceHistory> = Layer.mergeAll(
  Layer.effect(
    MetricsProbe,
    Effect.gen(function*() {
      const history = yield* MetricsHistory
      const telemetry = yield* Telemetry
      const points = (name: string, labels: Readonly<Record<string, string>> = {}) =>
        Effect.orDie(history.getMetricsHistory({ name, labels, startTime: 0, endTime: 32_503_680_000_000, limit: 100_000 }))
      const sum = (all: ReadonlyArray<MetricPoint>) => all.reduce((total, point) => total + point.value, 0)
      return MetricsProbe.of({
        counter: (name, labels) => Effect.map(points(name, labels), sum),
        gauge: (name, labels) => Effect.map(points(name, labels), (all) => all[0]?.value),
        summary: (name, labels) => Effect.map(points(name, labels), sum),
        histogram: (name, labels) =>
          Effect.map(points(name, labels), (all) => ({
            count: all.reduce((total, point) => total + (point.histogram?.count ?? 0), 0),
            sum: sum(all),
            buckets: (all[0]?.histogram?.buckets ?? []).map((_, i) => all.reduce((total, point) => total + (point.histogram?.buckets[i] ?? 0), 0))
          })),
        settle: telemetry.flush
      })
    })
  ),
  Layer.effect(
    SpansProbe,
    Effect.gen(function*() {
      const history = yield* TraceHistory
      const telemetry = yield* Telemetry
      return SpansProbe.of({
        trace: (traceId) => Effect.map(Effect.orDie(history.getTrace(traceId)), (trace) => trace?.spans ?? []),
        count: Effect.map(
          Effect.orDie(history.getRecentTraces({ limit: 1000 })),
          (traces) => traces.reduce((total, trace) => total + trace.spanCount, 0)
        ),
        settle: telemetry.flush
      })
    })
  )
)

/** Probes over the memory backend and the store. */
export const memoryProbes: Layer.Layer<MetricsProbe | SpansProbe, never, Telemetry | MemoryBackend> = Layer.mergeAll(
  Layer.effect(
    MetricsProbe,
    Effect.gen(function*() {
      const memory = yield* MemoryBackend
      const { flush, store } = yield* Telemetry
      return MetricsProbe.of({
        counter: memory.getCounterValue,
        gauge: memory.getGaugeValue,
        summary: (name, labels) => Effect.map(memory.getSummaryValue(name, labels), (value) => value.sum),
        histogram: (name, labels) =>
          Effect.map(memory.getHistogramValues(name, labels), (values) => {
            const bounds = store.family(name)?.definition.buckets ?? []
            const buckets = Array.from({ length: bounds.length + 1 }, () => 0)
            for (const value of values) {
              const at = bounds.findIndex((bound) => value <= bound)
              buckets[at < 0 ? bounds.length : at]!++
            }
            return { count: values.length, sum: values.reduce((total, value) => total + value, 0), buckets }
          }),
        settle: flush
      })
    })
  ),
  Layer.effect(
    SpansProbe,
    Effect.gen(function*() {
      const memory = yield* MemoryBackend
      const { flush } = yield* Telemetry
      return SpansProbe.of({
        trace: (traceId) => Effect.map(memory.spans, (spans: ReadonlyArray<SpanData>) => spans.filter((span) => span.traceId === traceId)),
        count: Effect.map(memory.spans, (spans) => spans.length),
        settle: flush
      })
    })
  )
)

/** A probe for errors over the history, whoever provides it. */
export const errorHistoryProbe: Layer.Layer<ErrorsProbe, never, Telemetry | ErrorHistory> = Layer.effect(
  ErrorsProbe,
  Effect.gen(function*() {
    const history = yield* ErrorHistory
    const { flush } = yield* Telemetry
    return ErrorsProbe.of({
      withText: (text) => Effect.map(Effect.orDie(history.searchErrors({ text, limit: 1_000 })), ({ errors }) => errors),
      settle: flush
    })
  })
)

/** Probes for errors and log lines over the memory backend. */
export const memoryEventProbes: Layer.Layer<ErrorsProbe | LogsProbe, never, Telemetry | MemoryBackend> = Layer.mergeAll(
  Layer.effect(
    ErrorsProbe,
    Effect.gen(function*() {
      const { errors } = yield* MemoryBackend
      const { flush } = yield* Telemetry
      return ErrorsProbe.of({ withText: (text) => Effect.map(errors, (all) => all.filter((one) => one.message.includes(text))), settle: flush })
    })
  ),
  Layer.effect(
    LogsProbe,
    Effect.gen(function*() {
      const { logs } = yield* MemoryBackend
      const { flush } = yield* Telemetry
      return LogsProbe.of({ withText: (text) => Effect.map(logs, (all) => all.filter((one) => one.message.includes(text))), settle: flush })
    })
  )
)

/** The history in memory, with a probe that writes into it: what the stores are compared with. */
export const memoryHistory: Layer.Layer<MetricsHistory | HistoryProbe> = Layer.effectContext(
  Effect.sync(() => {
    const writers: Array<ReadonlyArray<MetricFrame>> = []
    const resources: Array<MetricRange.Known> = []
    return Context.make(MetricsHistory, MetricsHistory.of(MemoryHistory.ofFrames(() => writers, (writer) => resources[writer]!))).pipe(
      Context.add(HistoryProbe, {
        write: (frames, resource = {}) =>
          Effect.sync(() => {
            writers.push(frames)
            resources.push(resource)
          })
      })
    )
  })
)
