import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as EffectTracer from "effect/Tracer"
import { traceOf } from "./ObservabilityTracer.ts"
import { type Carrier, extract, inject, isSpanId, type SpanContext } from "./Propagation.ts"
import { run, stackOf } from "./internal/withSpan.ts"
import { contextOf } from "./Spans.ts"

/** `Effect.withSpan`'s options. Attributes may be a function: it is called only for a span that is kept. */
export interface SpanOptions extends Omit<EffectTracer.SpanOptions, "attributes"> {
  readonly attributes?: Readonly<Record<string, unknown>> | (() => Readonly<Record<string, unknown>>) | undefined
}

/** Runs an effect inside a span, data last or data first. */
interface WithSpan {
  (name: string, options?: SpanOptions): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, EffectTracer.ParentSpan>>
  <A, E, R>(self: Effect.Effect<A, E, R>, name: string, options?: SpanOptions): Effect.Effect<A, E, Exclude<R, EffectTracer.ParentSpan>>
}

// At run time an effect's types are gone: one implementation serves both signatures.
const withSpan: WithSpan = (function(...args: ReadonlyArray<any>) {
  if (typeof args[0] !== "string") return run(args[0], args[1], args[2], stackOf(args[2]))
  const [name, options] = args
  const stack = stackOf(options)
  return (self: any) => run(self, name, options, stack)
}) as any

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
  /** As `Tracer.withSpan`. */
  readonly withSpan: WithSpan
  /** The span the caller is in; none outside spans and where tracing is switched off. */
  readonly currentContext: Effect.Effect<Option.Option<SpanContext>>
  /** Writes the current span into the carrier as W3C `traceparent` (and `tracestate`); leaves it alone without a span. */
  readonly injectContext: (carrier: Carrier) => Effect.Effect<void>
  /** The remote span a carrier names, to use as a parent or in a link; none when there is no valid `traceparent`. */
  readonly extractContext: (carrier: Readonly<Record<string, unknown>>) => Effect.Effect<Option.Option<EffectTracer.ExternalSpan>>
  /** Brings all ended spans to every backend and waits for them. */
  readonly flush: Effect.Effect<void>
}>()("@effect-observability/core/Tracer") {
  /**
   * Runs an effect inside a span: `Effect.withSpan` in a fraction of the time where our tracer is installed, itself where another one is.
   * Both nest in each other. Stack traces are captured only on request (`captureStackTrace: true`): they cost more than the span. With
   * nobody listening and no span around it adds nothing, `Effect.currentSpan` then fails as outside spans.
   *
   * @example
   * ```ts
   * const charge = (order: Order) => Tracer.withSpan(pay(order), "charge", { attributes: () => ({ "order.id": order.id }) })
   * ```
   */
  static readonly withSpan: WithSpan = withSpan
}

/** The service over whatever tracer the program has installed. */
export const make = (options: { readonly flush: Effect.Effect<void> }): Tracer["Service"] => ({
  startSpan: (name, spanOptions) => Effect.makeSpanScoped(name, spanOptions),
  withSpan,
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
