import { Exporter, Health, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { OpsEndpoints } from "@effect-observability/instrument/node"
import { EmbeddedServer, Postgres } from "@effect-observability/postgres"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { spawn } from "node:child_process"
import { createServer } from "node:http"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "../../../..")
const token = "tok-canary-5f1c2b7a9d"

const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.promise(() =>
    new Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>((done) => {
      const child = spawn(process.execPath, ["--conditions=source", join(root, "packages/observability/src/cli/main.ts"), "doctor", ...args], { env: { PATH: process.env["PATH"], NO_COLOR: "1", ...env } })
      let out = ""
      let err = ""
      child.stdout.on("data", (bytes) => out += bytes)
      child.stderr.on("data", (bytes) => err += bytes)
      child.on("close", (code) => done({ code, out, err }))
    })
  )

const state = { away: false }
const backend = Layer.effectDiscard(Effect.gen(function*() {
  const telemetry = yield* Telemetry
  const spans = yield* telemetry.exportSpans({
    name: "sink",
    exporter: { export: () => Effect.suspend(() => state.away ? Effect.fail(Exporter.unavailable("connection refused by the sink")) : Effect.succeed(Exporter.complete)) },
    policy: { maxItems: 10, batchSize: 1, flushInterval: 0, drainDeadline: 0 }
  })
  yield* telemetry.register({
    name: "sink",
    kind: "test",
    onSpan: (span) => void spans.offerUnsafe(span),
    flush: spans.flush,
    report: () => ({
      name: "sink", kind: "test", status: state.away ? "degraded" : "up", reason: state.away ? "connection refused by the sink" : undefined,
      signals: [{ signal: "spans", ledger: spans.ledger(), queuedItems: 0, queuedBytes: 0, oldestAgeMillis: 0, lastError: undefined }]
    })
  })
}))

const canaries = ["pw-canary-8811aa", "dsn-canary-77bb", "user-canary-33dd"]
const serving = HttpRouter.serve(OpsEndpoints.layer({ bearer: Redacted.make(token), rateLimit: false }), { disableListenLog: true, disableLogger: true }).pipe(
  Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
  Layer.provideMerge(backend),
  Layer.provideMerge(Telemetry.layer),
  Layer.provide(ObservabilityConfig.layer({
    metrics: { maxSeriesPerMetric: 20 },
    tracing: { serviceName: "shop", sentryDsn: `https://${canaries[1]}@sentry.example/1`, otelEndpoint: `http://${canaries[2]}:${canaries[0]}@collector.example:4318` },
    postgres: { common: { connection: `postgresql://app:${canaries[0]}@db.example/x` } }
  }))
) as Layer.Layer<HttpServer.HttpServer | Telemetry | MetricsRecorder | Health>

const url = Effect.map(HttpServer.HttpServer, ({ address }) => `http://127.0.0.1:${address._tag === "UnixPathAddress" ? 0 : address.port}/diagnostics`)

describe("effect-observability doctor", () => {
  it.live("looks at a running program: nothing wrong, then what is wrong, why and what to do; no secret anywhere", () =>
    Effect.gen(function*() {
      state.away = false
      const at = yield* url
      const fine = yield* run(["--url", at], { OBSERVABILITY_TOKEN: token })
      assert.deepStrictEqual([fine.code, fine.out.trim()], [0, "nothing is wrong"], fine.err)

      state.away = true
      for (let i = 0; i < 30; i++) yield* Effect.void.pipe(Effect.withSpan("job"))
      const metrics = yield* MetricsRecorder
      const wide = MetricDefinition.counter("wide_total", { help: "By user", labelNames: ["user"] })
      for (let i = 0; i < 200; i++) yield* metrics.incrementCounter(wide, 1, { user: `u${i}` })
      const ill = yield* run(["--url", at], { OBSERVABILITY_TOKEN: token })
      assert.strictEqual(ill.code, 1, ill.err)
      for (const said of ["sink is degraded", "sink, queue of spans is 100 % full", "queue_full_oldest: 20", "wide_total is past its budget of 20", "label \"user\"", "why: connection refused by the sink"]) assert.include(ill.out, said)

      const dir = mkdtempSync(join(tmpdir(), "obs-doctor-"))
      writeFileSync(join(dir, "token"), `${token}\n`)
      const json = yield* run(["--url", at, "--token-file", join(dir, "token"), "--json"])
      rmSync(dir, { recursive: true })
      assert.strictEqual(json.code, 1, json.err)
      const { findings, healthy, program } = JSON.parse(json.out)
      assert.isFalse(healthy)
      assert.isTrue(findings.every((one: Record<string, string>) => one["what"] !== "" && one["why"] !== "" && one["fix"] !== ""))
      assert.deepStrictEqual(program.imbalances, [])
      assert.strictEqual(program.settings.tracing.otelEndpoint, "http://collector.example:4318")
      assert.deepInclude(program.metrics.topBySeries[0], { metric: "wide_total", widestLabel: { label: "user", values: 21 } })
      for (const secret of [...canaries, token]) for (const text of [json.out, json.err, ill.out, ill.err]) assert.notInclude(text, secret)
    }).pipe(Effect.scoped, Effect.provide(serving)), 60_000)

  it.live("ends with 2 and says why when it cannot look", () =>
    Effect.gen(function*() {
      const at = yield* url
      for (const [args, env, says] of [
        [[], {}, "give --url"],
        [["--url", "ftp://x/diagnostics"], {}, "expected http://"],
        [["--url", at], {}, "credentials (401)"],
        [["--url", at], { OBSERVABILITY_TOKEN: "wrong-canary" }, "credentials (401)"],
        [["--url", at.replace("/diagnostics", "/nowhere")], { OBSERVABILITY_TOKEN: token }, "the answer is 404"],
        [["--url", at.replace("/diagnostics", "/health/live")], { OBSERVABILITY_TOKEN: token }, "no report"],
        [["--url", "http://127.0.0.1:1/diagnostics"], {}, "cannot be reached"],
        [["--url", at.replace("http://", "http://u:canary@")], {}, "credentials do not belong there"],
        [["--url", at, "--token-file", "/nonexistent"], {}, "cannot be read"],
        [["--database", "env"], {}, "POSTGRES_CONNECTION is not set"],
        [["--database", "postgresql://app:canary@127.0.0.1:1/x"], {}, "--database:"]
      ] as const) {
        const { code, err, out } = yield* run(args, env)
        assert.strictEqual(code, 2, `${args.join(" ")}: ${out}${err}`)
        assert.include(err, says)
        assert.notInclude(out + err, "canary")
      }
      const help = yield* run(["--help"])
      assert.strictEqual(help.code, 0)
      for (const flag of ["--url", "--database", "--token-file", "--json"]) assert.include(help.out, flag)
    }).pipe(Effect.provide(serving)), 90_000)

  it.live("looks at a store without changing it", () =>
    Effect.gen(function*() {
      const dir = mkdtempSync(join(tmpdir(), "obs-doctor-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(dir, { recursive: true, force: true })))
      const server = yield* EmbeddedServer.start({ dir: join(dir, "data") })
      const env = { POSTGRES_CONNECTION: Redacted.value(server.url) }
      const none = yield* run(["--database", "env"], env)
      assert.strictEqual(none.code, 2)
      assert.include(none.err, "there is no store in the schema \"observability\"")
      yield* Effect.gen(function*() {
        yield* (yield* MetricsRecorder).incrementCounter(MetricDefinition.counter("orders_total", { help: "Orders" }))
        yield* (yield* Telemetry).flush
      }).pipe(Effect.provide(Postgres.layer({ connection: server.url })), Effect.provide(ObservabilityConfig.layer({ env: "test", tracing: { serviceName: "shop" } })))
      const found = yield* run(["--database", "env", "--json"], env)
      assert.strictEqual(found.code, 0, found.out + found.err)
      const { store } = JSON.parse(found.out)
      assert.strictEqual(store.daysAhead, 2)
      assert.deepInclude(store.writers[0], { service: "shop", env: "test" })
      assert.isAbove(store.storage.bytes, 0)
      const fine = yield* run(["--database", "env"], env)
      assert.strictEqual(fine.code, 0)
      assert.match(fine.out.trim(), /^nothing is wrong\nstore: [\d.]+ MB used, .* more a day .*, \d+ series, by \d+ s of recording; no capacity is given/)
    }).pipe(Effect.scoped), 90_000)
})
