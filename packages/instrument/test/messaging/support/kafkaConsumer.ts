import { Kafka } from "@effect-observability/instrument"
import * as Effect from "effect/Effect"
import { type EachMessagePayload, Kafka as Client, logLevel } from "kafkajs"
import { connect } from "node:net"

/** A client whose every connection goes to the cluster of the moment: its port changes when it is started again. */
export const clientOf = (port: { readonly current: number }, clientId: string) =>
  new Client({
    clientId,
    brokers: ["127.0.0.1:1"],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1_000,
    requestTimeout: 3_000,
    retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 3 },
    socketFactory: ({ onConnect }) => connect(port.current, "127.0.0.1", onConnect)
  })

export const kafkaConsumer = (port: { readonly current: number }, handled: (text: string) => void) =>
  Effect.scoped(Effect.gen(function*() {
    const kafka = yield* Kafka.make({ server: "127.0.0.1:9092" })
    const consumer = clientOf(port, "consumer").consumer({
      groupId: "billing",
      sessionTimeout: 6_000,
      heartbeatInterval: 500,
      retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 3, restartOnFailure: async () => true }
    })
    yield* kafka.watch(consumer, { consumerGroup: "billing" })
    const eachMessage = yield* kafka.eachMessage(({ message }: EachMessagePayload) =>
      Effect.sync(() => handled(String(message.value))), { consumerGroup: "billing" })
    yield* Effect.acquireRelease(
      Effect.promise(async () => {
        await consumer.connect()
        await consumer.subscribe({ topics: ["orders"], fromBeginning: true })
        await consumer.run({ eachMessage })
      }),
      () => Effect.promise(() => consumer.disconnect())
    )
    return yield* Effect.never
  })).pipe(Effect.orDie)
