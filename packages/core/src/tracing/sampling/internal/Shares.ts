/** Where a sampler counts the spans of one operation. */
export interface Tally {
  /** `count` spans have begun, one unless told; `kept` says whether their trace is. */
  readonly add: (kept: boolean, count?: number) => void
}

/** What one operation offers and gets. */
class Share implements Tally {
  /** Spans begun in the present second. */
  offered = 0
  /** Spans per second, smoothed. */
  rate = 0
  /** Spans per second it may have. */
  allowance: number
  probability = 1
  idleSince: number
  private readonly shares: Shares

  constructor(shares: Shares, allowance: number, now: number) {
    this.shares = shares
    this.allowance = allowance
    this.idleSince = now
  }

  add(kept: boolean, count = 1): void {
    this.offered += count
    if (kept) this.shares.kept += count
  }
}

export type { Share }

/** Smoothing of rates: half of what is new counts, each second. */
const memory = 0.5
/** An operation that has been silent for so long is forgotten. */
const forgetMillis = 60_000
/** How far over its allowance an operation, or all together, may run within a second before the probability sinks at once. */
const leeway = 2

/**
 * Divides a goal in spans per second over operations, max-min fairly: nobody gets more than it offers, what is not used is lent to the
 * others in equal parts. Rates are measured and shares corrected once per second; within a second a flood lowers its own probability
 * as it goes, so that a burst keeps about its share times the logarithm of its excess.
 *
 * A probability depends only on what happened before it is asked for, which keeps weighted counts unbiased. Time is given by the
 * caller, in milliseconds that never fall.
 */
export class Shares {
  private readonly goal: number
  private readonly maxOperations: number
  private readonly operations = new Map<string, Share>()
  private others: Share | undefined
  private since: number | undefined
  private newcomer: number
  /** Spans kept in the present second. */
  kept = 0

  constructor(goal: number, maxOperations: number) {
    this.goal = goal
    this.maxOperations = maxOperations
    this.newcomer = goal
  }

  /** The share of an operation; past `maxOperations` the further ones have one together. */
  share(operation: string, now: number): Share {
    this.since ??= now
    if (now - this.since >= 1000) this.settle(now)
    let share = this.operations.get(operation)
    if (share === undefined) {
      if (this.operations.size >= this.maxOperations) return this.others ??= new Share(this, this.newcomer, now)
      this.operations.set(operation, share = new Share(this, this.newcomer, now))
    }
    return share
  }

  /** With which probability a trace of this operation is kept that begins now. */
  probability(share: Share): number {
    let probability = share.probability
    const most = leeway * share.allowance
    if (share.offered > most) probability = Math.min(probability, most / share.offered)
    const all = leeway * this.goal
    return this.kept > all ? probability * (all / this.kept) : probability
  }

  /** The least of the present probabilities: with it a trace is kept whatever its operation turns out to be. */
  least(now: number): number {
    if (this.since !== undefined && now - this.since >= 1000) this.settle(now)
    let least = 1
    for (const share of this.operations.values()) least = Math.min(least, this.probability(share))
    return this.others === undefined ? least : Math.min(least, this.probability(this.others))
  }

  /** Closes the seconds that have passed: new rates, new shares. */
  private settle(now: number): void {
    const seconds = (now - this.since!) / 1000
    this.since = now
    // Nothing came after the first of several seconds, or they would have been closed then.
    const active = seconds < 2 ? seconds : 1
    const silence = memory ** (seconds - active)
    const shares: Array<Share> = []
    for (const [operation, share] of this.operations) {
      if (share.offered > 0) share.idleSince = now
      else if (now - share.idleSince > forgetMillis) {
        this.operations.delete(operation)
        continue
      }
      shares.push(share)
    }
    if (this.others !== undefined) shares.push(this.others)
    let offered = 0
    for (const share of shares) {
      const measured = share.offered / active
      share.rate = (share.rate === 0 ? measured : share.rate * memory + measured * (1 - memory)) * silence
      share.offered = 0
      offered += share.rate
    }
    this.kept = 0
    this.divide(shares, offered)
  }

  private divide(shares: ReadonlyArray<Share>, offered: number): void {
    const level = offered <= this.goal ? Infinity : levelOf(shares.map((share) => share.rate), this.goal)
    for (const share of shares) {
      share.probability = share.rate <= level ? 1 : level / share.rate
      // One that offers little may grow into an equal part at once.
      share.allowance = Math.max(Math.min(share.rate, level), this.goal / (shares.length + 1))
    }
    this.newcomer = Math.max(this.goal - offered, this.goal / (shares.length + 1))
  }
}

/** The height to which `goal` fills vessels of these sizes (water filling). */
const levelOf = (sizes: ReadonlyArray<number>, goal: number): number => {
  const sorted = sizes.toSorted((a, b) => a - b)
  let left = goal
  for (let i = 0; i < sorted.length; i++) {
    const equal = left / (sorted.length - i)
    if (sorted[i]! >= equal) return equal
    left -= sorted[i]!
  }
  return Infinity
}
