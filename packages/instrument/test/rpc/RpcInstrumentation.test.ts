import { Baggage, RequestContext, Requests } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as RpcTest from "effect/rpc/RpcTest"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import { HttpClientInstrumentation, HttpInstrumentation, RpcInstrumentation } from "../../src/index.ts"
import { type HubOptions, makeHub } from "../http/support/hub.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

const Orders = RpcGroup.make(
  Rpc.make("Orders.place", { payload: { id: Schema.String }, success: Schema.String, error: Refused }),
  Rpc.make("Orders.watch", { success: Schema.Number, stream: true })
).middleware(RpcInstrumentation.Observed)

const Handlers = Orders.toLayer({
  "Orders.place": ({ id }) =>
    Effect.gen(function*() {
      if (id === "refused") return yield* new Refused()
      if (id === "broken") return yield* Effect.die(new TypeError("broken"))
      const { requestId } = yield* RequestContext
      return `${requestId} ${(yield* Baggage.get("tenant")) ?? "none"}`
    }).pipe(Effect.withSpan("place inside")),
  "Orders.watch": () => Stream.make(1, 2, 3)
})

const Server = Layer.merge(Handlers, RpcInstrumentation.layer)

const run = <A, E>(use: (client: RpcClient.RpcClient<RpcGroup.Rpcs<typeof Orders>>) => Effect.Effect<A, E>, options: HubOptions = {}) => {
  const hub = makeHub(options)
  return RpcTest.makeClient(Orders, { disableFatalDefects: true }).pipe(
    Effect.flatMap(RpcInstrumentation.observe(Orders)),
    Effect.flatMap(use),
    Effect.scoped,
    Effect.provide(Server.pipe(Layer.provideMerge(hub.layer))),
    Effect.map((result) => ({ hub, result }))
  )
}

describe("remote procedures", () => {
  it.live("are measured by procedure on both sides, and their spans are one trace named by procedure", () =>
    Effect.gen(function*() {
      const { hub, result } = yield* run((client) =>
        Effect.gen(function*() {
          const answer = yield* client["Orders.place"]({ id: "1" })
          yield* Effect.exit(client["Orders.place"]({ id: "refused" }))
          yield* Effect.exit(client["Orders.place"]({ id: "broken" }))
          const watched = yield* Stream.runCollect(client["Orders.watch"]())
          return { answer, watched: [...watched] }
        }).pipe(Requests.within({ requestId: "r-1" }), Baggage.with({ tenant: "acme" }), Effect.withSpan("caller")))
      assert.strictEqual(result.answer, "r-1 acme")
      assert.deepStrictEqual(result.watched, [1, 2, 3])
      const place = { "Orders.place success ": 1, "Orders.place failure Refused": 1, "Orders.place defect TypeError": 1, "Orders.watch success ": 1 }
      assert.deepStrictEqual(hub.totals("rpc_server_total"), place)
      assert.deepStrictEqual(Object.values(hub.totals("rpc_client_total")).reduce((sum, n) => sum + n, 0), 4)
      assert.strictEqual(hub.totals("rpc_client_total")["Orders.place failure Refused"], 1)
      assert.strictEqual(hub.totals("rpc_client_total")["Orders.watch success "], 1)
      const [inside, server, client] = hub.spans
      assert.deepStrictEqual([inside!.name, server!.name, server!.kind, client!.name, client!.kind], ["place inside", "Orders.place", "server", "Orders.place", "client"])
      assert.strictEqual(inside!.parentSpanId, server!.spanId)
      assert.strictEqual(server!.parentSpanId, client!.spanId)
      assert.strictEqual(new Set(hub.spans.map((span) => span.traceId)).size, 1)
      assert.strictEqual(inside!.attributes.get("request_id"), "r-1")
    }))

  it.live("have OpenTelemetry's names where those are asked for", () =>
    Effect.gen(function*() {
      const { hub } = yield* run((client) => client["Orders.place"]({ id: "1" }), { conventions: "otel" })
      assert.deepStrictEqual(hub.all().filter((one) => one.startsWith("rpc_")).toSorted(), [
        "rpc_client_call_duration_seconds Orders.place ",
        "rpc_server_call_duration_seconds Orders.place "
      ])
    }))

  it.live("take neither a forged request id nor baggage that breaks the rules", () =>
    Effect.gen(function*() {
      const { result } = yield* run((client) =>
        client["Orders.place"]({ id: "1" }, { headers: { "x-request-id": "x\n[ERROR] forged", baggage: "ten\nant=a,=,%" } }).pipe(Requests.within({ requestId: "r-2" })))
      // In one process the handler is in the caller's own request.
      assert.strictEqual(result, "r-2 none")
    }))

  it.live("over HTTP belong to the trace and the request of their caller", () => {
    const hub = makeHub()
    const server = HttpRouter.serve(
      RpcServer.layerHttp({ group: Orders, path: "/rpc", protocol: "http" }).pipe(
        Layer.provide(Server),
        Layer.provide(RpcSerialization.layerNdjson),
        Layer.provide(HttpInstrumentation.layer)
      ),
      { disableLogger: true, disableListenLog: true }
    ).pipe(
      Layer.provide(HttpInstrumentation.serverSpanOff),
      Layer.provideMerge(NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "100 millis" }))
    )
    return Effect.gen(function*() {
      const { address } = yield* HttpServer.HttpServer
      const port = "port" in address ? address.port : 0
      const protocol = RpcClient.layerProtocolHttp({ url: `http://127.0.0.1:${port}/rpc` }).pipe(
        Layer.provide(RpcSerialization.layerNdjson),
        Layer.provide(HttpClientInstrumentation.layer.pipe(Layer.provide(FetchHttpClient.layer)))
      )
      const answer = yield* RpcClient.make(Orders).pipe(
        Effect.flatMap(RpcInstrumentation.observe(Orders)),
        Effect.flatMap((client) => client["Orders.place"]({ id: "1" })),
        Requests.within({ requestId: "r-1" }),
        Effect.withSpan("caller"),
        Effect.scoped,
        Effect.provide(protocol)
      )
      assert.strictEqual(answer, "r-1 none")
      yield* Effect.sleep("50 millis")
      const byName = new Map(hub.spans.map((span) => [`${span.kind} ${span.name}`, span]))
      const chain = ["internal caller", "client Orders.place", "client POST", "server POST /rpc", "server Orders.place", "internal place inside"]
      for (const [i, name] of chain.entries()) {
        assert.strictEqual(byName.get(name)?.traceId, byName.get("internal caller")!.traceId, name)
        if (i > 0) assert.strictEqual(byName.get(name)!.parentSpanId, byName.get(chain[i - 1]!)!.spanId, name)
      }
      for (const name of ["server Orders.place", "server POST /rpc"]) assert.strictEqual(byName.get(name)!.attributes.get("request_id"), "r-1")
    }).pipe(Effect.provide(server.pipe(Layer.provideMerge(hub.layer)) as Layer.Layer<any>)) as Effect.Effect<void>
  })
})
