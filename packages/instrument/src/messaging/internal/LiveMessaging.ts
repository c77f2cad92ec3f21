import { Baggage, type MetricsRecorder, type PropagationRules, type Propagator, RequestContext, Requests, Tracer } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as EffectTracer from "effect/Tracer"
import type { MessageCarrier } from "../MessageCarrier.ts"
import type { BatchOptions, BrokerEvent, Messaging, MessagingOptions, OutgoingMessage, ProcessOptions } from "../Messaging.ts"
import { BrokerEvents } from "../MessagingMetrics.ts"
import { attributesOfBatch, attributesOfDelivery, attributesOfSend, type Server, serverOf, spanName } from "./attributes.ts"
import { requestIdHeader, requestIdOf, viewOf } from "./headers.ts"
import { known } from "./known.ts"
import { type Origin, processing } from "./processing.ts"
import { sendErrorType, sendOutcome } from "./sending.ts"
import type { Settlement, Subscription } from "./Topic.ts"
import type { Topics } from "./Topics.ts"

/** See `Messaging`. */
export class LiveMessaging<M> implements Messaging<M> {
  readonly system: string
  private readonly carrier: MessageCarrier<M>
  private readonly recorder: MetricsRecorder["Service"]
  private readonly tracer: Tracer["Service"]
  private readonly rules: () => PropagationRules
  private readonly topics: Topics
  private readonly server: Server | undefined
  private readonly link: boolean
  private readonly trust: boolean

  constructor(
    carrier: MessageCarrier<M>,
    options: MessagingOptions,
    recorder: MetricsRecorder["Service"],
    tracer: Tracer["Service"],
    rules: () => PropagationRules,
    topics: Topics
  ) {
    this.system = carrier.system
    this.carrier = carrier
    this.recorder = recorder
    this.tracer = tracer
    this.rules = rules
    this.topics = topics
    this.server = options.server === undefined ? undefined : serverOf(options.server)
    this.link = options.trace === "link"
    this.trust = options.trustIncoming ?? true
  }

  publish<A, E, R>(message: OutgoingMessage, send: (headers: Record<string, string>) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const topic = this.topics.topic(message.topic)
      const count = message.count ?? 1
      const sending = Effect.withFiber<A, E, R>((fiber) => {
        const headers: Record<string, string> = {}
        const { requestId } = fiber.getRef(RequestContext)
        if (requestId !== undefined) headers[requestIdHeader] = requestId
        return Effect.flatMap(this.tracer.injectContext(headers, this.server?.url), () => send(headers))
      })
      const counted = Effect.onExitPrimitive(sending, (exit) => {
        const outcome = exit._tag === "Success" ? message.confirmed === true ? "confirmed" : "sent" : sendOutcome(exit.cause)
        topic.sent(outcome, count)
        if (exit._tag === "Failure" && outcome !== "interrupted") topic.failed("send", sendErrorType(exit.cause), count)
        return undefined
      })
      return Tracer.withSpan(counted, spanName("send", topic.label), {
        kind: "producer",
        attributes: () => attributesOfSend(this.system, message, topic.destination, this.server)
      }) as Effect.Effect<A, E, R>
    })
  }

  process<A, E, R>(message: M, handler: Effect.Effect<A, E, R>, options?: ProcessOptions): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const { carrier, server, system } = this
      const name = known(() => carrier.topic(message))
      const subscription = this.subscription(name, options)
      this.delivered(subscription, message, fiber.getRef(Clock.Clock))
      const { incoming, requestId } = this.incoming(message)
      const origin: Origin = {
        span: incoming.span,
        link: this.link || !this.trust,
        baggage: this.trust ? incoming.baggage : Baggage.empty,
        request: Requests.make(this.trust ? { requestId } : {})
      }
      return processing(handler, subscription, spanName("process", subscription.topic.label), origin, () =>
        attributesOfDelivery(system, carrier, message, name, subscription, server))
    })
  }

  processBatch<A, E, R>(messages: ReadonlyArray<M>, handler: Effect.Effect<A, E, R>, options?: BatchOptions): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const { carrier, server, system } = this
      const first = messages[0]
      const name = options?.topic ?? (first === undefined ? undefined : known(() => carrier.topic(first)))
      const subscription = this.subscription(name, options)
      const clock = fiber.getRef(Clock.Clock)
      const links: Array<EffectTracer.SpanLink> = []
      const seen = new Set<string>()
      for (const message of messages) {
        this.delivered(subscription, message, clock)
        const { span } = this.incoming(message).incoming
        // Messages that were sent at once have one span.
        if (span === undefined || seen.has(span.spanId)) continue
        seen.add(span.spanId)
        links.push({ span, attributes: {} })
      }
      const origin: Origin = { span: undefined, link: true, links, count: messages.length, baggage: Baggage.empty, request: Requests.make() }
      return processing(handler, subscription, spanName("process", subscription.topic.label), origin, () =>
        attributesOfBatch(system, messages.length, name, subscription, server))
    })
  }

  settled(message: M, settlement: Settlement | "lost", options?: ProcessOptions): void {
    this.subscriptionOf(message, options).settled(settlement)
  }

  poisoned(message: M, reason: "marked" | "deliveries" | "decode", options?: ProcessOptions): void {
    this.subscriptionOf(message, options).poisoned(reason)
  }

  failed(topic: string, operation: "send" | "process" | "settle", errorType: string): void {
    this.topics.topic(topic).failed(operation, errorType)
  }

  backlog(topic: string, count: number, options?: ProcessOptions): void {
    this.subscription(topic, options).backlog(count)
  }

  event(event: BrokerEvent): void {
    this.recorder.incrementCounterUnsafe(BrokerEvents, 1, { system: this.system, event })
  }

  private subscriptionOf(message: M, options: ProcessOptions | undefined): Subscription {
    return this.subscription(known(() => this.carrier.topic(message)), options)
  }

  private subscription(topic: unknown, options: ProcessOptions | undefined): Subscription {
    return this.topics.subscription(topic, options?.consumerGroup ?? "")
  }

  private delivered(subscription: Subscription, message: M, clock: Clock.Clock): void {
    const { carrier } = this
    subscription.delivered()
    const deliveries = known(() => carrier.deliveries?.(message))
    if (typeof deliveries === "number" && deliveries > 1) subscription.redelivered()
    const published = known(() => carrier.publishedAt?.(message))
    if (typeof published === "number" && published > 0) subscription.waited((clock.currentTimeMillisUnsafe() - published) / 1000)
  }

  private incoming(message: M): { readonly incoming: Propagator.Incoming; readonly requestId: string | undefined } {
    const view = viewOf(known(() => this.carrier.headers(message)))
    return { incoming: this.rules().propagator.extract(view), requestId: requestIdOf(view) }
  }
}
