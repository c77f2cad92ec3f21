import { type ConfigurationError, Exposition, MetricsRecorder, ObservabilityConfig, StandardMetrics } from "@effect-observability/core"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServer } from "effect/http"
import { get, type IncomingHttpHeaders } from "node:http"
import { connect, createServer } from "node:net"
import { gunzipSync } from "node:zlib"
import { Prometheus } from "../src/index.ts"
import { layerServer } from "../src/node.ts"
import { parseOpenMetrics } from "./support/parseOpenMetrics.ts"
import { parseText } from "./support/parseText.ts"

const labels = { method: "GET", path: "/", status: "200" }

const value = (body: string, name: string, wanted: Readonly<Record<string, string>> = {}): number | undefined =>
  parseText(body).samples.find((sample) => sample.name === name && Object.keys(wanted).every((key) => sample.labels[key] === wanted[key]))?.value

const portOf = (server: HttpServer.HttpServer["Service"]): number => "port" in server.address ? server.address.port : 0

/** One answer as it came over the wire. */
const raw = (port: number, headers: Record<string, string>): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }> =>
  new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path: "/metrics", headers, agent: false }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("error", reject)
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }))
    }).on("error", reject)
  })

/** Begins a scrape and reads nothing of it; the promise gives what it got when the server has hung up. */
const stalled = (port: number): Promise<{ readonly ended: Promise<number> }> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"))
    const ended = new Promise<number>((done) => {
      socket.on("error", () => done(socket.bytesRead))
      socket.on("close", () => done(socket.bytesRead))
    })
    socket.once("readable", () => {
      resolve({ ended })
      // A socket that nobody reads does not notice its end.
      setTimeout(() => socket.resume(), 5_000)
    })
  })

describe("over HTTP", () => {
  const serve = (
    route: Layer.Layer<never, never, HttpRouter.HttpRouter | Exposition>,
    config: Layer.Layer<never, ConfigurationError> = ObservabilityConfig.layer({})
  ) =>
    HttpRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layerTest),
      Layer.provideMerge(Prometheus.layer({ targetInfo: false })),
      Layer.provide(config)
    )

  it.live("serves GET and HEAD, not cached", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 2, labels)
      const response = yield* HttpClient.get("/metrics")
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      assert.strictEqual(response.headers["cache-control"], "no-store")
      assert.strictEqual(value(yield* response.text, "http_requests_total", labels), 2)
      // More of them than there are places at once: each gives its own back.
      for (let i = 0; i < 5; i++) {
        const head = yield* HttpClient.execute(HttpClientRequest.head("/metrics", { headers: { "accept-encoding": "gzip" } }))
        assert.deepStrictEqual([head.status, yield* head.text], [200, ""])
      }
    }).pipe(Effect.provide(serve(Prometheus.layerRoute({ maxScrapes: 1 })))))

  it.live("speaks OpenMetrics to who asks for it, and says what the answer depends on", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, 2, labels)
      const response = yield* HttpClient.execute(HttpClientRequest.get("/metrics", { headers: { accept: "application/openmetrics-text;version=1.0.0" } }))
      assert.strictEqual(response.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8")
      assert.strictEqual(response.headers["vary"], "Accept, Accept-Encoding")
      const { types } = parseOpenMetrics(yield* response.text)
      assert.strictEqual(types.get("http_requests"), "counter")
    }).pipe(Effect.provide(serve(Prometheus.layerRoute()))))

  it.live("compresses a page that is worth it, for who takes it", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const server = yield* HttpServer.HttpServer
      const ask = (encoding: string) => Effect.promise(() => raw(portOf(server), { "accept-encoding": encoding }))
      assert.isUndefined((yield* ask("gzip")).headers["content-encoding"], "a small page")
      for (let i = 0; i < 1_500; i++) yield* metrics.incrementCounter(StandardMetrics.HttpRequestsTotal, i, { ...labels, path: `/orders/${i}` })
      const plain = yield* ask("identity")
      assert.isUndefined(plain.headers["content-encoding"])
      const small = yield* ask("gzip;q=0.8, identity;q=0.5")
      assert.strictEqual(small.headers["content-encoding"], "gzip")
      assert.isBelow(small.body.length, plain.body.length / 5)
      assert.strictEqual(value(gunzipSync(small.body).toString(), "http_requests_total", { path: "/orders/1499" }), 1499)
      assert.strictEqual(value(plain.body.toString(), "http_requests_total", { path: "/orders/1499" }), 1499)
    }).pipe(Effect.provide(serve(Prometheus.layerRoute()))))

  it.live("serves only so many scrapes at once, and cuts slow readers off", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const server = yield* HttpServer.HttpServer
      // Far more than the buffers of two sockets hold: who does not read keeps the page waiting.
      const filler = "x".repeat(1_000)
      for (let i = 0; i < 20_000; i++) yield* metrics.incrementCounter("big_total", 1, { i: `${filler}${i}` })
      const slow = yield* Effect.promise(() => Promise.all([stalled(portOf(server)), stalled(portOf(server))]))
      const more = yield* Effect.promise(() => Promise.all(Array.from({ length: 200 }, () => raw(portOf(server), {}))))
      for (const { headers, status } of more) assert.deepStrictEqual([status, headers["retry-after"], headers["cache-control"]], [429, "1", "no-store"])
      const memory = process.memoryUsage().rss
      for (const { ended } of slow) assert.isBelow(yield* Effect.promise(() => ended), 20_000_000)
      assert.isBelow(process.memoryUsage().rss - memory, 64 * 1024 * 1024)
      const after = yield* Effect.promise(() => raw(portOf(server), {}))
      assert.strictEqual(after.status, 200)
      assert.isAbove(after.body.length, 20_000_000)
    }).pipe(Effect.provide(serve(
      Prometheus.layerRoute({ maxScrapes: 2, scrapeTimeout: "3 seconds" }),
      ObservabilityConfig.layer({ metrics: { maxSeriesPerMetric: 30_000 } })
    ))))

  it.live("asks for the token", () =>
    Effect.gen(function*() {
      const ask = (authorization: string | undefined) =>
        Effect.map(
          HttpClient.execute(HttpClientRequest.get("/m", { headers: authorization === undefined ? {} : { authorization } })),
          (response) => response.status
        )
      for (const wrong of [undefined, "", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret"]) {
        assert.strictEqual(yield* ask(wrong), 401)
      }
      assert.strictEqual(yield* ask("Bearer s3cret"), 200)
    }).pipe(Effect.provide(serve(Prometheus.layerRoute({ path: "/m", token: Redacted.make("s3cret") })))))

  it.effect("refuses limits that would let nobody in, or everybody", () =>
    Effect.gen(function*() {
      for (const options of [{ maxScrapes: 0 }, { maxScrapes: Number.NaN }, { scrapeTimeout: 0 }, { scrapeTimeout: Number.NaN }]) {
        const exit = yield* Effect.exit(Layer.build(Prometheus.layerRoute(options).pipe(Layer.provide(HttpRouter.layer), Layer.provide(Prometheus.layer()))))
        assert.match(String(exit), /layerRoute: (maxScrapes|scrapeTimeout) is /)
      }
    }).pipe(Effect.scoped))

  it.live("an empty token lets nobody in", () =>
    Effect.gen(function*() {
      const response = yield* HttpClient.execute(HttpClientRequest.get("/metrics", { headers: { authorization: "Bearer " } }))
      assert.strictEqual(response.status, 401)
    }).pipe(Effect.provide(serve(Prometheus.layerRoute({ token: Redacted.make("") })))))

  it.live("names the port that is taken, the setting and the fix", () =>
    Effect.gen(function*() {
      const blocker = createServer()
      yield* Effect.addFinalizer(() => Effect.sync(() => blocker.close()))
      const port = yield* Effect.callback<number>((resume) => {
        blocker.listen(0, "127.0.0.1", () => resume(Effect.succeed((blocker.address() as { port: number }).port)))
      })
      const exit = yield* Layer.build(layerServer({ port }).pipe(Layer.provide(Prometheus.layer()))).pipe(Effect.exit)
      assert.isTrue(Exit.isFailure(exit))
      assert.match(String(exit), new RegExp(`127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\).*metrics\\.prometheusPort`))
    }))
})
