import { Exposition, Memory, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { Datadog } from "@effect-observability/datadog"
import { Logs } from "@effect-observability/instrument"
import { OpenTelemetry } from "@effect-observability/opentelemetry"
import { Prometheus } from "@effect-observability/prometheus"
import { Sentry } from "@effect-observability/sentry"
import { expectLedgerBalanced } from "@effect-observability/testkit"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted } from "effect"
import { createSocket, type Socket } from "node:dgram"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { gunzipSync } from "node:zlib"

// One program with a known identity, every backend beside each other: what arrives says who it came from. PostgreSQL is in processes.test.ts, ClickHouse in its
// contract (`npm run test:real`).

const who = { service: "shop-of-7", version: "7.7.7-of-7", instance: "instance-of-7", env: "env-of-7", cluster: "cluster-of-7" }

const arrived = new Map<string, string>()
let page = ""
let lines = ""
let server: Server
let udp: Socket

const put = (what: string, body: Buffer | string) => void arrived.set(what, (arrived.get(what) ?? "") + body.toString())

const Orders = MetricDefinition.counter("orders_total", { help: "Orders" })

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const body = Buffer.concat(chunks)
      const path = new URL(request.url!, "http://x").pathname
      put(path.includes("/envelope") ? "sentry" : path, request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body)
      response.setHeader("content-type", "application/json").end("{}")
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  udp = createSocket("udp4", (message) => put("dogstatsd", message))
  await new Promise<void>((resolve) => udp.bind(0, "127.0.0.1", resolve))
  const http = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const backends = Layer.mergeAll(
    Memory.layer(),
    Prometheus.layer(),
    OpenTelemetry.layer({ endpoint: `http://${http}`, protocol: "http/json" }),
    Sentry.layer({ dsn: Redacted.make(`http://key@${http}/1`), logs: true }),
    Datadog.layer({ dogstatsd: `udp://127.0.0.1:${udp.address().port}`, traces: `http://${http}` }),
    Logs.layer({ format: "none", loggers: [Logger.map(Logger.formatJson, (text) => void (lines += `${text}
`))] })
  ).pipe(Layer.provide(ObservabilityConfig.layer({
    env: who.env, cluster: who.cluster, tracing: { serviceName: who.service, serviceVersion: who.version, serviceInstance: who.instance }
  })))
  await Effect.runPromise(Effect.gen(function*() {
    yield* (yield* MetricsRecorder).incrementCounter(Orders)
    yield* Effect.logInfo("a line").pipe(Effect.withSpan("a span", { root: true }))
    yield* Effect.fail(new Error("an error")).pipe(Effect.withErrorReporting, Effect.ignore)
    const telemetry = yield* Telemetry
    yield* telemetry.flush
    page = (yield* (yield* Exposition).page).body
    // UDP: what the kernel took arrives a little later.
    for (let i = 0; i < 200 && !(arrived.get("dogstatsd") ?? "").includes("orders_total"); i++) yield* Effect.sleep("10 millis")
    yield* expectLedgerBalanced
  }).pipe(Effect.provide(backends)))
})

afterAll(async () => {
  udp.close()
  await new Promise((resolve) => server.close(resolve))
})

const has = (text: string | undefined, ...parts: ReadonlyArray<string>): void => {
  for (const part of parts) assert.include(text ?? "", part)
}

describe("who recorded it", () => {
  it("Prometheus: target_info, to be joined by instance and job", () => {
    has(page, `target_info{service_name="${who.service}",service_version="${who.version}",service_instance_id="${who.instance}",deployment_environment_name="${who.env}",k8s_cluster_name="${who.cluster}"} 1`)
  })

  it("OpenTelemetry: the resource of all three signals", () => {
    for (const signal of ["traces", "metrics", "logs"]) {
      for (const [key, value] of [["service.name", who.service], ["service.version", who.version], ["service.instance.id", who.instance], ["deployment.environment.name", who.env], ["k8s.cluster.name", who.cluster]]) {
        has(arrived.get(`/v1/${signal}`), `{"key":"${key}","value":{"stringValue":"${value}"}}`)
      }
    }
  })

  it("Sentry: environment, release and server name; service and cluster as tags", () => {
    const items = arrived.get("sentry")!.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line))
    const event = items.find((item) => item.exception !== undefined)
    assert.deepStrictEqual(
      [event.environment, event.release, event.server_name, event.tags.service, event.tags.cluster],
      [who.env, who.version, who.instance, who.service, who.cluster]
    )
    const [spans, logs] = ["span_id", "level"].map((field) => items.flatMap((item) => item.items ?? []).filter((item) => field in item && "attributes" in item))
    for (const item of [spans![0], logs!.find((one) => "body" in one)]) {
      const value = (key: string) => item.attributes[key]?.value
      assert.deepStrictEqual(
        [value("service.name"), value("sentry.environment"), value("sentry.release"), value("k8s.cluster.name"), value("server.address")],
        [who.service, who.env, who.version, who.cluster, who.instance]
      )
    }
  })

  it("Datadog: unified service tags and kube_cluster_name; the instance on spans alone", () => {
    const line = arrived.get("dogstatsd")!.split("\n").find((one) => one.startsWith("orders_total:"))
    has(line, `service:${who.service}`, `env:${who.env}`, `version:${who.version}`, `kube_cluster_name:${who.cluster}`)
    assert.notInclude(line!, who.instance)
    has(arrived.get("/v0.4/traces"), who.service, who.env, who.version, "kube_cluster_name", who.cluster, "service.instance.id", who.instance)
  })

  it("log lines: fields", () => {
    const line = lines.split("\n").filter((one) => one !== "").map((one) => JSON.parse(one)).find(({ message }) => message === "a line")
    const { cluster, env, instance, service } = line.annotations
    assert.deepStrictEqual([service, env, cluster, instance], [who.service, who.env, who.cluster, who.instance])
  })
})
