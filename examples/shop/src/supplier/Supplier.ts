import { HttpClientInstrumentation } from "@effect-observability/instrument"
import { NodeHttpClient } from "@effect/platform-node"
import { Context, Effect, Layer, Schema } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse, HttpServer } from "effect/http"
import { supplierServer } from "./server.ts"

export class Stock extends Schema.Class<Stock>("Stock")({ product: Schema.Int, inStock: Schema.Int }) {}

export class SupplierDown extends Schema.TaggedError<SupplierDown>()("SupplierDown", { message: Schema.String }) {}

/** Who has the goods: another server, asked over HTTP. The instrumented client carries the trace there. */
export class Supplier extends Context.Service<Supplier, {
  readonly url: string
  /** Waits two seconds at most. */
  readonly stock: (product: number) => Effect.Effect<Stock, SupplierDown>
}>()("shop/Supplier") {
  /** The supplier at `url`; without one the small one of the demo itself, on a free port. */
  static readonly layer = (url?: string) => url === undefined ? ours : at(url)
}

const at = (url: string) =>
  Layer.effect(
    Supplier,
    Effect.gen(function*() {
      const client = (yield* HttpClient.HttpClient).pipe(
        HttpClient.filterStatusOk,
        HttpClient.mapRequest(HttpClientRequest.prependUrl(url))
      )
      return Supplier.of({
        url,
        stock: Effect.fn("supplier.stock")(
          function*(product: number) {
            const response = yield* client.get(`/stock/${product}`)
            return yield* HttpClientResponse.schemaBodyJson(Stock)(response)
          },
          Effect.timeout("2 seconds"),
          Effect.mapError((error) => new SupplierDown({ message: `the supplier does not tell its stock: ${error._tag}` }))
        )
      })
    })
  ).pipe(Layer.provide(HttpClientInstrumentation.layer), Layer.provide(NodeHttpClient.layerUndici))

const ours = Layer.unwrap(Effect.map(HttpServer.HttpServer, ({ address }) => at(HttpServer.formatAddress(address)))).pipe(
  Layer.provide(supplierServer)
)
