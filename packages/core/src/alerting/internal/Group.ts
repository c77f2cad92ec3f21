import type { MetricDefinition } from "../../metrics/MetricDefinition.ts"
import type { AlertRule } from "../AlertRule.ts"
import { compares, figureOf, lengthsOf, looksBelow, newest, type Place, widthOf } from "./figures.ts"
import type { MetricFrame } from "../../metrics/MetricFrame.ts"
import { Window } from "./Window.ts"

type Labels = Readonly<Record<string, string>>

/** One rule for one set of the labels it groups by: what was seen of it, and how far its alert is. */
export class Group {
  readonly labels: Labels
  /** Since when nothing of it could have been missed. */
  readonly since: number
  readonly totals: Float64Array
  private readonly windows: ReadonlyArray<Window>
  private readonly rule: AlertRule
  /** Newest value over the series of the present frame. */
  private value = NaN
  /** When a series of it was seen last. */
  seen: number

  activeAt: number | undefined
  firedAt: number | undefined
  private endedAt: number | undefined
  /** What was compared last; `undefined` when there was nothing. */
  figure: number | undefined

  constructor(rule: AlertRule, definition: MetricDefinition | undefined, labels: Labels, since: number, interval: number) {
    this.rule = rule
    this.labels = labels
    this.since = since
    this.seen = since
    const width = definition === undefined ? 1 : widthOf(rule, definition)
    this.totals = new Float64Array(width)
    this.windows = lengthsOf(rule.condition).map((length) => new Window(length, width, interval, since))
  }

  begin(): void {
    this.value = NaN
  }

  /** A value of one of its series: they are added up, or the greatest or least counts. */
  take(frame: MetricFrame, place: Place, now: number): void {
    const value = newest(this.rule, frame, place)
    if (Number.isNaN(value)) return
    this.seen = now
    if (Number.isNaN(this.value)) this.value = value
    else if (place.series.definition.type === "upDownCounter") this.value += value
    else this.value = looksBelow(this.rule.condition) ? Math.min(this.value, value) : Math.max(this.value, value)
  }

  push(now: number): void {
    for (const window of this.windows) window.push(now, this.totals)
  }

  /** Whether the condition holds; a firing alert is compared with `clear`. */
  holds(definition: MetricDefinition | undefined, now: number): boolean {
    const { condition } = this.rule
    switch (condition.kind) {
      case "absent": {
        this.figure = undefined
        if (now - this.since < condition.window) return false
        if (definition !== undefined && definition.type !== "gauge" && definition.type !== "upDownCounter") return this.windows[0]!.increase()[0] === 0
        return now - this.seen > condition.window || (definition === undefined && now - this.seen >= condition.window)
      }
      case "burnRate": {
        const shares = new Map(this.windows.map((window) => {
          const [all, bad] = window.increase()
          return [window.length, all! > 0 ? bad! / all! : NaN] as const
        }))
        this.figure = shares.get(condition.windows[0]!.long)
        return condition.windows.some(({ factor, long, short }) => {
          const limit = factor * (1 - condition.objective)
          return shares.get(long)! > limit && shares.get(short)! > limit
        })
      }
      case "threshold": {
        const windowed = this.windows[0]
        const value = windowed === undefined || definition?.type === "summary" && condition.figure.of === "quantile"
          ? this.value
          : figureOf(this.rule, definition!, windowed.increase())
        this.figure = Number.isNaN(value) ? undefined : value
        // A window that is not full yet says nothing about too little.
        if (Number.isNaN(value) || (windowed !== undefined && condition.figure.of !== "quantile" && looksBelow(condition) && now - this.since < windowed.length)) return false
        return compares(value, condition.comparison, this.firedAt === undefined ? condition.threshold : condition.clear ?? condition.threshold)
      }
    }
  }

  /** As Prometheus does it ("Alerting rules": `for`, `keep_firing_for`). */
  step(holds: boolean, now: number): void {
    if (holds) {
      this.endedAt = undefined
      this.activeAt ??= now
      if (now - this.activeAt >= this.rule.for) this.firedAt ??= now
      return
    }
    if (this.firedAt === undefined) {
      this.activeAt = undefined
      return
    }
    this.endedAt ??= now
    if (now - this.endedAt >= this.rule.keepFor) this.activeAt = this.firedAt = this.endedAt = undefined
  }

  /** The longest it may be remembered without a series. */
  get memory(): number {
    return this.windows[0]?.length ?? 0
  }

  get weight(): number {
    return 300 + this.windows.reduce((sum, window) => sum + window.weight, 0)
  }
}
