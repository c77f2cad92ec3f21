import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { MetricDefinition } from "./MetricDefinition.ts"

/** Labels a metric wants: those of its definition, or any for a metric given by name. */
export type LabelsFor<D> = D extends string ? Readonly<Record<string, string>> : D extends { readonly "~labels": infer L } ? L : Readonly<Record<string, string>>

/** `(value?, labels?)` when the metric has no labels, `(value, labels)` when it has. */
export type CountArguments<D> = {} extends LabelsFor<D> ? [value?: number, labels?: LabelsFor<D>] : [value: number, labels: LabelsFor<D>]
export type ValueArguments<D> = {} extends LabelsFor<D> ? [value: number, labels?: LabelsFor<D>] : [value: number, labels: LabelsFor<D>]

type CounterLike = MetricDefinition.Counter<any> | MetricDefinition.UpDownCounter<any> | string
type GaugeLike = MetricDefinition.Gauge<any> | string
type HistogramLike = MetricDefinition.Histogram<any> | string
type SummaryLike = MetricDefinition.Summary<any> | string

/** A series found once; each call is one write. */
export interface CounterHandle {
  readonly increment: (value?: number) => Effect.Effect<void>
  readonly incrementUnsafe: (value?: number) => void
}
export interface GaugeHandle {
  readonly set: (value: number) => Effect.Effect<void>
  readonly setUnsafe: (value: number) => void
}
export interface ObserverHandle {
  readonly observe: (value: number) => Effect.Effect<void>
  readonly observeUnsafe: (value: number) => void
}
export type HandleFor<D> = D extends MetricDefinition.Gauge<any> ? GaugeHandle
  : D extends MetricDefinition.Histogram<any> | MetricDefinition.Summary<any> ? ObserverHandle
  : CounterHandle

/**
 * Records metrics. No call fails, waits or throws: what cannot be recorded is counted with its reason. The `…Unsafe` forms are
 * the same calls for code outside Effect.
 *
 * A missing label is recorded as absent (empty), an unknown label is left out: the total stays right and the slip is counted.
 * A name that was never declared is declared by its first use, with the labels of that call.
 */
export class MetricsRecorder extends Context.Service<MetricsRecorder, {
  readonly incrementCounter: <const D extends CounterLike>(metric: D, ...rest: CountArguments<D>) => Effect.Effect<void>
  readonly setGauge: <const D extends GaugeLike>(metric: D, ...rest: ValueArguments<D>) => Effect.Effect<void>
  readonly observeHistogram: <const D extends HistogramLike>(metric: D, ...rest: ValueArguments<D>) => Effect.Effect<void>
  readonly observeSummary: <const D extends SummaryLike>(metric: D, ...rest: ValueArguments<D>) => Effect.Effect<void>
  readonly incrementCounterUnsafe: <const D extends CounterLike>(metric: D, ...rest: CountArguments<D>) => void
  readonly setGaugeUnsafe: <const D extends GaugeLike>(metric: D, ...rest: ValueArguments<D>) => void
  readonly observeHistogramUnsafe: <const D extends HistogramLike>(metric: D, ...rest: ValueArguments<D>) => void
  readonly observeSummaryUnsafe: <const D extends SummaryLike>(metric: D, ...rest: ValueArguments<D>) => void
  readonly bind: <const D extends MetricDefinition>(metric: D, ...rest: {} extends LabelsFor<D> ? [labels?: LabelsFor<D>] : [labels: LabelsFor<D>]) => HandleFor<D>
}>()("@effect-observability/core/MetricsRecorder") {}
