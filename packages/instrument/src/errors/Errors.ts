import { type CompositionError, type ErrorData, Exporter, type ReportOptions, signalReport, Telemetry } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Function from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

// Everything here works where the hub is in the fiber's context; without it nothing is reported but to Effect's own reporters.

/**
 * Reports an error, or all that failed in a `Cause`, where it is handled; gives its id. The same error is reported once, however many
 * boundaries it crosses. `undefined` when it was only interrupted, is to be ignored, or there is no hub.
 *
 * @example
 * ```ts
 * const charged = charge(order).pipe(Effect.catchTag("Declined", (error) =>
 *   Effect.flatMap(Errors.report(error, { attributes: { order: order.id } }), (id) => Effect.succeed(`declined (${id})`))))
 * ```
 */
export const report = (error: unknown, options: ReportOptions = {}): Effect.Effect<string | undefined> =>
  Effect.withFiber((fiber) => {
    const cause = Cause.isCause(error) ? error : Cause.fail(error)
    const telemetry = hubOf(fiber)
    if (telemetry !== undefined) return Effect.succeed(telemetry.reportUnsafe(cause, fiber, options)?.errorId)
    return Effect.as(ErrorReporter.report(cause), undefined)
  })

/** The id under which a cause or an error is reported, or will be; `undefined` when nothing failed, or there is no hub. */
export const idOf = (error: unknown): Effect.Effect<string | undefined> =>
  Effect.withFiber((fiber) => Effect.succeed(hubOf(fiber)?.errorIdUnsafe(Cause.isCause(error) ? error : Cause.fail(error), fiber)))

/** Reports whatever `self` fails with, and fails with it: for the edges of a program. Interruptions are not reported. */
export const reporting: <Arg extends Effect.Effect<any, any, any> | ReportOptions | undefined = ReportOptions>(
  effectOrOptions?: Arg,
  options?: ReportOptions
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>] ? Effect.Effect<A, E, R>
  : <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Function.dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(self: Effect.Effect<A, E, R>, options?: ReportOptions): Effect.Effect<A, E, R> =>
    Effect.onError(self, (cause) => report(cause, { handled: false, ...options }))
)

/** `Effect.forkChild` whose failure is reported: by itself a fiber that nobody joins fails in silence. */
export const forkChild = <A, E, R>(self: Effect.Effect<A, E, R>, options?: ReportOptions): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.forkChild(reporting(self, options))

/** `Effect.forkScoped` whose failure is reported. */
export const forkScoped = <A, E, R>(self: Effect.Effect<A, E, R>, options?: ReportOptions): Effect.Effect<Fiber.Fiber<A, E>, never, R | Scope.Scope> =>
  Effect.forkScoped(reporting(self, options))

/** `Effect.forkDetach` whose failure is reported. Of a request it keeps id, user and tenant, but nothing waits for it. */
export const forkDetach = <A, E, R>(self: Effect.Effect<A, E, R>, options?: ReportOptions): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.forkDetach(reporting(self, options))

/** What a compensation is told. */
export interface Failed<out E> {
  readonly cause: Cause.Cause<E>
  /** `undefined` when it was only interrupted, or there is no hub. */
  readonly errorId: string | undefined
}

export interface CompensateOptions {
  /** Whether an interruption is made up for as well. Default `true`: half of the work may be done. */
  readonly onInterrupt?: boolean
  /** After it the compensation is given up, and that is reported. Default 30 seconds. */
  readonly timeout?: Duration.Input
}

/**
 * Makes up for work that failed half-way: when `self` ends with a failure, a defect or an interruption, `undo` runs, uninterrupted,
 * before the failure goes on. What `undo` itself fails with is reported with the id of the first error (`error.compensates`) and replaces
 * nothing.
 *
 * @example
 * ```ts
 * const placed = reserve(order).pipe(
 *   Effect.andThen(charge(order)),
 *   Errors.compensate(() => release(order))
 * )
 * ```
 */
export const compensate = <E, R2>(
  undo: (failed: Failed<E>) => Effect.Effect<unknown, unknown, R2>,
  options: CompensateOptions = {}
) =>
<A, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | R2> =>
  Effect.onError(self, (cause) => {
    if (Cause.hasInterruptsOnly(cause) && options.onInterrupt === false) return Effect.void
    return Effect.flatMap(idOf(cause), (errorId) =>
      detached(Effect.suspend(() => undo({ cause, errorId })), options.timeout ?? "30 seconds").pipe(
        Effect.flatMap((exit) =>
          Exit.isSuccess(exit) ? Effect.void : report(exit.cause, {
            fallback: { errorClass: "system", level: "error" },
            attributes: errorId === undefined ? {} : { "error.compensates": errorId }
          }))
      ))
  })

/** In a fiber of its own, so that a deadline can end it while the one that waits cannot be interrupted. */
const detached = <R>(self: Effect.Effect<unknown, unknown, R>, timeout: Duration.Input): Effect.Effect<Exit.Exit<unknown, unknown>, never, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkDetach(Effect.interruptible(Effect.timeout(self, timeout)))
    return yield* Effect.exit(Effect.flatten(Effect.map(awaited(fiber), (exit) => exit as Effect.Effect<unknown, unknown>)))
  })

const awaited = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.callback((resume) => {
    fiber.addObserver((exit) => resume(Effect.succeed(exit)))
  })

/**
 * Calls somebody for every error whose strategy is `"alert"`: those of level `"fatal"`, and those the policy says so of. Errors wait in a
 * bounded queue; a call that fails is tried again, three times in all.
 */
export const onAlert = <E, R>(
  call: (error: ErrorData) => Effect.Effect<unknown, E, R>,
  options: { readonly name?: string } = {}
): Layer.Layer<never, CompositionError, Telemetry | R> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const context = yield* Effect.context<R>()
    const name = options.name ?? "error-alerts"
    const pipe = yield* telemetry.exportErrors({
      name,
      exporter: {
        export: ([error]) =>
          Effect.suspend(() => call(error)).pipe(
            Effect.provideContext(context),
            Effect.as(Exporter.complete),
            Effect.catch((failure) => Effect.fail(Exporter.unavailable(String(failure))))
          )
      },
      policy: { batchSize: 1, flushInterval: 0, maxItems: 1_000, maxAttempts: 3 }
    })
    yield* telemetry.register({
      name,
      kind: "alert",
      onError: (error) => error.alert === true ? void pipe.offerUnsafe(error) : pipe.refuseUnsafe(1, "filtered"),
      flush: pipe.flush,
      report: () => {
        const { failures, lastError } = pipe.status()
        return {
          name,
          kind: "alert",
          status: failures > 0 ? "degraded" : "up",
          reason: failures > 0 ? lastError : undefined,
          signals: [signalReport({ signal: "errors", processor: pipe })]
        }
      }
    })
  }))

const hubOf = (fiber: Fiber.Fiber<unknown, unknown>): Telemetry["Service"] | undefined => Context.getOrUndefined(fiber.context, Telemetry)
