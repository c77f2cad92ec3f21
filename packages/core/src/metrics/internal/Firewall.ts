import type { MetricDefinition } from "../MetricDefinition.ts"
import { DistinctCount, HeavyHitters } from "./HeavyHitters.ts"
import { cut, quoted } from "./text.ts"

/** A metric past its budget of label sets, and which of its labels is to blame. */
export interface CardinalityReport {
  readonly metric: string
  /** The most label sets it keeps apart. */
  readonly budget: number
  /** Records that went into the overflow series since the process began. */
  readonly overflowed: number
  /**
   * The label with the most different values among them, those since the last minute without overflow; empty where it is not known.
   */
  readonly label: string
  /** How many values it had, about (5 %). */
  readonly distinct: number
  /** Its most frequent values, the first first, each with how often it came at least. */
  readonly top: ReadonlyArray<{ readonly value: string; readonly count: number }>
}

/** Metrics that are counted one by one. */
const maxMetrics = 200
/** Metrics and labels whose values are looked at: 6 MB of them at most. */
const maxSketched = 20
const maxLabels = 16
/** Characters of a value that are looked at. */
const maxValue = 128
const candidates = 64
const shown = 5

interface Overflowing {
  readonly definition: MetricDefinition
  readonly maxSeries: number
}

class Offender {
  readonly definition: MetricDefinition
  readonly budget: number
  overflowed = 0
  /** In the present window. */
  fresh = 0
  private readonly labels: ReadonlyArray<string>
  private distinct: ReadonlyArray<DistinctCount> = []
  private hitters: ReadonlyArray<HeavyHitters> = []

  constructor({ definition, maxSeries }: Overflowing, sketched: boolean) {
    this.definition = definition
    this.budget = maxSeries
    this.labels = sketched ? definition.labelNames.slice(0, maxLabels) : []
  }

  add(values: ReadonlyArray<string>): void {
    this.overflowed++
    this.fresh++
    if (this.distinct.length === 0) {
      this.distinct = this.labels.map(() => new DistinctCount())
      this.hitters = this.labels.map(() => new HeavyHitters(candidates))
    }
    for (let i = 0; i < this.distinct.length && i < values.length; i++) {
      const value = values[i]!.length > maxValue ? cut(values[i]!, maxValue) : values[i]!
      this.distinct[i]!.add(value)
      this.hitters[i]!.add(value)
    }
  }

  /** A window ends; one without overflow ends the episode. */
  settle(): void {
    if (this.fresh === 0) {
      this.distinct = []
      this.hitters = []
    }
    this.fresh = 0
  }

  report(): CardinalityReport {
    const { budget, definition, overflowed } = this
    const counts = this.distinct.map((one) => one.estimate())
    const worst = counts.indexOf(Math.max(...counts))
    return {
      metric: definition.name,
      budget,
      overflowed,
      label: this.labels[worst] ?? "",
      distinct: counts[worst] ?? 0,
      top: this.hitters[worst]?.top(shown) ?? []
    }
  }
}

/**
 * Who is past the budget and by which label, in bounded memory whatever arrives. It sees only records that found no place of their own,
 * so that those that did pay nothing for it.
 */
export class Firewall {
  private readonly offenders = new Map<string, Offender>()

  overflowed(family: Overflowing, values: ReadonlyArray<string>): void {
    const { name } = family.definition
    let offender = this.offenders.get(name)
    if (offender === undefined) {
      if (this.offenders.size >= maxMetrics) return
      this.offenders.set(name, offender = new Offender(family, this.offenders.size < maxSketched))
    }
    offender.add(values)
  }

  /** The worst first. */
  reports(): ReadonlyArray<CardinalityReport> {
    return [...this.offenders.values()].map((offender) => offender.report()).sort((a, b) => b.overflowed - a.overflowed)
  }

  /** Records in the overflow series, by metric. */
  totals(): ReadonlyMap<string, number> {
    return new Map([...this.offenders].map(([name, { overflowed }]) => [name, overflowed]))
  }

  /** Ends a window; the line to log about it, if there is anything to say. */
  closeWindow(): string | undefined {
    const fresh = [...this.offenders.values()].filter((offender) => offender.fresh > 0).sort((a, b) => b.fresh - a.fresh)
    const [worst] = fresh
    const line = worst === undefined ? undefined : describe(worst, fresh.length - 1)
    for (const offender of this.offenders.values()) offender.settle()
    return line
  }
}

const describe = (offender: Offender, others: number): string => {
  const { budget, distinct, label, metric, top } = offender.report()
  const values = top.map(({ count, value }) => `${quoted(value)} (${count})`).join(", ")
  return `metric ${metric}: ${offender.fresh} records found no series of their own and went into the overflow series; ` +
    `it keeps at most ${budget} label sets apart, the process as many as metrics.maxSeries says. ` +
    (label === "" ? "" : `Label "${label}" had about ${distinct} values, most often ${values}. Bound its values, drop it by metrics.views, or raise maxSeries. `) +
    (others > 0 ? `So it was with ${others} other metrics.` : "")
}
