import type { Clock } from "effect/Clock"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as EffectTracer from "effect/Tracer"
import type { RequestContext } from "../context/RequestContext.ts"
export { classify, type ErrorVerdict, failedResults } from "./Classify.ts"
import { FailedStatus } from "./internal/failure.ts"
import { RecordedSpan } from "./internal/RecordedSpan.ts"
import { UnrecordedSpan } from "./internal/UnrecordedSpan.ts"
import { begin, spanClock } from "./internal/withSpan.ts"
import { isPropagated, traceOf } from "./ObservabilityTracer.ts"
import type { SpanContext } from "./Propagation.ts"
import type { SpanOptions } from "./Tracer.ts"

// What instrumentation does with spans beyond Effect's own interface.

/**
 * Opens a span in the tracer of a fiber, as `Effect.makeSpan` does, from inside `Effect.withFiber`; `undefined` where tracing is switched off.
 * Have the exit hook that ends it on the stack before: a fiber may be interrupted between any two steps. `startTime` is nanoseconds since the
 * epoch; see `time`.
 */
export const openUnsafe = (
  fiber: Fiber.Fiber<unknown, unknown>,
  name: string,
  options: SpanOptions,
  startTime: bigint
): EffectTracer.Span | undefined =>
  fiber.cache.tracerEnabled ? begin(fiber.cache.tracer ?? EffectTracer.nativeTracer, fiber, name, options, startTime) : undefined

/**
 * The time for spans: `clock.now` gives nanoseconds that never jump, for durations, and brings `clock.offset` up to date, which makes them
 * nanoseconds since the epoch. The end of a span is its own offset plus a later monotonic reading, so that its duration is exact however
 * the wall clock jumps.
 */
export const time: { readonly now: (clock: Clock) => bigint; readonly offset: bigint } = spanClock

/** `time` for code that is not called for every request: both numbers of one moment. */
export const moment = (clock: Clock): { readonly monotonic: bigint; readonly offset: bigint } => {
  const monotonic = spanClock.now(clock)
  return { monotonic, offset: spanClock.offset }
}

/** Ids and outgoing flag of a span, ready for a header. */
export const contextOf = (span: EffectTracer.AnySpan): SpanContext => {
  const trace = traceOf(span)
  const context = { traceId: trace?.hex ?? span.traceId, spanId: span.spanId, sampled: isPropagated(span) }
  return trace?.random === true ? { ...context, random: true } : context
}

/** Renames a span that is still open, if it is one of our tracer: a route is known only after it was matched. */
export const rename = (span: EffectTracer.Span, name: string): void => {
  if (span instanceof RecordedSpan || span instanceof UnrecordedSpan) span.rename(name)
}

/** Says for which request a span's work is done, if it is one of our tracer and not that of the fiber that opened it. */
export const belongTo = (span: EffectTracer.Span, request: RequestContext): void => {
  if (span instanceof RecordedSpan) span.belongTo(request)
}

/** Makes the end of a span hand over nothing, if it is one of our tracer: another span stands for the same work. */
export const discard = (span: EffectTracer.Span): void => {
  if (span instanceof UnrecordedSpan) span.discard()
  if (!(span instanceof RecordedSpan)) return
  span.discard()
  // A trace whose first span will not be seen to end is not worth waiting for.
  if (span.parent._tag === "None") span.trace.decision.held?.abandon()
}

/**
 * The exit of a span whose work ended with a bad answer, not with an error value (an HTTP 503): status `"error"`, attribute
 * `error.type`, and no exception event.
 */
export const failedStatus = (type: string, message: string): Exit.Exit<never, unknown> => Exit.fail(new FailedStatus(type, message))

/** W3C `tracestate` that goes out with a span's ids; empty when there is none. */
export const traceStateOf = (span: EffectTracer.AnySpan): string => traceOf(span)?.state ?? ""
