import { Requests } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import * as Instrument from "../../src/index.ts"
import { NodeHttp } from "../../src/node.ts"
import { capturing } from "./support/logs.ts"
import { makeHub } from "./support/hub.ts"

describe("docs/http.md", () => {
  const page = readFileSync(new URL("../../../../docs/http.md", import.meta.url), "utf8")

  it.live("its example works as it stands there", () => {
    const [, code] = /<!-- http -->\n```ts\n([^]*?)```/.exec(page)!
    const scope = {
      NodeHttpServer, FetchHttpClient, HttpRouter, HttpServerResponse, Layer, createServer,
      HttpInstrumentation: Instrument.HttpInstrumentation,
      HttpClientInstrumentation: Instrument.HttpClientInstrumentation
    }
    const body = code!.replace(/^import .*$/gm, "").replace("{ port: 3000 }", "{ port: 0, host: \"127.0.0.1\" }").replace("Layer.provide(NodeHttpServer", "Layer.provideMerge(NodeHttpServer")
    const { Client, Server } = new Function(...Object.keys(scope), `${body}\nreturn { Client, Server }`)(...Object.values(scope)) as {
      readonly Client: Layer.Layer<HttpClient.HttpClient>
      readonly Server: Layer.Layer<HttpServer.HttpServer>
    }
    const hub = makeHub()
    const log = capturing()
    return Effect.gen(function*() {
      const { address } = yield* HttpServer.HttpServer
      const client = yield* HttpClient.HttpClient
      yield* client.get(`http://127.0.0.1:${"port" in address ? address.port : 0}/hello/ada`)
      yield* Effect.sleep("20 millis")
      assert.deepStrictEqual(hub.spans.map(({ kind, name }) => [kind, name]).toSorted(), [["client", "GET"], ["server", "GET /hello/:name"]])
      assert.deepStrictEqual(hub.requests(), { "GET /hello/:name 200": 1 })
      assert.isTrue(log.lines.some(({ message }) => message === "GET /hello/:name 200"))
    }).pipe(Effect.provide(Layer.merge(Server, Client).pipe(Layer.provideMerge(log.layer), Layer.provideMerge(hub.layer))))
  })

  it("names metrics and functions that exist", () => {
    const defined = new Set([...Object.values(Instrument.HttpMetrics), ...Object.values(Instrument.RpcMetrics)].map(({ name }) => name))
    for (const [, name] of page.matchAll(/`((?:http_client|http_requests_in|rpc)_[a-z_]+)\{/g)) assert.isTrue(defined.has(name!), name)
    for (const [, module, name] of page.matchAll(/\b(HttpInstrumentation|HttpClientInstrumentation|RpcInstrumentation|NodeHttp|Requests)\.([a-zA-Z]+)/g)) {
      assert.property({ ...Instrument, NodeHttp, Requests }[module as "NodeHttp"], name!)
    }
  })
})
