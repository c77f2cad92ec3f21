import { Ledger } from "../../pipe/Ledger.ts"

/** The last items of one signal, with books. */
export class Shelf<in out A> {
  readonly ledger = new Ledger()
  private readonly max: number
  private kept: Array<A> = []
  private cleared = 0

  constructor(max: number) {
    this.max = max
  }

  put(item: A): true {
    const { kept, ledger } = this
    ledger.accept(1)
    ledger.start(1)
    ledger.export(1)
    kept.push(item)
    // Trimmed now and then: cutting one off the front of an array for every item would cost more than it frees.
    if (kept.length > this.max * 2) this.kept = kept.slice(-this.max)
    return true
  }

  get items(): ReadonlyArray<A> {
    return this.max === 0 ? [] : this.kept.slice(-this.max)
  }

  /** How many gave way since the last `clear`. */
  get lost(): number {
    return Math.max(0, this.ledger.exported - this.cleared - this.items.length)
  }

  clear(): void {
    this.kept = []
    this.cleared = this.ledger.exported
  }
}
