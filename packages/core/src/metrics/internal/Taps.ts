import type { MetricDefinition } from "../MetricDefinition.ts"
import type { Series } from "../MetricFrame.ts"
import type { Tap } from "../MetricStore.ts"

export class RingTap implements Tap {
  private readonly capacity: number
  private readonly matches: ((definition: MetricDefinition) => boolean) | undefined
  private readonly onClose: () => void
  private held: Array<{ readonly series: Series; readonly value: number }> = []
  private missed = 0

  constructor(capacity: number, matches: ((definition: MetricDefinition) => boolean) | undefined, onClose: () => void) {
    this.capacity = capacity
    this.matches = matches
    this.onClose = onClose
  }

  offer(series: Series, value: number): void {
    try {
      if (this.matches !== undefined && !this.matches(series.definition)) return
    } catch {
      this.missed++
      return
    }
    if (this.held.length < this.capacity) this.held.push({ series, value })
    else this.missed++
  }

  take(): ReadonlyArray<{ readonly series: Series; readonly value: number }> {
    const taken = this.held
    this.held = []
    return taken
  }

  lost(): number {
    return this.missed
  }

  close(): void {
    this.onClose()
  }
}
