import { Alerts, Diagnostics, ErrorHistory, Memory, MemoryHistory, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry, TraceHistory, type Health, type MetricsHistory, type AlertHistory } from "@effect-observability/core"
import { Errors } from "@effect-observability/instrument"
import { Dashboard } from "@effect-observability/dashboard"
import { EmbeddedServer, Postgres } from "@effect-observability/postgres"
import { NodeHttpServer } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"

type All = Telemetry | MetricsRecorder | Diagnostics | Health | TraceHistory | MetricsHistory | ErrorHistory | AlertHistory
export type Program = All | Alerts | HttpServer.HttpServer

const settings = ObservabilityConfig.layer({ tracing: { serviceName: "shop" }, flushInterval: 0.2, postgres: { flushInterval: 0.2 } })

export const memory: Layer.Layer<All, unknown> = MemoryHistory.layerBackend().pipe(Layer.provideMerge(Memory.layer())) as never

/** A PostgreSQL of its own in a folder that goes away with it. */
export const postgres: Layer.Layer<All, unknown> = Layer.unwrap(Effect.gen(function*() {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "dashboard-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const server = yield* EmbeddedServer.start({ dir })
  return Postgres.layer({ connection: server.url })
})) as never

/** A server with one route of its own beside the dashboard. */
export const program = (backends: Layer.Layer<All, unknown, any>, options: Dashboard.DashboardOptions = {}): Layer.Layer<Program, unknown> =>
  HttpRouter.serve(Layer.merge(HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello")), Dashboard.layer(options)), { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
    Layer.provideMerge(Alerts.layerBackend({ sinks: [] })),
    Layer.provideMerge(backends),
    Layer.provide(settings)
  ) as never

export const hostile = "<img src=x onerror=\"window.hacked=1\"> \u202Eevil"
export const Orders = MetricDefinition.counter("orders_total", { help: "Orders", labelNames: ["kind"] })
export const Seconds = MetricDefinition.histogram("order_seconds", { help: "How long an order takes", labelNames: ["kind"], buckets: [0.01, 0.1, 1] })

/** What a small shop does: 30 orders, one in ten failed, one hostile. */
export const record = Effect.gen(function*() {
  const metrics = yield* MetricsRecorder
  for (let i = 0; i < 30; i++) {
    yield* metrics.incrementCounter(Orders, 1, { kind: i % 3 === 0 ? "book" : hostile })
    yield* metrics.observeHistogram(Seconds, 0.05, { kind: "book" })
    yield* Effect.exit(
      (i % 10 === 0 ? Effect.fail(new Error(`no stock ${hostile}`)) : Effect.void).pipe(
        Effect.withSpan("charge card", { kind: "client", attributes: { link: "javascript:alert(1)", hostile, long: i === 29 ? "x".repeat(100_000) : "short" } }),
        Errors.reporting,
        Effect.withSpan(i === 29 ? hostile : "POST /orders", { kind: "server", attributes: { order: i } })
      )
    )
  }
  yield* (yield* Telemetry).flush
})

export const base = Effect.map(HttpServer.HttpServer, ({ address }) => address._tag === "UnixPathAddress" ? "" : `http://127.0.0.1:${address.port}`)

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: any
}

export const call = (path: string, options: { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: unknown } = {}) =>
  Effect.flatMap(base, (url) =>
    Effect.promise(() =>
      new Promise<Answer>((resolve, reject) => {
        const outgoing = request(url + path, { method: options.method ?? "GET", headers: { ...(options.body === undefined ? {} : { "content-type": "application/json" }), ...options.headers } }, (incoming) => {
          let text = ""
          incoming.setEncoding("utf8").on("data", (part) => text += part)
          incoming.on("end", () => {
            const isJson = incoming.headers["content-type"]?.startsWith("application/json")
            resolve({ status: incoming.statusCode!, headers: incoming.headers, body: isJson ? JSON.parse(text) : text })
          })
        })
        outgoing.on("error", reject).end(options.body === undefined ? undefined : JSON.stringify(options.body))
      })
    ))

export const api = (path: string) =>
  Effect.map(call(`/observability/api/${path}`), ({ body, status }) => {
    assert.strictEqual(status, 200, `${path}: ${JSON.stringify(body)}`)
    return body
  })

export const balanced = Effect.gen(function*() {
  assert.deepStrictEqual((yield* (yield* Diagnostics).report).imbalances, [])
})
