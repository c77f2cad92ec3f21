import type { ExponentialState, Series } from "../MetricFrame.ts"

/** What a series had counted when it was retired. */
export interface Totals {
  readonly createdAt: number
  readonly value: number
  readonly count: number
  readonly sum: number
  readonly buckets: Float64Array | undefined
  readonly exponential?: ExponentialState | undefined
}

/**
 * Retired series remembered, a quarter more between two clearings; some 200 bytes each (a histogram's buckets more). Those retired first are
 * forgotten first.
 */
const maxRemembered = 10_000

/**
 * Totals of retired series, so that one that comes back goes on where it was: a cumulative reader that saw it fall would take that
 * for a restart. One that was forgotten begins at 0 with a later `createdAt`, as after a restart.
 */
export class RetiredTotals {
  private readonly byKey = new Map<string, Totals>()

  keep(series: Series, totals: Totals): void {
    const { definition } = series
    // A gauge says what is now; an up-down counter is retired at 0 only, where it starts again.
    if (definition.type === "gauge" || definition.type === "upDownCounter") return
    const key = keyOf(series)
    this.byKey.delete(key)
    this.byKey.set(key, totals)
    if (this.byKey.size > 1.25 * maxRemembered) trim(this.byKey, maxRemembered)
  }

  recall(series: Series): Totals | undefined {
    if (this.byKey.size === 0) return undefined
    const key = keyOf(series)
    const totals = this.byKey.get(key)
    if (totals !== undefined) this.byKey.delete(key)
    return totals
  }
}

/** Some at a time: looking for the oldest entry passes all places that were deleted before it. */
const trim = (map: Map<string, Totals>, size: number): void => {
  for (const oldest of map.keys()) {
    if (map.size <= size) return
    map.delete(oldest)
  }
}

const keyOf = ({ definition, labelValues }: Series): string => JSON.stringify([definition.name, ...labelValues])
