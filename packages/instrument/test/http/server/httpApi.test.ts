import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { makeHub } from "../support/hub.ts"
import { send, serving } from "../support/server.ts"

class NotThere extends Schema.TaggedError<NotThere>()("NotThere", {}, { httpApiStatus: 404 }) {}

const Api = HttpApi.make("shop").add(
  HttpApiGroup.make("orders")
    .add(HttpApiEndpoint.get("find", "/orders/:id", { params: { id: Schema.String }, success: Schema.String, error: NotThere }))
    .add(HttpApiEndpoint.post("place", "/orders", { payload: Schema.Struct({ id: Schema.String }), success: Schema.String }))
)

const Handlers = HttpApiBuilder.group(Api, "orders", (handlers) =>
  handlers
    .handle("find", ({ params }) => params.id === "0" ? Effect.fail(new NotThere()) : Effect.succeed(params.id))
    .handle("place", ({ payload }) => Effect.succeed(payload.id)))

describe("an HttpApi", () => {
  it.live("is measured by its endpoints' paths, whatever they answer", () => {
    const hub = makeHub()
    return serving(HttpApiBuilder.layer(Api).pipe(Layer.provide(Handlers)), hub.layer, (port) =>
      Effect.gen(function*() {
        for (const id of ["1", "2", "0"]) yield* send(port, `/orders/${id}`)
        yield* send(port, "/orders", { method: "POST", headers: { "content-type": "application/json" }, body: "{\"id\":\"7\"}" })
        yield* send(port, "/orders", { method: "POST", headers: { "content-type": "application/json" }, body: "{" })
        yield* Effect.sleep("20 millis")
        assert.deepStrictEqual(hub.requests(), { "GET /orders/:id 200": 2, "GET /orders/:id 404": 1, "POST /orders 200": 1, "POST /orders 400": 1 })
        assert.deepStrictEqual(hub.spans.filter((span) => span.kind === "server").map((span) => span.name), [
          "GET /orders/:id", "GET /orders/:id", "GET /orders/:id", "POST /orders", "POST /orders"
        ])
      }))
  })
})
