import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** What the agent says about itself with every answer. */
export class DatadogAgent extends Context.Service<DatadogAgent, {
  /** Shares of traces that the agent would like to get (`rate_by_service`), by `service:NAME,env:NAME`; empty before its first answer. */
  readonly rates: Effect.Effect<ReadonlyMap<string, number>>
  /** The share for this program's service and env, 0 to 1; 1 before the first answer. */
  readonly rate: Effect.Effect<number>
}>()("@effect-observability/datadog/DatadogAgent") {}
