import { Context, Effect, Layer, Schema } from "effect"
import { Redis } from "effect/persistence"
import { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql/SqlError"

export class Product extends Schema.Class<Product>("Product")({ id: Schema.Int, name: Schema.String, cents: Schema.Int }) {}

const Stored = Schema.fromJsonString(Product)
const decode = Schema.decodeUnknownEffect(Stored)
const encode = Schema.encodeEffect(Stored)

/** Seconds. */
const timeToLive = 2

/** How long Redis is waited for: what it saves is less than that. */
const patience = "250 millis"

/** Products with their prices, kept in Redis in front of the database. */
export class Catalog extends Context.Service<Catalog, {
  readonly product: (id: number) => Effect.Effect<Product | undefined, SqlError>
}>()("shop/Catalog") {
  static readonly layer = Layer.effect(
    Catalog,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const redis = yield* Redis.Redis

      // Without Redis the shop is slower, not closed.
      const cached = (key: string) =>
        redis.send<string | null>("GET", key).pipe(
          Effect.timeout(patience),
          Effect.flatMap((text) => text === null ? Effect.succeed(undefined) : decode(text)),
          Effect.catch(() => Effect.succeed(undefined))
        )
      const keep = (key: string, product: Product) =>
        Effect.ignore(Effect.flatMap(encode(product), (text) => Effect.timeout(redis.send("SET", key, text, "EX", String(timeToLive)), patience)))

      return Catalog.of({
        product: Effect.fn("catalog.product")(function*(id: number) {
          const key = `product:${id}`
          const known = yield* cached(key)
          if (known !== undefined) return known
          const [row] = yield* sql<{ id: number; name: string; cents: number }>`select id, name, cents from shop.products where id = ${id}`
          if (row === undefined) return undefined
          const product = new Product(row)
          yield* keep(key, product)
          return product
        })
      })
    })
  )
}
