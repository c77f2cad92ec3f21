import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type * as EffectTracer from "effect/Tracer"
import { classify } from "./classify.ts"
import type { Observer } from "./Observer.ts"

/**
 * A transaction, or a savepoint inside one. The span is Effect's own (`sql.transaction`); its statements are inside. How long the database took to
 * begin and to end it is seen from outside, so that the first includes the wait for a connection.
 */
export const transaction = <A, E, R>(observer: Observer, client: SqlClient, self: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
  Effect.withFiber((fiber) => {
    const nested = Context.getOrUndefined(fiber.context, client.transactionService) !== undefined
    const one = new Transaction(observer, fiber.getRef(Clock.Clock), nested)
    const body = Effect.onExitPrimitive(
      Effect.withFiber((inside) => {
        one.began(inside.cache.span)
        return self
      }),
      (exit) => one.bodyEnded(exit)
    )
    return Effect.onExitPrimitive(
      Effect.suspend(() => {
        one.asked()
        return client.withTransaction(body)
      }),
      (exit) => one.ended(exit)
    )
  })

type AnyExit = Exit.Exit<unknown, unknown>

class Transaction {
  private readonly observer: Observer
  private readonly clock: Clock.Clock
  private readonly nested: boolean
  private readonly start: bigint
  private last: bigint
  private state: "new" | "waiting" | "open" = "new"
  private body: AnyExit | undefined = undefined

  constructor(observer: Observer, clock: Clock.Clock, nested: boolean) {
    this.observer = observer
    this.clock = clock
    this.nested = nested
    this.start = this.last = clock.monotonicTimeNanosUnsafe()
  }

  asked(): void {
    this.state = "waiting"
    if (!this.nested) this.observer.pool.pending++
  }

  began(span: EffectTracer.AnySpan | undefined): void {
    this.state = "open"
    // Over what the driver says of itself: it leaves out what stands in a URL only.
    if (span?._tag === "Span" && span.sampled && span.name === "sql.transaction") {
      for (const [name, value] of this.observer.attributes) span.attribute(name, value)
    }
    if (!this.nested) {
      this.observer.pool.pending--
      this.observer.pool.used++
    }
    this.record(this.nested ? "SAVEPOINT" : "BEGIN", undefined)
  }

  bodyEnded(exit: AnyExit): undefined {
    this.body = exit
    this.last = this.clock.monotonicTimeNanosUnsafe()
  }

  ended(exit: AnyExit): undefined {
    const { body, nested, observer } = this
    if (!nested) {
      if (this.state === "waiting") observer.pool.pending--
      else if (this.state === "open") observer.pool.used--
    }
    const seconds = Number(this.clock.monotonicTimeNanosUnsafe() - this.start) / 1e9
    const kind = nested ? "savepoint" : "transaction"
    if (body === undefined) {
      const given = isInterrupted(exit)
      if (!given) this.record(nested ? "SAVEPOINT" : "BEGIN", exit)
      observer.metrics.transaction(kind, given ? "interrupted" : "begin_failed", seconds)
    } else if (body._tag === "Success") {
      this.record(nested ? "RELEASE" : "COMMIT", exit)
      observer.metrics.transaction(kind, exit._tag === "Success" ? "committed" : "commit_failed", seconds)
    } else {
      this.record("ROLLBACK", undefined)
      observer.metrics.transaction(kind, isInterrupted(body) ? "interrupted" : "rolled_back", seconds)
    }
  }

  private record(operation: string, exit: AnyExit | undefined): void {
    const { metrics } = this.observer
    const now = this.clock.monotonicTimeNanosUnsafe()
    const failed = exit !== undefined && exit._tag === "Failure" ? classify(Cause.squash(exit.cause)).type : undefined
    metrics.record(metrics.operation(operation, ""), Number(now - this.last) / 1e9, undefined, failed)
    this.last = now
  }
}

const isInterrupted = (exit: AnyExit): boolean => exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)
