import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { Options, Policy, ProcessorStatus, Tuning } from "../BatchProcessor.ts"
import { type Attempt, type Exporter, ExportError, type ExportOutcome, unavailable } from "../Exporter.ts"
import { Ledger } from "../Ledger.ts"
import { Buffer, type Entry } from "./Buffer.ts"
import { Signal } from "./Signal.ts"

/** Crashes of an exporter on one batch before the batch is given up. */
const maxDefects = 3
/** Attempts that were abandoned and still run; from then on the next ones come later and later, at most so much. */
const maxAbandoned = 4
const longestPause = 300_000
/** The worker is this late to go on, twice in a row, before it counts as stalled. Milliseconds. */
const patience = 30_000

const millisOf = <A>(policy: Policy<A>) => ({
  flushInterval: Duration.toMillis(policy.flushInterval),
  attemptTimeout: Duration.toMillis(policy.attemptTimeout),
  backoff: Duration.toMillis(policy.backoff),
  maxBackoff: Duration.toMillis(policy.maxBackoff),
  drainDeadline: Duration.toMillis(policy.drainDeadline)
})

type Batch<A> = ReadonlyArray<Entry<A>>

/** The moving parts of a `BatchProcessor`. */
export class Pipe<in out A> {
  readonly ledger = new Ledger()
  private readonly exporter: Exporter<A>
  private policy: Policy<A>
  private readonly options: Options
  private readonly clock: Clock.Clock
  private readonly buffer: Buffer<A>
  private readonly bell = new Signal()
  private readonly finished = Deferred.makeUnsafe<void>()
  private millis: { readonly [K in "flushInterval" | "attemptTimeout" | "backoff" | "maxBackoff" | "drainDeadline"]: number }
  private flushers: Array<{ readonly target: number; readonly done: Deferred.Deferred<void> }> = []
  private current: { readonly attempt: Attempt; batch: Batch<A>; readonly stop: () => void } | undefined
  private sending: ReadonlyArray<Batch<A>> = []
  private numbers = 0
  private closing = false
  private failures = 0
  private lastError: { readonly message: string; readonly at: number } | undefined
  private lastSuccessAt: number | undefined
  /** Attempts in a row that gave no answer in time. */
  private hangs = 0
  private hung = false
  private rebuilds = 0
  /** Those that were abandoned and have not ended yet. */
  private abandoned = 0
  /** Which worker is at work: a stalled one has a successor. */
  private generation = 0
  /** Until when the worker waits, on the monotonic clock, and how often it went on. */
  private until = Infinity
  private beats = 0
  private suspect = -1

  constructor(exporter: Exporter<A>, policy: Policy<A>, options: Options, clock: Clock.Clock) {
    this.exporter = exporter
    this.policy = policy
    this.options = options
    this.clock = clock
    this.millis = millisOf(policy)
    this.buffer = new Buffer(policy, this.ledger, () => this.now(), (count, reason) => this.tellLoss(count, reason))
  }

  /** Another policy from the next batch on; what the queue can no longer hold is dropped. */
  tune(tuning: Tuning): void {
    this.policy = { ...this.policy, ...tuning }
    this.millis = millisOf(this.policy)
    this.buffer.resize(this.policy)
    this.bell.ring()
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  offer(item: A): boolean {
    if (this.closing) {
      this.ledger.reject(1, "closed")
      this.tellLoss(1, "closed")
      return false
    }
    const { buffer } = this
    const wasEmpty = buffer.length === 0
    const kept = buffer.offer(item)
    if ((wasEmpty && buffer.length > 0) || buffer.length === this.policy.batchSize) this.bell.ring()
    if (this.flushers.length > 0) this.wakeFlushers()
    return kept
  }

  /** Gives what was never attempted to another queue, if that takes it. */
  leave(heir: (items: ReadonlyArray<A>) => boolean): void {
    const { waiting } = this.buffer
    if (waiting.length === 0 || !heir(waiting)) return
    this.buffer.handOn()
    this.wakeFlushers()
  }

  /** Takes what another queue leaves: it is older than all that waits here. */
  take(items: ReadonlyArray<A>): boolean {
    if (this.closing) return false
    // The youngest first, each before those that are there.
    for (const item of items.toReversed()) this.buffer.offer(item, true)
    this.bell.ring()
    return true
  }

  /** Counts items that nobody wants here: refused by choice, so that no loss is told. */
  refuse(count: number, reason: string): void {
    this.ledger.reject(count, reason)
  }

  shed(which: (item: A) => boolean, reason: string): number {
    const count = this.buffer.shed(which, reason)
    if (this.flushers.length > 0) this.wakeFlushers()
    return count
  }

  private inherit(items: ReadonlyArray<A>): boolean {
    try {
      return this.options.inherit?.(items) === true
    } catch {
      return false
    }
  }

  private endReason(): string {
    return this.options.endReason?.() ?? "shutdown"
  }

  readonly flush: Effect.Effect<void> = Effect.suspend(() => {
    const target = this.buffer.youngest
    if (this.settledUpTo(target)) return Effect.void
    const flusher = { target, done: Deferred.makeUnsafe<void>() }
    this.flushers.push(flusher)
    this.bell.ring()
    return Effect.ensuring(
      Deferred.await(flusher.done),
      Effect.sync(() => {
        this.flushers = this.flushers.filter((other) => other !== flusher)
      })
    )
  })

  /** Everything accepted up to this order is delivered or given up. */
  private settledUpTo(target: number): boolean {
    const first = this.sending[0]?.[0] ?? this.buffer.oldest
    return first === undefined || first.order > target
  }

  private wakeFlushers(): void {
    for (const { done, target } of this.flushers) {
      if (this.settledUpTo(target)) Deferred.doneUnsafe(done, Exit.void)
    }
  }

  /** The worker: one batch after the other until the queue is closed and empty. */
  readonly work: Effect.Effect<void> = Effect.suspend(() => {
    const mine = this.generation
    return Effect.suspend(() => this.next()).pipe(
      // Nothing in it fails on purpose; whatever did must not end the loop and lose what waits.
      Effect.catchCause((cause) => Cause.hasInterrupts(cause) ? Effect.interrupt : Effect.sleep(this.millis.backoff)),
      Effect.repeat({ until: () => this.closing && this.buffer.length === 0 }),
      Effect.ensuring(Effect.sync(() => {
        if (mine === this.generation) Deferred.doneUnsafe(this.finished, Exit.void)
      }))
    )
  })

  /**
   * Whether the worker should have gone on long ago: a timer that never fired, or a bug. To be asked now and then; only a second look says so, for after a
   * sleep of the machine all timers are late at once.
   */
  stalled(): boolean {
    const oldest = this.buffer.oldest
    const due = this.until === Infinity && oldest !== undefined ? oldest.at + this.millis.flushInterval : this.until
    if (this.now() - due <= patience) this.suspect = -1
    else if (this.suspect === this.beats) return true
    else this.suspect = this.beats
    return false
  }

  /** The present worker is to end without ending the queue. */
  retire(): void {
    this.generation++
  }

  /** The successor of a worker that stalled: it goes on with what was in flight, under the same numbers. */
  readonly resume: Effect.Effect<void> = Effect.suspend(() => {
    this.rebuilds++
    this.suspect = -1
    this.until = Infinity
    const { current } = this
    current?.stop()
    const left = this.sending
    return Effect.andThen(
      Effect.forEach(left, (batch) =>
        Effect.suspend(() => {
          if (!this.sending.includes(batch)) return Effect.void
          if (batch === current?.batch) return this.deliver(batch, { number: current.attempt.number, attempt: current.attempt.attempt + 1 }, 0, this.now())
          this.sending = this.sending.filter((other) => other !== batch)
          return this.send(batch)
        }), { discard: true }),
      this.work
    )
  })

  /** Waits for the bell, at most `millis`, and says until when. */
  private waitFor(millis: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.beat(millis)
      return millis === Infinity ? this.bell.wait : this.bell.waitFor(millis)
    })
  }

  private beat(millis: number): void {
    this.beats++
    this.until = this.now() + millis
  }

  private next(): Effect.Effect<void> {
    const { buffer, policy } = this
    const oldest = buffer.oldest
    if (oldest === undefined) return this.closing ? Effect.void : this.waitFor(Infinity)
    const hurry = this.closing || buffer.length >= policy.batchSize || this.flushers.some(({ target }) => oldest.order <= target)
    const wait = hurry ? 0 : oldest.at + this.millis.flushInterval - this.now()
    if (wait > 0) return this.waitFor(wait)
    return Effect.suspend(() => this.send(buffer.take(policy.batchSize)))
  }

  /** Settles one batch, whatever becomes of it. */
  private send(batch: Batch<A>): Effect.Effect<void> {
    this.sending = [batch, ...this.sending]
    const attempt = { number: ++this.numbers, attempt: 1 }
    return this.deliver(batch, attempt, 0, this.now())
  }

  private deliver(batch: Batch<A>, attempt: Attempt, defects: number, startedAt: number): Effect.Effect<void> {
    return Effect.flatMap(this.tryOnce(batch, attempt), (exit) => {
      // The close gave up on it meanwhile: the books are done.
      if (!this.sending.includes(batch)) return Effect.void
      if (Exit.isSuccess(exit)) {
        this.succeed(batch, exit.value, startedAt)
        return Effect.void
      }
      const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      const crashed = !(failure instanceof ExportError)
      this.noteFailure(crashed ? firstLine(Cause.squash(exit.cause)) : failure.message)
      if (crashed && defects + 1 >= maxDefects) return this.giveUp(batch, attempt, "defect", startedAt)
      if (!crashed && failure.reason._tag === "Refused") {
        if (failure.reason.divisible && batch.length > 1) return this.split(batch)
        this.settle(batch, startedAt, (count) => this.lose(count, (failure.reason as { readonly reason: string }).reason))
        return Effect.void
      }
      if (attempt.attempt >= this.policy.maxAttempts) return this.giveUp(batch, attempt, "retries_spent", startedAt)
      const asked = crashed || failure.reason._tag === "Refused" ? undefined : failure.reason.retryAfter
      return Effect.andThen(
        this.pause(attempt.attempt, asked),
        Effect.suspend(() => this.deliver(batch, { number: attempt.number, attempt: attempt.attempt + 1 }, crashed ? defects + 1 : 0, startedAt))
      )
    })
  }

  /** One attempt, detached: it is left behind at its deadline, for `Effect.timeout` would wait for its cleanup. */
  private tryOnce(batch: Batch<A>, attempt: Attempt): Effect.Effect<Exit.Exit<ExportOutcome, ExportError>> {
    const items = batch.map((entry) => entry.item) as unknown as Arr.NonEmptyReadonlyArray<A>
    // Whoever was left without an answer must not ask on the same connection: an abandoned attempt takes it along.
    if (this.hangs > 0) this.rebuilds++
    const attempted = this.detached(
      Effect.suspend(() => this.exporter.export(items, attempt)),
      this.millis.attemptTimeout,
      (stop) => {
        this.current = { attempt, batch, stop }
      }
    )
    const began = this.now()
    return Effect.map(attempted, (exit) => {
      // An exporter may have the same deadline, and be a moment earlier.
      const silent = this.hung || (Exit.isFailure(exit) && this.now() - began >= 0.95 * this.millis.attemptTimeout)
      this.hangs = silent ? this.hangs + 1 : 0
      return exit
    })
  }

  private detached<B>(
    effect: Effect.Effect<B, ExportError>,
    millis: number,
    onStart: (stop: () => void) => void
  ): Effect.Effect<Exit.Exit<B, ExportError>> {
    return Effect.gen({ self: this }, function*() {
      const answer = Deferred.makeUnsafe<Exit.Exit<B, ExportError>>()
      this.beat(millis)
      const fiber = yield* Effect.forkDetach(
        Effect.onExit(effect, (exit) => Effect.sync(() => Deferred.doneUnsafe(answer, Exit.succeed(exit))))
      )
      onStart(() => fiber.interruptUnsafe())
      const waited = yield* Effect.timeoutOption(Deferred.await(answer), millis).pipe(
        Effect.onInterrupt(() => Effect.sync(() => fiber.interruptUnsafe()))
      )
      this.beat(0)
      this.hung = Option.isNone(waited)
      if (Option.isSome(waited)) return waited.value
      this.abandoned++
      fiber.addObserver(() => void this.abandoned--)
      fiber.interruptUnsafe()
      return Exit.fail(unavailable(`no answer within ${millis} ms`))
    })
  }

  private pause(attempt: number, asked: Duration.Duration | undefined): Effect.Effect<void> {
    const { backoff, maxBackoff } = this.millis
    const most = this.closing ? Math.min(backoff, maxBackoff) : maxBackoff
    return Effect.flatMap(Random.next, (random) => {
      const doubled = Math.min(most, backoff * 2 ** Math.min(attempt - 1, 30)) * (0.8 + 0.4 * random)
      const wanted = asked === undefined ? doubled : Math.max(backoff, Duration.toMillis(asked))
      const piled = this.abandoned < maxAbandoned || this.closing ? 0 : Math.min(longestPause, maxBackoff * 2 ** (this.abandoned - maxAbandoned))
      const delay = Math.max(piled, Math.min(Math.max(1, wanted), Math.max(1, most)))
      // A flush or the close cuts it short, once; new items do not.
      return this.pauseUntil(this.now() + delay, this.flushers.length, this.closing)
    })
  }

  private pauseUntil(end: number, flushers: number, closing: boolean): Effect.Effect<void> {
    return Effect.andThen(
      Effect.suspend(() => this.waitFor(Math.max(0, end - this.now()))),
      Effect.suspend(() => {
        const called = this.flushers.length > flushers || this.closing !== closing
        return called || this.now() >= end - 0.5 ? Effect.void : this.pauseUntil(end, Math.min(flushers, this.flushers.length), closing)
      })
    )
  }

  private succeed(batch: Batch<A>, outcome: ExportOutcome, startedAt: number): void {
    const refused = Math.min(batch.length, Math.max(0, Math.floor(Number(outcome?.rejected) || 0)))
    const reason = outcome?.reason || "partial_success"
    this.failures = 0
    this.lastSuccessAt = this.clock.currentTimeMillisUnsafe()
    const taken = batch.length - refused
    let exported = 0
    for (let i = 0; i < taken; i++) exported += batch[i]!.count
    this.ledger.export(exported)
    this.settle(refused === 0 ? [] : batch.slice(taken), startedAt, (count) => this.lose(count, reason), batch)
  }

  private split(batch: Batch<A>): Effect.Effect<void> {
    const middle = batch.length >>> 1
    this.sending = this.sending.filter((other) => other !== batch)
    const rest = batch.slice(middle)
    // Both halves stay in flight while the first is sent: a flush waits for both.
    this.sending = [rest, ...this.sending]
    return Effect.andThen(
      Effect.suspend(() => this.send(batch.slice(0, middle))),
      Effect.suspend(() => {
        if (!this.sending.includes(rest)) return Effect.void
        this.sending = this.sending.filter((other) => other !== rest)
        return this.send(rest)
      })
    )
  }

  private giveUp(batch: Batch<A>, attempt: Attempt, reason: string, startedAt: number): Effect.Effect<void> {
    return Effect.map(this.fence(attempt, this.millis.attemptTimeout), (fenced) => {
      if (this.sending.includes(batch)) {
        this.settle(batch, startedAt, (count) => fenced ? this.lose(count, reason) : this.ledger.doubt(count))
      }
    })
  }

  /** Makes sure that no late attempt of a batch counts any more; `false` when that cannot be known. */
  private fence(attempt: Attempt, millis: number): Effect.Effect<boolean> {
    const { exporter } = this
    if (exporter.giveUp === undefined) return Effect.succeed(true)
    return Effect.map(this.detached(Effect.suspend(() => exporter.giveUp!(attempt)), millis, () => {}), Exit.isSuccess)
  }

  /** Closes the books of a batch; `open` are the entries that are not accounted for yet. */
  private settle(open: Batch<A>, startedAt: number, account: (count: number) => void, batch = open): void {
    for (const entry of open) account(entry.count)
    this.buffer.settle(batch)
    this.sending = this.sending.filter((other) => other !== batch)
    this.current = undefined
    this.wakeFlushers()
    try {
      this.options.onSettled?.((this.now() - startedAt) / 1000, batch.length)
    } catch {
      // Who listens to the books must not disturb them.
    }
  }

  private lose(count: number, reason: string): void {
    this.ledger.drop(count, reason)
    this.tellLoss(count, reason)
  }

  private tellLoss(count: number, reason: string): void {
    try {
      this.options.onLoss?.(count, reason)
    } catch {
      // As above.
    }
  }

  private noteFailure(message: string): void {
    this.failures++
    this.lastError = { message, at: this.clock.currentTimeMillisUnsafe() }
  }

  /** Drains within the deadline; a part of it is kept for fencing off what is still in flight then. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    const budget = Math.min(this.millis.drainDeadline, Math.max(0, this.options.drainBudget?.() ?? Infinity))
    const deadline = this.now() + budget
    const reserve = this.exporter.giveUp === undefined ? 0 : Math.min(1000, budget * 0.2)
    this.closing = true
    this.bell.ring()
    return Effect.timeoutOption(Deferred.await(this.finished), budget - reserve).pipe(
      Effect.andThen(Effect.suspend(() => {
        this.leave((items) => this.inherit(items))
        this.buffer.clear(this.endReason())
        const { current } = this
        current?.stop()
        return current === undefined ? Effect.succeed(true) : this.fence(current.attempt, Math.max(0, deadline - this.now()))
      })),
      Effect.andThen((fenced) =>
        Effect.sync(() => {
          for (const batch of this.sending) {
            const attempted = batch === this.current?.batch
            // Without a way to give it up nobody knows what became of it.
            const certain = !attempted || (fenced && this.exporter.giveUp !== undefined)
            const left = certain && this.inherit(batch.map(({ item }) => item))
            this.settle(batch, this.now(), (count) =>
              left ? this.ledger.handOn(count, "inFlight") : attempted && !fenced ? this.ledger.doubt(count) : this.lose(count, this.endReason()))
          }
          this.wakeFlushers()
        })
      )
    )
  })

  status(): ProcessorStatus {
    const { buffer } = this
    const oldest = this.sending[0]?.[0] ?? buffer.oldest
    return {
      queuedItems: buffer.length + buffer.inFlightItems,
      queuedBytes: buffer.queuedBytes + buffer.inFlightBytes,
      maxItems: this.policy.maxItems,
      maxBytes: this.policy.maxBytes,
      oldestAgeMillis: oldest === undefined ? 0 : Math.max(0, this.now() - oldest.at),
      failures: this.failures,
      hangs: this.hangs,
      rebuilds: this.rebuilds,
      abandoned: this.abandoned,
      lastError: this.lastError?.message,
      lastErrorAt: this.lastError?.at,
      lastSuccessAt: this.lastSuccessAt
    }
  }
}

const firstLine = (error: unknown): string => String(error).split("\n")[0]!.slice(0, 500)
