import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { selecting } from "../hub/internal/selecting.ts"
import type { ErrorData } from "../errors/ErrorData.ts"
import { type CompositionError, type Signal, type SpanSelection, Telemetry } from "../hub/Telemetry.ts"
import type { LogData } from "../logs/LogData.ts"
import type { MetricDefinition } from "../metrics/MetricDefinition.ts"
import type { Series } from "../metrics/MetricFrame.ts"
import type { MetricFamily } from "../metrics/MetricStore.ts"
import type { Ledger } from "../pipe/Ledger.ts"
import type { SpanData } from "../tracing/SpanData.ts"
import { Shelf } from "./internal/Shelf.ts"

type Metric = MetricDefinition | string
type Labels = Readonly<Record<string, string>>

export interface SummaryValue {
  readonly count: number
  readonly sum: number
  /** One per objective of the metric, ascending by quantile. */
  readonly quantiles: ReadonlyArray<{ readonly quantile: number; readonly value: number }>
}

export interface MemoryOptions extends SpanSelection {
  /** Default `"memory"`. */
  readonly name?: string
  /** Most single values kept; later ones are lost and counted. Default 100,000. */
  readonly maxValues?: number
  /** Most spans kept; the oldest give way and are counted. Default 10,000. */
  readonly maxSpans?: number
  /** Most errors kept; the oldest give way and are counted. Default 1,000. */
  readonly maxErrors?: number
  /** Most log lines kept; the oldest give way and are counted. Default 10,000. */
  readonly maxLogs?: number
}

/**
 * What was recorded, held in memory: for tests and development. A query names a metric and any part of its labels; series that carry
 * all of them are meant.
 */
export class MemoryBackend extends Context.Service<MemoryBackend, {
  /** Sum over the series meant; 0 when there is none. */
  readonly getCounterValue: (metric: Metric, labels?: Labels) => Effect.Effect<number>
  /** The value of the series meant, of the youngest when there are several; `undefined` when there is none. */
  readonly getGaugeValue: (metric: Metric, labels?: Labels) => Effect.Effect<number | undefined>
  /** Every value observed since the start or the last `clear`, in order. */
  readonly getHistogramValues: (metric: Metric, labels?: Labels) => Effect.Effect<ReadonlyArray<number>>
  readonly getSummaryValue: (metric: Metric, labels?: Labels) => Effect.Effect<SummaryValue>
  /** Ended spans in the order in which they ended. */
  readonly spans: Effect.Effect<ReadonlyArray<SpanData>>
  /** Reported errors in the order in which they were reported. */
  readonly errors: Effect.Effect<ReadonlyArray<ErrorData>>
  /** Log lines in the order in which they were logged. */
  readonly logs: Effect.Effect<ReadonlyArray<LogData>>
  /** What found no room. */
  readonly lost: Effect.Effect<{ readonly values: number; readonly spans: number; readonly errors: number; readonly logs: number }>
  /** Forgets everything: counters count from 0 again, gauges, spans, errors and log lines are gone. */
  readonly clear: Effect.Effect<void>
  /** The series of a metric with their values, for messages. */
  readonly describe: (metric: Metric) => Effect.Effect<ReadonlyArray<{ readonly labels: Labels; readonly value: number }>>
}>()("@effect-observability/core/MemoryBackend") {}

/** The memory backend on a hub that is there; `layer` brings it along. */
export const layerBackend = (options: MemoryOptions = {}): Layer.Layer<MemoryBackend, CompositionError, Telemetry> =>
  Layer.effect(
    MemoryBackend,
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const { maxErrors = 1_000, maxLogs = 10_000, maxSpans = 10_000, maxValues = 100_000, name = "memory" } = options
      const { store } = telemetry
      const spans = new Shelf<SpanData>(maxSpans)
      const errors = new Shelf<ErrorData>(maxErrors)
      const logs = new Shelf<LogData>(maxLogs)
      let values: Array<{ readonly series: Series; readonly value: number }> = []
      let droppedValues = 0
      /** What counters showed at the last `clear`. */
      const baseline = new Map<Series, { readonly value: number; readonly count: number; readonly sum: number }>()
      /** Gauges forgotten by `clear` until they are set again. */
      const forgotten = new Map<Series, number>()

      const tap = yield* Effect.acquireRelease(
        Effect.sync(() => store.tap({ capacity: maxValues, matches: (definition) => definition.type === "histogram" || definition.type === "gauge" })),
        (open) => Effect.sync(() => open.close())
      )
      const collect = () => {
        for (const one of tap.take()) {
          forgotten.delete(one.series)
          if (one.series.definition.type === "gauge") continue
          if (values.length < maxValues) values.push(one)
          else droppedValues++
        }
      }

      const meant = (metric: Metric, labels: Labels | undefined): { readonly family: MetricFamily | undefined; readonly series: ReadonlyArray<Series> } => {
        store.refresh()
        const family = store.family(typeof metric === "string" ? metric : metric.name)
        return { family, series: family === undefined ? [] : family.series.filter((series) => carries(series, labels)) }
      }

      const onSpan = selecting({
        offerUnsafe: (span) => spans.put(span),
        refuseUnsafe: (count, reason) => spans.ledger.reject(count, reason)
      }, options)

      yield* telemetry.register({
        name,
        kind: "memory",
        onSpan,
        onError: (error) => errors.put(error),
        onLog: (line) => logs.put(line),
        report: () => ({
          name,
          kind: "memory",
          status: "up",
          reason: undefined,
          signals: [report("spans", spans), report("errors", errors), report("logs", logs)]
        })
      })

      return MemoryBackend.of({
        getCounterValue: (metric, labels) =>
          Effect.sync(() => {
            const { family, series } = meant(metric, labels)
            return series.reduce((sum, one) => sum + family!.value(one) - (baseline.get(one)?.value ?? 0), 0)
          }),
        getGaugeValue: (metric, labels) =>
          Effect.sync(() => {
            collect()
            const { family, series } = meant(metric, labels)
            const latest = series.findLast((one) => !forgotten.has(one))
            return latest === undefined ? undefined : family!.value(latest)
          }),
        getHistogramValues: (metric, labels) =>
          Effect.sync(() => {
            collect()
            const { series } = meant(metric, labels)
            const wanted = new Set(series)
            return values.filter((one) => wanted.has(one.series)).map((one) => one.value)
          }),
        getSummaryValue: (metric, labels) =>
          Effect.sync(() => {
            const { family, series } = meant(metric, labels)
            const count = series.reduce((sum, one) => sum + family!.count(one) - (baseline.get(one)?.count ?? 0), 0)
            const sum = series.reduce((total, one) => total + family!.sum(one) - (baseline.get(one)?.sum ?? 0), 0)
            const [first] = series
            const quantiles = first === undefined
              ? []
              : Object.keys(first.definition.objectives ?? {}).map(Number).sort((a, b) => a - b)
                .map((quantile) => ({ quantile, value: family!.quantile(first, quantile) }))
            return { count, sum, quantiles }
          }),
        spans: Effect.sync(() => spans.items),
        errors: Effect.sync(() => errors.items),
        logs: Effect.sync(() => logs.items),
        lost: Effect.sync(() => ({ values: droppedValues + tap.lost(), spans: spans.lost, errors: errors.lost, logs: logs.lost })),
        clear: Effect.sync(() => {
          collect()
          values = []
          for (const shelf of [spans, errors, logs]) shelf.clear()
          for (const family of store.families()) {
            for (const one of family.series) {
              const { type } = family.definition
              if (type === "gauge") forgotten.set(one, family.value(one))
              else if (type === "histogram" || type === "summary") baseline.set(one, { value: 0, count: family.count(one), sum: family.sum(one) })
              else baseline.set(one, { value: family.value(one), count: 0, sum: 0 })
            }
          }
        }),
        describe: (metric) =>
          Effect.sync(() => {
            const { family, series } = meant(metric, undefined)
            return series.map((one) => ({
              labels: labelsOf(one),
              value: family!.definition.type === "histogram" || family!.definition.type === "summary"
                ? family!.count(one) - (baseline.get(one)?.count ?? 0)
                : family!.value(one) - (baseline.get(one)?.value ?? 0)
            }))
          })
      })
    })
  )

/** Keeps everything in memory, for tests and development; with the hub. */
export const layer = (options: MemoryOptions = {}): Layer.Layer<MemoryBackend | Layer.Success<typeof Telemetry.layer>, CompositionError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))

const report = (signal: Signal, { ledger }: { readonly ledger: Ledger }) => ({
  signal,
  ledger: ledger.snapshot(),
  queuedItems: 0,
  queuedBytes: 0,
  oldestAgeMillis: 0,
  lastError: undefined
})

const carries = (series: Series, labels: Labels | undefined): boolean => {
  if (labels === undefined) return true
  const names = series.definition.labelNames
  return Object.keys(labels).every((key) => {
    const at = names.indexOf(key)
    return (at < 0 ? "" : series.labelValues[at]) === labels[key]
  })
}

/** The labels of a series that are present. */
export const labelsOf = (series: Series): Labels =>
  Object.fromEntries(series.definition.labelNames.map((name, i) => [name, series.labelValues[i]!]).filter(([, value]) => value !== ""))
