import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ComponentReport, Telemetry } from "./Telemetry.ts"

/** Worst last: a program whose sink is away is degraded, not dead. */
const severity: ReadonlyArray<ComponentReport["status"]> = ["up", "starting", "degraded", "down"]

export interface HealthReport {
  /** The worst of the components; `"up"` when there is none. */
  readonly status: ComponentReport["status"]
  /** Whether the toolkit itself works; a dead backend does not change that. */
  readonly live: boolean
  /** Whether every backend takes what it is given, or will as soon as its buffer drains: none is `"down"`. */
  readonly ready: boolean
  readonly components: ReadonlyArray<{
    readonly name: string
    readonly status: ComponentReport["status"]
    readonly reason: string | undefined
    /** Items waiting over all signals, and the age of the oldest. */
    readonly queuedItems: number
    readonly oldestAgeMillis: number
    readonly lastError: { readonly message: string; readonly at: number } | undefined
  }>
}

/** How the backends do: what a liveness or readiness probe asks. Reads memory only, so it answers at once. */
export class Health extends Context.Service<Health, {
  readonly check: Effect.Effect<HealthReport>
}>()("@effect-observability/core/Health") {}

export const worst = (components: ReadonlyArray<{ readonly status: ComponentReport["status"] }>): ComponentReport["status"] =>
  severity[Math.max(0, ...components.map((component) => severity.indexOf(component.status)))]!

export const examine = (telemetry: Telemetry["Service"]): HealthReport => {
  const components = telemetry.reports().map(({ name, reason, signals, status }) => ({
    name,
    status,
    reason,
    queuedItems: signals.reduce((sum, signal) => sum + signal.queuedItems, 0),
    oldestAgeMillis: signals.reduce((most, signal) => Math.max(most, signal.oldestAgeMillis), 0),
    lastError: signals.map((signal) => signal.lastError).filter((error) => error !== undefined).toSorted((a, b) => b.at - a.at)[0]
  }))
  const status = worst(components)
  return { status, live: true, ready: status !== "down", components }
}
