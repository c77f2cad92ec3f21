import { assert, describe, it } from "@effect/vitest"
import { ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { ConfigProvider, Effect, Exit, Layer } from "effect"
import { Datadog, Dogstatsd } from "../src/index.ts"
import { type DatadogConfig, resolve } from "../src/DatadogConfig.ts"
import { fromEnvironment } from "../src/DatadogEnvironment.ts"
import { detect } from "../src/internal/origin.ts"

const resource = { service: "shop", version: "1", instance: "i", env: "dev", cluster: "" }
const given = (options: Datadog.DatadogOptions): Effect.Effect<DatadogConfig, Datadog.DatadogConfigError> => resolve({ containerId: false, ...options }, resource)

describe("options", () => {
  it.effect("have defaults of an agent beside the program", () =>
    Effect.gen(function*() {
      const config = yield* given({})
      assert.deepInclude(config.dogstatsd, { kind: "udp", host: "127.0.0.1", port: 8125 })
      assert.deepInclude(config.traces, { protocol: "http:", host: "127.0.0.1", port: 8126, path: "" })
      assert.deepStrictEqual([config.maxDatagramSize, config.flushInterval, config.service, config.env, config.version], [1432, 10_000, "shop", "dev", "1"])
      const unix = yield* given({ host: "::1", dogstatsd: "unix:///var/run/datadog/dsd.socket", traces: "unix:///var/run/datadog/apm.socket" })
      assert.deepInclude(unix.dogstatsd, { kind: "unixgram", path: "/var/run/datadog/dsd.socket" })
      assert.strictEqual(unix.maxDatagramSize, 8192)
      assert.deepInclude(unix.traces, { socketPath: "/var/run/datadog/apm.socket" })
      const six = yield* given({ host: "::1" })
      assert.deepInclude(six.dogstatsd, { host: "::1", port: 8125 })
      assert.deepInclude(six.traces, { host: "::1", port: 8126 })
      const pathed = yield* given({ traces: "https://proxy.example/dd/v0.4/traces/" })
      assert.deepInclude(pathed.traces, { protocol: "https:", port: 443, path: "/dd" })
    }))

  it.effect("that cannot be used are all named, with the fix and without a secret", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [field: string, options: Datadog.DatadogOptions]> = [
        ["dogstatsd", { dogstatsd: "127.0.0.1:8125" }], ["dogstatsd", { dogstatsd: "http://a:1" }], ["dogstatsd", { dogstatsd: "udp://user:canary@h:1" }], ["dogstatsd", { dogstatsd: "udp://h:0" }],
        ["dogstatsd", { dogstatsd: "udp://h:99999" }], ["dogstatsd", { dogstatsd: "unix://relative" }], ["dogstatsd", { dogstatsd: `unix:///${"x".repeat(120)}` }], ["dogstatsd", { dogstatsd: "udp://h:1/path" }],
        ["dogstatsd", { dogstatsd: 7 as never }], ["traces", { traces: "file:///etc/passwd" }], ["traces", { traces: "http://u:canary@h" }], ["traces", { traces: "http://h/?api_key=canary" }], ["traces", { traces: "h" }],
        ["host", { host: "http://h" }], ["host", { host: "h/../x" }], ["host", { host: "" }], ["host", { host: "a b" }], ["host", { host: "user@h" }], ["name", { name: " " }], ["service", { service: "a\nb" }],
        ["flushInterval", { flushInterval: "1 millis" }], ["flushInterval", { flushInterval: "soon" as never }], ["maxDatagramSize", { maxDatagramSize: 10 }], ["maxDatagramSize", { maxDatagramSize: 1e9 }],
        ["batchSize", { batchSize: 0 }], ["maxValues", { maxValues: 1.5 }], ["distributions", { distributions: "no" as never }], ["cardinality", { cardinality: "x" as never }], ["tags", { tags: ["a:b"] as never }],
        ["containerId", { containerId: "a|b" }], ["nativeSpanEvents", { nativeSpanEvents: "x" as never }]
      ]
      for (const [field, options] of wrong) {
        const error = yield* Effect.flip(given(options))
        assert.deepStrictEqual(error.problems.map((one) => one.field), [field], JSON.stringify(options))
        assert.match(error.message, new RegExp(`^Datadog: ${field} `))
        assert.notInclude(error.message, "canary")
      }
      const all = yield* Effect.flip(given({ dogstatsd: "x", traces: "y", batchSize: 0 }))
      assert.deepStrictEqual(all.problems.map((one) => one.field), ["dogstatsd", "traces", "batchSize"])
    }))

  it.effect("fail the Layer; a name twice and settings that differ are refused by the hub", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.exit(Effect.scoped(Layer.build(Datadog.layer({ dogstatsd: "nowhere" }))))
      assert.isTrue(Exit.isFailure(failed))
      const twice = Layer.mergeAll(Datadog.layer({ dogstatsd: false, traces: false }), Datadog.layer({ dogstatsd: false, traces: false, host: "h" }))
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(twice)))
      assert.isTrue(Exit.isFailure(exit) && String(exit.cause).includes("datadog"))
    }))

  it.effect("switched off by the settings nothing is opened and calls are welcome", () =>
    Effect.gen(function*() {
      yield* (yield* Dogstatsd).event("x")
      assert.deepStrictEqual((yield* Telemetry).reports(), [])
    }).pipe(Effect.provide(Datadog.layer().pipe(Layer.provide(ObservabilityConfig.layer({ enabled: false }))))))
})

const environment = (variables: Record<string, string>, options: Datadog.DatadogOptions = {}) =>
  fromEnvironment(options).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(variables)))

describe("Datadog's variables", () => {
  it.effect("stand over the options", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* environment({}, { service: "code", host: "h" }), { service: "code", host: "h" })
      assert.deepStrictEqual(
        yield* environment({
          DD_AGENT_HOST: "10.0.0.1", DD_DOGSTATSD_PORT: "9125", DD_TRACE_AGENT_PORT: "9126", DD_SERVICE: "shop", DD_ENV: "prod", DD_VERSION: "2", DD_ENTITY_ID: "pod", DD_TAGS: "team:pay,solo,url:http://a:1",
          DD_EXTERNAL_ENV: "it-false", DD_CARDINALITY: "LOW", DD_ORIGIN_DETECTION_ENABLED: "false"
        }, { service: "code", tags: { team: "x", more: "y" } }),
        {
          host: "10.0.0.1", dogstatsd: "udp://10.0.0.1:9125", traces: "http://10.0.0.1:9126", service: "shop", env: "prod", version: "2", entityId: "pod", externalData: "it-false", cardinality: "low",
          tags: { team: "pay", more: "y", solo: "", url: "http://a:1" }, containerId: false
        }
      )
      const url = yield* environment({ DD_DOGSTATSD_URL: "unix:///a.sock", DD_TRACE_AGENT_URL: "unix:///b.sock", DD_AGENT_HOST: "h", DD_DOGSTATSD_PORT: "1" })
      assert.deepStrictEqual([url.dogstatsd, url.traces], ["unix:///a.sock", "unix:///b.sock"])
      assert.strictEqual((yield* environment({ DD_DOGSTATSD_SOCKET: "/var/run/d.sock" })).dogstatsd, "unix:///var/run/d.sock")
      const host = yield* environment({ DD_AGENT_HOST: "fe80::1" }, { dogstatsd: false })
      assert.deepStrictEqual([host.dogstatsd, host.traces], [false, "http://[fe80::1]:8126"])
      const off = yield* environment({ DD_TRACE_ENABLED: "0", DD_DOGSTATSD_DISABLE: "yes" })
      assert.deepStrictEqual([off.dogstatsd, off.traces], [false, false])
      assert.deepStrictEqual((yield* environment({ DD_TAGS: "a:1 b:2" })).tags, { a: "1", b: "2" })
    }))

  it.effect("that are wrong are named", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(environment({ DD_DOGSTATSD_PORT: "http", DD_TRACE_AGENT_PORT: "0", DD_TRACE_ENABLED: "maybe" }))
      assert.deepStrictEqual(error.problems.map(({ field }) => field), ["DD_DOGSTATSD_PORT", "DD_TRACE_AGENT_PORT", "DD_TRACE_ENABLED"])
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(Datadog.layerConfig())).pipe(
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({ DD_TRACE_AGENT_URL: "ftp://x" }))
      ))
      assert.isTrue(Exit.isFailure(exit) && String(exit.cause).includes("traces has the scheme ftp:"))
    }))
})

describe("the container's id", () => {
  const id = "a".repeat(60) + "b".repeat(4)
  const files = (texts: Record<string, string>, inodes: Record<string, number> = {}) => ({
    text: (path: string) => texts[path] ?? (() => {
      throw new Error("no file")
    })(),
    inode: (path: string) => inodes[path] ?? (() => {
      throw new Error("no file")
    })()
  })
  const host = { "/proc/self/ns/cgroup": 0xeffffffb }

  it("is found as Datadog's clients find it", () => {
    assert.isUndefined(detect(files({})))
    assert.strictEqual(detect(files({ "/proc/self/cgroup": `12:memory:/docker/${id}` }, host)), id)
    const uuid = "34dc0b5e-626f-2c5c-4c51-70e34b10e765"
    assert.strictEqual(detect(files({ "/proc/self/cgroup": `1:name=systemd:/kubepods/pod${uuid}/${id}` }, host)), id)
    assert.strictEqual(detect(files({ "/proc/self/cgroup": "0::/", "/proc/self/mountinfo": `1 /sandboxes/${"c".repeat(64)}\n2 /containers/${id}/x` }, host)), id)
    assert.strictEqual(detect(files({ "/proc/self/cgroup": "0::/user" }, { "/sys/fs/cgroup/user": 4711 })), "in-4711")
    assert.strictEqual(detect(files({ "/proc/self/cgroup": "4:memory,cpu:/m" }, { "/sys/fs/cgroup/memory/m": 5 })), "in-5")
    assert.isUndefined(detect(files({ "/proc/self/cgroup": "0::/" }, { "/sys/fs/cgroup/": 1 })))
    assert.isUndefined(detect(files({ "/proc/self/cgroup": "garbage\n::\n" })))
  })
})
