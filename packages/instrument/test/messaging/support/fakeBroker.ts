import { type MessageCarrier, Messaging } from "@effect-observability/instrument"
import * as Effect from "effect/Effect"

// A broker in thirty lines, for what no real one does on demand: hostile headers, adapters that throw, confirmations that never come.

export interface FakeMessage {
  readonly topic: string
  readonly headers: unknown
  readonly body: string
  readonly deliveries?: number
  readonly at?: number
}

export const fakeCarrier: MessageCarrier<FakeMessage> = {
  system: "fake",
  topic: (message) => message.topic,
  headers: (message) => message.headers,
  deliveries: (message) => message.deliveries,
  publishedAt: (message) => message.at,
  size: (message) => message.body.length,
  isTemporary: (topic) => topic.startsWith("tmp.")
}

/** What was sent stays in an array. */
export const fakeBroker = (options?: Messaging.MessagingOptions) =>
  Effect.map(Messaging.make(fakeCarrier, options), (messaging) => {
    const sent: Array<FakeMessage> = []
    return {
      messaging,
      sent,
      send: (topic: string, body: string) =>
        messaging.publish({ topic, size: body.length }, (headers) => Effect.sync(() => void sent.push({ topic, headers, body })))
    }
  })
