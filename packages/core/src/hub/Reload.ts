import type { ObservabilitySettings } from "../config/ObservabilityConfig.ts"

/** What became of new settings. */
export interface ReloadReport {
  /** 1 for the settings the program began with; each reload that changed something adds one. */
  readonly version: number
  /** Paths of what is in force now. */
  readonly changed: ReadonlyArray<string>
  /** Paths of what differs, and takes effect when the program is started anew. */
  readonly needsRestart: ReadonlyArray<string>
}

/** What new settings come to. */
export interface Transition {
  /** With everything that cannot change as it is. */
  readonly settings: ObservabilitySettings
  readonly changed: ReadonlyArray<string>
  readonly needsRestart: ReadonlyArray<string>
}

/** Which settings are in force, and what became of the last ones that were read. */
export interface ConfigurationState {
  readonly version: number
  /** When they came into force, milliseconds since the epoch. */
  readonly since: number
  readonly reloads: number
  readonly failures: number
  /** Why the newest settings are not in force; `undefined` when they are. Without secrets. */
  readonly problem: { readonly message: string; readonly at: number } | undefined
  readonly needsRestart: ReadonlyArray<string>
}

/** Who the program is, and what its metrics and words were made of when it began. */
const fixed = [
  "enabled", "env", "cluster", "service", "metrics.enabled", "metrics.prometheusPort", "metrics.aggregationInterval", "metrics.buckets", "metrics.views",
  "metrics.conventions", "metrics.seriesTimeToLive"
]

/** Fields that are compared and replaced as one. */
const whole = /^(metrics\.(defaultLabels|buckets|views)|alerting\.(rules|anomalies|slo|webhook\.headers|alertmanager\.headers)|tracing\.sampler|(opentelemetry\.headers)|(sentry|datadog)\.tags)$/

type Fields = Readonly<Record<string, unknown>>

const isGroup = (path: string, value: unknown): value is Fields =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype && !whole.test(path)

/** The settings that are to be in force: what cannot change while the program runs stays as it is. `same` compares two values. */
export const transition = (
  before: ObservabilitySettings,
  wanted: ObservabilitySettings,
  same: (one: unknown, other: unknown) => boolean
): Transition => {
  const changed: Array<string> = []
  const needsRestart: Array<string> = []
  const walk = (path: string, old: Fields, next: Fields): Fields => {
    const out: Record<string, unknown> = {}
    let differs = false
    for (const key of new Set([...Object.keys(old), ...Object.keys(next)])) {
      const at = path === "" ? key : `${path}.${key}`
      const one = old[key]
      const other = next[key]
      if (isGroup(at, one) && isGroup(at, other) && !fixed.includes(at)) out[key] = walk(at, one, other)
      else if (same(one, other)) out[key] = one
      else if (fixed.includes(at)) {
        // A fresh instance is chosen at start: the settings then say nothing of it.
        needsRestart.push(at)
        out[key] = one
      } else {
        changed.push(at)
        out[key] = other
      }
      if (out[key] !== one) differs = true
    }
    return differs ? out : old
  }
  return { settings: walk("", before as unknown as Fields, wanted as unknown as Fields) as unknown as ObservabilitySettings, changed, needsRestart }
}
