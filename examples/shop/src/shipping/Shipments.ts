import { PersistedMessageQueue } from "@effect-observability/instrument"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, type Redacted, References, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"

/** What the warehouse is asked to do. */
export class Shipment extends Schema.Class<Shipment>("Shipment")({ order: Schema.Int, product: Schema.Int, quantity: Schema.Int }) {}

/** Orders on their way to the warehouse: a queue in PostgreSQL, so that none is lost when either side is down. */
export class Shipments extends Context.Service<Shipments, {
  readonly send: (shipment: Shipment) => Effect.Effect<void, PersistedQueue.PersistedQueueError | Schema.SchemaError>
  /** Runs `pack` for the next one; waits for it. */
  readonly next: <E, R>(
    pack: (shipment: Shipment) => Effect.Effect<void, E, R>
  ) => Effect.Effect<void, E | PersistedQueue.PersistedQueueError | Schema.SchemaError, R>
}>()("shop/Shipments") {
  /** The queue's own connection is not observed, and its polling leaves no spans: they would be most of what there is to see. */
  static readonly layer = (url: Redacted.Redacted<string>) =>
    Layer.effect(
      Shipments,
      Effect.gen(function*() {
        const queue = yield* PersistedMessageQueue.make({ name: "shipments", schema: Shipment, consumerGroup: "warehouse" })
        return Shipments.of({
          send: (shipment) => Effect.asVoid(queue.offer(shipment, { id: `order-${shipment.order}` })),
          next: (pack) => queue.take(pack)
        })
      })
    ).pipe(
      Layer.provide(PersistedQueue.layer),
      Layer.provide(PersistedQueue.layerStoreSql({ tableName: "shop_queue", pollInterval: "100 millis" }).pipe(
        Layer.provide(Layer.succeed(References.TracerEnabled, false))
      )),
      Layer.provide(PgClient.layer({ url, maxConnections: 2, applicationName: "shop queue" }))
    )
}
