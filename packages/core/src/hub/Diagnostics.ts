import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AlertStatus } from "../alerting/Alert.ts"
import type { CardinalityReport } from "../metrics/MetricStore.ts"
import type { ConfigurationState } from "./Reload.ts"
import { worst } from "./Health.ts"
import { imbalances } from "./internal/HealthChecks.ts"
import type { SamplingReport } from "../tracing/ObservabilityTracer.ts"
import type { ComponentReport, OpenSpans, ServiceResource, Telemetry } from "./Telemetry.ts"

/** Everything an operator asks first: is it healthy, what waits where, what was lost or sampled out and why. */
export interface DiagnosticsReport {
  /** The worst of the components; `"up"` when there is none. */
  readonly status: ComponentReport["status"]
  readonly resource: ServiceResource
  readonly components: ReadonlyArray<ComponentReport>
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
  }
  /** Which settings are in force, since when, and why newer ones are not. */
  readonly configuration: ConfigurationState
  readonly sampling: SamplingReport
  /** Spans that have begun and not ended: one that is forgotten shows as an old oldest. */
  readonly openSpans: OpenSpans
  /** Alerts that are pending or fire, with why nobody is told. */
  readonly alerts: ReadonlyArray<AlertStatus>
  /** Books that do not balance; always empty unless there is a bug in this toolkit. */
  readonly imbalances: ReadonlyArray<string>
}

/** The state of the toolkit, read at the moment of the call. */
export class Diagnostics extends Context.Service<Diagnostics, {
  readonly report: Effect.Effect<DiagnosticsReport>
}>()("@effect-observability/core/Diagnostics") {}

export const diagnose = (telemetry: Telemetry["Service"]): DiagnosticsReport => {
  const components = telemetry.reports()
  let series = 0
  for (const family of telemetry.store.families()) series += family.series.length
  return {
    status: worst(components),
    resource: telemetry.resource,
    components,
    metrics: {
      series,
      refusals: telemetry.store.refusals(),
      problems: telemetry.store.problems(),
      lint: telemetry.store.lints(),
      cardinality: telemetry.store.cardinality()
    },
    configuration: telemetry.configuration(),
    sampling: telemetry.sampling(),
    openSpans: telemetry.openSpans(),
    alerts: telemetry.alerts(),
    imbalances: imbalances(components)
  }
}
