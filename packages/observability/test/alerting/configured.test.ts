import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer, Logger, Redacted } from "effect"
import { Alerts, Diagnostics, Health, MetricDefinition, MetricsRecorder, Observability, ObservabilityConfig, Telemetry } from "effect-observability"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-alerting-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

/** A receiver of webhooks, and what it was told: `firing QueueDeep`. */
const receiver = Effect.map(
  Effect.acquireRelease(
    Effect.promise(() => {
      const told: Array<string> = []
      const headers: Array<string | undefined> = []
      const server = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
        request.on("end", () => {
          headers.push(request.headers.authorization)
          for (const alert of JSON.parse(body).alerts) told.push(`${alert.status} ${alert.labels.alertname} ${alert.labels.cluster}`)
          response.end()
        })
      })
      return new Promise<{ server: typeof server; told: typeof told; headers: typeof headers }>((resolve) => server.listen(0, "127.0.0.1", () => resolve({ server, told, headers })))
    }),
    ({ server }) => Effect.promise(() => new Promise<unknown>((resolve) => server.close(resolve)))
  ),
  ({ server, ...rest }) => ({ ...rest, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/secret-of-the-address` })
)

const Depth = MetricDefinition.gauge("queue_depth", { help: "Waiting", labelNames: ["queue"] })

const until = (what: string, ask: () => boolean) =>
  Effect.gen(function*() {
    for (let i = 0; i < 500; i++) {
      if (ask()) return
      yield* Effect.sleep("10 millis")
    }
    return yield* Effect.die(new Error(`waited for ${what}`))
  })

const yaml = (url: string, above: number) => `
env: production
cluster: east
tracing: { service_name: shop }
flush_interval: 3600
alerting:
  interval: 0.1
  group_interval: 0.1
  log: false
  webhook: { url: "${url}", headers: { authorization: "Bearer secret-of-the-header" } }
  slo: [QueueDeep]
  rules:
    - { name: QueueDeep, metric: queue_depth, last: true, above: ${above}, summary: The queue is deep }
    - { name: QueueThere, metric: queue_depth, last: true, above: 0, severity: info }
    - { name: Misspelt, metric: queue_depth, last: true, above: 1, group_by: [quue] }
`

describe("alerting of a configuration", () => {
  it.live("a file makes rules, receiver and health; a reload changes a threshold, and what stays the same goes on", () =>
    Effect.gen(function*() {
      const { headers, told, url } = yield* receiver
      const file = join(yield* folder, "observability.yaml")
      writeFileSync(file, yaml(url, 100))
      const said: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])
      yield* Effect.gen(function*() {
        yield* (yield* MetricsRecorder).setGauge(Depth, 50, { queue: "orders" })
        yield* until("the first alert", () => told.includes("firing QueueThere east"))
        const alerts = yield* Effect.serviceOption(Alerts)
        assert.strictEqual(alerts._tag, "Some")
        const slo = Effect.map(Effect.flatMap(Health, (health) => health.check), ({ components }) => components.find(({ name }) => name === "slo-QueueDeep")?.status)
        assert.strictEqual(yield* slo, "up")
        assert.notInclude(told, "firing QueueDeep east")
        writeFileSync(file, yaml(url, 10))
        yield* Observability.reload()
        yield* until("the lower threshold", () => told.includes("firing QueueDeep east"))
        assert.strictEqual(yield* slo, "degraded")
        // A reload that is refused leaves everything as it is.
        writeFileSync(file, yaml(url, 10).replace("slo: [QueueDeep]", "slo: [Nobody]"))
        const refused = yield* Effect.exit(Observability.reload())
        assert.isTrue(Exit.isFailure(refused))
        assert.include(String(refused), "alerting.slo")
        writeFileSync(file, yaml(url, 1_000))
        yield* Observability.reload()
        yield* until("the end", () => told.includes("resolved QueueDeep east"))
        // Its state went through three reloads: it was told once.
        assert.strictEqual(told.filter((one) => one === "firing QueueThere east").length, 1)
        assert.isTrue(headers.every((one) => one === "Bearer secret-of-the-header"))
        const report = yield* Effect.flatMap(Diagnostics, ({ report }) => report)
        assert.deepStrictEqual(report.imbalances, [])
        const shown = JSON.stringify(report) + said.join("\n") + String(refused)
        assert.notInclude(shown, "secret-of-the")
        assert.isTrue(said.some((line) => line.includes("\"quue\"") && line.includes("it has queue")), said.join("\n"))
        assert.isTrue((yield* Telemetry).queues().every((queue) => queue.balanced))
      }).pipe(
        Effect.provide(Observability.layerFile(file, { watch: false }).pipe(Layer.provide(NodeServices.layer), Layer.provideMerge(logger))),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({}))
      )
    }))

  it.effect("names every mistake with its place", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Layer.build(ObservabilityConfig.layer({
        alerting: {
          interval: 0.01,
          rules: [{ name: "A", metric: "a_total", increase: "1 minute", above: 1, inhibitedBy: ["Nobody"] }, { name: "A", metric: "b", last: true, above: 1 }],
          anomalies: [{ name: "A", metric: "a_total", rate: "5 minutes" }, { name: "B", metric: "b", last: true, sensitivity: 1 }, { name: "C", metric: "c", last: true, colour: "red" } as never],
          slo: ["Nobody"],
          webhook: { url: "ftp://x" },
          alertmanager: { url: Redacted.make("http://ada:hunter2@alerts.example.com") }
        }
      })))
      const text = String(exit)
      for (const place of ["alerting.interval", "alerting.rules.0.inhibitedBy", "alerting.rules.1.name", "alerting.anomalies.0.name", "alerting.anomalies.1", "alerting.anomalies.2.colour", "alerting.slo", "alerting.webhook.url", "alerting.alertmanager.url"]) {
        assert.include(text, place)
      }
      assert.notInclude(text, "hunter2")
    }).pipe(Effect.scoped))
})
