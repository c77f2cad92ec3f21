import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as EffectTracer from "effect/Tracer"
import { FailedStatus } from "./internal/failure.ts"
import { RecordedSpan } from "./internal/RecordedSpan.ts"
import { isPropagated, traceOf } from "./ObservabilityTracer.ts"
import { type Carrier, extract, inject, isSpanId, type SpanContext } from "./Propagation.ts"

/**
 * Spans by name, and the trace context that goes from process to process. `Effect.withSpan` and all that Effect traces by itself
 * end up in the same traces. No call fails or waits, except `flush`.
 */
export class Tracer extends Context.Service<Tracer, {
  /** Opens a span that ends with the scope, in the way the scope ends. It becomes nobody's parent: use `Effect.withParentSpan`. */
  readonly startSpan: (
    name: string,
    options?: EffectTracer.SpanOptionsNoTrace
  ) => Effect.Effect<EffectTracer.Span, never, Scope.Scope>
  /** Runs an effect inside a span. Stack traces are captured only on request (`captureStackTrace: true`): they cost most of a span. */
  readonly withSpan: (
    name: string,
    options?: EffectTracer.SpanOptions
  ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, EffectTracer.ParentSpan>>
  /** The span the caller is in; none outside spans and where tracing is switched off. */
  readonly currentContext: Effect.Effect<Option.Option<SpanContext>>
  /** Writes the current span into the carrier as W3C `traceparent` (and `tracestate`); leaves it alone without a span. */
  readonly injectContext: (carrier: Carrier) => Effect.Effect<void>
  /** The remote span a carrier names, to use as a parent or in a link; none when there is no valid `traceparent`. */
  readonly extractContext: (carrier: Readonly<Record<string, unknown>>) => Effect.Effect<Option.Option<EffectTracer.ExternalSpan>>
  /** Brings all ended spans to every backend and waits for them. */
  readonly flush: Effect.Effect<void>
}>()("@effect-observability/core/Tracer") {}

/** The service over whatever tracer the program has installed. */
export const make = (options: { readonly flush: Effect.Effect<void> }): Tracer["Service"] => ({
  startSpan: (name, spanOptions) => Effect.makeSpanScoped(name, spanOptions),
  withSpan: (name, spanOptions) =>
    Effect.withSpan(name, spanOptions, { captureStackTrace: spanOptions?.captureStackTrace ?? false }),
  currentContext: Effect.withFiber((fiber) => {
    const span = currentSpan(fiber.context)
    return Effect.succeed(span === undefined ? Option.none() : Option.some(contextOf(span)))
  }),
  injectContext: (carrier) =>
    Effect.withFiber((fiber) => {
      const span = currentSpan(fiber.context)
      if (span !== undefined && !fiber.getRef(EffectTracer.DisablePropagation)) {
        inject(carrier, contextOf(span), traceOf(span)?.state ?? "")
      }
      return Effect.void
    }),
  extractContext: (carrier) => Effect.sync(() => Option.fromUndefinedOr(extract(carrier))),
  flush: options.flush
})

/** The nearest span that stands for something: Effect's no-op spans have no ids and are looked through. */
const currentSpan = (context: Context.Context<never>): EffectTracer.AnySpan | undefined => {
  let span = Context.getOrUndefined(context, EffectTracer.ParentSpan)
  while (span !== undefined && Context.get(span.annotations, EffectTracer.DisablePropagation)) {
    span = span._tag === "Span" ? Option.getOrUndefined(span.parent) : undefined
  }
  return span !== undefined && traceOf(span) !== undefined && isSpanId(span.spanId) ? span : undefined
}

/** Ids and outgoing flag of a span, ready for a header. */
export const contextOf = (span: EffectTracer.AnySpan): SpanContext => ({
  traceId: traceOf(span)?.hex ?? span.traceId,
  spanId: span.spanId,
  sampled: isPropagated(span)
})

/** Renames a span that is still open, if it is one of this tracer: a route is known only after it was matched. */
export const rename = (span: EffectTracer.Span, name: string): void => {
  if (span instanceof RecordedSpan) span.rename(name)
}

/** Makes the end of a span hand over nothing, if it is one of this tracer: another span stands for the same work. */
export const discard = (span: EffectTracer.Span): void => {
  if (span instanceof RecordedSpan) span.discard()
}

/**
 * The exit of a span whose work ended with a bad answer, not with an error value (an HTTP 503): status `"error"`, attribute
 * `error.type`, and no exception event.
 */
export const failedStatus = (type: string, message: string): Exit.Exit<never, unknown> => Exit.fail(new FailedStatus(type, message))
