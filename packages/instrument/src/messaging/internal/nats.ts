import type { PublishFailure } from "../errors.ts"
import type { Settlement } from "../Messaging.ts"
import { known } from "./known.ts"

interface Acknowledged {
  readonly reply?: string | undefined
  respond?(payload?: any): boolean
  ack?(): void
  nak?(millis?: number): void
  term?(reason?: string): void
}

interface Delivery {
  readonly stream: string
  readonly deliveries: number
  readonly sequence: number
  /** Milliseconds since the epoch. */
  readonly publishedAt: number
  readonly pending: number
}

/**
 * What JetStream says of a delivery in its reply subject (ADR-15): `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.
 * <nanoseconds>.<pending>`, with domain and account before the stream in later servers. `undefined` for core NATS.
 */
export const deliveryOf = ({ reply }: Acknowledged): Delivery | undefined => {
  if (typeof reply !== "string" || reply.length > 1_024 || !reply.startsWith("$JS.ACK.")) return undefined
  const parts = reply.split(".")
  if (parts.length !== 9 && parts.length < 11) return undefined
  const from = parts.length === 9 ? 2 : 4
  const [deliveries, sequence, , nanos, pending] = parts.slice(from + 2, from + 7).map(Number)
  const found = { stream: parts[from]!, deliveries: deliveries!, sequence: sequence!, publishedAt: nanos! / 1e6, pending: pending! }
  return [deliveries, sequence, nanos, pending].every((one) => Number.isFinite(one)) ? found : undefined
}

/** Whether a message waits for its acknowledgement. */
export const settles = (message: Acknowledged): boolean => typeof message.ack === "function" || deliveryOf(message) !== undefined

/** Throws where the connection is gone. */
export const settle = (message: Acknowledged, settlement: Settlement): void => {
  if (typeof message.ack === "function") {
    if (settlement === "ack") message.ack()
    else if (settlement === "requeue") message.nak?.()
    else message.term?.()
  } else if (message.respond?.(words[settlement]) !== true) throw new NotSettled()
}

const words: Readonly<Record<Settlement, string>> = { ack: "+ACK", requeue: "-NAK", reject: "+TERM" }

class NotSettled extends Error {
  override readonly name = "NotSettled"
}

/** A JetStream stream's answer to a published message. */
export const streamReply = {
  /** No answer: a subject without a stream has nobody to answer, which the server says at once. */
  failure: (cause: unknown): PublishFailure => {
    const name: unknown = known(() => (cause as { readonly name?: unknown }).name)
    if (name === "NoRespondersError" || (name === "RequestError" && known(() => (cause as { readonly isNoResponders?: () => boolean }).isNoResponders?.()) === true)) return "returned"
    return name === "ClosedConnectionError" ? "failed" : "unconfirmed"
  },
  /** Why the stream refused, or `undefined`. */
  refusal: (data: Uint8Array): unknown =>
    known(() => {
      const answer: { readonly error?: { readonly description?: unknown } } = JSON.parse(new TextDecoder().decode(data))
      return answer.error === undefined ? undefined : new Error(String(answer.error.description))
    })
}
