/**
 * The most frequent values of a stream in bounded memory (Misra and Gries, 1982). Each value that makes up more than one part in
 * `capacity` of the stream is among them, with a count that is never too high. A value costs a constant time on average: what makes room
 * takes back one of each.
 */
export class HeavyHitters {
  private readonly capacity: number
  private readonly counts = new Map<string, number>()

  constructor(capacity: number) {
    this.capacity = capacity
  }

  add(value: string): void {
    const known = this.counts.get(value)
    if (known !== undefined) this.counts.set(value, known + 1)
    else if (this.counts.size < this.capacity) this.counts.set(value, 1)
    else {
      for (const [held, count] of this.counts) {
        if (count === 1) this.counts.delete(held)
        else this.counts.set(held, count - 1)
      }
    }
  }

  /** The most frequent first, each with how often it came at least. */
  top(n: number): ReadonlyArray<{ readonly value: string; readonly count: number }> {
    return [...this.counts].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count).slice(0, n)
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
