import { AlertRule, Alerts, AlertSinks, Ledger, MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const Depth = MetricDefinition.gauge("queue_depth", { help: "Jobs waiting", labelNames: ["queue"] })
const rule = AlertRule.make({ name: "QueueDeep", metric: Depth, groupBy: ["queue"], last: true, above: 10, severity: "critical", summary: "deep: \"q\" <b>" })
const hostile = "mail\n\"\\ü{}"

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as Net.AddressInfo).port)))

const freePort = async (): Promise<number> => {
  const probe = createServer()
  const port = await listening(probe)
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** What is posted to it, as JSON. */
const receiver: Effect.Effect<{ readonly url: string; readonly bodies: Array<any> }, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const bodies: Array<any> = []
      const server = createServer((request, response) => {
        let text = ""
        request.on("data", (part) => text += part)
        request.on("end", () => {
          bodies.push(JSON.parse(text))
          response.end()
        })
      })
      return { server, bodies, url: `http://127.0.0.1:${await listening(server)}/` }
    }),
    ({ server }) => Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
  ),
  ({ bodies, url }) => ({ bodies, url })
)

/** A real Alertmanager that hands everything on to `hook`; stopped with the scope. */
const startAlertmanager = (hook: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const found = spawnSync("prometheus-alertmanager", ["--version"])
        if (found.error !== undefined) throw new Error(`prometheus-alertmanager (Debian's package of that name) is needed: ${found.error.message}`)
        const dir = mkdtempSync(join(tmpdir(), "obs-alertmanager-"))
        const receiverName = `twin-${process.pid}-${Date.now()}`
        writeFileSync(join(dir, "am.yml"), JSON.stringify({
          route: { receiver: receiverName, group_by: ["alertname"], group_wait: "200ms", group_interval: "1s" },
          receivers: [{ name: receiverName, webhook_configs: [{ url: hook, send_resolved: true }] }]
        }))
        const port = await freePort()
        const child = spawn("prometheus-alertmanager", [
          `--config.file=${join(dir, "am.yml")}`, `--storage.path=${join(dir, "data")}`, "--cluster.listen-address=", `--web.listen-address=127.0.0.1:${port}`
        ], { stdio: "ignore" })
        const url = `http://127.0.0.1:${port}`
        for (let tries = 0; ; tries++) {
          if (child.exitCode !== null || tries > 200) throw new Error("prometheus-alertmanager does not start")
          const ours = await fetch(`${url}/api/v2/status`).then((response) => response.text(), () => "")
          if (ours.includes(receiverName)) return { child, dir, url }
          await new Promise((wake) => setTimeout(wake, 100))
        }
      }),
      ({ child, dir }) =>
        Effect.promise(async () => {
          const ended = new Promise((resolve) => child.once("close", resolve))
          if (child.exitCode === null && child.kill("SIGTERM")) await ended
          rmSync(dir, { recursive: true, force: true })
        })
    ),
    ({ url }) => url
  )

const until = <A>(what: string, read: () => A | undefined): Effect.Effect<A> =>
  Effect.gen(function*() {
    for (let tries = 0; tries < 150; tries++) {
      const found = read()
      if (found !== undefined) return found
      yield* Effect.sleep("100 millis")
    }
    return yield* Effect.die(new Error(what))
  })

it.live("a real Alertmanager shows our alert, and its notification has the form of ours", () =>
  Effect.gen(function*() {
    const theirs = yield* receiver
    const ours = yield* receiver
    const url = yield* startAlertmanager(theirs.url)
    yield* Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.setGauge(Depth, 11, { queue: hostile })
      const body = yield* until("no notification of Alertmanager", () => theirs.bodies[0])
      const twin = yield* until("no notification of ours", () => ours.bodies[0])
      const { error, stdout } = spawnSync("amtool", [`--alertmanager.url=${url}`, "alert", "query", "alertname=QueueDeep", "-o", "json"], { encoding: "utf8" })
      if (error !== undefined) throw new Error(`amtool (Debian's package prometheus-alertmanager) is needed: ${error.message}`)
      const [shown] = JSON.parse(stdout)
      assert.deepStrictEqual(shown.labels, { alertname: "QueueDeep", severity: "critical", queue: hostile, service: "unknown_service", env: "dev" })
      assert.strictEqual(shown.annotations.summary, rule.summary)
      // Keys, their types and what they say; receiver, group key and addresses are each one's own.
      assert.deepStrictEqual(shape(twin), shape(body))
      for (const key of ["version", "status", "groupLabels", "commonLabels", "commonAnnotations", "truncatedAlerts"]) assert.deepStrictEqual(twin[key], body[key], key)
      for (const key of ["status", "labels", "annotations", "fingerprint"]) assert.deepStrictEqual(twin.alerts[0][key], body.alerts[0][key], key)
      // Go leaves out zeros at the end of a fraction.
      assert.strictEqual(Date.parse(twin.alerts[0].startsAt), Date.parse(body.alerts[0].startsAt))
      yield* metrics.setGauge(Depth, 0, { queue: hostile })
      const end = yield* until("no end from Alertmanager", () => theirs.bodies.find(({ status }) => status === "resolved"))
      const twinEnd = yield* until("no end of ours", () => ours.bodies.find(({ status }) => status === "resolved"))
      assert.strictEqual(twinEnd.alerts[0].fingerprint, end.alerts[0].fingerprint)
      for (const { name, signals } of (yield* Telemetry).reports()) for (const { ledger } of signals) assert.isUndefined(Ledger.imbalance(ledger), name)
    }).pipe(Effect.provide(Alerts.layer({
      rules: [rule], interval: "200 millis", groupInterval: "500 millis",
      sinks: [AlertSinks.alertmanager({ url }), AlertSinks.webhook({ url: ours.url })]
    })))
  }), 60_000)

it.live("a redirect is not followed", () =>
  Effect.gen(function*() {
    const away = yield* receiver
    const server = createServer((_, response) => response.writeHead(307, { location: away.url }).end())
    const port = yield* Effect.promise(() => listening(server))
    yield* Effect.addFinalizer(() => Effect.sync(() => void server.close()))
    yield* Effect.gen(function*() {
      yield* (yield* MetricsRecorder).setGauge(Depth, 11, { queue: "mail" })
      const telemetry = yield* Telemetry
      const report = yield* until("no refusal", () => telemetry.reports().find(({ name, signals }) => name === "alerts-webhook" && signals[0]!.lastError !== undefined))
      assert.include(report.signals[0]!.lastError!.message, "redirects")
      assert.notInclude(JSON.stringify(telemetry.reports()), "s3cret")
      assert.deepStrictEqual(away.bodies, [])
      for (const { name, signals } of telemetry.reports()) for (const { ledger } of signals) assert.isUndefined(Ledger.imbalance(ledger), name)
    }).pipe(Effect.provide(Alerts.layer({ rules: [rule], interval: "200 millis", sinks: [AlertSinks.webhook({ url: `http://127.0.0.1:${port}/s3cret` })] })))
  }), 30_000)

const shape = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.slice(0, 1).map(shape)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, shape((value as Record<string, unknown>)[key])]))
    : typeof value
