import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BatchProcessor } from "../../pipe/BatchProcessor.ts"
import { imbalance, total } from "../../pipe/Ledger.ts"
import type { QueueReport, Signal } from "../Telemetry.ts"
import { Succession } from "./Succession.ts"

interface Queue {
  readonly backend: string
  readonly signal: Signal
  readonly processor: BatchProcessor<any>
  closed: boolean
  /** The last looks at it: monotonic milliseconds, items, bytes. */
  looks: ReadonlyArray<{ readonly at: number; readonly items: number; readonly bytes: number }>
}

/** The filling of a queue is told from this much time. Milliseconds. */
const window = 60_000
/** Looks closer together than this say little. */
const spacing = 1_000

/** The queues of all backends that are open. */
export class Queues {
  private readonly open = new Set<Queue>()
  private readonly now: () => number

  /** `now` is monotonic milliseconds. */
  constructor(now: () => number) {
    this.now = now
  }

  readonly enter = (backend: string, signal: Signal, processor: BatchProcessor<any>): Effect.Effect<void, never, Scope.Scope> =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.map(Succession, (handover) => {
        const queue: Queue = { backend, signal, processor, looks: [], closed: false }
        const open = () => void (queue.closed || this.open.add(queue))
        if (handover === undefined) open()
        else handover.defer(open)
        return queue
      }),
      (queue) =>
        Effect.sync(() => {
          queue.closed = true
          this.open.delete(queue)
        })
    ))

  /** Remembers how full they are; to be called now and then. */
  look(): void {
    const at = this.now()
    for (const queue of this.open) {
      const newest = queue.looks.at(-1)
      if (newest !== undefined && at - newest.at < spacing) continue
      const { queuedBytes, queuedItems } = queue.processor.status()
      queue.looks = [...queue.looks.filter((one) => at - one.at <= window), { at, items: queuedItems, bytes: queuedBytes }]
    }
  }

  /** Other fibers take the place of those that stalled. */
  revive(): void {
    for (const { processor } of this.open) processor.reviveUnsafe()
  }

  /** Items that never came to the queues of a signal: they stand in the books all the same. */
  refuse(signal: Signal, count: number, reason: string): void {
    for (const queue of this.open) if (queue.signal === signal) queue.processor.refuseUnsafe(count, reason)
  }

  /** Lets go of what waits in the queues of a signal; how many that were, over all queues. */
  shed(signal: Signal, which: (item: any) => boolean, reason: string): number {
    let count = 0
    for (const queue of this.open) if (queue.signal === signal) count += queue.processor.shedUnsafe(which, reason)
    return count
  }

  /** How full the queues of spans are, 0 to 1, by the least full of them; 0 when there is none. */
  spanFill(): number {
    let least = Infinity
    for (const { processor, signal } of this.open) {
      if (signal !== "spans") continue
      const { maxBytes, maxItems, queuedBytes, queuedItems } = processor.status()
      least = Math.min(least, Math.max(queuedItems / maxItems, queuedBytes / maxBytes))
    }
    return least === Infinity ? 0 : least
  }

  reports(): ReadonlyArray<QueueReport> {
    const at = this.now()
    this.look()
    return [...this.open].map(({ backend, looks, processor, signal }) => {
      const status = processor.status()
      const ledger = processor.ledger()
      const first = looks[0]
      const seconds = first === undefined ? 0 : (at - first.at) / 1000
      const rate = (before: number, now: number) => seconds >= spacing / 1000 ? (now - before) / seconds : 0
      const itemsPerSecond = rate(first?.items ?? 0, status.queuedItems)
      const bytesPerSecond = rate(first?.bytes ?? 0, status.queuedBytes)
      const left = (most: number, now: number, perSecond: number) => now >= most ? 0 : perSecond > 0 ? (most - now) / perSecond : Infinity
      const secondsToFull = Math.min(left(status.maxItems, status.queuedItems, itemsPerSecond), left(status.maxBytes, status.queuedBytes, bytesPerSecond))
      return {
        backend,
        signal,
        items: status.queuedItems,
        maxItems: status.maxItems,
        bytes: status.queuedBytes,
        maxBytes: status.maxBytes,
        oldestAgeMillis: status.oldestAgeMillis,
        itemsPerSecond,
        secondsToFull: secondsToFull === Infinity ? undefined : secondsToFull,
        failures: status.failures,
        hangs: status.hangs,
        rebuilds: status.rebuilds,
        lastError: status.lastError === undefined || status.lastErrorAt === undefined ? undefined : { message: status.lastError, at: status.lastErrorAt },
        lastSuccessAt: status.lastSuccessAt,
        lost: total(ledger.dropped) + ledger.unconfirmed,
        balanced: imbalance(ledger) === undefined
      }
    })
  }
}
