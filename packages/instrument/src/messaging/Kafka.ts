import { type ConfigurationError, type MetricsRecorder, type Telemetry, type Tracer } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { PublishError } from "./errors.ts"
import { withHeaders } from "./internal/headers.ts"
import { handling, type HandlingOptions, isPoison } from "./internal/handling.ts"
import { backlogOf, type KafkaDelivery, Offsets, reasonOf } from "./internal/kafka.ts"
import { known } from "./internal/known.ts"
import type { MessageCarrier } from "./MessageCarrier.ts"
import * as Messaging from "./Messaging.ts"

export type { KafkaDelivery } from "./internal/kafka.ts"

/** What is used of a `kafkajs` producer. */
export interface KafkaProducer {
  send(record: any): Promise<unknown>
}

/** What is used of a `kafkajs` message. */
export interface KafkaMessage {
  readonly value: { readonly length: number } | null
  readonly headers?: object | undefined
  readonly timestamp?: string
  readonly offset: string
}

/** The payload of `kafkajs`' `eachMessage`. */
export interface KafkaMessagePayload {
  readonly topic: string
  readonly partition: number
  readonly message: KafkaMessage
}

/** The payload of `kafkajs`' `eachBatch`. */
export interface KafkaBatchPayload {
  readonly batch: {
    readonly topic: string
    readonly partition: number
    readonly messages: ReadonlyArray<KafkaMessage>
    offsetLag(): string
  }
}

/** A producer or consumer that tells of its connection. */
export interface KafkaClient {
  on(event: any, listener: (event: any) => void): (() => void)
}

/** Publishing to and consuming from Kafka, observed. */
export interface Kafka {
  /**
   * Sends the messages of a record in one span and waits for the broker. All of them carry that span, beside their own headers. With
   * `acks: 0` they are `sent`, else `confirmed`. Fails as `kafkajs` does, which has retried by then.
   */
  readonly send: <P extends KafkaProducer>(producer: P, record: Parameters<P["send"]>[0]) => Effect.Effect<Awaited<ReturnType<P["send"]>>, PublishError>
  /**
   * What `consumer.run` wants for `eachMessage`. A handler that fails makes it reject, so that `kafkajs` delivers the message again (`requeue`;
   * after a `TypeError`, `RangeError` or their like it gives the whole consumer up). One that fails with `PoisonMessage`, or for the `maxDeliveries`th time in this process (default: never), has it passed over (`reject`).
   */
  readonly eachMessage: <P extends KafkaMessagePayload, E, R>(
    handler: (payload: P) => Effect.Effect<unknown, E, R>,
    options?: HandlingOptions
  ) => Effect.Effect<(payload: P) => Promise<void>, never, R>
  /** What `consumer.run` wants for `eachBatch`: one span that links to the spans of all messages. What is resolved is the handler's business. */
  readonly eachBatch: <P extends KafkaBatchPayload, E, R>(
    handler: (payload: P) => Effect.Effect<unknown, E, R>,
    options?: Messaging.ProcessOptions
  ) => Effect.Effect<(payload: P) => Promise<void>, never, R>
  /** Counts what becomes of a producer's or consumer's connections; of a consumer it also keeps `message_backlog`, the group's lag. */
  readonly watch: (client: KafkaClient, options?: Messaging.ProcessOptions) => Effect.Effect<void, never, Scope.Scope>
  /** For loops of one's own. */
  readonly messaging: Messaging.Messaging<KafkaDelivery>
}

const system = "kafka"

const carrier: MessageCarrier<KafkaDelivery> = {
  system,
  topic: ({ topic }) => topic,
  headers: ({ message }) => message.headers,
  deliveries: ({ deliveries }) => deliveries,
  publishedAt: ({ message }) => Number(message.timestamp),
  size: ({ message }) => message.value?.length,
  attributes: ({ message, partition }) => ({
    "messaging.destination.partition.id": String(partition),
    "messaging.kafka.offset": Number(message.offset),
    ...(message.value === null ? { "messaging.kafka.message.tombstone": true } : {})
  })
}

/**
 * Kafka through `kafkajs`: nothing of it is imported. A message's key may name a person: it is not recorded.
 *
 * @example
 * ```ts
 * const kafka = yield* Kafka.make({ server: "kafka.internal:9092" })
 * yield* kafka.send(producer, { topic: "orders", messages: [{ key: order.id, value: json }] })
 * const eachMessage = yield* kafka.eachMessage(({ message }) => placeOrder(message.value), { consumerGroup: "billing" })
 * yield* Effect.promise(() => consumer.run({ eachMessage }))
 * ```
 */
export const make = (options?: Messaging.MessagingOptions): Effect.Effect<Kafka, ConfigurationError, Telemetry | MetricsRecorder | Tracer> =>
  Effect.map(Messaging.make(carrier, options), (messaging): Kafka => ({
    messaging,
    send: (producer, record) => send(messaging, producer, record),
    eachMessage: (handler, given = {}) => eachMessage(messaging, handler, given),
    eachBatch: (handler, given = {}) => eachBatch(messaging, handler, given),
    watch: (client, given = {}) => watch(messaging, client, given)
  }))

type Carried = Messaging.Messaging<KafkaDelivery>
interface Sendable {
  readonly topic: string
  readonly acks?: number
  readonly messages: ReadonlyArray<{ readonly headers?: object; readonly value?: unknown }>
}

const send = <P extends KafkaProducer>(
  messaging: Carried,
  producer: P,
  record: Parameters<P["send"]>[0]
): Effect.Effect<Awaited<ReturnType<P["send"]>>, PublishError> => {
  const { acks, messages, topic }: Sendable = record
  const count: unknown = known(() => messages.length)
  return messaging.publish(
    { topic, count: typeof count === "number" ? count : 1, confirmed: acks !== 0 },
    (headers) =>
      Effect.tryPromise({
        try: () => producer.send({ ...record, messages: messages.map((one) => ({ ...one, headers: withHeaders(one.headers, headers) })) }),
        catch: (cause) => new PublishError({ system, topic: String(topic), reason: reasonOf(cause), cause })
      }) as Effect.Effect<Awaited<ReturnType<P["send"]>>, PublishError>
  )
}

const eachMessage = <P extends KafkaMessagePayload, E, R>(
  messaging: Carried,
  handler: (payload: P) => Effect.Effect<unknown, E, R>,
  options: HandlingOptions
): Effect.Effect<(payload: P) => Promise<void>, never, R> =>
  Effect.map(Effect.context<R>(), (context) => {
    const run = Effect.runPromiseWith(context)
    const offsets = new Offsets()
    const settings = { maxDeliveries: Infinity, ...options }
    return (payload: P) => {
      const { message, partition, topic } = payload
      const delivery: KafkaDelivery = { topic, partition, message, deliveries: offsets.deliveries(topic, partition, message.offset) }
      let again = false
      let failure: unknown
      const handled = handling(
        messaging,
        carrier,
        delivery,
        () => Effect.tapCause(handler(payload), (cause) => Effect.sync(() => void (failure = Cause.squash(cause)))),
        settings,
        (settlement) => void (again = settlement === "requeue")
      )
      // `kafkajs` reads from the error whether and when to deliver again, and asks it unguarded: it must be one.
      return run(Effect.flatMap(handled, () => again ? Effect.fail(failure instanceof Error ? failure : new HandlerFailed(failure)) : Effect.void))
    }
  })

/** A failure that is no Error, such as a tagged record. */
class HandlerFailed extends Error {
  override readonly name = "HandlerFailed"

  constructor(cause: unknown) {
    super("the message's handler failed", { cause })
  }
}

const eachBatch = <P extends KafkaBatchPayload, E, R>(
  messaging: Carried,
  handler: (payload: P) => Effect.Effect<unknown, E, R>,
  options: Messaging.ProcessOptions
): Effect.Effect<(payload: P) => Promise<void>, never, R> =>
  Effect.map(Effect.context<R>(), (context) => {
    const run = Effect.runPromiseWith(context)
    const offsets = new Offsets()
    return (payload: P) => {
      const { messages, partition, topic } = payload.batch
      const deliveries = messages.map((message): KafkaDelivery => ({
        topic,
        partition,
        message,
        deliveries: offsets.deliveries(topic, partition, message.offset)
      }))
      const handled = Effect.onExitPrimitive(
        messaging.processBatch(deliveries, Effect.suspend(() => handler(payload)), { ...options, topic }),
        (exit) => {
          const settlement = exit._tag === "Success" ? "ack" : "requeue"
          for (const delivery of deliveries) messaging.settled(delivery, settlement, options)
          if (isPoison(exit)) deliveries.forEach((delivery) => messaging.poisoned(delivery, "marked", options))
          return undefined
        }
      )
      return run(Effect.asVoid(handled))
    }
  })

const watch = (messaging: Carried, client: KafkaClient, options: Messaging.ProcessOptions): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => {
      const removals: Array<() => void> = []
      const on = (event: string, listener: (event: any) => void) => {
        // A producer knows none of a consumer's events, and says so by throwing.
        try {
          removals.push(client.on(event, listener))
        } catch {
          return
        }
      }
      const backlog = backlogOf((topic, count) => messaging.backlog(topic, count, options))
      for (const kind of ["producer", "consumer"]) {
        on(`${kind}.connect`, () => messaging.event("connected"))
        on(`${kind}.disconnect`, () => messaging.event("disconnected"))
      }
      on("consumer.crash", () => messaging.event("error"))
      on("consumer.stop", () => messaging.event("stopped"))
      on("consumer.end_batch_process", (event) => backlog(event?.payload))
      return removals
    }),
    (removals) => Effect.sync(() => removals.forEach((remove) => remove()))
  ))
