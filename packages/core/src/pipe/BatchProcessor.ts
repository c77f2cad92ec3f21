import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { quietly } from "../hub/quietly.ts"
import type { Exporter } from "./Exporter.ts"
import { Pipe } from "./internal/Pipe.ts"
import type { LedgerSnapshot } from "./Ledger.ts"

/** How one queue behaves. Every duration is measured on the monotonic clock. */
export interface Policy<in out A> {
  /** Most items held, in flight included. */
  readonly maxItems: number
  /** Most bytes held, in flight included, as `weigh` estimates them. */
  readonly maxBytes: number
  /** Most items per batch; above 10,000 it counts as 10,000, since the books of a batch are closed in one step of the event loop. */
  readonly batchSize: number
  /** A batch that is not full leaves after this time. */
  readonly flushInterval: Duration.Input
  /** Deadline of one attempt; then it is abandoned (not awaited) and counts as a retryable failure. */
  readonly attemptTimeout: Duration.Input
  /** Tries per batch, 1 or more; `Infinity` keeps trying while the buffer lasts. */
  readonly maxAttempts: number
  /** First delay between attempts; doubles each time, with jitter, up to `maxBackoff`. Also caps `retryAfter`. */
  readonly backoff: Duration.Input
  readonly maxBackoff: Duration.Input
  /** Hard limit for the drain when the scope closes; what is left is dropped as `"shutdown"`. */
  readonly drainDeadline: Duration.Input
  /**
   * What gives way when the queue is full: the item that comes (`"newest"`), the one that waited longest (`"oldest"`), or
   * nobody: `merge` joins the lightest adjacent pair that was never attempted into one item.
   */
  readonly overflow: "newest" | "oldest" | { readonly merge: (older: A, newer: A) => A }
  /** Estimated size in bytes of one item. */
  readonly weigh: (item: A) => number
  /** How many the ledger counts for one item; 1 unless merged. */
  readonly count: (item: A) => number
}

export interface BatchProcessor<in A> {
  /** Takes one item, now or never: `false` when it was refused and counted. Never throws, never waits. */
  readonly offerUnsafe: (item: A) => boolean
  /** Counts items as rejected that are not offered at all: a filter left them out. Nothing is reported as lost. */
  readonly refuseUnsafe: (count: number, reason: string) => void
  /**
   * Lets go of the items that wait and for which `which` holds, counted as dropped for `reason`; gives how many. What is in flight, or was attempted,
   * stays. One for which it throws stays too.
   */
  readonly shedUnsafe: (which: (item: any) => boolean, reason: string) => number
  /** Sends all that was offered before the call and waits until it is settled (delivered, or given up). */
  readonly flush: Effect.Effect<void>
  readonly ledger: () => LedgerSnapshot
  readonly status: () => ProcessorStatus
  /** Gives the work to another fiber when the present one should have gone on long ago; to be called now and then. `true` when it did. Nothing is lost. */
  readonly reviveUnsafe: () => boolean
}

export interface ProcessorStatus {
  readonly queuedItems: number
  readonly queuedBytes: number
  /** What it may hold. */
  readonly maxItems: number
  readonly maxBytes: number
  /** Age of the oldest item not yet settled, in milliseconds; 0 when there is none. */
  readonly oldestAgeMillis: number
  /** Consecutive failed attempts; 0 when the last one succeeded. */
  readonly failures: number
  /** Attempts in a row that gave no answer in time: the sink is reached and is silent. */
  readonly hangs: number
  /** How often an attempt began anew after one without an answer, on another connection, or another worker took the place of one that had stalled. */
  readonly rebuilds: number
  /** Attempts that were abandoned and have not ended yet. */
  readonly abandoned: number
  readonly lastError: string | undefined
  /** Wall time of the last failure, milliseconds since the epoch. */
  readonly lastErrorAt: number | undefined
  /** Wall time of the last success, milliseconds since the epoch. */
  readonly lastSuccessAt: number | undefined
}

const largestBatch = 10_000

/** A sensible queue for small items: 10,000 of them or 32 MiB, the oldest give way, tried again until the buffer is full. */
export const defaultPolicy = <A>(): Policy<A> => ({
  maxItems: 10_000,
  maxBytes: 32 * 1024 * 1024,
  batchSize: 100,
  flushInterval: "15 seconds",
  attemptTimeout: "30 seconds",
  maxAttempts: Infinity,
  backoff: "200 millis",
  maxBackoff: "30 seconds",
  drainDeadline: "5 seconds",
  overflow: "oldest",
  weigh: () => 256,
  count: () => 1
})

/** What of a policy may change while the queue is at work. */
export interface Tuning extends Partial<Pick<Policy<never>, "maxItems" | "maxBytes" | "batchSize" | "flushInterval" | "attemptTimeout" | "drainDeadline">> {}

/** How two queues for one sink pass on what waits. */
export interface Estate {
  /** Whether the last attempt failed. */
  readonly failing: () => boolean
  /** Gives what was never attempted to `heir`, which takes it or, by `false`, leaves it here. */
  readonly leave: (heir: (items: ReadonlyArray<any>) => boolean) => void
  /** Takes items before all that waits here, the oldest first; `false` when it is closed. */
  readonly take: (items: ReadonlyArray<any>) => boolean
}

export interface Options {
  /** Is handed a way to change the policy, and gives one to end that; called once. What a smaller queue cannot hold is dropped as `"resize"`. */
  readonly onTune?: (tune: (tuning: Tuning) => void) => () => void
  /** Called after each settled batch with the seconds from its first attempt to its end. */
  readonly onSettled?: (seconds: number, items: number) => void
  /** Called whenever items are dropped or rejected, with the ledger's reason. */
  readonly onLoss?: (count: number, reason: string) => void
  /** The ledger's word for what the drain could not deliver, asked when its deadline has passed. Default `"shutdown"`. */
  readonly endReason?: () => string
  /**
   * Asked when the drain is over, with what was certainly not delivered: `true` when another queue has it now. It is then no longer in these books.
   */
  readonly inherit?: (items: ReadonlyArray<any>) => boolean
  /** Is handed what a queue can pass on before its end, and be passed; called once. */
  readonly onSuccession?: (estate: Estate) => void
  /** Milliseconds left for the drain, asked when the scope closes: queues that close one after the other may share a deadline. */
  readonly drainBudget?: () => number
}

/**
 * A bounded queue in front of an exporter, with one fiber that sends batches: full ones at once, others after the flush interval.
 * One batch is in flight at a time; an abandoned attempt of it may still be ending behind it. When the scope closes the queue takes
 * nothing more, drains within `drainDeadline`, and what is left is counted as dropped (`"shutdown"`).
 *
 * A crash in the exporter is retried twice, then the batch is dropped (`"defect"`).
 */
export const make = <A>(
  exporter: Exporter<A>,
  policy: Policy<A>,
  options: Options = {}
): Effect.Effect<BatchProcessor<A>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const pipe = new Pipe(exporter, { ...policy, batchSize: Math.min(policy.batchSize, largestBatch) }, options, clock)
    const context = yield* Effect.context<never>()
    let worker = yield* Effect.forkScoped(quietly(pipe.work), { startImmediately: true })
    yield* Effect.addFinalizer(() => Effect.sync(() => worker.interruptUnsafe()))
    // Added after the worker, so that it runs before the worker is interrupted.
    yield* Effect.addFinalizer(() => quietly(pipe.close))
    options.onSuccession?.({ failing: () => pipe.status().failures > 0, leave: (heir) => pipe.leave(heir), take: (items) => pipe.take(items) })
    const untune = options.onTune?.((tuning) =>
      pipe.tune(tuning.batchSize === undefined ? tuning : { ...tuning, batchSize: Math.min(tuning.batchSize, largestBatch) }))
    if (untune !== undefined) yield* Effect.addFinalizer(() => Effect.sync(untune))
    return {
      offerUnsafe: (item) => pipe.offer(item),
      refuseUnsafe: (count, reason) => pipe.refuse(count, reason),
      shedUnsafe: (which, reason) => pipe.shed(which, reason),
      flush: quietly(pipe.flush),
      ledger: () => pipe.ledger.snapshot(),
      status: () => pipe.status(),
      reviveUnsafe: () => {
        if (!pipe.stalled()) return false
        pipe.retire()
        worker.interruptUnsafe()
        worker = Effect.runForkWith(context)(quietly(pipe.resume))
        return true
      }
    }
  })
