import { Diagnostics, Health, Memory, MetricsRecorder, StandardMetrics, Telemetry } from "@effect-observability/core"
import { type Guard, OpsEndpoints } from "@effect-observability/instrument/node"
import { HttpInstrumentation } from "@effect-observability/instrument"
import { Prometheus } from "@effect-observability/prometheus"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { connect } from "node:net"

const secret = "s3cret-token"

const routes = HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello"))

const serving = (options: OpsEndpoints.OpsOptions, backends: Layer.Layer<any, any> = Layer.mergeAll(Prometheus.layer(), Memory.layer()) as Layer.Layer<any, any>) =>
  HttpRouter.serve(Layer.merge(routes, OpsEndpoints.layer(options)).pipe(Layer.provide(HttpInstrumentation.layer)), { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
    Layer.provideMerge(backends)
  ) as Layer.Layer<HttpServer.HttpServer | Health | Diagnostics | MetricsRecorder | Telemetry>

/** A request as it goes over the wire. */
const raw = (text: string) =>
  Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    const port = address._tag === "UnixPathAddress" ? 0 : address.port
    return yield* Effect.promise(() =>
      new Promise<{ readonly status: number; readonly head: string; readonly body: string }>((resolve, reject) => {
        const socket = connect(port, "127.0.0.1", () => socket.write(text))
        let answer = ""
        socket.on("data", (bytes) => answer += bytes.toString("latin1"))
        socket.on("error", reject)
        socket.on("close", () => {
          const [head = "", body = ""] = answer.split(/\r\n\r\n(.*)/s)
          resolve({ status: Number(head.split(" ")[1]), head: head.toLowerCase(), body })
        })
      })
    )
  })

const get = (path: string, ...headers: ReadonlyArray<string>) =>
  raw([`GET ${path} HTTP/1.1`, "host: localhost", "connection: close", ...headers, "", ""].join("\r\n"))

const authorized = `authorization: Bearer ${secret}`
const guarded: Guard.GuardOptions = { bearer: Redacted.make(secret) }

describe("the ops endpoints", () => {
  it.live("take no stranger for the proxy that let him through, however he writes himself", () =>
    Effect.gen(function*() {
      for (const forwarded of ["203.0.113.9:4711", "[2001:db8::1]:80", "unknown", "_hidden", "", `${"1.1.1.1,".repeat(1_000)} 203.0.113.9`, "127.0.0.1, ".repeat(500) + "127.0.0.1"]) {
        const { status } = yield* get("/diagnostics", `x-forwarded-for: ${forwarded}`)
        assert.strictEqual(status, 403, forwarded.slice(0, 40))
      }
      assert.strictEqual((yield* get("/diagnostics", "x-forwarded-for: 127.0.0.1")).status, 200)
      assert.strictEqual((yield* get("/diagnostics")).status, 200)
    }).pipe(Effect.provide(serving({ trustedProxies: ["loopback"] }))))

  it.live("strangers who are not let in use up nothing of what is there for the others", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 5; i++) assert.strictEqual((yield* get("/health/live", `x-forwarded-for: 203.0.113.${i}`)).status, 403)
      assert.strictEqual((yield* get("/health/live", "x-forwarded-for: 10.0.0.1")).status, 200)
    }).pipe(Effect.provide(serving({ trustedProxies: ["loopback"], allow: ["10.0.0.0/8"], rateLimit: { overall: 3 } }))))

  it.live("answer this machine without credentials, with headers that keep the answer to itself", () =>
    Effect.gen(function*() {
      yield* (yield* MetricsRecorder).incrementCounter(StandardMetrics.CacheHits, 3, { cache_name: "c" })
      for (const [path, says] of [
        ["/metrics", /^cache_hits_total\{cache_name="c"\} 3$/m], ["/health/live", /"status": "up"/], ["/health/ready", /"components"/], ["/diagnostics", /"imbalances": \[\]/]
      ] as const) {
        const { body, head, status } = yield* get(path)
        assert.strictEqual(status, 200, path)
        assert.match(body, says)
        for (const one of ["cache-control: no-store", "x-content-type-options: nosniff", "x-frame-options: deny", "content-security-policy: default-src 'none'", "referrer-policy: no-referrer"]) {
          assert.include(head, one, path)
        }
        assert.notInclude(head, "access-control-allow-origin")
      }
      const head = yield* raw("HEAD /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
      assert.deepStrictEqual([head.status, head.body], [200, ""])
    }).pipe(Effect.provide(serving({}))))

  it.live("are closed without the right credentials, wherever they are put", () =>
    Effect.gen(function*() {
      for (const path of ["/metrics", "/health/live", "/health/ready", "/diagnostics"]) {
        for (const [where, ...headers] of [
          [path], [path, "authorization: Bearer"], [path, `authorization: Bearer ${secret}x`], [path, authorized, authorized], [path, `authorization: Bearer ${secret.slice(0, -1)}`],
          [`${path}?token=${secret}&access_token=${secret}`], [path, `cookie: token=${secret}`], [path, `x-api-key: ${secret}`], [path, "x-forwarded-for: 127.0.0.1"]
        ] as const) {
          const answer = yield* get(where, ...headers)
          assert.strictEqual(answer.status, 401, `${where} ${headers.join()}`)
          assert.include(answer.head, "www-authenticate: bearer")
          assert.notInclude(answer.body, secret)
        }
        assert.strictEqual((yield* get(path, authorized)).status, 200)
      }
    }).pipe(Effect.provide(serving({ ...guarded, rateLimit: false }))))

  it.live("refuse other addresses, and who pretends to come from here", () =>
    Effect.gen(function*() {
      for (const forwarded of ["10.0.0.1", "127.0.0.1", "::1"]) assert.strictEqual((yield* get("/metrics", authorized, `x-forwarded-for: ${forwarded}`)).status, 403)
    }).pipe(Effect.provide(serving({ ...guarded, allow: ["10.0.0.0/8"] }))))

  it.live("believe a trusted proxy, and nothing that stands before it", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* get("/metrics", "x-forwarded-for: 10.1.1.1")).status, 200)
      assert.strictEqual((yield* get("/metrics", "x-forwarded-for: 10.1.1.1, 8.8.8.8")).status, 403)
      assert.strictEqual((yield* get("/metrics", "forwarded: for=10.1.1.1")).status, 403)
    }).pipe(Effect.provide(serving({ allow: ["10.0.0.0/8"], trustedProxies: ["loopback"] }))))

  it.live("without credentials a proxied stranger is no local", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* get("/metrics", "x-forwarded-for: 8.8.8.8")).status, 403)
      assert.strictEqual((yield* get("/metrics")).status, 200)
    }).pipe(Effect.provide(serving({ trustedProxies: ["loopback"] }))))

  it.live("probes may be open, and then say one word", () =>
    Effect.gen(function*() {
      for (const path of ["/health/live", "/health/ready"]) {
        const { body, status } = yield* get(path)
        assert.deepStrictEqual([status, JSON.parse(body)], [200, { status: "up" }])
      }
      assert.strictEqual((yield* get("/diagnostics")).status, 401)
    }).pipe(Effect.provide(serving({ ...guarded, probes: "open" }))))

  it.live("a group answers alone; a check that is down keeps traffic away from its group and from the whole, a hung one in time", () =>
    Effect.gen(function*() {
      const health = yield* Health
      yield* health.register({ name: "db", group: "data" }, Effect.fail("refused"))
      yield* health.register({ name: "slow", group: "slow", timeout: "50 millis", for: "report" }, Effect.uninterruptible(Effect.never))
      const status = (path: string) => Effect.map(get(path, authorized), (answer) => answer.status)
      assert.deepStrictEqual(
        yield* Effect.forEach(["/health/live", "/health/ready", "/health/ready/data", "/health/ready/backends", "/health/ready/slow?x=1", "/health/ready/none", "/health/ready/__proto__"], status),
        [200, 503, 503, 200, 200, 404, 404]
      )
      const { body } = yield* get("/health/ready/data", authorized)
      assert.deepStrictEqual(JSON.parse(body).components.map((one: { readonly reason: string }) => one.reason), ["refused"])
      assert.strictEqual((yield* get("/health/ready/data")).status, 401)
    }).pipe(Effect.scoped, Effect.provide(serving({ ...guarded, rateLimit: false }))))

  it.live("answer a limited number of times, then say when again", () =>
    Effect.gen(function*() {
      const seen = yield* Effect.forEach(Array.from({ length: 8 }), () => get("/health/live"))
      assert.deepStrictEqual(seen.map(({ status }) => status).filter((status) => status !== 429).length, 5)
      assert.match(seen.at(-1)!.head, /retry-after: \d+/)
      assert.strictEqual((yield* get("/hello")).status, 200)
    }).pipe(Effect.provide(serving({ rateLimit: { perAddress: 5 } }))))

  it.live("other methods and crooked paths get nowhere, and the router goes on", () =>
    Effect.gen(function*() {
      for (const method of ["POST", "PUT", "DELETE", "TRACE", "PROPFIND"]) {
        const { head, status } = yield* raw(`${method} /diagnostics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
        assert.include([404, 405], status, method)
        if (status === 405) assert.include(head, "allow: get, head")
      }
      for (const path of ["//metrics", "/metrics/..;/diagnostics", "/%2e%2e/diagnostics", "/metrics/", "/METRICS/x", `/${"a".repeat(60_000)}`]) {
        const { status } = yield* get(path)
        assert.include([200, 401, 404, 414, 431], status, path.slice(0, 40))
        if (status === 200) assert.match(path, /^\/metrics\/?$/)
      }
      assert.strictEqual((yield* get("/hello")).body, "hello")
    }).pipe(Effect.provide(serving({ ...guarded, rateLimit: false }))))

  it.live("a page that nobody renders is a 404 that says what to add", () =>
    Effect.gen(function*() {
      const { body, status } = yield* get("/metrics")
      assert.strictEqual(status, 404)
      assert.match(body, /Prometheus\.layer/)
    }).pipe(Effect.provide(serving({}, Memory.layer()))))

  it.live("leave no span, and the books balance", () =>
    Effect.gen(function*() {
      for (const path of ["/metrics", "/health/ready", "/diagnostics"]) yield* get(path)
      const report = yield* (yield* Diagnostics).report
      assert.deepStrictEqual(report.imbalances, [])
      const spans = report.components.flatMap(({ signals }) => signals.filter(({ signal }) => signal === "spans"))
      for (const { ledger } of spans) assert.strictEqual(ledger.offered, 0)
    }).pipe(Effect.provide(serving({}))))

  it.live("what cannot be used is named when the layer is built", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(serving({ allow: ["10.0.0.0/99"], trustedProxies: ["evil"], rateLimit: { perAddress: 0 } }))))
      const text = Exit.isFailure(exit) ? String(exit.cause) : ""
      for (const path of ["allow", "trustedProxies", "rateLimit.perAddress"]) assert.include(text, path)
    }))
})
