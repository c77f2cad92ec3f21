import { assert, describe, it } from "@effect/vitest"
import { ObservabilityConfig, Telemetry } from "@effect-observability/core"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { inspect } from "node:util"
import { OpenTelemetry } from "../src/index.ts"
import { type OpenTelemetryConfig, OpenTelemetryError, type OpenTelemetryOptions, resolve } from "../src/OpenTelemetryConfig.ts"
import { fromEnvironment } from "../src/internal/environment.ts"
import { collector } from "./support/collector.ts"
import { attributesOf } from "./support/reading.ts"

const who = { service: "shop", version: "1.2.3", instance: "i-1", env: "test", cluster: "" }
const settingsOf = (input: Parameters<typeof ObservabilityConfig.layer>[0] = {}) =>
  Effect.runSync(Effect.provide(Effect.gen(function*() {
    return yield* ObservabilityConfig
  }), ObservabilityConfig.layer(input)))

const resolved = (options: OpenTelemetryOptions, settings = settingsOf()): OpenTelemetryConfig => {
  const config = resolve(options, settings, who)
  if (config instanceof OpenTelemetryError) throw config
  return config
}
const wrong = (options: OpenTelemetryOptions): string => {
  const config = resolve(options, settingsOf(), who)
  return config instanceof OpenTelemetryError ? config.message : ""
}
const fromEnv = (environment: Record<string, string>, options: OpenTelemetryOptions = {}) =>
  Effect.runPromise(Effect.result(fromEnvironment(options)).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(environment))))
const env = async (environment: Record<string, string>, options: OpenTelemetryOptions = {}) => resolved(Result.getOrThrow(await fromEnv(environment, options)))

const urls = ({ logs, metrics, traces }: OpenTelemetryConfig) => [traces?.url.href, metrics?.url.href, logs?.url.href]
const headers = (target: OpenTelemetryConfig["traces"]) => Object.fromEntries(Object.entries(target!.headers).map(([name, value]) => [name, Redacted.value(value)]))

describe("endpoints", () => {
  it("by default, for all signals, for one", () => {
    assert.deepEqual(urls(resolved({})), ["traces", "metrics", "logs"].map((signal) => `http://localhost:4318/v1/${signal}`))
    assert.deepEqual(urls(resolved({ protocol: "grpc" })), Array(3).fill("http://localhost:4317/"))
    assert.deepEqual(urls(resolved({ endpoint: "https://a.example/base/", traces: { endpoint: "http://b.example" } })), ["http://b.example/", "https://a.example/base/v1/metrics", "https://a.example/base/v1/logs"])
  })

  it("from the settings, unless the options have one", () => {
    const settings = settingsOf({ tracing: { otelEndpoint: "http://collector:4318" } })
    assert.strictEqual(resolved({}, settings).traces!.url.href, "http://collector:4318/v1/traces")
    assert.strictEqual(resolved({ endpoint: "http://other" }, settings).traces!.url.href, "http://other/v1/traces")
  })

  it("port 4317 is gRPC's, unless told otherwise", () => {
    assert.strictEqual(resolved({ endpoint: "http://collector:4317" }).traces!.protocol, "grpc")
    assert.strictEqual(resolved({ endpoint: "http://collector:4317", protocol: "http/json" }).traces!.protocol, "http/json")
  })

  it("without a scheme gRPC is secure unless told otherwise", () => {
    assert.strictEqual(resolved({ endpoint: "collector:4317", protocol: "grpc" }).traces!.url.href, "https://collector:4317/")
    assert.strictEqual(resolved({ endpoint: "collector:4317", protocol: "grpc", insecure: true }).traces!.url.href, "http://collector:4317/")
  })

  it("credentials move to a header that is never shown", () => {
    const config = resolved({ endpoint: "http://user:canary%2F7@host:4318" })
    assert.strictEqual(config.traces!.url.href, "http://host:4318/v1/traces")
    assert.deepEqual(headers(config.traces), { authorization: `Basic ${Buffer.from("user:canary/7").toString("base64")}` })
    for (const text of [JSON.stringify(config), inspect(config, { depth: 9 }), String(config.traces!.headers["authorization"])]) {
      assert.notMatch(text, /canary|dXNlcj/)
    }
  })

  for (
    const [endpoint, problem] of [
      ["", /endpoint is empty/],
      ["collector:4318", /endpoint has no scheme/],
      ["file:///etc/passwd", /scheme file:/],
      ["gopher://canary-7", /scheme gopher:/],
      ["unix:///run/canary-7", /scheme unix:/],
      ["http://canary-7\r\nx: y", /control characters/],
      ["http://[canary-7", /endpoint is no URL/],
      ["http://h/?canary-7", /has a query/],
      ["http://h/#canary-7", /has a fragment/],
      ["http://a%zz:canary-7@h", /not percent-encoded/],
      ["http://a%3Ab:canary-7@h", /colon in its user name/]
    ] as const
  ) {
    it(`refused, without repeating it: ${JSON.stringify(endpoint)}`, () => {
      assert.match(wrong({ endpoint }), problem)
      assert.notInclude(wrong({ endpoint }), "canary-7")
    })
  }
})

describe("options", () => {
  it("everything that is wrong is said at once, and no secret with it", () => {
    const message = wrong({
      endpoint: "http://h",
      protocol: "udp" as never,
      compression: "brotli" as never,
      headers: { "bad name": "a", "content-type": "x", ok: Redacted.make("canary-7\n") },
      timeout: -1,
      batchSize: 0,
      maxQueueSize: 1.5,
      flushInterval: "1 millis",
      metrics: { protocol: "http/json", temporality: "sometimes" as never, interval: "soon" as never, tls: { cert: "x" } }
    })
    for (const field of ["protocol", "compression", "headers have \"bad name\"", "headers have \"content-type\"", "a value for \"ok\"", "timeout", "batchSize", "maxQueueSize", "flushInterval", "metrics.temporality", "metrics.interval", "tls has cert without a key", "tls is given"]) {
      assert.include(message, field)
    }
    assert.notInclude(message, "canary-7")
  })

  it("a layer with wrong options fails, and says which", async () => {
    const exit = await Effect.runPromise(Effect.exit(Effect.provide(Effect.void, OpenTelemetry.layer({ endpoint: "nonsense" }))))
    assert.match(String(exit), /OpenTelemetry: endpoint has no scheme: use one like http:\/\/localhost:4318/)
  })

  it("a signal's own options go before the common ones", () => {
    const config = resolved({ headers: { a: "1", b: "2" }, compression: "gzip", timeout: "3 seconds", metrics: { headers: { B: "3" }, compression: "none", timeout: "1 second", temporality: "lowmemory" }, logs: false })
    assert.deepEqual(headers(config.traces), { a: "1", b: "2" })
    assert.deepEqual([config.traces!.compression, config.traces!.timeout], ["gzip", 3_000])
    assert.deepEqual([headers(config.metrics)["b"], config.metrics!.compression, config.metrics!.timeout, config.metrics!.temporality], ["3", "none", 1_000, "delta"])
    assert.isUndefined(config.logs)
  })
})

describe("the environment", () => {
  it("every variable of the specification that is about exporting", async () => {
    const dir = Fs.mkdtempSync(Path.join(tmpdir(), "obs-otel-"))
    const file = (name: string) => {
      Fs.writeFileSync(Path.join(dir, name), `PEM ${name}`)
      return Path.join(dir, name)
    }
    try {
      const config = await env({
        OTEL_EXPORTER_OTLP_ENDPOINT: "https://all.example",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "https://metrics.example/x",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/protobuf",
        OTEL_EXPORTER_OTLP_HEADERS: "api-key=canary%207, x=y=z",
        OTEL_EXPORTER_OTLP_LOGS_HEADERS: "api-key=other",
        OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
        OTEL_EXPORTER_OTLP_LOGS_COMPRESSION: "none",
        OTEL_EXPORTER_OTLP_TIMEOUT: "7000",
        OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: "5000",
        OTEL_EXPORTER_OTLP_CERTIFICATE: file("ca"),
        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: file("cert"),
        OTEL_EXPORTER_OTLP_CLIENT_KEY: file("key"),
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "Delta",
        OTEL_METRIC_EXPORT_INTERVAL: "60000",
        OTEL_BSP_SCHEDULE_DELAY: "2000",
        OTEL_BSP_MAX_QUEUE_SIZE: "2048",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "256",
        OTEL_RESOURCE_ATTRIBUTES: "service.version=9,team=a%2Cb",
        OTEL_SERVICE_NAME: "named"
      })
      assert.deepEqual(urls(config), ["https://all.example/v1/traces", "https://metrics.example/x", "https://all.example/v1/logs"])
      assert.deepEqual([config.traces!.protocol, config.metrics!.protocol], ["http/protobuf", "http/json"])
      assert.deepEqual(headers(config.traces), { "api-key": "canary 7", x: "y=z" })
      assert.deepEqual(headers(config.logs), { "api-key": "other", x: "y=z" })
      assert.deepEqual([config.traces!.compression, config.logs!.compression], ["gzip", "none"])
      assert.deepEqual([config.traces!.timeout, config.metrics!.timeout], [7_000, 5_000])
      assert.deepEqual([config.traces!.tls.ca, config.traces!.tls.cert, Redacted.value(config.traces!.tls.key!)], ["PEM ca", "PEM cert", "PEM key"])
      assert.deepEqual([config.metrics!.temporality, config.metrics!.interval], ["delta", 60_000])
      assert.deepEqual([config.flushInterval, config.maxQueueSize, config.batchSize], [2_000, 2_048, 256])
      assert.containsSubset(config.resource, { "service.name": "named", "service.version": "9", team: "a,b" })
      assert.notInclude(inspect(config, { depth: 9 }), "canary 7")
    } finally {
      Fs.rmSync(dir, { recursive: true })
    }
  })

  it("goes before the code, and empty variables count as none", async () => {
    const options: OpenTelemetryOptions = { endpoint: "http://code", headers: { a: "code", b: "code" }, compression: "gzip" }
    const config = await env({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://env", OTEL_EXPORTER_OTLP_HEADERS: "a=env", OTEL_EXPORTER_OTLP_COMPRESSION: "", OTEL_SERVICE_NAME: " " }, options)
    assert.strictEqual(config.traces!.url.href, "http://env/v1/traces")
    assert.deepEqual(headers(config.traces), { a: "env", b: "code" })
    assert.deepEqual([config.traces!.compression, config.resource["service.name"]], ["gzip", "shop"])
  })

  it("exporters other than OTLP switch a signal off here", async () => {
    const config = await env({ OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "console, otlp", OTEL_LOGS_EXPORTER: "console" })
    assert.deepEqual([config.traces, config.metrics !== undefined, config.logs], [undefined, true, undefined])
    assert.deepEqual(urls(await env({ OTEL_SDK_DISABLED: "true" })), [undefined, undefined, undefined])
  })

  it("says what is wrong by the variable's name, without its value", async () => {
    const result = await fromEnv({
      OTEL_EXPORTER_OTLP_PROTOCOL: "canary-7",
      OTEL_EXPORTER_OTLP_HEADERS: "canary-7",
      OTEL_EXPORTER_OTLP_TIMEOUT: "canary-7",
      OTEL_EXPORTER_OTLP_COMPRESSION: "canary-7",
      OTEL_EXPORTER_OTLP_CERTIFICATE: "/nowhere/canary-7",
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "canary-7"
    })
    const message = Result.isFailure(result) ? result.failure.message : ""
    for (const name of ["PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "METRICS_TEMPORALITY_PREFERENCE"]) assert.include(message, `OTEL_EXPORTER_OTLP_${name}`)
    assert.notInclude(message, "canary-7")
  })

  it.live("layerConfig sends where the environment says", () =>
    Effect.gen(function*() {
      const receiver = yield* collector()
      const provider = ConfigProvider.fromEnvRecord({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json", OTEL_SERVICE_NAME: "from-env" })
      yield* Effect.gen(function*() {
        yield* Effect.withSpan(Effect.void, "s")
        yield* (yield* Telemetry).flush
      }).pipe(Effect.provide(OpenTelemetry.layerConfig()), Effect.provide(Layer.succeed(ConfigProvider.ConfigProvider, provider)))
      const [first] = receiver.received.filter(({ signal }) => signal === "traces")
      assert.strictEqual(attributesOf(first!.message["resourceSpans"][0].resource.attributes)["service.name"], "from-env")
    }).pipe(Effect.scoped))
})
