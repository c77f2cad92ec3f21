/**
 * How messages of one broker are read: all that tells brokers apart on the consumer's side. None of it may change the message; what throws, or
 * gives something else than it should, counts as not known.
 *
 * A broker is an adapter of this and of two calls: `Messaging.publish` around what sends, `Messaging.process` around what handles.
 *
 * @example
 * ```ts
 * const carrier: MessageCarrier<StreamEntry> = {
 *   system: "redis",
 *   topic: (entry) => entry.stream,
 *   headers: (entry) => entry.fields
 * }
 * ```
 */
export interface MessageCarrier<in M> {
  /** `messaging.system` of OpenTelemetry's conventions: `rabbitmq`, `kafka`, `nats`, … */
  readonly system: string
  /** Where it was published to: the same name the producer gives to `publish`. */
  readonly topic: (message: M) => string
  /** Its headers: a record of strings, bytes or lists of them, a `Map`, or anything with `get` and `set`. */
  readonly headers: (message: M) => unknown
  /** How often it was delivered, this time included; more than 1 is a redelivery. */
  readonly deliveries?: (message: M) => number | undefined
  /** When it was published, in milliseconds since the epoch. */
  readonly publishedAt?: (message: M) => number | undefined
  readonly id?: (message: M) => string | undefined
  /** Bytes of its body. */
  readonly size?: (message: M) => number | undefined
  /** Further attributes of its span, never its content; asked for only when the span is kept. */
  readonly attributes?: (message: M) => Readonly<Record<string, unknown>>
  /** Destinations that somebody made for a moment (reply queues): they share the label `(temporary)`. */
  readonly isTemporary?: (topic: string) => boolean
}
