import { Baggage, type ObservabilityInput } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as EffectTracer from "effect/Tracer"
import { HttpClientInstrumentation, HttpInstrumentation } from "../../src/index.ts"
import { echo, sendRaw } from "./support/echo.ts"
import { makeHub } from "./support/hub.ts"
import { serving } from "./support/server.ts"

const Client = HttpClientInstrumentation.layer.pipe(Layer.provide(FetchHttpClient.layer))

/** Runs `use` with an instrumented client and a server that remembers what it was sent. */
const calling = <A, E>(
  use: (client: HttpClient.HttpClient, url: string) => Effect.Effect<A, E>,
  tracing: ObservabilityInput["tracing"] = {}
) => {
  const hub = makeHub({ tracing })
  return Effect.scoped(Effect.gen(function*() {
    const { seen, url } = yield* echo
    const result = yield* Effect.flatMap(HttpClient.HttpClient, (client) => use(client, url)).pipe(
      Effect.exit,
      Effect.provide(Client.pipe(Layer.provideMerge(hub.layer)))
    )
    return { result, spans: hub.spans, headers: seen.map((lines) => Object.fromEntries(lines)), url }
  }))
}

describe("a request of the client", () => {
  it.live("is one span, and the parent of what answers", () =>
    Effect.gen(function*() {
      const { headers: [headers], spans, url } = yield* calling((client, url) =>
        client.get(`${url}/orders?token=s3cret&page=2`).pipe(Effect.withSpan("outer")))
      assert.deepStrictEqual(spans.map((span) => span.kind), ["client", "internal"])
      const [client, outer] = spans
      assert.strictEqual(client!.parentSpanId, outer!.spanId)
      assert.strictEqual(headers!["traceparent"], `00-${client!.traceId}-${client!.spanId}-01`)
      assert.isUndefined(headers!["b3"])
      const port = Number(new URL(url).port)
      assert.deepStrictEqual(Object.fromEntries(client!.attributes), {
        "http.request.method": "GET",
        "url.full": `${url}/orders?token=REDACTED&page=REDACTED`,
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.response.status_code": 200
      })
      assert.strictEqual(client!.status, "unset")
    }))

  it.live("fails for 4xx, 5xx and when nobody answers; the call goes on as it would", () =>
    Effect.gen(function*() {
      const answers = yield* calling((client, url) => Effect.forEach(["404", "503"], (status) => Effect.map(client.get(`${url}/${status}`), (response) => response.status)))
      assert.deepStrictEqual(answers.result._tag === "Success" ? answers.result.value : undefined, [404, 503])
      assert.deepStrictEqual(answers.spans.map((span) => [span.status, span.attributes.get("error.type"), span.events.length]), [["error", "404", 0], ["error", "503", 0]])
      const refused = yield* calling((client) => client.get("http://127.0.0.1:1/"))
      assert.strictEqual(refused.result._tag, "Failure")
      assert.deepStrictEqual(refused.spans.map((span) => [span.status, span.attributes.get("error.type")]), [["error", "TransportError"]])
    }))

  it.live("carries baggage to internal targets only, unless the settings name others", () =>
    Effect.gen(function*() {
      const get = (client: HttpClient.HttpClient, url: string) => client.get(url).pipe(Baggage.with({ tenant: "a b\r\nx: y" }))
      const sent = (tracing: ObservabilityInput["tracing"]) => Effect.map(calling(get, tracing), ({ headers: [headers] }) => [headers!["traceparent"] !== undefined, headers!["baggage"]])
      assert.deepStrictEqual(yield* sent({}), [true, "tenant=a%20b%0D%0Ax%3A%20y"])
      assert.deepStrictEqual(yield* sent({ baggageTo: ["example.org"] }), [true, undefined])
      assert.deepStrictEqual(yield* sent({ propagateTo: ["example.org"] }), [false, undefined])
      assert.deepStrictEqual(yield* sent({ propagateTo: ["127.0.0.1"], propagators: ["b3"] }), [false, undefined])
    }))

  it.live("asks anew for each target when redirects are followed above it", () =>
    Effect.gen(function*() {
      const { headers, result } = yield* calling((client, url) =>
        HttpClient.followRedirects(client).get(`${url}/302?to=${encodeURIComponent(url.replace("127.0.0.1", "localhost"))}`).pipe(
          Effect.map((response) => response.status),
          Baggage.with({ tenant: "acme" }),
          Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
        ), { propagateTo: ["127.0.0.1"] })
      assert.deepStrictEqual(result._tag === "Success" ? result.value : undefined, 200)
      assert.deepStrictEqual(headers.map((lines) => [lines["traceparent"] !== undefined, lines["baggage"]]), [[true, "tenant=acme"], [false, undefined]])
    }))

  it.live("speaks B3 when asked to", () =>
    Effect.gen(function*() {
      const { headers: [headers], spans: [span] } = yield* calling((client, url) => client.get(url), { propagators: ["b3", "b3multi"] })
      assert.strictEqual(headers!["b3"], `${span!.traceId}-${span!.spanId}-1`)
      assert.strictEqual(headers!["x-b3-traceid"], span!.traceId)
      assert.isUndefined(headers!["traceparent"])
    }))

  it.live("is not traced where tracing is switched off, and carries nothing where propagation is", () =>
    Effect.gen(function*() {
      const one = (change: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E>) =>
        Effect.map(calling((client, url) => change(client.get(url))), ({ headers: [headers], spans }) => [spans.length, headers!["traceparent"] !== undefined, headers!["b3"]])
      assert.deepStrictEqual(yield* one(Effect.provideService(EffectTracer.DisablePropagation, true)), [0, false, undefined])
      assert.deepStrictEqual(yield* one(Effect.provideService(HttpClient.TracerDisabledWhen, () => true)), [0, false, undefined])
      assert.deepStrictEqual(yield* one(Effect.provideService(HttpClient.TracerPropagationEnabled, false)), [1, false, undefined])
      // Effect's own client would send `00-…noop-noop-00` here.
      assert.deepStrictEqual(yield* one(Effect.withTracerEnabled(false)), [0, false, undefined])
    }))

  it.live("leaves the caller's own headers, transformations and errors alone", () =>
    Effect.gen(function*() {
      const { headers: [headers], result } = yield* calling((client, url) =>
        client.pipe(HttpClient.mapRequest(HttpClientRequest.setHeader("x-own", "1")), HttpClient.filterStatusOk).get(`${url}/404`))
      assert.strictEqual(headers!["x-own"], "1")
      assert.strictEqual(result._tag, "Failure")
    }))

  it.live("whose URL is none fails as it would without", () =>
    Effect.gen(function*() {
      const { result, spans } = yield* calling((client) => client.get("not a url"))
      assert.include(String(result), "InvalidUrl")
      assert.strictEqual(spans.length, 0)
    }))
})

describe("baggage through server and client", () => {
  const relay = (url: string) =>
    Layer.unwrap(Effect.map(HttpClient.HttpClient, (client) =>
      HttpRouter.add("GET", "/relay", Effect.as(client.get(url), HttpServerResponse.text("done")).pipe(Effect.orDie)))).pipe(Layer.provide(Client))
  const through = (baggage: string, trustIncoming: boolean) =>
    Effect.scoped(Effect.gen(function*() {
      const { seen, url } = yield* echo
      const answer = yield* serving(relay(url), makeHub().layer, (port) => sendRaw(port, "/relay", [["baggage", baggage]]), {
        instrumentation: HttpInstrumentation.layerWith({ trustIncoming })
      })
      assert.match(answer, /^HTTP\/1.1 200 /)
      return seen[0]!.filter(([name]) => name !== "host" && name !== "traceparent")
    }))

  it.live("goes on where the caller is trusted, and nowhere else", () =>
    Effect.gen(function*() {
      const own = (yield* through("", true)).map(([name]) => name)
      assert.deepStrictEqual((yield* through("a=1;p=x,b=%20", true)).find(([name]) => name === "baggage"), ["baggage", "a=1;p=x,b=%20"])
      assert.deepStrictEqual((yield* through("a=1", false)).map(([name]) => name), own)
    }))

  it.live("from strangers neither throws nor reaches another header", () =>
    Effect.gen(function*() {
      const own = (yield* through("", true)).map(([name]) => name)
      const hostile = [
        "a=%0d%0aSet-Cookie:%20x=1", "__proto__=x", "a=%", "a=1;p=%0d%0a", "=", ",,,", "a".repeat(5000), `${"a=1,".repeat(2000)}z=1`, "a=\u00ff", "%0d%0a=1", "a=1\tb", "a=1;;;=;"
      ]
      for (const baggage of hostile) {
        const lines = yield* through(baggage, true)
        assert.deepStrictEqual(lines.map(([name]) => name).filter((name) => name !== "baggage"), own)
        for (const [, value] of lines) assert.match(value, /^[\x20-\x7e]*$/)
      }
    }))
})
