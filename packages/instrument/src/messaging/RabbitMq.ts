import { type ConfigurationError, type MetricsRecorder, type Telemetry, Tracer } from "@effect-observability/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { ConsumerStopped, PublishError } from "./errors.ts"
import { consuming } from "./internal/consuming.ts"
import { handling, type HandlingOptions } from "./internal/handling.ts"
import { withHeaders } from "./internal/headers.ts"
import { known } from "./internal/known.ts"
import { type Returns, returnsOf } from "./internal/returns.ts"
import type { MessageCarrier } from "./MessageCarrier.ts"
import * as Messaging from "./Messaging.ts"

/** A delivered message of `amqplib`. */
export interface RabbitMessage {
  readonly content: { readonly length: number }
  readonly fields: { readonly exchange: string; readonly routingKey: string; readonly redelivered: boolean; readonly deliveryTag: number }
  readonly properties: { readonly headers?: unknown; readonly messageId?: unknown; readonly timestamp?: unknown }
}

/** What is used of a channel or confirm channel of `amqplib` (promise API). */
export interface RabbitChannel {
  publish(exchange: string, routingKey: string, content: any, options?: any, callback?: (error: any, ok: any) => void): boolean
  consume(queue: string, onMessage: (message: any) => void, options?: any): Promise<{ readonly consumerTag: string }>
  cancel(consumerTag: string): Promise<unknown>
  ack(message: any): void
  nack(message: any, allUpTo?: boolean, requeue?: boolean): void
  checkQueue(queue: string): Promise<{ readonly messageCount: number }>
  on(event: string, listener: (...args: Array<any>) => void): unknown
  removeListener(event: string, listener: (...args: Array<any>) => void): unknown
}

/** What is used of a connection: `amqplib`'s own, or its recovering one. */
export interface RabbitConnection {
  on(event: string, listener: (...args: Array<any>) => void): unknown
  removeListener(event: string, listener: (...args: Array<any>) => void): unknown
}

type MessageOf<C extends RabbitChannel> = NonNullable<Parameters<Parameters<C["consume"]>[1]>[0]>

/** A message to publish; without `exchange` to the queue `routingKey` names. */
export interface RabbitPublish<C extends RabbitChannel> {
  readonly exchange?: string
  readonly routingKey: string
  readonly content: Parameters<C["publish"]>[2]
  /** `amqplib`'s options; its headers are kept beside ours. */
  readonly options?: Parameters<C["publish"]>[3]
}

export interface RabbitConsumeOptions extends HandlingOptions {
  /** `amqplib`'s options of `consume`. With `noAck` nothing is settled. */
  readonly consume?: Readonly<Record<string, unknown>> & { readonly noAck?: boolean }
  /** How long handlers that run may go on when the consumer is stopped. Default 10 seconds. */
  readonly drain?: Duration.Input
}

/** Publishing to and consuming from RabbitMQ, observed. */
export interface RabbitMq {
  /**
   * Publishes. On a confirm channel it waits for the broker's answer: `confirmed`, `rejected`, with `mandatory` also `returned`, or
   * `unconfirmed` when the channel was lost before it came. On a plain channel it is `sent` and nobody knows more.
   */
  readonly publish: <C extends RabbitChannel>(channel: C, message: RabbitPublish<C>) => Effect.Effect<void, PublishError>
  /**
   * Consumes a queue until it is interrupted or the broker stops it (`ConsumerStopped`: begin anew with a new channel). Each message is
   * handled in a fiber of its own, as many at once as the channel's `prefetch` lets through, and settled by how its handler ends.
   */
  readonly consume: <C extends RabbitChannel, E, R>(
    channel: C,
    queue: string,
    handler: (message: MessageOf<C>) => Effect.Effect<unknown, E, R>,
    options?: RabbitConsumeOptions
  ) => Effect.Effect<never, ConsumerStopped, R>
  /** Counts what becomes of a connection: lost, restored, blocked by the broker. */
  readonly watch: (connection: RabbitConnection) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Reads the depth of a queue into `message_backlog` every so often (15 seconds). Give it a channel of its own: asking for a queue that
   * does not exist closes the channel.
   */
  readonly watchDepth: (channel: RabbitChannel, queue: string, options?: { readonly every?: Duration.Input }) => Effect.Effect<void, never, Scope.Scope>
  /** For loops of one's own: counts and traces, and settles nothing. */
  readonly messaging: Messaging.Messaging<RabbitMessage>
}

const system = "rabbitmq"

/**
 * The topic is the exchange, of the default exchange the queue; the consumer group is the queue. So what one exchange published is what each
 * of its queues consumed.
 */
const topicOf = (exchange: unknown, routingKey: unknown): string => String(exchange === "" || exchange === undefined ? routingKey : exchange)

const carrier: MessageCarrier<RabbitMessage> = {
  system,
  topic: ({ fields }) => topicOf(fields.exchange, fields.routingKey),
  headers: ({ properties }) => properties.headers,
  deliveries: ({ fields, properties }) => {
    // Quorum queues count earlier deliveries; classic queues only say whether there was one.
    const counted = (properties.headers as Readonly<Record<string, unknown>> | undefined)?.["x-delivery-count"]
    return Math.max(typeof counted === "number" ? counted + 1 : 1, fields.redelivered ? 2 : 1)
  },
  // In AMQP seconds; many write milliseconds.
  publishedAt: ({ properties: { timestamp } }) => typeof timestamp !== "number" ? undefined : timestamp < 1e11 ? timestamp * 1000 : timestamp,
  id: ({ properties: { messageId } }) => typeof messageId === "string" ? messageId : undefined,
  size: ({ content }) => content.length,
  attributes: ({ fields }) => ({
    "messaging.rabbitmq.destination.routing_key": fields.routingKey,
    "messaging.rabbitmq.message.delivery_tag": fields.deliveryTag
  }),
  isTemporary: (topic) => topic.startsWith("amq.gen-") || topic.startsWith("amq.rabbitmq.reply-to")
}

/**
 * RabbitMQ through `amqplib`, whichever version made the channel: nothing of it is imported.
 *
 * @example
 * ```ts
 * const rabbit = yield* RabbitMq.make({ server: "rabbit.internal:5672" })
 * yield* rabbit.publish(channel, { routingKey: "orders", content: Buffer.from(json), options: { persistent: true } })
 * yield* rabbit.consume(channel, "orders", (message) => placeOrder(message.content)).pipe(Effect.forkScoped)
 * ```
 */
export const make = (options?: Messaging.MessagingOptions): Effect.Effect<RabbitMq, ConfigurationError, Telemetry | MetricsRecorder | Tracer> =>
  Effect.map(Messaging.make(carrier, options), (messaging): RabbitMq => ({
    messaging,
    publish: (channel, message) => publish(messaging, channel, message),
    consume: (channel, queue, handler, given = {}) => consume(messaging, channel, queue, handler, given),
    watch: (connection) => watch(messaging, connection),
    watchDepth: (channel, queue, { every = "15 seconds" } = {}) =>
      Effect.tryPromise(() => channel.checkQueue(queue)).pipe(
        Effect.map(({ messageCount }) => messaging.backlog(queue, messageCount, { consumerGroup: queue })),
        Effect.catchCause(() => Effect.void),
        Effect.repeat(Schedule.spaced(every)),
        Effect.forkScoped,
        Effect.asVoid
      )
  }))

type Carried = Messaging.Messaging<RabbitMessage>
type PublishOptions = { readonly headers?: object; readonly messageId?: string; readonly mandatory?: boolean } | undefined

const publish = <C extends RabbitChannel>(messaging: Carried, channel: C, message: RabbitPublish<C>): Effect.Effect<void, PublishError> => Effect.suspend(() => {
  const given: PublishOptions = message.options
  const topic = topicOf(message.exchange, message.routingKey)
  const confirms = "waitForConfirms" in channel
  const length: unknown = known(() => message.content.length)
  return messaging.publish(
    {
      topic,
      id: given?.messageId,
      size: typeof length === "number" ? length : undefined,
      confirmed: confirms,
      attributes: () => ({ "messaging.rabbitmq.destination.routing_key": message.routingKey })
    },
    (headers) => {
      const send = (options: object, callback?: (error: unknown) => void) =>
        channel.publish(message.exchange ?? "", message.routingKey, message.content, options, callback)
      const options = { ...given, headers: withHeaders(given?.headers, headers) }
      const failed = (reason: PublishError["reason"], cause: unknown) => Effect.fail(new PublishError({ system, topic, reason, cause }))
      if (!confirms) return Effect.suspend(() => attempt(() => send(options), (cause) => failed("failed", cause)))
      return Effect.callback<void, PublishError>((resume) => {
        const returns = given?.mandatory === true ? returnsOf(channel) : undefined
        const ticket = returns?.expect(options)
        resumeWhenSent(returns, ticket, () =>
          send(ticket?.options ?? options, (error) => {
            const returned = ticket === undefined ? undefined : returns!.settle(ticket)
            if (returned !== undefined) resume(failed("returned", returned))
            else if (error === null || error === undefined) resume(Effect.void)
            else resume(failed(isNack(error) ? "rejected" : "unconfirmed", error))
          }), (cause) => resume(failed("failed", cause)))
      })
    }
  )
})

const attempt = (send: () => unknown, failed: (cause: unknown) => Effect.Effect<never, PublishError>): Effect.Effect<void, PublishError> => {
  try {
    send()
    return Effect.void
  } catch (cause) {
    return failed(cause)
  }
}

/** A channel that is closed throws at once: nothing was sent, and nobody will answer. */
const resumeWhenSent = (returns: Returns | undefined, ticket: ReturnType<Returns["expect"]> | undefined, send: () => unknown, failed: (cause: unknown) => void): void => {
  try {
    send()
  } catch (cause) {
    if (returns !== undefined && ticket !== undefined) returns.settle(ticket)
    failed(cause)
  }
}

const isNack = (error: unknown): boolean => error instanceof Error && error.message === "message nacked"

const consume = <C extends RabbitChannel, E, R>(
  messaging: Carried,
  channel: C,
  queue: string,
  handler: (message: MessageOf<C>) => Effect.Effect<unknown, E, R>,
  options: RabbitConsumeOptions
): Effect.Effect<never, ConsumerStopped, R> =>
  consuming<R, never>(({ run, stop }) => {
    const stopped = (reason: ConsumerStopped["reason"], cause: unknown) => new ConsumerStopped({ system, topic: queue, reason, cause })
    const settings = { consumerGroup: queue, ...options }
    const onMessage = (message: (MessageOf<C> & RabbitMessage) | null): void => {
      if (message === null) {
        messaging.event("cancelled")
        return stop(stopped("cancelled", "the broker cancelled the consumer"))
      }
      run(options.consume?.noAck === true
        ? Effect.ignoreCause(messaging.process(message, Effect.suspend(() => handler(message)), settings), { log: "Warn" })
        : handling(messaging, carrier, message, handler, settings, (settlement) =>
          settlement === "ack" ? channel.ack(message) : channel.nack(message, false, settlement === "requeue")))
    }
    let why: unknown = "the channel was closed"
    const onClose = () => {
      messaging.event("stopped")
      stop(stopped("closed", why))
    }
    const consuming = Effect.acquireRelease(
      Effect.tryPromise({ try: () => channel.consume(queue, onMessage, options.consume), catch: (cause) => stopped("refused", cause) }),
      ({ consumerTag }) => Effect.tryPromise(() => channel.cancel(consumerTag)).pipe(Effect.timeout("5 seconds"), Effect.ignoreCause)
    )
    return Effect.asVoid(Effect.andThen(listening(channel, [["close", onClose], ["error", (error) => void (why = error)]]), consuming))
  }, options.drain ?? "10 seconds")

const watch = (messaging: Carried, connection: RabbitConnection): Effect.Effect<void, never, Scope.Scope> =>
  listening(connection, [
    ["connect", () => messaging.event("connected")],
    ["disconnect", () => messaging.event("disconnected")],
    ["close", () => messaging.event("closed")],
    ["error", () => messaging.event("error")],
    ["blocked", () => messaging.event("blocked")],
    ["unblocked", () => messaging.event("unblocked")]
  ])

const listening = (to: RabbitConnection, listeners: ReadonlyArray<readonly [event: string, listener: (argument: unknown) => void]>) =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => listeners.forEach(([event, listener]) => to.on(event, listener))),
    () => Effect.sync(() => listeners.forEach(([event, listener]) => to.removeListener(event, listener)))
  ))
