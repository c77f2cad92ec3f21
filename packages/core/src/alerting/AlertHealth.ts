import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ConfigurationError } from "../config/ObservabilityConfig.ts"
import { Health, type HealthAnswer } from "../hub/Health.ts"
import type { CompositionError } from "../hub/Telemetry.ts"
import { Alerts } from "./Alerts.ts"

/**
 * Service levels as health: a component of the group `slo` for each rule (burn rates, usually). It is degraded while the rule fires, with the
 * summary as its reason; the program stays ready, since to take it out of traffic would not win the budget back.
 *
 * @example
 * ```ts
 * const Observability = AlertHealth.layer(["HttpErrorBudgetBurn"]).pipe(Layer.provideMerge(Alerts.layer({ rules })))
 * ```
 */
export const layer = (rules: ReadonlyArray<string>): Layer.Layer<never, CompositionError | ConfigurationError, Alerts | Health> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const alerts = yield* Alerts
    const health = yield* Health
    yield* Effect.forEach(new Set(rules), (rule) =>
      health.register(
        { name: `slo-${rule}`, group: "slo", for: "report", cacheFor: 0 },
        Effect.map(alerts.list, (list): HealthAnswer => {
          const firing = list.find(({ alertname, state }) => alertname === rule && state === "firing")
          return firing === undefined
            ? { status: "up" }
            : { status: "degraded", reason: `${firing.summary === "" ? rule : firing.summary} (since ${new Date(firing.firedAt ?? firing.activeAt).toISOString()})` }
        })
      ), { discard: true })
  }))
