import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as EffectTracer from "effect/Tracer"
import { traceOf } from "./ObservabilityTracer.ts"
import { type Carrier, extract, inject, isSpanId, type SpanContext } from "./Propagation.ts"
import { contextOf } from "./Spans.ts"

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
