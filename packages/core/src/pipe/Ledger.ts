/**
 * The books of one queue. At every instant, exactly:
 *
 *     offered  = rejected(reason) + accepted
 *     accepted = exported + dropped(reason) + unconfirmed + queued + spooled + inFlight
 *
 * Plain integers, moved in the same synchronous step as the item they count. Only `BatchProcessor` writes them.
 */
export class Ledger {
  offered = 0
  accepted = 0
  exported = 0
  unconfirmed = 0
  queued = 0
  spooled = 0
  inFlight = 0
  readonly rejected = new Map<string, number>()
  readonly dropped = new Map<string, number>()

  reject(count: number, reason: string): void {
    this.offered += count
    add(this.rejected, reason, count)
  }

  accept(count: number): void {
    this.offered += count
    this.accepted += count
    this.queued += count
  }

  start(count: number): void {
    this.queued -= count
    this.inFlight += count
  }

  export(count: number): void {
    this.inFlight -= count
    this.exported += count
  }

  /** Given up after it was taken from the queue. */
  drop(count: number, reason: string): void {
    this.inFlight -= count
    add(this.dropped, reason, count)
  }

  /** Given up while it waited in the queue. */
  evict(count: number, reason: string): void {
    this.queued -= count
    add(this.dropped, reason, count)
  }

  /** Goes on to another queue, whose books take it up: here it was never offered. */
  handOn(count: number, from: "queued" | "inFlight"): void {
    this[from] -= count
    this.offered -= count
    this.accepted -= count
  }

  doubt(count: number): void {
    this.inFlight -= count
    this.unconfirmed += count
  }

  snapshot(): LedgerSnapshot {
    return {
      offered: this.offered,
      accepted: this.accepted,
      exported: this.exported,
      unconfirmed: this.unconfirmed,
      queued: this.queued,
      spooled: this.spooled,
      inFlight: this.inFlight,
      rejected: Object.fromEntries(this.rejected),
      dropped: Object.fromEntries(this.dropped)
    }
  }
}

export interface LedgerSnapshot {
  readonly offered: number
  readonly accepted: number
  readonly exported: number
  readonly unconfirmed: number
  readonly queued: number
  readonly spooled: number
  readonly inFlight: number
  readonly rejected: Readonly<Record<string, number>>
  readonly dropped: Readonly<Record<string, number>>
}

/** What does not add up, or `undefined` when the books balance. */
export const imbalance = (books: LedgerSnapshot): string | undefined => {
  const rejected = total(books.rejected)
  if (books.offered !== rejected + books.accepted) {
    return `offered ${books.offered} ≠ rejected ${rejected} + accepted ${books.accepted}`
  }
  const dropped = total(books.dropped)
  const settled = books.exported + dropped + books.unconfirmed
  const waiting = books.queued + books.spooled + books.inFlight
  if (books.accepted !== settled + waiting) {
    return `accepted ${books.accepted} ≠ exported ${books.exported} + dropped ${dropped} + unconfirmed ${books.unconfirmed}` +
      ` + queued ${books.queued} + spooled ${books.spooled} + inFlight ${books.inFlight}`
  }
  return undefined
}

/** The books of two queues as one. */
export const sum = (one: LedgerSnapshot, other: LedgerSnapshot): LedgerSnapshot => ({
  offered: one.offered + other.offered,
  accepted: one.accepted + other.accepted,
  exported: one.exported + other.exported,
  unconfirmed: one.unconfirmed + other.unconfirmed,
  queued: one.queued + other.queued,
  spooled: one.spooled + other.spooled,
  inFlight: one.inFlight + other.inFlight,
  rejected: counted(one.rejected, other.rejected),
  dropped: counted(one.dropped, other.dropped)
})

const counted = (one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): Readonly<Record<string, number>> => {
  const out = new Map(Object.entries(one))
  for (const [reason, count] of Object.entries(other)) add(out, reason, count)
  return Object.fromEntries(out)
}

export const total = (counts: Readonly<Record<string, number>>): number => {
  let sum = 0
  for (const reason of Object.keys(counts)) sum += counts[reason]!
  return sum
}

const add = (counts: Map<string, number>, reason: string, count: number): void => {
  counts.set(reason, (counts.get(reason) ?? 0) + count)
}
