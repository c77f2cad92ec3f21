import { TraceHistory, MetricsHistory } from "@effect-observability/core"
import { Dashboard } from "@effect-observability/dashboard"
import { Guard } from "@effect-observability/instrument/node"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import { api, balanced, call, hostile, memory, postgres, program, record } from "./support/program.ts"

for (const [name, backends] of [["memory", memory], ["PostgreSQL", postgres]] as const) {
  describe(`the API over ${name}`, () => {
    it.live("answers what the histories answer", () =>
      Effect.gen(function*() {
        yield* record
        const history = yield* TraceHistory
        const { available, service } = yield* api("session")
        assert.strictEqual(service, "shop")
        assert.isTrue(Object.values(available).every((one) => one === true))

        const { operations, query } = yield* api("operations")
        assert.deepStrictEqual(operations, JSON.parse(JSON.stringify(yield* history.operations(query))))
        const orders = operations.find((one: any) => one.name === "POST /orders")
        assert.deepStrictEqual([orders.count, orders.errorCount], [29, 3])

        const failed = yield* api("traces?status=ERROR&operation=POST%20%2Forders&limit=2")
        assert.strictEqual(failed.traces.length, 2)
        const rest = yield* api(`traces?status=ERROR&operation=POST%20%2Forders&limit=2&to=${failed.query.endTime}&from=${failed.query.startTime}&cursor=${encodeURIComponent(failed.cursor)}`)
        assert.strictEqual(rest.traces.length, 1)

        const trace = yield* api(`trace?id=${failed.traces[0].traceId}`)
        assert.deepStrictEqual(trace.spans.map((span: any) => [span.name, span.failed]), [["POST /orders", true], ["charge card", true]])
        const detail = yield* api(`span?id=${trace.traceId}&span=${trace.spans[1].id}`)
        assert.strictEqual(detail.attributes.hostile, hostile)

        const latency = yield* api("latency?operation=POST%20%2Forders")
        assert.strictEqual(latency.points.reduce((sum: number, point: any) => sum + point.count, 0), 29)
        const differs = yield* api("differs?status=ERROR&operation=charge%20card")
        assert.strictEqual(differs.selected, 3)

        const { metrics } = yield* api("metrics")
        assert.deepInclude(metrics.find((one: any) => one.name === "orders_total"), { type: "counter", labels: ["kind"], series: 2 })
        // What was recorded a moment ago lies after the last full step of now.
        const around = `from=${Date.now() - 60_000}&to=${Date.now() + 20_000}&step=5000`
        const range = yield* api(`range?metric=orders_total&function=increase&by=kind&${around}`)
        const same = yield* (yield* MetricsHistory).queryRange(range.query)
        assert.deepStrictEqual(range.times, same.times)
        assert.deepStrictEqual(range.series.map(({ labels }: any) => labels), same.series.map(({ labels }) => labels))
        assert.strictEqual(range.series.length, 2)

        // Who recorded it chooses and compares, everywhere.
        const compared = yield* api(`range?metric=orders_total&function=increase&byResource=service&${around}`)
        assert.deepStrictEqual(compared.series.map(({ resource }: any) => resource), [{ service: "shop" }])
        for (const [resource, some] of [["service=shop", true], ["cluster=nowhere", false]] as const) {
          for (const [path, list] of [["operations", "operations"], ["traces", "traces"], ["errors", "groups"], [`range?metric=orders_total&function=increase&${around}`, "series"]] as const) {
            const answer = yield* api(`${path}${path.includes("?") ? "&" : "?"}resource=${encodeURIComponent(resource)}`)
            assert.strictEqual(answer[list].length > 0, some, `${path} ${resource}`)
          }
        }

        const { groups } = yield* api("errors")
        assert.strictEqual(groups.reduce((sum: number, group: any) => sum + group.count, 0), 3)
        assert.include((yield* api(`error?id=${groups[0].lastErrorId}`)).message, "no stock")
        assert.deepStrictEqual((yield* api("alert-events")).events, [])
        assert.strictEqual((yield* api("health")).status, "up")
        assert.deepStrictEqual((yield* api("diagnostics")).imbalances, [])
        yield* balanced
      }).pipe(Effect.provide(program(backends as never))))

    it.live("says which field of a question is wrong", () =>
      Effect.gen(function*() {
        yield* record
        for (const [path, says] of [
          ["traces?limit=0", /^limit: /], ["traces?limit=1e9", /^limit: /], ["traces?from=x", /^from: /], ["traces?from=5&to=5", /^from: must be before/],
          ["traces?from=0", /^from: at most 92 days/], ["traces?kind=evil", /^kind: must be one of/], ["traces?attribute=x", /^attribute: must be key=value/],
          ["trace", /^id: is missing/], ["trace?id=%27%3B--", /^id: must be 32 hex/], ["span?span=x&id=1", /^id: /], ["range", /^metric: is missing/],
          ["range?metric=a&byResource=region", /^byResource: /], ["traces?resource=region%3Deast", /^resource\.region /], ["traces?resource=east", /^resource: /],
          ["range?metric=a&step=1", /^step: /], ["range?metric=a&from=1&to=900000000&step=1000", /^step: makes more/], ["range?metric=a&quantile=0.5", /^quantile: /],
          [`traces?text=${"x".repeat(2_000)}`, /^text: is longer/], ["differs", /^status or minMs/], ["traces?cursor=nonsense", /cursor/]
        ] as const) {
          const { body, status } = yield* call(`/observability/api/${path}`)
          assert.strictEqual(status, 400, `${path} ${JSON.stringify(body)}`)
          assert.match(body.error, says)
        }
        assert.strictEqual((yield* call(`/observability/api/trace?id=${"0".repeat(31)}1`)).status, 404)
        yield* balanced
      }).pipe(Effect.provide(program(backends as never))))
  })
}

describe("the dashboard's routes", () => {
  it.live("carry a strict policy, and may not be kept or framed", () =>
    Effect.gen(function*() {
      for (const path of ["/observability", "/observability/page.js", "/observability/page.css", "/observability/api/session", "/observability/api/trace"]) {
        const { headers } = yield* call(path)
        assert.strictEqual(headers["cache-control"], "no-store")
        assert.match(String(headers["content-security-policy"]), /^default-src 'none'; script-src 'self'; style-src 'self'/)
        assert.notInclude(String(headers["content-security-policy"]), "unsafe")
        assert.strictEqual(headers["x-content-type-options"], "nosniff")
        assert.isUndefined(headers["access-control-allow-origin"])
      }
      assert.strictEqual((yield* call("/hello")).body, "hello")
      yield* balanced
    }).pipe(Effect.provide(program(memory))))

  it.live("answer this machine under its own name alone", () =>
    Effect.gen(function*() {
      for (const headers of [{ host: "evil.example" }, { host: "localhost.evil.example" }, { "x-forwarded-for": "127.0.0.1" }, { forwarded: "for=127.0.0.1" }]) {
        for (const path of ["/observability", "/observability/api/diagnostics"]) assert.strictEqual((yield* call(path, { headers: headers as never })).status, 403)
      }
      assert.strictEqual((yield* call("/observability", { headers: { host: "localhost:3000" } })).status, 200)
      yield* balanced
    }).pipe(Effect.provide(program(memory))))

  it.live("ask a guard when there is one, for the page and everything else", () =>
    Effect.gen(function*() {
      for (const path of ["", "/page.js", "/api/session", "/api/diagnostics"]) {
        assert.strictEqual((yield* call(`/ops${path}`)).status, 401)
        assert.strictEqual((yield* call(`/ops${path}`, { headers: { authorization: "Bearer s3cret" } })).status, 200)
      }
      yield* balanced
    }).pipe(Effect.provide(program(memory, { path: "/ops", guard: Guard.make({ bearer: Redacted.make("s3cret") }) }))))

  it.live("silence an alert for the page itself, for no other", () =>
    Effect.gen(function*() {
      const body = { matchers: { alertname: "X" }, endsAt: Date.now() + 60_000, comment: "known" }
      for (const headers of [{}, { "x-observability": "1", "sec-fetch-site": "cross-site" }]) {
        assert.strictEqual((yield* call("/observability/api/silences", { method: "POST", headers: headers as never, body })).status, 403)
      }
      const own = { "x-observability": "1", "sec-fetch-site": "same-origin" }
      const wrong = yield* call("/observability/api/silences", { method: "POST", headers: own, body: { ...body, matchers: {} } })
      assert.strictEqual(wrong.status, 400)
      assert.match(wrong.body.error, /^matchers: /)
      const made = yield* call("/observability/api/silences", { method: "POST", headers: own, body })
      assert.strictEqual(made.status, 201)
      assert.strictEqual((yield* api("alerts")).silences.length, 1)
      assert.strictEqual((yield* call(`/observability/api/silences/${made.body.id}`, { method: "DELETE", headers: own })).status, 200)
      assert.strictEqual((yield* api("alerts")).silences.length, 0)
      yield* balanced
    }).pipe(Effect.provide(program(memory))))

  it.live("leave no span of their own", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 3; i++) yield* api("operations")
      assert.deepStrictEqual((yield* api("traces")).traces, [])
      yield* balanced
    }).pipe(Effect.provide(program(memory))))

  it.live("say which Layer gives what is missing", () =>
    Effect.gen(function*() {
      const { body, status } = yield* call("/observability/api/traces")
      assert.strictEqual(status, 404)
      assert.match(body.error, /^No history of traces: provide Postgres\.layer\(\)/)
      assert.match((yield* call("/observability/api/alerts")).body.error, /provide Alerts\.layer/)
      assert.isFalse((yield* api("session")).available.traces)
    }).pipe(Effect.provide(
      HttpRouter.serve(Dashboard.layer(), { disableListenLog: true, disableLogger: true }).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })))
    )))

  it.live("give up on a question that takes too long", () =>
    Effect.gen(function*() {
      const { body, status } = yield* call("/observability/api/operations")
      assert.strictEqual(status, 504)
      assert.match(body.error, /longer than 0\.1 seconds/)
    }).pipe(Effect.provide(program(
      Layer.succeed(TraceHistory, { operations: () => Effect.never } as never).pipe(Layer.provideMerge(memory)) as never,
      { timeout: 100 }
    ))))
})
