import type { UpkeepFloor, UpkeepReport, UpkeepSettings } from "@effect-observability/core"
import type { Partitioned } from "../internal/names.ts"
import type { Retention } from "../internal/partitions.ts"

/** Arithmetic only: what to do about a disk that fills. */
export interface State {
  readonly step: number
  /** When the step changed last, milliseconds. */
  readonly since: number
  /** Since when a step less would do; `undefined` while it would not. */
  readonly calmSince: number | undefined
}

export interface Facts {
  readonly now: number
  readonly usedBytes: number
  /** What a day adds; 0 while that is not known. */
  readonly perDay: number
  /** Finished days that hold anything. */
  readonly keptDays: number
}

export interface Decision extends State {
  /** Why it is at the step; `undefined` at 0. */
  readonly reason: string | undefined
}

/** What a step did shows within this time; only then comes the next one. */
const settle = 600_000
/** A step less must have done for so long. */
const hold = 3_600_000
/** And leave so much of the limit free: whoever goes back does not come again at once. */
const margin = 0.9
/** What each step from the second on keeps of the days before. */
const share = 0.75

export const layers = ["raw", "spans", "minute", "hour", "day"] as const satisfies ReadonlyArray<keyof UpkeepFloor>

export type Days = UpkeepReport["retention"]

/** Days of each layer at a step: never below a floor, and a roll-up at least as long as what it sums up. */
export const daysAt = (configured: Days, floor: UpkeepFloor, step: number): Days => {
  const of = (layer: (typeof layers)[number]) => {
    const days = configured[layer]
    return step < 2 ? days : Math.max(Math.min(days, floor[layer]), Math.floor(days * share ** (step - 1)))
  }
  const raw = of("raw")
  const minute = Math.max(of("minute"), raw)
  const hour = Math.max(of("hour"), minute)
  return { raw, spans: of("spans"), minute, hour, day: Math.max(of("day"), hour) }
}

/** The step at which every layer is at its floor. */
export const lastStep = (configured: Days, floor: UpkeepFloor): number => {
  let step = 1
  for (; step < 60; step++) {
    const now = daysAt(configured, floor, step)
    const next = daysAt(configured, floor, 60)
    if (layers.every((layer) => now[layer] === next[layer])) break
  }
  return step
}

export const decide = (before: State, facts: Facts, settings: Pick<UpkeepSettings, "daysLeft" | "maxBytes" | "floor">, configured: Days): Decision => {
  const { keptDays, now, perDay, usedBytes } = facts
  const limit = settings.maxBytes
  // A clock that was set back must not make it wait until it is where it was.
  const state = { ...before, since: Math.min(before.since, now), calmSince: before.calmSince === undefined ? undefined : Math.min(before.calmSince, now) }
  const longest = (step: number) => {
    const { raw, spans } = daysAt(configured, settings.floor, step)
    return Math.max(raw, spans)
  }
  /** Days past retention go, and those that are still to come are added, as far as we look. */
  const filled = (step: number, horizon: number) => usedBytes + perDay * Math.min(horizon, longest(step) - keptDays)
  const last = lastStep(configured, settings.floor)
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`
  const why = usedBytes > limit
    ? `${gigabytes(usedBytes)} are used, the limit is ${gigabytes(limit)}`
    : `${gigabytes(limit)} are crossed within ${Math.max(0, Math.floor((limit - usedBytes) / Math.max(1, perDay) * 10) / 10)} days`
  if (Math.max(filled(state.step, settings.daysLeft), filled(state.step, 0)) > limit) {
    if (state.step >= last) return { ...state, step: Math.min(state.step, last), calmSince: undefined, reason: `${why}; everything is at its floor: give it more room` }
    // A burst of some minutes is no reason to give days up; a limit that is crossed already is.
    if (state.step > 0 && now - state.since < (usedBytes > limit ? settle : hold)) return { ...state, calmSince: undefined, reason: why }
    return { step: state.step + 1, since: now, calmSince: undefined, reason: why }
  }
  if (state.step === 0) return { ...state, calmSince: undefined, reason: undefined }
  // A longer retention must hold when it is full; the first step gives nothing up, a look twice as far does.
  const calm = (state.step === 1 ? filled(0, 2 * settings.daysLeft) : filled(state.step - 1, Infinity)) <= margin * limit
  const held = `the disk was about to be full; with ${state.step === 1 ? "no early packing" : "more days"} it would be again`
  if (!calm) return { ...state, calmSince: undefined, reason: held }
  const calmSince = state.calmSince ?? now
  if (now - calmSince < hold) return { ...state, calmSince, reason: "the disk was about to be full; it is not any more" }
  const step = state.step - 1
  return { step, since: now, calmSince: undefined, reason: step === 0 ? undefined : "the disk was about to be full; it is not any more" }
}

const layerOf = (table: Partitioned, spans: ReadonlySet<Partitioned>): keyof Days =>
  table === "rollup_minute" ? "minute" : table === "rollup_hour" ? "hour" : table === "rollup_day" ? "day" : spans.has(table) ? "spans" : "raw"

export const configuredDays = (retention: Retention): Days => ({
  raw: retention("metric_pack_day"), spans: retention("span_pack"), minute: retention("rollup_minute"), hour: retention("rollup_hour"), day: retention("rollup_day")
})

/** The retention at a step. What retention keeps for less than its layer stays so. */
export const shortened = (retention: Retention, floor: UpkeepFloor, step: number, spans: ReadonlySet<Partitioned>): Retention => {
  if (step < 2) return retention
  const days = daysAt(configuredDays(retention), floor, step)
  return (table) => Math.min(retention(table), days[layerOf(table, spans)])
}
