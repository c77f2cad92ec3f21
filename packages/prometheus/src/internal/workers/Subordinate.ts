import type { Telemetry } from "@effect-observability/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Port } from "./ports.ts"
import { envelope, opened, type Question, type Report } from "./protocol.ts"
import { Reporter } from "./Reporter.ts"

/** Most primaries whose knowledge is kept: one, and its predecessor for a while. */
const maxPrimaries = 4

/**
 * A worker's side: answers the questions of a primary, and tells the rest when the scope closes; waits at most `patience` milliseconds to hear that it
 * arrived.
 */
export const serve = (
  { refreshSelfMetrics, store }: Telemetry["Service"],
  port: Port,
  session: string,
  patience: number
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const reporters = new Map<string, Reporter>()
    const one = yield* Semaphore.make(1)
    const questions = yield* Queue.sliding<{ readonly primary: string; readonly ask: number }>(4 * maxPrimaries)
    const received = Deferred.makeUnsafe<void>()
    let open = true
    let ending = false

    const reporterFor = (primary: string): Reporter => {
      const reporter = reporters.get(primary) ?? new Reporter(store)
      reporters.delete(primary)
      reporters.set(primary, reporter)
      for (const oldest of reporters.keys()) {
        if (reporters.size <= maxPrimaries) break
        reporters.delete(oldest)
      }
      return reporter
    }
    // A report cut short would leave things out that count as told.
    const report = (reporter: Reporter, to: string | undefined, ending: Pick<Report, "answers" | "final">) =>
      Effect.suspend(() => {
        refreshSelfMetrics()
        const address = to === undefined ? { session } : { session, to }
        return reporter.report((body) => Effect.sync(() => port.post(envelope({ ...body, ...address }))), ending)
      }).pipe(one.withPermit, Effect.uninterruptible)
    const answer = Queue.take(questions).pipe(
      // After the last report there is nothing to tell: a reporter that starts now would tell everything once more.
      Effect.flatMap(({ ask, primary }) => ending ? Effect.void : report(reporterFor(primary), primary, { answers: ask })),
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause(() => Effect.void)
    )
    const last = Effect.suspend(() => {
      ending = true
      if (!open) return Effect.void
      // A worker that nobody has asked yet has told nobody anything.
      const known = reporters.size === 0 ? [[undefined, new Reporter(store)] as const] : [...reporters]
      return Effect.andThen(
        Effect.forEach(known, ([to, reporter]) => report(reporter, to, { final: true }), { discard: true }),
        Effect.timeoutOption(Deferred.await(received), patience)
      )
    })
    const hear = (message: unknown): void => {
      const question = opened(message) as Question | undefined
      if (question === undefined) return
      if (question.received === session) Deferred.doneUnsafe(received, Exit.void)
      const { ask, primary } = question
      if (typeof ask === "number" && typeof primary === "string") Queue.offerUnsafe(questions, { ask, primary })
    }

    yield* Effect.forkScoped(Effect.forever(answer))
    yield* Effect.acquireRelease(
      Effect.sync(() => [port.onMessage(hear), port.onClose(() => open = false)]),
      (stops) => Effect.sync(() => stops.forEach((stop) => stop()))
    )
    yield* Effect.addFinalizer(() => last)
    // Whoever asked before this was listening asks again.
    port.post(envelope({ session, families: [], series: [], values: [], exemplars: [], gone: [] }))
  })
