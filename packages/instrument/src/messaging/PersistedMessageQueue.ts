import type { ConfigurationError, MetricsRecorder, Telemetry, Tracer } from "@effect-observability/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { isPoison } from "./internal/handling.ts"
import type { MessageCarrier } from "./MessageCarrier.ts"
import * as Messaging from "./Messaging.ts"

export interface PersistedMessageQueueOptions<S> extends Messaging.MessagingOptions {
  readonly name: string
  readonly schema: S
  /** As `PersistedQueue.make`: default 10. */
  readonly maxAttempts?: number
  readonly retrySchedule?: Schedule.Schedule<any, number>
  /**
   * Whether elements are stored with the headers they carry (default). Elements without headers are read in either case; a process that does not
   * know them cannot read those with headers: say `false` until every reader is up to date.
   */
  readonly carry?: boolean
  /** Default none. */
  readonly consumerGroup?: string
}

/** What is taken from the queue. */
interface Element<A> {
  readonly value: Stored<A>
  readonly id: string
  readonly attempts: number
}

/** Headers beside a value, under a name no value has. */
const headersKey = "~effect-observability/headers"
interface Carried<A> {
  readonly [headersKey]: Readonly<Record<string, string>>
  readonly value: A
}
type Stored<A> = Carried<A> | A

const isCarried = <A>(stored: Stored<A>): stored is Carried<A> =>
  typeof stored === "object" && stored !== null && Object.hasOwn(stored, headersKey)

/**
 * Effect's `PersistedQueue`, observed: elements carry trace, baggage and request from the process that offers them to the one that takes them.
 * Their type stays what it is; what is stored has the headers beside it.
 *
 * `offer` is published and confirmed once the store has it, also when it knew the id already. An attempt that fails is `requeue`, the last one
 * `reject` and poison; an element that cannot be decoded is poison with reason `decode`.
 *
 * @example
 * ```ts
 * const mails = yield* PersistedMessageQueue.make({ name: "mails", schema: Mail })
 * yield* mails.offer(mail)
 * yield* mails.take((mail) => send(mail)).pipe(Effect.forever, Effect.forkScoped)
 * ```
 */
export const make = <S extends Schema.Constraint>(
  options: PersistedMessageQueueOptions<S>
): Effect.Effect<
  PersistedQueue.PersistedQueue<S["Type"], S["EncodingServices"] | S["DecodingServices"]>,
  ConfigurationError,
  PersistedQueue.PersistedQueueFactory | Telemetry | MetricsRecorder | Tracer
> =>
  Effect.gen(function*() {
    type A = S["Type"]
    const { carry = true, consumerGroup, maxAttempts = 10, name, retrySchedule, schema } = options
    const carrier: MessageCarrier<Element<A>> = {
      system: "effect_persisted_queue",
      topic: () => name,
      headers: ({ value }) => isCarried(value) ? value[headersKey] : undefined,
      deliveries: ({ attempts }) => attempts,
      id: ({ id }) => id
    }
    const messaging = yield* Messaging.make(carrier, options)
    const group = { consumerGroup }
    const undecoded: Element<A> = { value: undefined, id: "", attempts: 1 }
    const stored = Schema.Union([Schema.Struct({ [headersKey]: Schema.Record(Schema.String, Schema.String), value: schema }), schema]).pipe(
      Schema.catchDecoding((issue) =>
        Effect.suspend(() => {
          messaging.poisoned(undecoded, "decode", group)
          return Effect.fail(issue)
        }))
    )
    const queue = (yield* PersistedQueue.make({
      name,
      schema: stored,
      maxAttempts,
      ...(retrySchedule === undefined ? {} : { retrySchedule })
    })) as unknown as PersistedQueue.PersistedQueue<Stored<A>, S["EncodingServices"] | S["DecodingServices"]>
    return {
      [PersistedQueue.TypeId]: PersistedQueue.TypeId,
      offer: (value: A, given?: { readonly id?: string | undefined; readonly delay?: Duration.Input | undefined }) =>
        messaging.publish({ topic: name, id: given?.id, confirmed: true }, (headers) =>
          queue.offer(carry ? { [headersKey]: headers, value } : value, given)),
      take: <XA, XE, XR>(f: (value: A, metadata: { readonly id: string; readonly attempts: number }) => Effect.Effect<XA, XE, XR>) =>
        queue.take((value, metadata) => {
          const element: Element<A> = { value, ...metadata }
          const handled = messaging.process(element, Effect.suspend(() => f(isCarried<A>(value) ? value.value : value, metadata)), group)
          return Effect.onExitPrimitive(handled, (exit) => {
            const last = exit._tag === "Failure" && metadata.attempts >= maxAttempts
            messaging.settled(element, exit._tag === "Success" ? "ack" : last ? "reject" : "requeue", group)
            // The store has no way to give an element up before its last attempt: it is said once.
            if (isPoison(exit)) {
              if (metadata.attempts === 1) messaging.poisoned(element, "marked", group)
            } else if (last) messaging.poisoned(element, "deliveries", group)
            return undefined
          })
        })
    } as PersistedQueue.PersistedQueue<A, S["EncodingServices"] | S["DecodingServices"]>
  })
