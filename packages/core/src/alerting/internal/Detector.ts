import { Baseline, median } from "./Baseline.ts"

export interface DetectorOptions {
  /** Milliseconds. */
  readonly season: number
  readonly sensitivity: number
  readonly tolerance: number
}

export interface Anomaly {
  readonly kind: "outlier" | "shift"
  readonly value: number
  /** What would have been usual. */
  readonly low: number
  readonly high: number
  /** Milliseconds since the epoch. */
  readonly since: number
}

/** Values of the noise around what is expected that are remembered. */
const recentNoise = 64
/** Values that must be within the usual range before an anomaly has ended. */
const calm = 3
/** A change of level that stays this long is the new normal. Milliseconds. */
const adaptAfter = 6 * 3_600_000
/** Of the cumulated sum: drift that is forgiven at each value, and where it is a change (Page, 1954). */
const drift = 1.5
const alarm = 12

/**
 * One series: what is far from what is usual at this time of the season (median and median deviation), and a change of level by cumulated
 * sums of what is left. Holds a fixed number of values.
 */
export class Detector {
  private readonly options: DetectorOptions
  private baseline: Baseline
  private readonly noise = new Float32Array(recentNoise)
  private noises = 0
  private up = 0
  private down = 0
  private upSince = 0
  private downSince = 0
  private anomaly: Anomaly | undefined
  private quiet = 0
  /** Slow change of level: what is expected goes along with it. */
  private level = 0

  constructor(options: DetectorOptions) {
    this.options = options
    this.baseline = new Baseline(options.season)
  }

  static readonly bytes = Baseline.bytes + recentNoise * 4 + 300

  /** Takes the value of one evaluation in. */
  look(value: number, time: number): Anomaly | undefined {
    const usual = this.baseline.expected(time)
    if (usual === undefined) {
      this.baseline.learn(value, time)
      return undefined
    }
    const expected = usual.middle + this.level
    const noise = this.noises < 16 ? 0 : 1.4826 * median(Array.from(this.noise.subarray(0, Math.min(this.noises, recentNoise)), Math.abs))
    const { sensitivity, tolerance } = this.options
    const spread = Math.max(usual.deviation, noise, Math.abs(expected) * tolerance / 2, Number.MIN_VALUE)
    const off = value - expected
    const z = Math.max(-50, Math.min(50, off / spread))
    const outlying = Math.abs(z) > sensitivity
    // Bounded steps: one wild value is an outlier, not a change of level.
    const step = Math.max(-4, Math.min(4, z))
    const before = this.up + this.down
    this.up = Math.max(0, this.up + step - drift)
    this.down = Math.max(0, this.down - step - drift)
    if (this.up === 0) this.upSince = time
    if (this.down === 0) this.downSince = time
    if (before === 0 && this.up > 0) this.upSince = time
    if (before === 0 && this.down > 0) this.downSince = time
    const shifted = this.up > alarm || this.down > alarm
    const range = { low: expected - sensitivity * spread, high: expected + sensitivity * spread }
    if (outlying || shifted) {
      this.quiet = 0
      const kind = shifted ? "shift" as const : "outlier" as const
      this.anomaly = { kind, value, ...range, since: this.anomaly?.since ?? (shifted ? this.up > alarm ? this.upSince : this.downSince : time) }
      if (time - this.anomaly.since >= adaptAfter) this.adopt(off)
      return this.anomaly
    }
    this.noise[this.noises++ % recentNoise] = off
    if (this.noises > 1e9) this.noises = recentNoise
    // A trend is followed at the pace of a season.
    this.level += off * 0.01
    this.baseline.learn(value - this.level, time)
    if (this.anomaly !== undefined && ++this.quiet >= calm) {
      this.anomaly = undefined
      this.up = this.down = 0
    }
    return this.anomaly === undefined ? undefined : { ...this.anomaly, value, ...range }
  }

  /** The new level is normal from now on. */
  private adopt(off: number): void {
    this.level += off
    this.up = this.down = 0
    this.anomaly = undefined
  }
}
