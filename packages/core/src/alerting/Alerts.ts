import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import { type CompositionError, Telemetry } from "../hub/Telemetry.ts"
import type { MetricsRecorder } from "../metrics/MetricsRecorder.ts"
import type { AlertEvent, AlertStatus } from "./Alert.ts"
import type { AlertRule, AlertRuleError } from "./AlertRule.ts"
import type { AlertSink } from "./AlertSink.ts"
import type { AnomalyRule } from "./AnomalyRule.ts"
import { make } from "./internal/live.ts"
import type { Silence, SilenceError, SilenceInput } from "./Silence.ts"

export interface AlertsOptions {
  /** Made with `AlertRule.make`. One of the name of a definition's rule replaces it. Default none. */
  readonly rules?: ReadonlyArray<AlertRule>
  /** Whether every definition's `alertThreshold` is a rule too. Default `true`. */
  readonly thresholds?: boolean
  /** Metrics that are watched for what is unusual; made with `AnomalyRule.make`. Default none. */
  readonly anomalies?: ReadonlyArray<AnomalyRule>
  /** Where people are told. Default: the log. */
  readonly sinks?: ReadonlyArray<AlertSink>
  /** How often rules are evaluated. Default 15 seconds. */
  readonly interval?: Duration.Input
  /** Least time between two notifications of one rule to one sink. Default 1 minute. */
  readonly groupInterval?: Duration.Input
  /** What goes on firing is told again after this time. Default 4 hours. */
  readonly repeatInterval?: Duration.Input
  /** Most groups of labels of one rule; series of more are not watched and counted (`obs_alerts_overflow_total`). Default 1,000. */
  readonly maxGroups?: number
}

/**
 * The alerts of a program: rules are evaluated in it, and people are told.
 *
 * @example
 * ```ts
 * const QueueDeep = AlertRule.make({ name: "QueueDeep", metric: "queue_depth", last: true, above: 1_000, for: "2 minutes" })
 * const Observability = Alerts.layer({ rules: [QueueDeep], sinks: [AlertSinks.log(), AlertSinks.webhook({ url })] }).pipe(
 *   Layer.provideMerge(Postgres.layer())
 * )
 * ```
 */
export class Alerts extends Context.Service<Alerts, {
  /** What is pending or fires at the moment; reads memory only. */
  readonly list: Effect.Effect<ReadonlyArray<AlertStatus>>
  /** Nobody is told about alerts with these labels until it ends. At most 1,000 at a time. */
  readonly silence: (input: SilenceInput) => Effect.Effect<Silence, SilenceError>
  /** Ends a silence early; `false` when there is none of this id. */
  readonly unsilence: (id: string) => Effect.Effect<boolean>
  readonly silences: Effect.Effect<ReadonlyArray<Silence>>
  /** Every alert that begins or ends from now on. Who is slower than 1,000 events misses the oldest. */
  readonly changes: Stream.Stream<AlertEvent>
  /** Other rules from the next evaluation on; those that stay the same keep their state. */
  readonly setRules: (rules: ReadonlyArray<AlertRule>) => Effect.Effect<void, AlertRuleError>
}>()("@effect-observability/core/Alerts") {
  /** The alerts on a hub that is there. */
  static readonly layerBackend = (options: AlertsOptions = {}): Layer.Layer<Alerts, AlertRuleError | CompositionError, Telemetry | MetricsRecorder> =>
    Layer.effect(Alerts, make(options))

  /**
   * As `layerBackend`, with `alerting.rules` of the settings as they are in force: rules that stay the same keep their state through a reload. `rules` of
   * the options are not looked at.
   */
  static readonly layerSettings = (options: Omit<AlertsOptions, "rules"> = {}): Layer.Layer<Alerts, AlertRuleError | CompositionError, Telemetry | MetricsRecorder> =>
    Layer.effect(Alerts, make(options, true))

  /** `layerBackend` with the hub. Backends side by side share it. */
  static readonly layer = (
    options: AlertsOptions = {}
  ): Layer.Layer<Alerts | Layer.Success<typeof Telemetry.layer>, AlertRuleError | CompositionError> =>
    Alerts.layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))
}
