import { type ConfigurationError, type MetricsRecorder, type Telemetry, type Tracer } from "@effect-observability/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { ConsumerStopped, PublishError } from "./errors.ts"
import { consuming } from "./internal/consuming.ts"
import { handling, type HandlingOptions } from "./internal/handling.ts"
import { replaces } from "./internal/headers.ts"
import { deliveryOf, settle, settles, streamReply } from "./internal/nats.ts"
import type { MessageCarrier } from "./MessageCarrier.ts"
import * as Messaging from "./Messaging.ts"

/** What is used of NATS headers. */
export interface NatsHeaders extends Iterable<[string, Array<string>]> {
  set(name: string, value: string): void
  append(name: string, value: string): void
  values(name: string, match?: any): Array<string>
}

/** A delivered message: of core NATS, or of JetStream (`JsMsg`, or a core message whose reply subject is its acknowledgement). */
export interface NatsMessage {
  readonly subject: string
  readonly data: { readonly length: number }
  readonly headers?: NatsHeaders | undefined
  readonly reply?: string | undefined
  respond?(payload?: any): boolean
  ack?(): void
  nak?(millis?: number): void
  term?(reason?: string): void
}

/** What is used of a connection of `@nats-io/transport-node`. */
export interface NatsConnection {
  publish(subject: string, payload?: any, options?: any): void
  request(subject: string, payload?: any, options?: any): Promise<{ readonly data: Uint8Array }>
  flush(): Promise<void>
  status(): AsyncIterable<{ readonly type: string }>
}

/** A subscription, or the messages of a JetStream consumer. */
export interface NatsSubscription<M extends NatsMessage> extends AsyncIterable<M> {
  unsubscribe?(): void
  getPending?(): number
}

export interface NatsPublish {
  readonly subject: string
  readonly payload?: Uint8Array | string
  readonly headers?: NatsHeaders
  /** The subject for answers. Not with `confirm: "stream"`. */
  readonly reply?: string
  /**
   * `"none"` (default): handed to the client, which also buffers while it reconnects. `"flush"`: the server has it. `"stream"`: a JetStream
   * stream has stored it; a stream that refuses is `rejected`, a subject without a stream `returned`.
   */
  readonly confirm?: "none" | "flush" | "stream"
  /** Milliseconds to wait for a stream's answer. Default 5,000. */
  readonly timeout?: number
}

export interface NatsConsumeOptions extends HandlingOptions {
  /** Messages handled at once. Default 1, which keeps their order. */
  readonly concurrency?: number
  /** How long handlers that run may go on when the consumer is stopped. Default 10 seconds. */
  readonly drain?: Duration.Input
}

export interface NatsOptions extends Messaging.MessagingOptions {
  /** `headers` of `@nats-io/transport-node`, which makes empty ones. */
  readonly headers: () => NatsHeaders
}

/** Publishing to and consuming from NATS, observed. */
export interface Nats {
  readonly publish: (connection: NatsConnection, message: NatsPublish) => Effect.Effect<void, PublishError>
  /**
   * Handles what a subscription delivers until it is interrupted, which also unsubscribes, or the subscription ends (`ConsumerStopped`). JetStream
   * messages are settled by how their handler ends; core NATS has nothing to settle.
   */
  readonly consume: <M extends NatsMessage, E, R>(
    subscription: NatsSubscription<M>,
    handler: (message: M) => Effect.Effect<unknown, E, R>,
    options?: NatsConsumeOptions
  ) => Effect.Effect<never, ConsumerStopped, R>
  /** Counts what becomes of a connection. */
  readonly watch: (connection: NatsConnection) => Effect.Effect<void, never, Scope.Scope>
  /** For loops of one's own: counts and traces, and settles nothing. */
  readonly messaging: Messaging.Messaging<NatsMessage>
}

const system = "nats"

const carrier: MessageCarrier<NatsMessage> = {
  system,
  topic: ({ subject }) => subject,
  headers: ({ headers }) => headers,
  deliveries: (message) => deliveryOf(message)?.deliveries,
  publishedAt: (message) => deliveryOf(message)?.publishedAt,
  size: ({ data }) => data.length,
  attributes: (message) => {
    const delivery = deliveryOf(message)
    return delivery === undefined ? {} : { "messaging.nats.stream": delivery.stream, "messaging.nats.sequence": delivery.sequence }
  },
  isTemporary: (subject) => subject.startsWith("_INBOX.")
}

/**
 * NATS through `@nats-io/transport-node`: nothing of it is imported.
 *
 * @example
 * ```ts
 * const nats = yield* Nats.make({ headers, server: "nats.internal:4222" })   // headers of @nats-io/transport-node
 * yield* nats.publish(connection, { subject: "orders.placed", payload: json })
 * yield* nats.consume(connection.subscribe("orders.*", { queue: "billing" }), handle, { consumerGroup: "billing" }).pipe(Effect.forkScoped)
 * ```
 */
export const make = (options: NatsOptions): Effect.Effect<Nats, ConfigurationError, Telemetry | MetricsRecorder | Tracer> =>
  Effect.map(Messaging.make(carrier, options), (messaging): Nats => ({
    messaging,
    publish: (connection, message) => publish(messaging, options.headers, connection, message),
    consume: (subscription, handler, given = {}) => consume(messaging, subscription, handler, given),
    watch: (connection) => watch(messaging, connection)
  }))

type Carried = Messaging.Messaging<NatsMessage>

const publish = (messaging: Carried, empty: () => NatsHeaders, connection: NatsConnection, message: NatsPublish): Effect.Effect<void, PublishError> => {
  const { confirm = "none", headers: given, payload, reply, subject, timeout = 5_000 } = message
  const failed = (reason: PublishError["reason"], cause: unknown) => new PublishError({ system, topic: String(subject), reason, cause })
  return messaging.publish(
    { topic: subject, size: payload?.length ?? 0, confirmed: confirm !== "none" },
    (carried) => {
      const headers = Effect.try({ try: () => {
        const all = empty()
        for (const [name, values] of given ?? []) if (!replaces(carried, name)) for (const value of values) all.append(name, value)
        for (const name of Object.keys(carried)) all.set(name, carried[name]!)
        return all
      }, catch: (cause) => failed("failed", cause) })
      const options = Effect.map(headers, (all) => reply === undefined || confirm === "stream" ? { headers: all } : { headers: all, reply })
      if (confirm === "stream") {
        return Effect.flatMap(options, ({ headers }) =>
          Effect.tryPromise({
            try: () => connection.request(subject, payload, { headers, timeout }),
            catch: (cause) => failed(streamReply.failure(cause), cause)
          })).pipe(Effect.flatMap(({ data }) => {
            const refused = streamReply.refusal(data)
            return refused === undefined ? Effect.void : Effect.fail(failed("rejected", refused))
          }))
      }
      const sent = Effect.flatMap(options, (all) => Effect.try({ try: () => connection.publish(subject, payload, all), catch: (cause) => failed("failed", cause) }))
      return confirm === "none" ? sent : Effect.andThen(sent, Effect.tryPromise({ try: () => connection.flush(), catch: (cause) => failed("unconfirmed", cause) }))
    }
  )
}

const consume = <M extends NatsMessage, E, R>(
  messaging: Carried,
  subscription: NatsSubscription<M>,
  handler: (message: M) => Effect.Effect<unknown, E, R>,
  options: NatsConsumeOptions
): Effect.Effect<never, ConsumerStopped, R> =>
  consuming<R, never>(({ run, stop }) =>
    Effect.gen(function*() {
      const stopped = (cause: unknown) => new ConsumerStopped({ system, topic: options.consumerGroup ?? "subscription", reason: "closed", cause })
      const room = yield* Semaphore.make(options.concurrency ?? 1)
      yield* Effect.addFinalizer(() => Effect.ignoreCause(Effect.sync(() => subscription.unsubscribe?.())))
      const take = (message: M) =>
        Effect.sync(() => {
          const pending = deliveryOf(message)?.pending ?? subscription.getPending?.()
          if (typeof pending === "number") messaging.backlog(message.subject, pending, options)
          const handled = settles(message)
            ? handling(messaging, carrier, message, handler as (message: NatsMessage) => Effect.Effect<unknown, E, R>, options, (settlement) => settle(message, settlement))
            : Effect.ignoreCause(messaging.process(message, Effect.suspend(() => handler(message)), options), { log: "Warn" })
          run(Effect.ensuring(handled, room.release(1)))
        })
      yield* Stream.fromAsyncIterable(subscription, stopped).pipe(
        Stream.runForEach((message) => Effect.andThen(room.take(1), take(message))),
        Effect.matchCause({
          onFailure: (cause) => stop(stopped(cause)),
          onSuccess: () => {
            messaging.event("stopped")
            stop(stopped("the subscription ended"))
          }
        }),
        Effect.forkScoped
      )
    }), options.drain ?? "10 seconds")

const watch = (messaging: Carried, connection: NatsConnection): Effect.Effect<void, never, Scope.Scope> =>
  Stream.fromAsyncIterable(connection.status(), (cause) => cause).pipe(
    Stream.runForEach(({ type }) =>
      Effect.sync(() => {
        const event = events[type]
        if (event !== undefined) messaging.event(event)
      })),
    Effect.catchCause(() => Effect.void),
    Effect.forkScoped,
    Effect.asVoid
  )

const events: Readonly<Record<string, Messaging.BrokerEvent>> = {
  disconnect: "disconnected",
  reconnect: "connected",
  error: "error",
  staleConnection: "error",
  slowConsumer: "error",
  close: "closed"
}
