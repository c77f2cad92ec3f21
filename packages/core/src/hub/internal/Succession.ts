import * as Context from "effect/Context"
import type { ObservabilitySettings } from "../../config/ObservabilityConfig.ts"

/**
 * How backends take the places of running ones while the program goes on. They are built beside them, and until the hand-over nobody hears of them: what
 * they do to the hub is kept as steps, which `Telemetry.reload` runs together with the change of settings, in one step of the event loop. When one of
 * them cannot be built none of it happens.
 */
export class Handover {
  /** Above that of any hand-over before. */
  readonly turn: number
  /** Names of those whose places become free. */
  readonly leaving: ReadonlySet<string>
  private readonly planned: ObservabilitySettings
  private readonly current: () => ObservabilitySettings
  private readonly claims = new Map<string, string>()
  private steps: Array<() => void> | undefined = []

  constructor(options: {
    readonly turn: number
    readonly leaving: ReadonlySet<string>
    /** What is to be in force from the hand-over on; `current` tells what is. */
    readonly planned: ObservabilitySettings
    readonly current: () => ObservabilitySettings
  }) {
    this.turn = options.turn
    this.leaving = options.leaving
    this.planned = options.planned
    this.current = options.current
  }

  /** The settings for those that are being built, and for those that were. */
  readonly settings = (): ObservabilitySettings => this.steps === undefined ? this.current() : this.planned

  /** Keeps a step for the hand-over; at once when that has been. */
  readonly defer = (step: () => void): void => {
    if (this.steps === undefined) step()
    else this.steps.push(step)
  }

  /** Who else wants to provide a service from the hand-over on. */
  readonly rival = (service: string, owner: string): string | undefined => {
    const other = this.claims.get(service)
    if (other === undefined) this.claims.set(service, owner)
    return other === owner ? undefined : other
  }

  /** To be run in the step in which the settings change, once. */
  readonly run = (): void => {
    const steps = this.steps ?? []
    this.steps = undefined
    for (const step of steps) {
      try {
        step()
      } catch {
        // The others must follow: half a hand-over is worse than a step that failed.
      }
    }
  }
}

/** Set while a backend is built that takes the place of a running one, or joins them. */
export const Succession: Context.Reference<Handover | undefined> = Context.Reference<Handover | undefined>("@effect-observability/core/Succession", {
  defaultValue: () => undefined
})
