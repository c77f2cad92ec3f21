import { HttpErrors, HttpInstrumentation } from "@effect-observability/instrument"
import { Prometheus } from "@effect-observability/prometheus"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Catalog } from "./orders/Catalog.ts"
import { NewOrder, Orders } from "./orders/Orders.ts"
import { Supplier } from "./supplier/Supplier.ts"

const id = HttpRouter.schemaPathParams(Schema.Struct({ id: Schema.NumberFromString }))

const refuse = (status: number, message: string) => HttpServerResponse.json({ error: message }, { status })

const getProduct = HttpRouter.add(
  "GET",
  "/products/:id",
  Effect.gen(function*() {
    const catalog = yield* Catalog
    const product = yield* catalog.product((yield* id).id)
    return product === undefined ? yield* refuse(404, "no such product") : yield* HttpServerResponse.json(product)
  })
)

const postOrder = HttpRouter.add(
  "POST",
  "/orders",
  Effect.gen(function*() {
    const orders = yield* Orders
    const order = yield* HttpServerRequest.schemaBodyJson(NewOrder)
    return yield* HttpServerResponse.json(yield* orders.place(order), { status: 201 })
  }).pipe(
    Effect.catchTag("UnknownProduct", ({ product }) => refuse(404, `no product ${product}`)),
    Effect.catchTag("SchemaError", (error) => refuse(400, error.message))
  )
)

const getOrder = HttpRouter.add(
  "GET",
  "/orders/:id",
  Effect.gen(function*() {
    const orders = yield* Orders
    const order = yield* orders.find((yield* id).id)
    return order === undefined ? yield* refuse(404, "no such order") : yield* HttpServerResponse.json(order)
  })
)

const postRefund = HttpRouter.add(
  "POST",
  "/orders/:id/refund",
  Effect.gen(function*() {
    const orders = yield* Orders
    yield* orders.refund((yield* id).id)
    return HttpServerResponse.empty()
  }).pipe(Effect.catchTag("GatewayDown", (error) => refuse(502, error.message)))
)

const getTurnover = HttpRouter.add(
  "GET",
  "/reports/turnover",
  Effect.gen(function*() {
    const orders = yield* Orders
    return yield* HttpServerResponse.json(yield* orders.turnover)
  })
)

const products = Schema.Struct({
  product: Schema.ArrayEnsure(Schema.NumberFromString.check(Schema.isInt())).check(Schema.isMaxLength(20))
})

/** `?product=1&product=2`: one question to the supplier for each. */
const getStock = HttpRouter.add(
  "GET",
  "/stock",
  Effect.gen(function*() {
    const supplier = yield* Supplier
    const { product } = yield* HttpServerRequest.schemaSearchParams(products)
    return yield* HttpServerResponse.json(yield* Effect.forEach(product, supplier.stock, { concurrency: 4 }))
  }).pipe(
    Effect.catchTag("SupplierDown", (error) => refuse(502, error.message)),
    Effect.catchTag("SchemaError", (error) => refuse(400, error.message))
  )
)

const getHealth = HttpRouter.add("GET", "/health", HttpServerResponse.text("ok"))

/** Every route of the shop; observing them is one more Layer beside them. */
export const routes = Layer.mergeAll(getProduct, postOrder, getOrder, postRefund, getTurnover, getStock, getHealth, Prometheus.layerRoute())
  .pipe(Layer.provide(HttpErrors.layer), Layer.provide(HttpInstrumentation.layerWith({ accessLog: true })))
