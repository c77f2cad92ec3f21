import { ConfigurationError, MetricsRecorder, Telemetry } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import { Envelope, InProcess } from "./internal/InProcess.ts"
import { MessageBacklog } from "./MessagingMetrics.ts"

export interface MessagePubSubOptions {
  /** Most messages that wait for the slowest subscriber. Unbounded unless told. */
  readonly capacity?: number
  /** What a full one does: let `publish` wait (`"suspend"`, the default), refuse the new message, or drop the oldest one. */
  readonly strategy?: "suspend" | "dropping" | "sliding"
  /** Whether a subscriber's span is a child of the publisher's (`"parent"`, the default), or links to it. */
  readonly trace?: "parent" | "link"
}

/** A subscription: what was published since it began. */
export interface MessageSubscription<out A> {
  /** One message. It counts as consumed; its context stays behind: `process` brings it along. */
  readonly take: Effect.Effect<A>
  /** Takes one message and handles it in a span of kind consumer, in the trace and for the request it was published in. */
  readonly process: <B, E, R>(handler: (value: A) => Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>
  /** Processes messages until the pub-sub is shut down; a handler's failure is logged and the next message goes on. */
  readonly run: <R>(handler: (value: A) => Effect.Effect<unknown, unknown, R>) => Effect.Effect<never, never, R>
  readonly remaining: Effect.Effect<number>
}

/** A pub-sub in the process whose messages carry the context of whoever published them; see `MessageQueue`. */
export interface MessagePubSub<in out A> {
  readonly name: string
  /** `false` when nobody will get it: it is full and drops, or is shut down. Published once, consumed once by every subscriber. */
  readonly publish: (value: A) => Effect.Effect<boolean>
  /** A subscription until the scope closes. Its group tells subscribers apart in the metrics. */
  readonly subscribe: (consumerGroup?: string) => Effect.Effect<MessageSubscription<A>, never, Scope.Scope>
  readonly shutdown: Effect.Effect<void>
}

/**
 * An observed pub-sub. What waits for a subscriber is the gauge `message_backlog` while it subscribes.
 *
 * @example
 * ```ts
 * const changes = yield* MessagePubSub.make<Change>("changes", { capacity: 256, strategy: "sliding" })
 * const mails = yield* changes.subscribe("mails")
 * yield* mails.run(sendMail).pipe(Effect.forkScoped)
 * yield* changes.publish(change)
 * ```
 */
export const make = <A>(
  name: string,
  options: MessagePubSubOptions = {}
): Effect.Effect<MessagePubSub<A>, ConfigurationError, Telemetry | MetricsRecorder> =>
  Effect.gen(function*() {
    const { capacity, strategy = "suspend", trace } = options
    if (capacity !== undefined && !(capacity > 0)) {
      return yield* new ConfigurationError({ problems: [{ path: "capacity", message: "expected 1 or more, or nothing for an unbounded pub-sub" }] })
    }
    const telemetry = yield* Telemetry
    const recorder = yield* MetricsRecorder
    const pubsub: PubSub.PubSub<Envelope<A>> = capacity === undefined
      ? yield* PubSub.unbounded<Envelope<A>>()
      : yield* { suspend: PubSub.bounded, dropping: PubSub.dropping, sliding: PubSub.sliding }[strategy]<Envelope<A>>(capacity)
    const shared = new InProcess("effect_pubsub", name, recorder, telemetry.settings().metrics.conventions, trace === "link")
    const { topic } = shared
    const publish = (value: A): Effect.Effect<boolean> =>
      Effect.withFiber((fiber) => {
        const slides = strategy === "sliding" && PubSub.sizeUnsafe(pubsub) >= pubsub.pubsub.capacity
        return Effect.map(PubSub.publish(pubsub, new Envelope(value, fiber)), (accepted) => {
          if (accepted) {
            topic.sent("sent")
            if (slides) topic.dropped("slid")
          } else if (PubSub.isShutdownUnsafe(pubsub)) topic.sent("failed")
          else {
            topic.sent("rejected")
            topic.dropped("full")
          }
          return accepted
        })
      })
    const subscribe = (consumerGroup = ""): Effect.Effect<MessageSubscription<A>, never, Scope.Scope> =>
      Effect.gen(function*() {
        const subscription = topic.subscription(consumerGroup)
        const source = yield* PubSub.subscribe(pubsub)
        const waiting = () => Option.getOrElse(PubSub.remainingUnsafe(source), () => 0)
        yield* recorder.registerGauge(MessageBacklog, () => [[subscription.labels, waiting()]])
        const taken = Effect.withFiber<Envelope<A>>((fiber) => {
          const clock = fiber.getRef(Clock.Clock)
          return Effect.map(PubSub.take(source), (one) => {
            shared.took(subscription, one, clock)
            return one
          })
        })
        const process = <B, E, R>(handler: (value: A) => Effect.Effect<B, E, R>): Effect.Effect<B, E, R> =>
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(restore(taken), (one) => restore(shared.one(subscription, one, Effect.suspend(() => handler(one.value))))))
        return {
          take: Effect.map(taken, (one) => one.value),
          process,
          run: (handler) =>
            Effect.forever(Effect.catchCause(process((value) => Effect.tapCause(handler(value), told)), (cause) =>
              Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause as Cause.Cause<never>) : Effect.void)),
          remaining: Effect.sync(waiting)
        } satisfies MessageSubscription<A>
      })
    return { name, publish, subscribe, shutdown: PubSub.shutdown(pubsub) }
  })

const told = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("a message's handler failed", cause)
