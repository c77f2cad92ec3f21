import type { Clock } from "effect/Clock"
import type { CacheSeries } from "./CacheSeries.ts"

/** What is used of the entries of both; a lookup that goes on has no exit, or no outcome, yet. */
interface Entry {
  readonly expiresAt: number | undefined
  readonly fiber?: { readonly pollUnsafe: () => unknown }
  readonly deferred?: { readonly effect?: unknown }
}

const nobody = Symbol()

/**
 * The map inside an Effect `Cache` or `ScopedCache`, told of every read and write that the functions of those modules make, so that `Cache.get(cache, key)` is
 * counted wherever it is called. What they do is known from the order of the calls: an entry that is taken out and put back is a hit (it moves to the end), a key that was
 * not there and is looked up is a miss. A question that is followed by nothing (`has`, `getOption`) is settled when the next one comes, or when values are read.
 */
export class ObservedMap<K> extends Map<K, Entry> {
  private readonly series: CacheSeries
  private readonly clock: Clock
  private readonly capacity: number
  private readonly scoped: boolean
  private asked: K | typeof nobody = nobody
  private missing = 0
  private found = 0
  private removed: Entry | undefined = undefined
  private inserted: K | typeof nobody = nobody
  /** The key that the cache itself asks for next. */
  private own: K | typeof nobody = nobody
  private ending: K | typeof nobody = nobody
  private ignoring = false
  private consumed = false

  constructor(inner: Map<K, Entry>, series: CacheSeries, clock: Clock, capacity: number, scoped: boolean) {
    super()
    this.series = series
    this.clock = clock
    this.capacity = capacity
    this.scoped = scoped
    for (const [key, entry] of inner) super.set(key, entry)
  }

  override has(key: K): boolean {
    this.ignoring = key === this.own
    if (this.ignoring) {
      this.own = nobody
      return super.has(key)
    }
    if (key !== this.asked) {
      this.settle()
      this.asked = key
    }
    this.inserted = nobody
    const here = super.has(key)
    if (here) this.found++
    else this.missing++
    return here
  }

  override get(key: K): Entry | undefined {
    if (!this.ignoring && this.missing > 0 && key !== this.asked) {
      // A key that equals the one asked for.
      this.missing--
      this.found++
    }
    return super.get(key)
  }

  override set(key: K, entry: Entry): this {
    if (entry === this.removed) {
      this.removed = undefined
      if (this.missing > 0) this.missing--
      if (this.found > 0 && !this.consumed) this.found--
      this.series.hits(1)
      return super.set(key, entry)
    }
    this.removed = undefined
    const former = super.get(key)
    if (!this.ignoring || this.scoped) this.written(former !== undefined)
    if (former === undefined) this.inserted = this.asked
    else if (this.isExpired(former)) {
      this.inserted = this.asked
      this.series.evicted("expired")
    }
    return super.set(key, entry)
  }

  override delete(key: K): boolean {
    const entry = super.get(key)
    this.removed = undefined
    this.own = nobody
    if (entry === undefined) return false
    if (super.size > this.capacity) {
      this.series.evicted("capacity")
      return super.delete(key)
    }
    const reading = this.found > 0 && !this.ignoring
    if (this.isExpired(entry)) {
      this.series.evicted("expired")
      if (reading) {
        this.found--
        this.series.misses(1)
      }
    } else {
      this.removed = entry
      // It was asked for in order to take it out: `ScopedCache` always does, `Cache` when nobody waits for a lookup any more.
      this.consumed = reading && (this.scoped || isLoading(entry))
      if (this.consumed) this.found--
    }
    return super.delete(key)
  }

  override clear(): void {
    this.settle()
    this.removed = undefined
    super.clear()
  }

  /** The cache loads a value: because it was asked for, or to refresh one that is there. */
  lookup(key: K): void {
    if (key === this.asked) {
      // `ScopedCache` puts the entry in before it looks up; to refresh one it asks first whether it is there.
      const isNew = this.scoped && key === this.inserted
      this.series.misses(this.missing + (isNew ? 1 : 0))
      this.series.hits(this.found - (this.scoped && !isNew ? 1 : 0))
      this.missing = this.found = 0
    } else this.settle()
    this.inserted = nobody
    this.asked = key
    if (!this.scoped) this.own = key
  }

  /** A lookup has ended; one that was interrupted is taken out at once. */
  ended(key: K, interrupted: boolean): void {
    if (interrupted) this.own = key
    else this.ending = key
  }

  /** How long the cache keeps what it was given; what a lookup gave is taken out at once when that is no time at all. */
  keeps(key: K, none: boolean): void {
    if (none && !this.scoped && key === this.ending) this.own = key
    this.ending = nobody
  }

  /** Brings the counts up to date. */
  settle(): void {
    if (this.missing > 0) this.series.misses(this.missing)
    if (this.found > 0) this.series.hits(this.found)
    this.missing = this.found = 0
    this.asked = this.inserted = nobody
  }

  /** The last questions were part of a write; `ScopedCache` asks once more. */
  private written(replaces: boolean): void {
    for (let i = this.scoped ? 2 : 1; i > 0; i--) {
      if (this.found > 0 && (replaces || this.missing === 0)) this.found--
      else if (this.missing > 0) this.missing--
    }
  }

  private isExpired({ expiresAt }: Entry): boolean {
    return expiresAt !== undefined && expiresAt <= this.clock.currentTimeMillisUnsafe()
  }
}

const isLoading = ({ deferred, fiber }: Entry): boolean =>
  fiber === undefined ? deferred !== undefined && deferred.effect === undefined : fiber.pollUnsafe() === undefined
