/** One value with how often it came at most; `error` of these may have been others. */
export interface Hitter {
  readonly value: string
  readonly count: number
  readonly error: number
}

/**
 * The most frequent values of a stream in bounded memory (Space-Saving: Metwally, Agrawal and El Abbadi, ICDT 2005). Each value that
 * makes up more than one part in `capacity` of the stream is among them.
 */
export class HeavyHitters {
  private readonly capacity: number
  private readonly counts = new Map<string, { count: number; error: number }>()

  constructor(capacity: number) {
    this.capacity = capacity
  }

  add(value: string): void {
    const known = this.counts.get(value)
    if (known !== undefined) {
      known.count++
      return
    }
    if (this.counts.size < this.capacity) {
      this.counts.set(value, { count: 1, error: 0 })
      return
    }
    let rarest = ""
    let least = Infinity
    for (const [held, { count }] of this.counts) {
      if (count < least) {
        least = count
        rarest = held
        if (count === 1) break
      }
    }
    this.counts.delete(rarest)
    this.counts.set(value, { count: least + 1, error: least })
  }

  /** The most frequent first. */
  top(n: number): ReadonlyArray<Hitter> {
    return [...this.counts]
      .map(([value, { count, error }]) => ({ value, count, error }))
      // Of equal counts the certain one.
      .sort((a, b) => b.count - a.count || a.error - b.error)
      .slice(0, n)
  }
}

/** How many registers: a standard error of 4.6 %. A power of two. */
const registers = 512

/** How many different values a stream had, about, in half a kilobyte (HyperLogLog: Flajolet and others, AofA 2007). */
export class DistinctCount {
  private readonly ranks = new Uint8Array(registers)

  add(value: string): void {
    const hash = hashOf(value)
    const at = hash & (registers - 1)
    const rank = Math.clz32((hash >>> 9) | 0) - 9 + 1
    if (rank > this.ranks[at]!) this.ranks[at] = rank
  }

  estimate(): number {
    let sum = 0
    let empty = 0
    for (const rank of this.ranks) {
      sum += 2 ** -rank
      if (rank === 0) empty++
    }
    const raw = (0.7213 / (1 + 1.079 / registers)) * registers * registers / sum
    // Few values are counted by the registers that none has reached (linear counting).
    const estimate = raw <= 2.5 * registers && empty > 0 ? registers * Math.log(registers / empty) : raw
    return Math.round(estimate)
  }
}

/** 32 bits, well mixed: FNV-1a with MurmurHash3's finaliser. */
const hashOf = (value: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
