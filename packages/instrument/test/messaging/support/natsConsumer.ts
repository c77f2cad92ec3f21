import { Nats } from "@effect-observability/instrument"
import { connect, headers } from "@nats-io/transport-node"
import * as Effect from "effect/Effect"

/** Subjects `live.*` are core NATS; `orders.*` come from a JetStream push consumer that the test has made. */
export const natsConsumer = (port: { readonly current: number }, handled: (text: string) => void) =>
  Effect.scoped(Effect.gen(function*() {
    const nats = yield* Nats.make({ headers, topics: ["live.{n}", "orders.{n}"] })
    const connection = yield* Effect.acquireRelease(
      Effect.tryPromise(() => connect({ servers: `127.0.0.1:${port.current}`, maxReconnectAttempts: -1, reconnectTimeWait: 100 })),
      (connection) => Effect.promise(() => connection.close())
    )
    yield* nats.watch(connection)
    const handle = (message: { readonly string: () => string; readonly redelivered?: boolean }) => Effect.sync(() => handled(message.string()))
    yield* nats.consume(connection.subscribe("live.*", { queue: "billing" }), handle, { consumerGroup: "billing" }).pipe(Effect.forkChild)
    return yield* nats.consume(connection.subscribe("deliver.orders"), handle, { consumerGroup: "ledger" })
  })).pipe(Effect.orDie)
