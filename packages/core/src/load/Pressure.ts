/** How a program gives way; see `docs/load.md`. */
export interface PressureSettings {
  /** The pressures from which the levels 1 to 4 hold; 1 is the soft limit. Rising. */
  readonly levels: readonly [number, number, number, number]
  /** From here on fewer traces are kept. */
  readonly ease: number
  /** Below it more of them are kept again; between the two nothing changes. */
  readonly calm: number
  /** Least share of the traces that is kept, above 0 and at most 1. */
  readonly minRatio: number
  /** How far below its level the pressure must have been, and for how many milliseconds, before the level falls by one. */
  readonly gap: number
  readonly hold: number
  /** Levels 1 and 2 hold after this many readings in a row; 3 and 4 at once. */
  readonly confirm: number
}

export const defaultPressure: PressureSettings = {
  levels: [1, 1.05, 1.1, 1.2], ease: 0.9, calm: 0.75, minRatio: 0.01, gap: 0.1, hold: 10_000, confirm: 2
}

/** A level that had to come back soon after it fell waits twice as long the next time, up to this. Milliseconds. */
const longestHold = 300_000

/**
 * From readings of pressure to a level (0 to 4) and the share of traces that is kept. Rises at once, falls one level at a time after a
 * calm time, and a time that turned out too short doubles: under any steady load the level settles, or changes ever more rarely.
 * Plain arithmetic on the times it is given, in milliseconds that never fall.
 */
export class Pressure {
  private readonly settings: PressureSettings
  level = 0
  ratio = 1
  /** How often the level changed. */
  changes = 0
  private hold: number
  private above = 0
  private calmSince: number | undefined
  private fellAt = -Infinity
  private before: number | undefined

  constructor(settings: PressureSettings = defaultPressure) {
    this.settings = settings
    this.hold = settings.hold
  }

  /**
   * Takes readings of the memory, and of what else should make the program keep fewer traces; what is no number counts as no pressure.
   * `true` when the level changed.
   */
  update(now: number, memory: number, also = 0): boolean {
    const pressure = memory > 0 ? memory : 0
    const seconds = this.before === undefined ? 0 : Math.min(10, Math.max(0, now - this.before) / 1000)
    this.before = now
    const former = this.level
    this.move(now, pressure)
    this.share(Math.max(pressure, also > 0 ? also : 0), seconds)
    if (this.level === former) return false
    this.changes++
    return true
  }

  private move(now: number, pressure: number): void {
    const { confirm, gap, levels } = this.settings
    const target = levels.findLastIndex((from) => pressure >= from) + 1
    if (target > this.level) {
      this.calmSince = undefined
      if (++this.above < confirm && target < 3) return
      if (now - this.fellAt < 4 * this.hold) this.hold = Math.min(longestHold, this.hold * 2)
      this.level = target
      this.above = 0
      return
    }
    this.above = 0
    if (this.level === 0) {
      // After a long peace the next alarm is judged anew.
      if (now - this.fellAt > 2 * longestHold) this.hold = this.settings.hold
      return
    }
    if (pressure >= levels[this.level - 1]! - gap) {
      this.calmSince = undefined
      return
    }
    this.calmSince ??= now
    if (now - this.calmSince < this.hold) return
    this.level--
    this.fellAt = now
    this.calmSince = now
  }

  /** Down by a tenth a second, by half at the soft limit; up by a twentieth, a step smaller than the band between, so that it does not swing. */
  private share(pressure: number, seconds: number): void {
    const { calm, ease, levels, minRatio } = this.settings
    if (pressure >= ease) this.ratio = Math.max(minRatio, this.ratio * (pressure >= levels[0] ? 0.5 : 0.9) ** seconds)
    else if (pressure < calm && this.level === 0) this.ratio = Math.min(1, this.ratio * 1.05 ** seconds)
  }
}
