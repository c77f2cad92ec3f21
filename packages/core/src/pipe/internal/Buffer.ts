import type { Policy } from "../BatchProcessor.ts"
import type { Ledger } from "../Ledger.ts"

/** An item on its way, with what its policy said of it when it came. */
export interface Entry<A> {
  readonly item: A
  readonly bytes: number
  readonly count: number
  /** Order of arrival, from 1; a merged entry keeps that of its older part, so that a flush waits for all of it. */
  readonly order: number
  /** Monotonic milliseconds, taken at most 64 items before: good enough for an age. */
  readonly at: number
}

/**
 * A queue bounded by items and bytes, what is in flight included. It moves the ledger in the same step as the item, and a full
 * queue answers by its policy: nothing waits and nothing vanishes uncounted.
 */
export class Buffer<A> {
  inFlightItems = 0
  inFlightBytes = 0
  queuedBytes = 0
  private entries: Array<Entry<A>> = []
  private head = 0
  private order = 0
  private stamp = 0
  private sinceStamp = 0
  private policy: Policy<A>
  private readonly ledger: Ledger
  private readonly now: () => number
  private readonly onEvict: (count: number, reason: string) => void

  constructor(policy: Policy<A>, ledger: Ledger, now: () => number, onEvict: (count: number, reason: string) => void) {
    this.policy = policy
    this.ledger = ledger
    this.now = now
    this.onEvict = onEvict
  }

  /** Another policy; the oldest give way as far as it holds less. */
  resize(policy: Policy<A>): void {
    this.policy = policy
    while (this.length > 0 && this.overfull) this.evict(this.shift(), "resize")
  }

  get length(): number {
    return this.entries.length - this.head
  }

  /** Order of the youngest item ever accepted. */
  get youngest(): number {
    return this.order
  }

  get oldest(): Entry<A> | undefined {
    return this.entries[this.head]
  }

  /** `first`: before all others, since it has waited in another queue. */
  offer(item: A, first = false): boolean {
    const { ledger, policy } = this
    let bytes: number
    let count: number
    try {
      bytes = policy.weigh(item)
      count = policy.count(item)
    } catch {
      ledger.reject(1, "invalid")
      this.onEvict(1, "invalid")
      return false
    }
    if (!(bytes <= policy.maxBytes)) {
      ledger.reject(count, "memory_limit")
      this.onEvict(count, "memory_limit")
      return false
    }
    if (this.length === 0 || --this.sinceStamp <= 0) {
      this.stamp = this.now()
      this.sinceStamp = 64
    }
    ledger.accept(count)
    const entry = { item, bytes, count, order: first ? this.oldest?.order ?? ++this.order : ++this.order, at: this.stamp }
    if (first) this.entries.splice(this.head, 0, entry)
    else this.entries.push(entry)
    this.queuedBytes += bytes
    let kept = true
    while (this.overfull) kept = this.makeRoom()
    return kept
  }

  private get overfull(): boolean {
    return this.length + this.inFlightItems > this.policy.maxItems || this.queuedBytes + this.inFlightBytes > this.policy.maxBytes
  }

  /** Lets something go; `false` when it was the youngest item. */
  private makeRoom(): boolean {
    const { overflow } = this.policy
    if (overflow === "newest") {
      this.evict(this.entries.pop()!, "queue_full_newest")
      return false
    }
    if (overflow !== "oldest" && this.length >= 2 && this.mergeLightest(overflow.merge)) return true
    const alone = this.length === 1
    this.evict(this.shift(), "queue_full_oldest")
    return !alone
  }

  /** Joins the adjacent pair with the fewest source items; what waits here was never attempted. */
  private mergeLightest(merge: (older: A, newer: A) => A): boolean {
    const { entries, head } = this
    let at = head
    let least = Infinity
    for (let i = head; i + 1 < entries.length; i++) {
      const weight = entries[i]!.count + entries[i + 1]!.count
      if (weight < least) {
        least = weight
        at = i
      }
    }
    const older = entries[at]!
    const newer = entries[at + 1]!
    let joined: Entry<A>
    try {
      const item = merge(older.item, newer.item)
      joined = { item, bytes: this.policy.weigh(item), count: least, order: older.order, at: older.at }
    } catch {
      return false
    }
    entries.splice(at, 2, joined)
    const before = this.queuedBytes
    this.queuedBytes += joined.bytes - older.bytes - newer.bytes
    // By bytes alone a merge may not help: then the caller evicts.
    return this.length + this.inFlightItems <= this.policy.maxItems || this.queuedBytes < before
  }

  private evict(entry: Entry<A>, reason: string): void {
    this.queuedBytes -= entry.bytes
    this.ledger.evict(entry.count, reason)
    this.onEvict(entry.count, reason)
  }

  private shift(): Entry<A> {
    const entry = this.entries[this.head]!
    this.forget(this.head + 1)
    return entry
  }

  /** Lets go of the entries before `head`. */
  private forget(head: number): void {
    if (head === this.entries.length) {
      this.entries = []
      this.head = 0
    } else if (head > 1024 && head * 2 > this.entries.length) {
      this.entries = this.entries.slice(head)
      this.head = 0
    } else {
      this.entries.fill(undefined!, this.head, head)
      this.head = head
    }
  }

  /** Takes the oldest items out, at most `size` of them; they are in flight now. */
  take(size: number): Array<Entry<A>> {
    // All at once: a batch may be large, and nobody else runs meanwhile.
    const taken = this.entries.slice(this.head, this.head + size)
    let bytes = 0
    let count = 0
    for (const entry of taken) {
      bytes += entry.bytes
      count += entry.count
    }
    this.queuedBytes -= bytes
    this.inFlightItems += taken.length
    this.inFlightBytes += bytes
    this.ledger.start(count)
    this.forget(this.head + taken.length)
    return taken
  }

  /** Frees what in-flight entries held; the ledger was moved by the caller. */
  settle(entries: ReadonlyArray<Entry<A>>): void {
    let bytes = 0
    for (const entry of entries) bytes += entry.bytes
    this.inFlightItems -= entries.length
    this.inFlightBytes -= bytes
  }

  /** Lets go of what waits and is chosen; how many that were. */
  shed(which: (item: A) => boolean, reason: string): number {
    const kept: Array<Entry<A>> = []
    let count = 0
    let bytes = 0
    for (let i = this.head; i < this.entries.length; i++) {
      const entry = this.entries[i]!
      let chosen = false
      try {
        chosen = which(entry.item)
      } catch {
        // What cannot be judged stays.
      }
      if (chosen) {
        count += entry.count
        bytes += entry.bytes
      } else kept.push(entry)
    }
    if (count === 0) return 0
    this.entries = kept
    this.head = 0
    this.queuedBytes -= bytes
    this.ledger.evict(count, reason)
    this.onEvict(count, reason)
    return count
  }

  /** What waits here and was never in flight, the oldest first. */
  get waiting(): ReadonlyArray<A> {
    return this.entries.slice(this.head).map(({ item }) => item)
  }

  /** Everything that waits is another queue's now. */
  handOn(): void {
    while (this.length > 0) {
      const entry = this.shift()
      this.queuedBytes -= entry.bytes
      this.ledger.handOn(entry.count, "queued")
    }
  }

  /** Lets everything that still waits go. */
  clear(reason: string): void {
    while (this.length > 0) this.evict(this.shift(), reason)
  }
}
