import { ConfigurationError, MetricsRecorder, propagationRules, Telemetry, Tracer } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { serverOf } from "./internal/attributes.ts"
import { templateProblem } from "./internal/Destinations.ts"
import { known } from "./internal/known.ts"
import { LiveMessaging } from "./internal/LiveMessaging.ts"
import type { Settlement } from "./internal/Topic.ts"
import { Topics } from "./internal/Topics.ts"
import type { MessageCarrier } from "./MessageCarrier.ts"

export type { Settlement }

export interface MessagingOptions {
  /**
   * How a consumer's span belongs to the producer's: as its child, in one trace (`"parent"`, the default), or in a trace of its own that links
   * to it (`"link"`). Batches always link.
   */
  readonly trace?: "parent" | "link"
  /**
   * Whether what messages bring is believed: trace with its sampling decision, baggage, request id (the default). `false` where strangers
   * publish: every message then begins a trace of its own that links to theirs, and the rest is left out.
   */
  readonly trustIncoming?: boolean
  /**
   * Templates of destinations whose names hold ids: `tenant.{id}.orders`, `jobs/*`, `audit.>`. A wildcard is one segment between `.`, `/` or
   * `:`; `>` or `#` at the end is the rest. In metrics and span names the template stands for them all.
   */
  readonly topics?: ReadonlyArray<string>
  /** Most destinations without a template, and most consumer groups, that are named; the rest is `_OTHER`. Default 100. */
  readonly maxTopics?: number
  /**
   * The broker, `host:port` or an URL: `server.address` and `server.port` on spans. With it, `tracing.propagateTo` and `tracing.baggageTo` decide
   * what messages carry, as they do for HTTP; without it they carry all.
   */
  readonly server?: string
}

/** A message about to leave; nothing of its content. */
export interface OutgoingMessage {
  readonly topic: string
  readonly id?: string | undefined
  /** Bytes of the body. */
  readonly size?: number | undefined
  /** Messages sent at once, all with the same headers. Default 1. */
  readonly count?: number | undefined
  /** Whether success means that the broker has confirmed it. Default `false`. */
  readonly confirmed?: boolean | undefined
  readonly attributes?: (() => Readonly<Record<string, unknown>>) | undefined
}

/** Publishing and processing of messages of one kind, observed. */
export interface Messaging<in M> {
  readonly system: string
  /**
   * Runs what sends a message in a span of kind producer. `send` gets the headers to put beside the message's own: trace context, baggage,
   * request id. A `PublishError` says how it ended; any other failure counts as `failed`. Adds no failure and no waiting.
   */
  readonly publish: <A, E, R>(message: OutgoingMessage, send: (headers: Record<string, string>) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * Runs a message's handler in a span of kind consumer, in the trace, with the baggage and for the request it brought. Counts delivery and
   * end. The message is settled by whoever knows how (see `settled`).
   */
  readonly process: <A, E, R>(message: M, handler: Effect.Effect<A, E, R>, options?: ProcessOptions) => Effect.Effect<A, E, R>
  /** Runs the handler of many messages at once, in one span that links to each of them. They are counted one by one, the duration once. */
  readonly processBatch: <A, E, R>(messages: ReadonlyArray<M>, handler: Effect.Effect<A, E, R>, options?: BatchOptions) => Effect.Effect<A, E, R>
  /** Counts what the broker was told of a message, or could not be told. */
  readonly settled: (message: M, settlement: Settlement | "lost", options?: ProcessOptions) => void
  /** Counts a message that is given up. */
  readonly poisoned: (message: M, reason: "marked" | "deliveries" | "decode", options?: ProcessOptions) => void
  /** Counts a failed settlement or another error outside of handlers. */
  readonly failed: (topic: string, operation: "send" | "process" | "settle", errorType: string) => void
  /** Sets the backlog of a topic: depth or lag, in messages. */
  readonly backlog: (topic: string, count: number, options?: ProcessOptions) => void
  /** Counts what became of a connection or a consumer. */
  readonly event: (event: BrokerEvent) => void
}

export type BrokerEvent = "connected" | "disconnected" | "closed" | "error" | "blocked" | "unblocked" | "cancelled" | "stopped"

export interface ProcessOptions {
  /** Default none (`""`). */
  readonly consumerGroup?: string | undefined
}

export interface BatchOptions extends ProcessOptions {
  /** Where the messages are from; that of the first one unless told. */
  readonly topic?: string | undefined
}

/**
 * Observed messaging for one kind of message. `RabbitMq`, `Nats` and `Kafka` are built on it; a broker that is none of them needs a
 * `MessageCarrier` and these calls. Fails when an option is wrong.
 *
 * @example
 * ```ts
 * const messaging = yield* Messaging.make(carrier)
 * const send = (entry: Entry) => messaging.publish({ topic: "orders" }, (headers) => append({ ...entry, ...headers }))
 * const handle = (entry: Entry) => messaging.process(entry, placeOrder(entry), { consumerGroup: "billing" })
 * ```
 */
export const make = <M>(
  carrier: MessageCarrier<M>,
  options: MessagingOptions = {}
): Effect.Effect<Messaging<M>, ConfigurationError, Telemetry | MetricsRecorder | Tracer> =>
  Effect.gen(function*() {
    const problems = problemsOf(options)
    if (problems.length > 0) return yield* new ConfigurationError({ problems })
    const telemetry = yield* Telemetry
    const recorder = yield* MetricsRecorder
    const rules = () => propagationRules(telemetry.settings())
    return new LiveMessaging(carrier, options, recorder, yield* Tracer, rules, new Topics(
      recorder,
      telemetry.settings,
      options.topics ?? [],
      options.maxTopics ?? 100,
      (topic) => known(() => carrier.isTemporary?.(topic)) === true
    ))
  })

const problemsOf = ({ maxTopics, server, topics, trace, trustIncoming }: MessagingOptions) => {
  const problems: Array<{ readonly path: string; readonly message: string }> = []
  const add = (path: string, message: string | undefined) => {
    if (message !== undefined) problems.push({ path: `messaging.${path}`, message })
  }
  if (trace !== undefined && trace !== "parent" && trace !== "link") add("trace", `expected "parent" or "link"`)
  if (trustIncoming !== undefined && typeof trustIncoming !== "boolean") add("trustIncoming", "expected true or false")
  if (maxTopics !== undefined && !(Number.isInteger(maxTopics) && maxTopics >= 0)) add("maxTopics", "expected a whole number, 0 or more")
  if (server !== undefined && serverOf(server) === undefined) add("server", "expected host:port or an URL such as amqp://rabbit.internal:5672")
  if (topics !== undefined && !Array.isArray(topics)) add("topics", "expected a list of templates")
  else topics?.forEach((template, i) => add(`topics[${i}]`, templateProblem(template)))
  return problems
}
