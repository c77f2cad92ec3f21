import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as EffectTracer from "effect/Tracer"
import type { ObservabilitySettings } from "../config/ObservabilityConfig.ts"
import { traceOf } from "../tracing/ObservabilityTracer.ts"
import { isSpanId } from "../tracing/Propagation.ts"
import { contextOf } from "../tracing/Spans.ts"
import { Baggage, empty } from "./Baggage.ts"
import { named, type Outgoing, type Propagator } from "./Propagator.ts"
import { compile } from "./Targets.ts"

/** The settings of propagation, ready for use. */
export interface PropagationRules {
  readonly propagator: Propagator
  /** What a target gets: nothing, the trace context, or the baggage too. */
  readonly sentTo: (url: URL) => "nothing" | "trace" | "all"
}

const known = new WeakMap<object, PropagationRules>()

/** The rules of some settings; made once for each. */
export const rulesOf = (settings: ObservabilitySettings): PropagationRules => {
  const { tracing } = settings
  const found = known.get(tracing)
  if (found !== undefined) return found
  const mayReceive = compile(tracing.propagateTo)
  const mayReceiveBaggage = compile(tracing.baggageTo)
  const rules: PropagationRules = {
    propagator: named(tracing.propagators),
    sentTo: (url) => !mayReceive(url) ? "nothing" : mayReceiveBaggage(url) ? "all" : "trace"
  }
  known.set(tracing, rules)
  return rules
}

/** What the running fiber sends along; nothing where propagation is off. */
export const outgoing = (fiber: Fiber.Fiber<unknown, unknown>): Outgoing => {
  if (fiber.getRef(EffectTracer.DisablePropagation)) return silence
  const span = currentSpan(fiber.context)
  return {
    span: span === undefined ? undefined : { ...contextOf(span), traceState: traceOf(span)?.state ?? "" },
    baggage: fiber.getRef(Baggage)
  }
}

const silence: Outgoing = { span: undefined, baggage: empty }

/** The nearest span that stands for something: Effect's no-op spans have no ids and are looked through. */
export const currentSpan = (context: Context.Context<never>): EffectTracer.AnySpan | undefined => {
  let span = Context.getOrUndefined(context, EffectTracer.ParentSpan)
  while (span !== undefined && Context.get(span.annotations, EffectTracer.DisablePropagation)) {
    span = span._tag === "Span" ? Option.getOrUndefined(span.parent) : undefined
  }
  return span !== undefined && traceOf(span) !== undefined && isSpanId(span.spanId) ? span : undefined
}
