import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** How an attempt to publish ended that did not succeed; see `MessagingMetrics.MessageSends`. */
export const PublishFailure = Schema.Literals(["rejected", "returned", "unconfirmed", "failed"])
export type PublishFailure = typeof PublishFailure.Type

/** A message could not be published. After `unconfirmed` it may have arrived all the same; the others did not. */
export class PublishError extends Schema.TaggedError<PublishError>()("PublishError", {
  system: Schema.String,
  topic: Schema.String,
  reason: PublishFailure,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.system}: publishing to ${this.topic} ${explanations[this.reason]}`
  }
}

const explanations: Readonly<Record<PublishFailure, string>> = {
  rejected: "was refused by the broker",
  returned: "found no queue: bind one to the exchange, or leave `mandatory` out",
  unconfirmed: "got no confirmation, since the connection was lost: it may have arrived",
  failed: "failed before anything left"
}

/**
 * A message that no retry will make good: it cannot be decoded, or its content makes no sense. A handler that fails with it has the
 * message given up at once (reject, dead letter, passed over) and counted as poison.
 *
 * @example
 * ```ts
 * const handler = (message: { content: Buffer }) =>
 *   decodeOrder(message.content).pipe(PoisonMessage.orPoison, Effect.flatMap(placeOrder))
 * ```
 */
export class PoisonMessage extends Schema.TaggedError<PoisonMessage>()("PoisonMessage", { cause: Schema.Defect() }) {
  override get message(): string {
    return "the message cannot be processed, however often it is delivered"
  }

  /** Every expected failure of an effect makes the message poison. */
  static readonly orPoison = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, PoisonMessage, R> =>
    Effect.mapError(self, (cause) => new PoisonMessage({ cause }))
}

/** A consumer that will get no more messages: begin anew once the connection is back. */
export class ConsumerStopped extends Schema.TaggedError<ConsumerStopped>()("ConsumerStopped", {
  system: Schema.String,
  topic: Schema.String,
  /** `closed`: connection or channel are gone. `cancelled`: the broker stopped it, as when its queue is deleted. `refused`: it never began. */
  reason: Schema.Literals(["closed", "cancelled", "refused"]),
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.system}: consumer of ${this.topic} ${this.reason}`
  }
}
