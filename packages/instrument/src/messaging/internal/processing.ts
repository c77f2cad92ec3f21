import { Baggage, RequestContext, Tracer } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as EffectTracer from "effect/Tracer"
import type { Subscription } from "./Topic.ts"

/** What a message brought along, as far as it is believed. */
export interface Origin {
  /** The span that published it. */
  readonly span: EffectTracer.AnySpan | undefined
  /** Whether the consumer's span links to that span; otherwise it is its child. */
  readonly link: boolean
  /** Of a batch, instead of `span`. */
  readonly links?: ReadonlyArray<EffectTracer.SpanLink>
  /** Messages that are processed at once. Default 1. */
  readonly count?: number
  readonly baggage: Baggage.Baggage
  readonly request: RequestContext
}

/**
 * A handler in its consumer span, measured. Nothing of the loop that took the message remains: neither its span, which would collect every
 * message, nor its request, nor its baggage.
 */
export const processing = <A, E, R>(
  handler: Effect.Effect<A, E, R>,
  subscription: Subscription,
  name: string,
  { baggage, count, link, links, request, span }: Origin,
  attributes: () => Readonly<Record<string, unknown>>
): Effect.Effect<A, E, R> => {
  const measured = Effect.withFiber<A, E, R>((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const start = clock.monotonicTimeNanosUnsafe()
    return Effect.onExitPrimitive(handler, (exit) => {
      subscription.ended(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9, exit, count)
      return undefined
    })
  })
  const { requestId } = request
  const all = requestId === undefined ? attributes : () => ({ ...attributes(), request_id: requestId })
  const spanned = Tracer.withSpan(
    measured,
    name,
    span !== undefined && !link
      ? { kind: "consumer", parent: span, attributes: all }
      : { kind: "consumer", root: true, links: links ?? (span === undefined ? [] : [{ span, attributes: {} }]), attributes: all }
  )
  // Around the span: it is opened on behalf of the message's request.
  return Effect.provideContext(spanned, Context.add(Context.make(RequestContext, request), Baggage.Baggage, baggage)) as Effect.Effect<A, E, R>
}
