import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { MetricDefinition } from "./MetricDefinition.ts"
import type { Family } from "./internal/Family.ts"
import type { Registry } from "./internal/Registry.ts"
import type { Slot } from "./internal/Slot.ts"

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
  /**
   * Ends one series, such as that of a tenant who left: backends get its last value. A later record of these labels begins a new one, which
   * for a counter goes on where it was. `false` when there is no such series.
   */
  readonly remove: <const D extends MetricDefinition | string>(
    metric: D,
    ...rest: {} extends LabelsFor<D> ? [labels?: LabelsFor<D>] : [labels: LabelsFor<D>]
  ) => Effect.Effect<boolean>
}>()("@effect-observability/core/MetricsRecorder") {}

type Labels = Readonly<Record<string, string>>
type Metric = MetricDefinition | string

/** The recorder of a store: one synchronous write per call, wrapped in one `Effect.sync`. */
export const make = (registry: Registry): MetricsRecorder["Service"] => {
  const incrementCounterUnsafe = (metric: Metric, value?: number, labels?: Labels): void =>
    registry.increment(metric, value === undefined ? 1 : value, labels)
  const setGaugeUnsafe = (metric: Metric, value: number, labels?: Labels): void => registry.setGauge(metric, value, labels)
  const observeHistogramUnsafe = (metric: Metric, value: number, labels?: Labels): void =>
    registry.observe(metric, "histogram", value, labels)
  const observeSummaryUnsafe = (metric: Metric, value: number, labels?: Labels): void =>
    registry.observe(metric, "summary", value, labels)
  const recorder = {
    incrementCounter: (metric: Metric, value?: number, labels?: Labels) =>
      Effect.sync(() => registry.increment(metric, value === undefined ? 1 : value, labels)),
    setGauge: (metric: Metric, value: number, labels?: Labels) => Effect.sync(() => registry.setGauge(metric, value, labels)),
    observeHistogram: (metric: Metric, value: number, labels?: Labels) =>
      Effect.sync(() => registry.observe(metric, "histogram", value, labels)),
    observeSummary: (metric: Metric, value: number, labels?: Labels) =>
      Effect.sync(() => registry.observe(metric, "summary", value, labels)),
    incrementCounterUnsafe,
    setGaugeUnsafe,
    observeHistogramUnsafe,
    observeSummaryUnsafe,
    bind: (metric: MetricDefinition, labels?: Labels) => bind(registry, metric, labels),
    remove: (metric: Metric, labels?: Labels) => Effect.sync(() => registry.remove(metric, labels))
  }
  // The generic signatures of the service check labels at compile time; at run time all metrics look alike.
  return recorder as unknown as MetricsRecorder["Service"]
}

/** Records nothing: what a program gets when observability is switched off. */
export const noop: MetricsRecorder["Service"] = (() => {
  const nothing = () => Effect.void
  const nothingUnsafe = () => {}
  const handle = {
    increment: nothing,
    incrementUnsafe: nothingUnsafe,
    set: nothing,
    setUnsafe: nothingUnsafe,
    observe: nothing,
    observeUnsafe: nothingUnsafe
  }
  return {
    incrementCounter: nothing,
    setGauge: nothing,
    observeHistogram: nothing,
    observeSummary: nothing,
    incrementCounterUnsafe: nothingUnsafe,
    setGaugeUnsafe: nothingUnsafe,
    observeHistogramUnsafe: nothingUnsafe,
    observeSummaryUnsafe: nothingUnsafe,
    bind: () => handle,
    remove: () => Effect.succeed(false)
  } as unknown as MetricsRecorder["Service"]
})()

const bind = (registry: Registry, metric: MetricDefinition, labels: Labels | undefined) => {
  const type = metric instanceof MetricDefinition ? metric.type : "counter"
  const family = registry.resolve(metric, type, labels)
  if (family === undefined) return noop.bind(metric, ...([] as unknown as [any]))
  const series = family.find(labels)
  switch (type) {
    case "gauge":
      return new Gauge(registry, family, series)
    case "histogram":
    case "summary":
      return new Observer(registry, family, series)
    default:
      return new Counter(registry, family, series)
  }
}

abstract class Handle {
  protected readonly registry: Registry
  protected readonly family: Family
  private held: Slot

  constructor(registry: Registry, family: Family, series: Slot) {
    this.registry = registry
    this.family = family
    this.held = series
  }

  /** The series; another one when it was retired in the meantime. */
  protected get series(): Slot {
    return this.held.index >= 0 ? this.held : this.held = this.family.current(this.held)
  }
}

class Counter extends Handle implements CounterHandle {
  private readonly one = Effect.sync(() => this.incrementUnsafe(1))

  increment(value?: number): Effect.Effect<void> {
    return value === undefined ? this.one : Effect.sync(() => this.incrementUnsafe(value))
  }

  incrementUnsafe(value = 1): void {
    this.registry.add(this.family, this.series, value)
  }
}

class Gauge extends Handle implements GaugeHandle {
  set(value: number): Effect.Effect<void> {
    return Effect.sync(() => this.setUnsafe(value))
  }

  setUnsafe(value: number): void {
    this.registry.set(this.family, this.series, value)
  }
}

class Observer extends Handle implements ObserverHandle {
  observe(value: number): Effect.Effect<void> {
    return Effect.sync(() => this.observeUnsafe(value))
  }

  observeUnsafe(value: number): void {
    this.registry.observeIn(this.family, this.series, value)
  }
}
