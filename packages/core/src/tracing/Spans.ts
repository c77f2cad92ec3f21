import * as Exit from "effect/Exit"
import type * as EffectTracer from "effect/Tracer"
export { classify, type ErrorVerdict, failedResults } from "./Classify.ts"
import { FailedStatus } from "./internal/failure.ts"
import { RecordedSpan } from "./internal/RecordedSpan.ts"
import { UnrecordedSpan } from "./internal/UnrecordedSpan.ts"
import { isPropagated, traceOf } from "./ObservabilityTracer.ts"
import type { SpanContext } from "./Propagation.ts"

// What instrumentation does with spans beyond Effect's own interface.

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
