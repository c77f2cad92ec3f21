import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ConfigurationError } from "../config/ObservabilityConfig.ts"
import type { ComponentReport, CompositionError } from "./Telemetry.ts"

export type HealthStatus = ComponentReport["status"]

/** Worst last: a program whose sink is away is degraded, not dead. */
const severity: ReadonlyArray<HealthStatus> = ["up", "starting", "degraded", "down"]

export interface ComponentHealth {
  readonly name: string
  /**
   * `"backends"` for backends, `"storage"` for the database and disk under one, `"config"` for settings that could not be used, `"toolkit"` for the
   * toolkit's own books, otherwise what the check says.
   */
  readonly group: string
  readonly status: HealthStatus
  /** One line for people: why it is not up. */
  readonly reason: string | undefined
  /** Items waiting over all signals, and the age of the oldest; 0 for a check of the program. */
  readonly queuedItems: number
  readonly oldestAgeMillis: number
  readonly lastError: { readonly message: string; readonly at: number } | undefined
  /** When it was looked at, milliseconds since the epoch. */
  readonly checkedAt: number
}

/** What a backend says of something it stands on: its database, its disk. */
export interface HealthPart extends Pick<ComponentHealth, "name" | "reason" | "lastError"> {
  readonly group: "storage"
  /** Never `"down"`: what that means is said by the backend itself. */
  readonly status: "up" | "starting" | "degraded"
}

export interface GroupHealth {
  /** The worst of its components. */
  readonly status: HealthStatus
  readonly ready: boolean
}

export interface HealthReport {
  /** The worst of the components; `"up"` when there is none. */
  readonly status: HealthStatus
  /** `false` only when a check that was registered for liveness is down: a dead backend is no reason to kill the program. */
  readonly live: boolean
  /** Whether traffic may come: no backend and no check for readiness is `"down"`. One that is degraded still works. */
  readonly ready: boolean
  readonly groups: Readonly<Record<string, GroupHealth>>
  readonly components: ReadonlyArray<ComponentHealth>
}

/** What a check found. Success without a value is `"up"`. */
export interface HealthAnswer {
  readonly status: "up" | "degraded" | "down"
  readonly reason?: string | undefined
}

export interface HealthCheckOptions {
  /** Unique among backends and checks. */
  readonly name: string
  /** Default `"app"`. */
  readonly group?: string
  /** What `"down"` means: traffic stays away (`"readiness"`, the default), the process is to be started anew (`"liveness"`), or only a report. */
  readonly for?: "readiness" | "liveness" | "report"
  /** After it the component counts as down, whatever the check does meanwhile. Default 2 seconds; 1 ms to 1 minute. */
  readonly timeout?: Duration.Input
  /** How long an answer stands; probes in between get it at once. Default 5 seconds; 0 to 1 hour. */
  readonly cacheFor?: Duration.Input
}

/** How the backends and the checks of the program do: what a liveness or readiness probe asks. */
export class Health extends Context.Service<Health, {
  /**
   * Reads what the hub knows and asks the checks whose answer is older than they allow, side by side. Cannot fail, and takes no longer than the
   * longest timeout of a check; without checks it answers at once.
   */
  readonly check: Effect.Effect<HealthReport>
  /**
   * Adds a check until the scope closes. A failure or crash of it means `"down"`, with its message as the reason (secrets taken out). It runs
   * once at a time: one that hangs is left alone, and its component is down until it ends. What it does makes no spans.
   */
  readonly register: <E, R>(
    options: HealthCheckOptions,
    check: Effect.Effect<HealthAnswer | void, E, R>
  ) => Effect.Effect<void, CompositionError | ConfigurationError, Scope.Scope | R>
}>()("@effect-observability/core/Health") {
  /**
   * A check as a Layer.
   *
   * @example
   * ```ts
   * const database = Health.layerCheck({ name: "database", timeout: "1 second" }, sql`select 1`)
   * ```
   */
  static readonly layerCheck = <E, R>(
    options: HealthCheckOptions,
    check: Effect.Effect<unknown, E, R>
  ): Layer.Layer<never, CompositionError | ConfigurationError, Health | Exclude<R, Scope.Scope>> =>
    Layer.effectDiscard(Effect.flatMap(Health, (health) => health.register(options, Effect.map(check, answerOf))))
}

/** A check may end with anything; only an answer of this form says more than that it ended. */
const answerOf = (value: unknown): HealthAnswer | undefined =>
  typeof value === "object" && value !== null && "status" in value && (value.status === "up" || value.status === "degraded" || value.status === "down")
    ? value as HealthAnswer
    : undefined

export const worst = (components: ReadonlyArray<{ readonly status: HealthStatus }>): HealthStatus =>
  severity[Math.max(0, ...components.map((component) => severity.indexOf(component.status)))]!
