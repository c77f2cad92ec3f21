import { MetricsRecorder } from "@effect-observability/core"
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql/SqlError"
import type { PersistedQueueError } from "effect/persistence/PersistedQueue"
import { Shipment, Shipments } from "../shipping/Shipments.ts"
import { OrdersPlaced } from "../metrics.ts"
import { Catalog } from "./Catalog.ts"

export class NewOrder extends Schema.Class<NewOrder>("NewOrder")({
  product: Schema.Int,
  quantity: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })),
  channel: Schema.Literals(["web", "shop"])
}) {}

export interface Order {
  readonly id: number
  readonly product: number
  readonly quantity: number
  readonly cents: number
}

export class UnknownProduct extends Schema.TaggedError<UnknownProduct>()("UnknownProduct", { product: Schema.Int }) {}

export class GatewayDown extends Schema.TaggedError<GatewayDown>()("GatewayDown", { message: Schema.String }) {}

/** Taking orders: plain Effect code, it does not know who observes it. */
export class Orders extends Context.Service<Orders, {
  readonly place: (order: NewOrder) => Effect.Effect<Order, UnknownProduct | SqlError | PersistedQueueError | Schema.SchemaError>
  readonly find: (id: number) => Effect.Effect<Order | undefined, SqlError>
  /** The failing path: the payment gateway of this shop never answers. */
  readonly refund: (id: number) => Effect.Effect<void, GatewayDown | SqlError>
  /** The slow path. */
  readonly turnover: Effect.Effect<{ readonly orders: number; readonly cents: number }, SqlError>
}>()("shop/Orders") {
  static readonly layer = Layer.effect(
    Orders,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const catalog = yield* Catalog
      const shipments = yield* Shipments
      const metrics = yield* MetricsRecorder

      const charge = Effect.fn("charge")(function*(cents: number) {
        yield* Effect.annotateCurrentSpan({ cents })
        yield* Effect.sleep("2 millis")
      })

      const find = Effect.fn("orders.find")(function*(id: number) {
        const rows = yield* sql<Order>`select id, product, quantity, cents from shop.orders where id = ${id}`
        return rows[0]
      })

      const callGateway = Effect.fn("gateway.refund", { kind: "client" })(function*(id: number) {
        yield* Effect.annotateCurrentSpan({ "order.id": id, "peer.service": "payments" })
        yield* Effect.sleep("5 millis")
        return yield* new GatewayDown({ message: `payment gateway refused the refund of order ${id}` })
      })

      return Orders.of({
        find,
        place: Effect.fn("checkout")(function*(order: NewOrder) {
          const product = yield* catalog.product(order.product)
          if (product === undefined) return yield* new UnknownProduct({ product: order.product })
          const cents = product.cents * order.quantity
          yield* charge(cents)
          const rows = yield* sql<Order>`insert into shop.orders (product, quantity, cents)
            values (${product.id}, ${order.quantity}, ${cents}) returning id, product, quantity, cents`
          yield* metrics.incrementCounter(OrdersPlaced, 1, { channel: order.channel })
          const placed = rows[0]!
          yield* shipments.send(new Shipment({ order: placed.id, product: placed.product, quantity: placed.quantity }))
          yield* Effect.logInfo("order placed").pipe(Effect.annotateLogs({ order: placed.id }))
          return placed
        }),
        refund: Effect.fn("refund")(function*(id: number) {
          yield* find(id)
          return yield* callGateway(id)
        }),
        turnover: Effect.gen(function*() {
          yield* sql`select pg_sleep(0.06)`
          const rows = yield* sql<{ orders: number; cents: number }>`
            select count(*)::int4 as orders, coalesce(sum(cents), 0)::float8 as cents from shop.orders`
          return rows[0]!
        }).pipe(Effect.withSpan("orders.turnover"))
      })
    })
  )
}
