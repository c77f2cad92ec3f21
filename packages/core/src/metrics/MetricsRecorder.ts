import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { LongTask, Operation } from "./bundles.ts"
import { withLabels } from "./internal/ambient.ts"
import { bind, silentHandle } from "./internal/handles.ts"
import * as Measure from "./internal/measure.ts"
import { type PollOptions, type Reading, registerGauge } from "./internal/pullGauges.ts"
import type { Registry } from "./internal/Registry.ts"
import type { MetricDefinition } from "./MetricDefinition.ts"

/** Labels a metric wants: those of its definition, or any for a metric given by name. */
export type LabelsFor<D> = D extends string ? Readonly<Record<string, string>> : D extends { readonly "~labels": infer L } ? L : Readonly<Record<string, string>>

/** Labels that the caller gives; `outcome` and `error_type` come from how the effect ends. */
export type LabelsOfEnd<D> = D extends string ? LabelsFor<D> : Omit<LabelsFor<D>, "outcome" | "error_type">
export type EndArguments<L> = {} extends L ? [labels?: L] : [labels: L]

/** What a gauge is read as: a value, or one for each set of labels. */
export type ReadingOf<D> = {} extends LabelsFor<D> ? number | Iterable<readonly [labels: LabelsFor<D>, value: number]>
  : Iterable<readonly [labels: LabelsFor<D>, value: number]>

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
 * @example
 * ```ts
 * const Charges = MetricDefinition.histogram("charge_seconds", { help: "Time to charge a card", unit: "seconds" })
 *
 * const program = Effect.gen(function*() {
 *   const metrics = yield* MetricsRecorder
 *   yield* metrics.incrementCounter(OrdersPlaced, 1, { channel: "web" })
 *   yield* metrics.timed(Charges, charge(order))
 *   yield* metrics.observe(Checkout, charge(order), { channel: "web" })
 * }).pipe(MetricsRecorder.withLabels({ tenant: "acme" }))
 * ```
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
  /** Observes how long an effect ran, in seconds, however it ends; the clock is Effect's. */
  readonly timed: <const D extends HistogramLike | SummaryLike, A, E, R>(
    metric: D,
    self: Effect.Effect<A, E, R>,
    ...rest: EndArguments<LabelsFor<D>>
  ) => Effect.Effect<A, E, R>
  /** Counts every end of an effect; labels `outcome` and `error_type` are filled where the metric declares them. */
  readonly counted: <const D extends CounterLike, A, E, R>(
    metric: D,
    self: Effect.Effect<A, E, R>,
    ...rest: EndArguments<LabelsOfEnd<D>>
  ) => Effect.Effect<A, E, R>
  /** Duration, outcome and span of an effect from one call; see `MetricDefinition.operation`. */
  readonly observe: <O extends Operation<any>, A, E, R>(
    operation: O,
    self: Effect.Effect<A, E, R>,
    ...rest: EndArguments<LabelsFor<O["duration"]>>
  ) => Effect.Effect<A, E, R>
  /** Shows an effect among those that are running, until it ends; see `MetricDefinition.longTask`. */
  readonly longTask: <T extends LongTask<any>, A, E, R>(
    task: T,
    self: Effect.Effect<A, E, R>,
    ...rest: EndArguments<LabelsFor<T["active"]>>
  ) => Effect.Effect<A, E, R>
  /**
   * Sets a gauge to what `read` gives: a function is called whenever values are read (a frame, a page), an Effect is run in the background
   * every `every` (15 seconds). A read that throws, fails or takes longer than `timeout` is counted as `read_failed` and leaves the last
   * value. Reading stops with the scope.
   */
  readonly registerGauge: <const D extends MetricDefinition.Gauge<any>, R = never>(
    metric: D,
    read: (() => ReadingOf<D>) | Effect.Effect<ReadingOf<D>, unknown, R>,
    options?: PollOptions
  ) => Effect.Effect<void, never, Scope.Scope | R>
}>()("@effect-observability/core/MetricsRecorder") {
  /**
   * Gives labels to all that is recorded inside: a label that a metric declares and a call leaves out takes its value from the innermost
   * region, then from `metrics.defaultLabels`. Nothing is added that a metric does not declare.
   */
  static readonly withLabels: (labels: Readonly<Record<string, string>>) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = withLabels
}

type Labels = Readonly<Record<string, string>>
type Metric = MetricDefinition | string

type WithSpan = (name: string) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
const withoutSpan: WithSpan = () => (self) => self

/** The recorder of a store: one synchronous write per call, wrapped in one `Effect.sync`. */
export const make = (registry: Registry, withSpan: WithSpan = withoutSpan): MetricsRecorder["Service"] => {
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
    remove: (metric: Metric, labels?: Labels) => Effect.sync(() => registry.remove(metric, labels)),
    registerGauge: <R>(metric: MetricDefinition, read: (() => Reading) | Effect.Effect<Reading, unknown, R>, options?: PollOptions) =>
      registerGauge(registry, metric, read, options),
    ...Measure.make(registry, withSpan)
  }
  // The generic signatures of the service check labels at compile time; at run time all metrics look alike.
  return recorder as unknown as MetricsRecorder["Service"]
}

/** Records nothing: what a program gets when metrics are switched off. Spans have a switch of their own. */
export const silent = (withSpan: WithSpan): MetricsRecorder["Service"] => {
  const nothing = () => Effect.void
  const nothingUnsafe = () => {}
  const unchanged = (_: unknown, self: Effect.Effect<unknown>) => self
  return {
    incrementCounter: nothing,
    setGauge: nothing,
    observeHistogram: nothing,
    observeSummary: nothing,
    incrementCounterUnsafe: nothingUnsafe,
    setGaugeUnsafe: nothingUnsafe,
    observeHistogramUnsafe: nothingUnsafe,
    observeSummaryUnsafe: nothingUnsafe,
    bind: () => silentHandle,
    remove: () => Effect.succeed(false),
    timed: unchanged,
    counted: unchanged,
    observe: ({ name }: Operation<unknown>, self: Effect.Effect<unknown>) => withSpan(name)(self),
    longTask: unchanged,
    registerGauge: nothing
  } as unknown as MetricsRecorder["Service"]
}

/** Records nothing at all. */
export const noop: MetricsRecorder["Service"] = silent(withoutSpan)
