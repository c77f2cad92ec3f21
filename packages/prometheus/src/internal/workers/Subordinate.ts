import type { MetricStore } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Port } from "./ports.ts"
import { envelope, opened, type Question, type Report } from "./protocol.ts"
import { Reporter } from "./Reporter.ts"

/**
 * A worker's side: answers the primary's questions, and tells the rest when the scope closes; waits at most `patience` milliseconds to hear that it
 * arrived.
 */
export const serve = (store: MetricStore, port: Port, session: string, patience: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const reporter = new Reporter(store)
    const one = yield* Semaphore.make(1)
    const questions = yield* Queue.sliding<number>(1)
    const received = Deferred.makeUnsafe<void>()
    let primary: string | undefined
    let open = true

    const post = (body: Omit<Report, "session">) => Effect.sync(() => port.post(envelope({ ...body, session })))
    // A report cut short would leave things out that count as told.
    const report = (ending: Pick<Report, "answers" | "final">) => Effect.uninterruptible(one.withPermit(reporter.report(post, ending)))
    const answer = Queue.take(questions).pipe(
      Effect.flatMap((answers) => report({ answers })),
      Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.void)
    )
    const hear = (message: unknown): void => {
      const question = opened(message) as Question | undefined
      if (question === undefined) return
      if (question.received === session) Deferred.doneUnsafe(received, Exit.void)
      if (typeof question.ask !== "number") return
      // The first primary to ask has been told nothing yet either.
      if (primary !== undefined && primary !== question.primary) reporter.restart()
      primary = question.primary
      Queue.offerUnsafe(questions, question.ask)
    }

    yield* Effect.forkScoped(Effect.forever(answer))
    yield* Effect.acquireRelease(
      Effect.sync(() => [port.onMessage(hear), port.onClose(() => open = false)]),
      (stops) => Effect.sync(() => stops.forEach((stop) => stop()))
    )
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => open ? Effect.andThen(report({ final: true }), Effect.timeoutOption(Deferred.await(received), patience)) : Effect.void))
    yield* post({ families: [], series: [], values: [], exemplars: [], gone: [] })
  })
