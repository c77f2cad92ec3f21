import { MetricsRecorder, StandardMetrics } from "@effect-observability/core"
import { Cache, Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql/SqlError"

export interface Product {
  readonly id: number
  readonly name: string
  readonly cents: number
}

/** Products with their prices, cached in front of the database. */
export class Catalog extends Context.Service<Catalog, {
  readonly product: (id: number) => Effect.Effect<Product | undefined, SqlError>
}>()("shop/Catalog") {
  static readonly layer = Layer.effect(
    Catalog,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const metrics = yield* MetricsRecorder
      const labels = { cache_name: "catalog" }

      const lookup = Effect.fn("catalog.lookup")(function*(id: number) {
        yield* metrics.incrementCounter(StandardMetrics.CacheMisses, 1, labels)
        const rows = yield* sql<Product>`select id, name, cents from shop.products where id = ${id}`
        return rows[0]
      })
      const cache = yield* Cache.make({ capacity: 500, timeToLive: "2 seconds", lookup })

      return Catalog.of({
        product: Effect.fn("catalog.product")(function*(id: number) {
          if (yield* Cache.has(cache, id)) yield* metrics.incrementCounter(StandardMetrics.CacheHits, 1, labels)
          return yield* Cache.get(cache, id)
        })
      })
    })
  )
}
