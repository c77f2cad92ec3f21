import { Baggage, type MetricsRecorder, RequestContext } from "@effect-observability/core"
import type * as Clock from "effect/Clock"
import * as ClockReference from "effect/Clock"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as EffectTracer from "effect/Tracer"
import { Destinations } from "./Destinations.ts"
import { type Origin, processing } from "./processing.ts"
import { type Conventions, type Subscription, Topic } from "./Topic.ts"

/** An item on its way, with the context of the fiber that gave it: nothing is copied, the context is only pointed to. */
export class Envelope<out A> {
  readonly value: A
  readonly context: Context.Context<never>
  /** Milliseconds since the epoch. */
  readonly publishedAt: number

  constructor(value: A, fiber: Fiber.Fiber<unknown, unknown>) {
    this.value = value
    this.context = fiber.context
    this.publishedAt = fiber.getRef(ClockReference.Clock).currentTimeMillisUnsafe()
  }
}

/** What a queue and a pub-sub in the process have in common: their series, and the span around a handler. */
export class InProcess {
  readonly topic: Topic
  private readonly system: string
  private readonly link: boolean

  constructor(system: string, name: string, recorder: MetricsRecorder["Service"], conventions: Conventions, link: boolean) {
    this.system = system
    this.link = link
    this.topic = new Topic(recorder, conventions, new Destinations([], () => false, 1).of(name))
  }

  took(subscription: Subscription, one: Envelope<unknown>, clock: Clock.Clock): void {
    subscription.delivered()
    subscription.waited((clock.currentTimeMillisUnsafe() - one.publishedAt) / 1000)
  }

  /** A handler of one item, in the trace of whoever gave it. */
  one<A, E, R>(subscription: Subscription, { context }: Envelope<unknown>, handler: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const span = Context.getOrUndefined(context, EffectTracer.ParentSpan)
    return this.processing(subscription, handler, {
      span,
      link: this.link,
      baggage: Context.get(context, Baggage.Baggage),
      request: Context.get(context, RequestContext)
    })
  }

  /** A handler of many items, linked to those who gave them. */
  many<A, E, R>(subscription: Subscription, all: ReadonlyArray<Envelope<unknown>>, handler: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const spans = new Set<EffectTracer.AnySpan>()
    for (const { context } of all) {
      const span = Context.getOrUndefined(context, EffectTracer.ParentSpan)
      if (span !== undefined) spans.add(span)
    }
    const links = [...spans].map((span) => ({ span, attributes: {} }))
    return this.processing(subscription, handler, { span: undefined, link: true, links, count: all.length, baggage: Baggage.empty, request: nobody })
  }

  private processing<A, E, R>(subscription: Subscription, handler: Effect.Effect<A, E, R>, origin: Origin): Effect.Effect<A, E, R> {
    const { system, topic } = this
    return processing(handler, subscription, `process ${topic.label}`, origin, () => ({
      "messaging.system": system,
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": topic.label,
      ...(subscription.group === "" ? {} : { "messaging.consumer.group.name": subscription.group }),
      ...(origin.count === undefined ? {} : { "messaging.batch.message_count": origin.count })
    }))
  }
}

const nobody = Context.get(Context.empty(), RequestContext)
