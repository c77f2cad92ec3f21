import { MetricDefinition } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { PoisonMessage } from "../errors.ts"
import type { MessageCarrier } from "../MessageCarrier.ts"
import type { Messaging, ProcessOptions, Settlement } from "../Messaging.ts"
import { known } from "./known.ts"
import { errorType } from "./sending.ts"

/** A handler that did not succeed. */
export interface FailedHandling {
  readonly outcome: "failure" | "defect" | "interrupted"
  /** Whether it failed with `PoisonMessage`. */
  readonly poison: boolean
  /** How often the message was delivered, this time included; `undefined` where the broker does not say. */
  readonly deliveries: number | undefined
}

export interface HandlingOptions extends ProcessOptions {
  /**
   * How often a message is delivered before it is given up; one whose handler fails before that is given back. Default 2. RabbitMQ's classic
   * queues only tell first deliveries from later ones: there more than 2 means for ever.
   */
  readonly maxDeliveries?: number | undefined
  /** What becomes of a message whose handler did not succeed, instead of what `maxDeliveries` says. */
  readonly onFailure?: ((failed: FailedHandling) => Settlement) | undefined
}

/**
 * Processes a message and settles it: `ack` after a success, `requeue` after an interruption, `reject` for poison, and after a failure or defect
 * `requeue` until it was delivered `maxDeliveries` times. Never fails; what went wrong is logged, in the message's span.
 */
export const handling = <M, E, R>(
  messaging: Messaging<M>,
  carrier: MessageCarrier<M>,
  message: M,
  handler: (message: M) => Effect.Effect<unknown, E, R>,
  options: HandlingOptions,
  settle: (settlement: Settlement) => void
): Effect.Effect<void, never, R> =>
  messaging.process(message, Effect.tapCause(Effect.suspend(() => handler(message)), told), options).pipe(
    (self) =>
      Effect.onExitPrimitive(self, (exit) => {
        const settlement = settlementOf(messaging, carrier, message, exit, options)
        try {
          settle(settlement)
          messaging.settled(message, settlement, options)
        } catch (error) {
          // Channel or connection are gone: the broker will deliver the message again.
          messaging.settled(message, "lost", options)
          messaging.failed(known(() => carrier.topic(message)) ?? "", "settle", errorType(error))
        }
        return undefined
      }),
    Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause as Cause.Cause<never>) : Effect.void),
    Effect.asVoid
  )

/** Somebody must say it: the loop that runs handlers has nobody to fail to. */
const told = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("a message's handler failed", cause)

export const isPoison = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Failure" && exit.cause.reasons.some((reason) => reason._tag === "Fail" && known(() => reason.error instanceof PoisonMessage) === true)

const settlementOf = <M>(
  messaging: Messaging<M>,
  carrier: MessageCarrier<M>,
  message: M,
  exit: Exit.Exit<unknown, unknown>,
  options: HandlingOptions
): Settlement => {
  const outcome = MetricDefinition.outcomeOf(exit)
  if (outcome === "success") return "ack"
  const poison = isPoison(exit)
  if (poison) messaging.poisoned(message, "marked", options)
  const deliveries = known(() => carrier.deliveries?.(message))
  const decide = options.onFailure
  const chosen = decide === undefined ? undefined : known(() => decide({ outcome, poison, deliveries }))
  if (chosen !== undefined) return chosen
  if (poison) return "reject"
  if (outcome === "interrupted" || (deliveries ?? 1) < (options.maxDeliveries ?? 2)) return "requeue"
  messaging.poisoned(message, "deliveries", options)
  return "reject"
}
