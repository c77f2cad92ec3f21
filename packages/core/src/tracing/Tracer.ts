import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as EffectTracer from "effect/Tracer"
import { run, stackOf } from "./internal/withSpan.ts"
import { Baggage, empty } from "../propagation/Baggage.ts"
import type { Settable } from "../propagation/internal/carriers.ts"
import { currentSpan, outgoing, type PropagationRules } from "../propagation/outgoing.ts"
import { named } from "../propagation/Propagator.ts"
import type { Carrier, SpanContext } from "./Propagation.ts"
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
  /**
   * Writes the current span and the baggage into a carrier (headers, message properties, a `Map`) in the formats of `tracing.propagators`;
   * leaves it alone where there is neither. With a `target` only what it may receive.
   */
  readonly injectContext: (carrier: Carrier | Settable, target?: URL) => Effect.Effect<void>
  /** The remote span a carrier names, to use as a parent or in a link; none when there is no valid one. */
  readonly extractContext: (carrier: object) => Effect.Effect<Option.Option<EffectTracer.ExternalSpan>>
  /** Runs an effect in the trace and with the baggage that a carrier brought: a message's properties, an environment with `TRACEPARENT`. */
  readonly continueFrom: (carrier: object) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
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
export const make = (options: {
  readonly flush: Effect.Effect<void>
  /** Read at every use: they may change while running. */
  readonly rules?: () => PropagationRules
}): Tracer["Service"] => ({
  startSpan: (name, spanOptions) => Effect.makeSpanScoped(name, spanOptions),
  withSpan,
  currentContext: Effect.withFiber((fiber) => {
    const span = currentSpan(fiber.context)
    return Effect.succeed(span === undefined ? Option.none() : Option.some(contextOf(span)))
  }),
  injectContext: (carrier, target) =>
    Effect.withFiber((fiber) => {
      const { propagator, sentTo } = rulesFrom(options)
      const sent = target === undefined ? "all" : sentTo(target)
      if (sent !== "nothing") {
        const out = outgoing(fiber)
        propagator.inject(carrier, sent === "all" ? out : { ...out, baggage: empty })
      }
      return Effect.void
    }),
  extractContext: (carrier) => Effect.sync(() => Option.fromUndefinedOr(rulesFrom(options).propagator.extract(carrier).span)),
  continueFrom: (carrier) => (self) =>
    Effect.suspend(() => {
      const { baggage, span } = rulesFrom(options).propagator.extract(carrier)
      const carrying = baggage.size === 0 ? self : Effect.provideService(self, Baggage, baggage)
      return (span === undefined ? carrying : Effect.withParentSpan(carrying, span)) as typeof self
    }),
  flush: options.flush
})

const rulesFrom = ({ rules }: { readonly rules?: () => PropagationRules }): PropagationRules => rules?.() ?? defaultRules

const defaultRules: PropagationRules = { propagator: named(["tracecontext", "baggage"]), sentTo: () => "all" }
