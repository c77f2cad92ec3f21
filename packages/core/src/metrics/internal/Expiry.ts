import type { Column } from "./Column.ts"
import type { Family } from "./Family.ts"
import type { Slot } from "./Slot.ts"

/** How long a page may keep idle series by not being asked for, in times to live: whoever scraped it may be gone for good. */
const patience = 10

/**
 * Finds the series to which nothing was recorded for their time to live. Sweeps look at numbers only, so that recording costs nothing for
 * it; a series lives up to one sweep longer than it must.
 */
export class Expiry {
  private readonly sweepsToLive: number
  private sweeps = 0
  /** How many sweeps there were when a page was read last; `undefined` while none was. */
  private paged: number | undefined

  /** Both in milliseconds. */
  constructor(timeToLive: number, interval: number) {
    this.sweepsToLive = Math.max(1, Math.ceil(timeToLive / interval))
  }

  /** A page of all values is read now. */
  pageRead(): void {
    this.paged = this.sweeps
  }

  /** Hands over those to be retired. Yields now and then. */
  *sweep(columns: ReadonlyArray<Column>, familyOf: (slot: Slot) => Family | undefined, retire: (family: Family, slot: Slot) => void): Generator<void> {
    const now = ++this.sweeps
    for (const column of columns) {
      yield* column.sweep(now, (slot, written) => {
        const idle = now - written
        if (idle < this.sweepsToLive) return false
        // What a page has not shown since it was written is kept for it.
        if (this.paged !== undefined && this.paged < written && idle < patience * this.sweepsToLive) return false
        const family = familyOf(slot)
        if (family === undefined || !family.expires(slot)) return false
        retire(family, slot)
        return true
      })
    }
  }
}
