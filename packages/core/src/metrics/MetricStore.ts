import type { MetricDefinition, MetricDefinitionError, MetricType } from "./MetricDefinition.ts"
import type { CardinalityReport } from "./internal/Firewall.ts"
import type { StoreSettings } from "./internal/Catalogue.ts"
import { Registry } from "./internal/Registry.ts"
import type { Exemplar, ExponentialState, MetricFrame, Series } from "./MetricFrame.ts"

export type { CardinalityReport } from "./internal/Firewall.ts"

/**
 * The only place that aggregates. One write per record, into typed arrays; listeners read it: Prometheus cumulative values
 * at scrape time, push backends the increase since their last frame.
 */
export interface MetricStore {
  /** Families in order of declaration; those of which nothing was recorded have no series. */
  readonly families: () => ReadonlyArray<MetricFamily>
  readonly family: (name: string) => MetricFamily | undefined
  /** Declares a metric; the same definition twice is fine. Returns what is wrong (invalid, or declared before as another type). */
  readonly declare: (definition: MetricDefinition) => MetricDefinitionError | undefined
  /** Calls back for every metric declared from now on; returns how to stop it. */
  readonly onDeclare: (listener: (family: MetricFamily) => void) => () => void
  /** A reader with its own baseline: each `take` holds exactly what happened since the one before it. */
  readonly frames: () => FrameReader
  /**
   * Ends one series: readers of frames get its last value, a later record of its labels begins a new one, which for a counter goes on where it
   * was. `false` when there is no such series.
   */
  readonly remove: (metric: MetricDefinition | string, labels?: Readonly<Record<string, string>>) => boolean
  /** Calls back before values are read (`refresh`); returns how to stop it. */
  readonly onRead: (hook: () => void) => () => void
  /** Brings up to date what is only known when somebody reads: call it before a frame is taken or values are shown. */
  readonly refresh: () => void
  /**
   * Hands over single values of some metrics as they are recorded, at most `capacity` between two `take`s. Metrics of other `types` are recorded as
   * if there were no tap.
   */
  readonly tap: (options: {
    readonly capacity: number
    readonly matches?: (definition: MetricDefinition) => boolean
    readonly types?: ReadonlyArray<MetricType>
  }) => Tap
  /** Definitions that could not be used, in words that name the metric, the field and the fix. */
  readonly problems: () => ReadonlyArray<string>
  /** What could be named better, in words that propose it: base units, `_total`, snake case. */
  readonly lints: () => ReadonlyArray<string>
  /** Records refused, by reason: `invalid_value`, `invalid_name`, `wrong_type`, `cardinality` (counted, though kept in the overflow series), …. */
  readonly refusals: () => Readonly<Record<string, number>>
  /** Metrics past their budget of label sets, each with the label that is to blame; the worst first. */
  readonly cardinality: () => ReadonlyArray<CardinalityReport>
}

export interface MetricFamily {
  readonly definition: MetricDefinition
  readonly series: ReadonlyArray<Series>
  /** Counter, up-down counter: the total; gauge: the last value. Cumulative since the start of the process. */
  readonly value: (series: Series) => number
  /** Histogram, summary: how many values, and their sum. Cumulative. */
  readonly count: (series: Series) => number
  readonly sum: (series: Series) => number
  /** Histogram: values in bucket `i` alone (`i` = number of bounds stands for +Inf). Cumulative in time, not over buckets. */
  readonly bucket: (series: Series, i: number) => number
  /** Summary: the value at quantile `q` (0 to 1) of the last `maxAge` seconds; NaN when nothing was observed in them. */
  readonly quantile: (series: Series, q: number) => number
  /** Histogram whose definition asks for it: all values in base-2 exponential buckets. Cumulative. */
  readonly exponential?: (series: Series) => ExponentialState | undefined
  /** The newest exemplar of a histogram's bucket, or of a counter (no bucket). */
  readonly exemplar: (series: Series, bucket?: number) => Exemplar | undefined
}

export interface FrameReader {
  /** Everything since the last `take`, or since the store began. Times are milliseconds since the epoch. */
  readonly take: (startTime: number, endTime: number) => MetricFrame
  /** No more frames: the store need not keep anything for it. */
  readonly close: () => void
}

export interface Tap {
  /** What was recorded since the last call, oldest first. */
  readonly take: () => ReadonlyArray<{ readonly series: Series; readonly value: number }>
  /** Values that found the tap full. */
  readonly lost: () => number
  readonly close: () => void
}

/** An empty store. `now` is wall time in milliseconds since the epoch, `monotonic` milliseconds of a clock that is never set. */
export const make = (settings: StoreSettings, now: () => number, monotonic: () => number = now): Registry =>
  new Registry(settings, now, monotonic)
