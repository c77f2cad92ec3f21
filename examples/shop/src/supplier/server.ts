import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"

const route = "/stock/:product"

/** The supplier's span in a trace. */
export const supplierSpan = `supplier GET ${route}`

const getStock = HttpRouter.add(
  "GET",
  route,
  Effect.gen(function*() {
    const { product } = yield* HttpRouter.schemaPathParams(Schema.Struct({ product: Schema.NumberFromString }))
    yield* Effect.sleep("3 millis")
    return yield* HttpServerResponse.json({ product, inStock: (product * 37) % 40 })
  })
)

/**
 * A second server, so that traces have somewhere to go. It stands for somebody else's: its spans are those of Effect's own server,
 * and the shop's request metrics do not count what is asked of it.
 */
export const supplierServer = HttpRouter.serve(getStock, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(Layer.succeed(HttpMiddleware.SpanNameGenerator, () => supplierSpan)),
  Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0, gracefulShutdownTimeout: "2 seconds" }))
)
