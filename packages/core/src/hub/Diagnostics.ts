import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AlertStatus } from "../alerting/Alert.ts"
import type { CardinalityReport, MetricFamily } from "../metrics/MetricStore.ts"
import type { CapacityReport } from "./Capacity.ts"
import type { ConfigurationState } from "./Reload.ts"
import { worst } from "./Health.ts"
import { imbalances } from "./internal/HealthChecks.ts"
import type { SamplingReport } from "../tracing/ObservabilityTracer.ts"
import type { UpkeepReport } from "./Upkeep.ts"
import { shownSettings } from "./internal/shownSettings.ts"
import type { ComponentReport, LoadReport, OpenSpans, QueueReport, RemovedBooks, ServiceResource, Telemetry } from "./Telemetry.ts"

/** Everything an operator asks first: is it healthy, what waits where, what was lost or sampled out and why. */
export interface DiagnosticsReport {
  /** The worst of the components; `"up"` when there is none. */
  readonly status: ComponentReport["status"]
  readonly resource: ServiceResource
  readonly components: ReadonlyArray<ComponentReport>
  /** The books of backends and signals that were taken out. */
  readonly removed: ReadonlyArray<RemovedBooks>
  readonly metrics: {
    readonly series: number
    /** Records refused or repaired, by reason. */
    readonly refusals: Readonly<Record<string, number>>
    /** Definitions that could not be used: what is recorded into them is refused. */
    readonly problems: ReadonlyArray<string>
    /** Metrics past their budget of label sets: which label is to blame, and its most frequent values. */
    readonly cardinality: ReadonlyArray<CardinalityReport>
    /** Definitions that could be named better, with the better name. */
    readonly lint: ReadonlyArray<string>
    /** The ten metrics with the most series, and the label of each that has the most different values. */
    readonly topBySeries: ReadonlyArray<TopMetric>
    /** The ten with the most records: a counter's total, a histogram's or summary's observations; gauges do not tell. */
    readonly topByRecords: ReadonlyArray<TopMetric>
  }
  /** Which settings are in force, since when, and why newer ones are not. */
  readonly configuration: ConfigurationState
  /** The configuration in force, without secrets. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly queues: ReadonlyArray<QueueReport>
  /** Of each store that says so: how fast it grows, and when its disk is full. */
  readonly capacity: ReadonlyArray<CapacityReport & { readonly backend: string }>
  /** What stores do by themselves about a disk that fills; empty where that is off. */
  readonly upkeep: ReadonlyArray<UpkeepReport & { readonly backend: string }>
  /** What `LoadControl` says; `null` without it. */
  readonly load: LoadReport | null
  readonly sampling: SamplingReport
  /** Spans that have begun and not ended: one that is forgotten shows as an old oldest. */
  readonly openSpans: OpenSpans
  /** Alerts that are pending or fire, with why nobody is told. */
  readonly alerts: ReadonlyArray<AlertStatus>
  /** Books that do not balance; always empty unless there is a bug in this toolkit. */
  readonly imbalances: ReadonlyArray<string>
}

export interface TopMetric {
  readonly metric: string
  readonly series: number
  /** 0 for gauges. */
  readonly records: number
  /** `undefined` for a metric without labels. */
  readonly widestLabel: { readonly label: string; readonly values: number } | undefined
}

/** The state of the toolkit, read at the moment of the call. */
export class Diagnostics extends Context.Service<Diagnostics, {
  readonly report: Effect.Effect<DiagnosticsReport>
}>()("@effect-observability/core/Diagnostics") {}

export const diagnose = (telemetry: Telemetry["Service"]): DiagnosticsReport => {
  const components = telemetry.reports()
  const families = telemetry.store.families()
  const sizes = families.map((family) => ({ family, series: family.series.length, records: recordsOf(family) })).filter(({ series }) => series > 0)
  const top = (by: "series" | "records") =>
    sizes.filter((one) => one[by] > 0).toSorted((a, b) => b[by] - a[by]).slice(0, shown)
      .map(({ family, records, series }): TopMetric => ({ metric: family.definition.name, series, records, widestLabel: widestLabel(family) }))
  const series = sizes.reduce((sum, one) => sum + one.series, 0)
  return {
    status: worst(components),
    resource: telemetry.resource,
    components,
    removed: telemetry.removed(),
    metrics: {
      series,
      refusals: telemetry.store.refusals(),
      problems: telemetry.store.problems(),
      lint: telemetry.store.lints(),
      cardinality: telemetry.store.cardinality(),
      topBySeries: top("series"),
      topByRecords: top("records")
    },
    configuration: telemetry.configuration(),
    settings: shownSettings(telemetry.settings()),
    queues: telemetry.queues(),
    capacity: telemetry.capacity(),
    upkeep: telemetry.upkeep(),
    load: telemetry.load() ?? null,
    sampling: telemetry.sampling(),
    openSpans: telemetry.openSpans(),
    alerts: telemetry.alerts(),
    imbalances: imbalances(components)
  }
}

const shown = 10

const recordsOf = (family: MetricFamily): number => {
  const { type } = family.definition
  if (type === "gauge" || type === "upDownCounter") return 0
  let sum = 0
  for (const one of family.series) sum += type === "counter" ? family.value(one) : family.count(one)
  return sum
}

/** Series that are looked at: half a millisecond for each label. */
const looked = 10_000

const widestLabel = ({ definition: { labelNames }, series }: MetricFamily): TopMetric["widestLabel"] => {
  let widest: TopMetric["widestLabel"]
  labelNames.forEach((label, i) => {
    const values = new Set<string>()
    for (let at = 0; at < series.length && at < looked; at++) values.add(series[at]!.labelValues[i]!)
    if (widest === undefined || values.size > widest.values) widest = { label, values: values.size }
  })
  return widest
}
