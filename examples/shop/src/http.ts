import { HttpInstrumentation } from "@effect-observability/instrument"
import { Prometheus } from "@effect-observability/prometheus"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Catalog } from "./orders/Catalog.ts"
import { NewOrder, Orders } from "./orders/Orders.ts"

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

const getHealth = HttpRouter.add("GET", "/health", HttpServerResponse.text("ok"))

/** Every route of the shop; observing them is one more Layer beside them. */
export const routes = Layer.mergeAll(getProduct, postOrder, getOrder, postRefund, getTurnover, getHealth, Prometheus.layerRoute()).pipe(
  Layer.provide(HttpInstrumentation.layer)
)
