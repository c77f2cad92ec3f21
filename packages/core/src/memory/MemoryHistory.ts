import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { HistoryError } from "../history/HistoryError.ts"
import { type MetricPoint, MetricsHistory } from "../history/MetricsHistory.ts"
import { type StoredSpan, TraceHistory, type TraceSummary } from "../history/TraceHistory.ts"
import { type CompositionError, Telemetry } from "../hub/Telemetry.ts"
import type { MetricFrame, Series } from "../metrics/MetricFrame.ts"
import { complete } from "../pipe/Exporter.ts"
import type { SpanData } from "../tracing/SpanData.ts"
import { labelsOf } from "./Memory.ts"

export interface MemoryHistoryOptions {
  /** Default `"memory-history"`. */
  readonly name?: string
  /** Most frames kept, the oldest give way. Default 1,000. */
  readonly maxFrames?: number
  /** Most spans kept, the oldest give way. Default 10,000. */
  readonly maxSpans?: number
}

/** Both histories, held in memory: a reference for the stores, and history for tests. Takes a frame at every flush interval. */
export const layerBackend = (
  options: MemoryHistoryOptions = {}
): Layer.Layer<MetricsHistory | TraceHistory, CompositionError, Telemetry> =>
  Layer.effectContext(
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const { maxFrames = 1000, maxSpans = 10_000, name = "memory-history" } = options
      const settings = telemetry.settings()
      let frames: Array<MetricFrame> = []
      let spans: Array<StoredSpan> = []
      yield* telemetry.claim("MetricsHistory", name)
      yield* telemetry.claim("TraceHistory", name)
      const metricPipe = yield* telemetry.exportFrames({
        name,
        interval: settings.flushInterval,
        exporter: {
          export: (batch) =>
            Effect.sync(() => {
              frames = [...frames, ...batch].slice(-maxFrames)
              return complete
            })
        }
      })
      const spanPipe = yield* telemetry.exportSpans({
        name,
        exporter: {
          export: (batch: ReadonlyArray<SpanData>) =>
            Effect.sync(() => {
              spans = [...spans, ...batch.map((span) => ({ ...span, serviceName: telemetry.resource.service }))].slice(-maxSpans)
              return complete
            })
        }
      })
      const signal = <S extends "metrics" | "spans">(of: S, pipe: { readonly ledger: typeof spanPipe.ledger; readonly status: typeof spanPipe.status }) => {
        const { oldestAgeMillis, queuedBytes, queuedItems } = pipe.status()
        return { signal: of, ledger: pipe.ledger(), queuedItems, queuedBytes, oldestAgeMillis, lastError: undefined }
      }
      yield* telemetry.register({
        name,
        kind: "memory",
        onSpan: (span) => spanPipe.offerUnsafe(span),
        flush: Effect.andThen(metricPipe.flush, spanPipe.flush),
        report: () => ({ name, kind: "memory", status: "up", reason: undefined, signals: [signal("metrics", metricPipe), signal("spans", spanPipe)] })
      })

      const metrics: MetricsHistory["Service"] = {
        getMetricsHistory: (query) =>
          Effect.suspend(() => {
            const { limit = 1000, name } = query
            const from = Number(query.startTime)
            const to = Number(query.endTime)
            if (Number.isNaN(from) || Number.isNaN(to)) return invalid("startTime and endTime must be milliseconds or a Date")
            if (!(limit >= 1)) return invalid("limit must be 1 or more")
            const points: Array<MetricPoint> = []
            for (const frame of frames) {
              if (frame.endTime < from || frame.endTime >= to) continue
              for (const point of pointsOf(frame, name)) {
                if (Object.entries(query.labels ?? {}).every(([key, value]) => point.labels[key] === value)) points.push(point)
              }
            }
            return Effect.succeed(points.toSorted((a, b) => b.timestamp - a.timestamp).slice(0, Math.min(limit, 100_000)))
          })
      }
      const traces: TraceHistory["Service"] = {
        getTrace: (traceId) =>
          Effect.suspend(() => {
            const id = traceId.toLowerCase()
            if (!/^[0-9a-f]{32}$/.test(id)) return invalid("traceId must have 32 hex digits")
            const found = spans.filter((span) => span.traceId === id).toSorted(byStart)
            return Effect.succeed(found.length === 0 ? undefined : { traceId: id, spans: found })
          }),
        getRecentTraces: (query = {}) =>
          Effect.suspend(() => {
            const { limit = 20, serviceName, status } = query
            if (!(limit >= 1)) return invalid("limit must be 1 or more")
            const byId = Map.groupBy(spans, (span) => span.traceId)
            const summaries = [...byId.values()].map(summarise).filter((trace) =>
              (status === undefined || trace.status === status) &&
              (serviceName === undefined || byId.get(trace.traceId)!.some((span) => span.serviceName === serviceName))
            )
            return Effect.succeed(summaries.toSorted((a, b) => Number(b.startTime - a.startTime)).slice(0, Math.min(limit, 1000)))
          })
      }
      return Context.make(MetricsHistory, metrics).pipe(Context.add(TraceHistory, traces))
    })
  )

const invalid = (message: string) => Effect.fail(new HistoryError({ reason: "invalid", message }))

const byStart = (a: StoredSpan, b: StoredSpan): number => Number(a.startTime - b.startTime)

const summarise = (spans: ReadonlyArray<StoredSpan>): TraceSummary => {
  const ordered = spans.toSorted(byStart)
  const root = ordered.find((span) => span.parentSpanId === undefined) ?? ordered[0]!
  const end = spans.reduce((most, span) => span.endTime > most ? span.endTime : most, 0n)
  const errorCount = spans.filter((span) => span.status === "error").length
  return {
    traceId: root.traceId,
    name: root.name,
    serviceName: root.serviceName,
    startTime: ordered[0]!.startTime,
    duration: end - ordered[0]!.startTime,
    spanCount: spans.length,
    errorCount,
    status: errorCount > 0 ? "ERROR" : "OK"
  }
}

const pointsOf = (frame: MetricFrame, name: string): ReadonlyArray<MetricPoint> => {
  const { counters, endTime, gauges, histograms, startTime, summaries } = frame
  const points: Array<MetricPoint> = []
  const add = (series: Series, value: number, histogram?: NonNullable<MetricPoint["histogram"]>): void => {
    if (series.definition.name !== name) return
    points.push({
      name,
      type: series.definition.type,
      value,
      labels: labelsOf(series),
      timestamp: endTime,
      interval: endTime - startTime,
      ...(histogram === undefined ? {} : { histogram })
    })
  }
  counters.series.forEach((series, i) => add(series, counters.values[i]!))
  gauges.series.forEach((series, i) => add(series, gauges.values[i]!))
  summaries.series.forEach((series, i) => add(series, summaries.sums[i]!))
  histograms.series.forEach((series, i) => {
    const bounds = series.definition.buckets!
    const start = histograms.offsets[i]!
    add(series, histograms.sums[i]!, {
      bounds,
      buckets: [...histograms.buckets.subarray(start, start + bounds.length + 1)],
      count: histograms.counts[i]!,
      sum: histograms.sums[i]!
    })
  })
  return points
}
