import { SlowLine } from "./SlowLine.ts"

export interface OperationsOptions {
  /** Above 0 and below 1; `undefined` when slowness does not count. */
  readonly quantile: number | undefined
  /** Most operations told apart. */
  readonly most: number
}

/** Half of the time an operation is remembered at most, and over which its quantile is taken. */
const windowMillis = 5 * 60_000

/** What is known of the operations of a program: how often they were seen, and what is slow for them. */
export class Operations {
  private readonly options: OperationsOptions
  private readonly known = new Map<string, Operation>()
  private readonly others: Operation
  private since: number | undefined

  constructor(options: OperationsOptions) {
    this.options = options
    this.others = new Operation(options.quantile)
    // Those that share it cannot be told apart, so none of them is a first one.
    this.others.seen = Infinity
  }

  /** Counts a trace of this operation that took so long; how often it was seen before, and whether it is slow. */
  add(name: string, nanos: number, now: number): { readonly seenBefore: number; readonly slow: boolean } {
    this.since ??= now
    if (now - this.since >= windowMillis) this.turn(now)
    let operation = this.known.get(name)
    if (operation === undefined) {
      if (this.known.size >= this.options.most) operation = this.others
      else this.known.set(name, operation = new Operation(this.options.quantile))
    }
    operation.active = true
    return { seenBefore: operation.seen++, slow: operation.line?.add(nanos) ?? false }
  }

  private turn(now: number): void {
    this.since = now
    for (const [name, operation] of this.known) {
      // Silent for a whole window: forgotten, so that it is kept as a first one when it comes back.
      if (!operation.active) this.known.delete(name)
      operation.active = false
      operation.line?.turn()
    }
    this.others.line?.turn()
  }
}

class Operation {
  seen = 0
  active = true
  readonly line: SlowLine | undefined

  constructor(quantile: number | undefined) {
    this.line = quantile === undefined ? undefined : new SlowLine(quantile)
  }
}
