import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { ConfigProvider, Effect, Exit, Layer, Redacted } from "effect"
import { Observability, ObservabilityConfig, Telemetry } from "effect-observability"
import { reloadOnSignal } from "effect-observability/node"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-file-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)
const env = (variables: Record<string, string>) => Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(variables))

/** What a file of this name and content makes of a program. */
const settingsOf = (name: string, content: string | Uint8Array, variables: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const path = join(yield* folder, name)
    yield* Effect.sync(() => writeFileSync(path, content))
    return yield* Effect.map(Telemetry, (telemetry) => telemetry.settings()).pipe(
      Effect.provide(Observability.layerFile(path, { watch: false }).pipe(Layer.provide(NodeServices.layer))),
      env(variables)
    )
  })

const problemOf = (name: string, content: string | Uint8Array) =>
  Effect.map(Effect.exit(settingsOf(name, content)), (exit) => {
    assert.isTrue(Exit.isFailure(exit), name)
    return String(exit)
  })

const yaml = `
# the document's names
env: production
metrics: { prometheus_port: 9100, default_labels: { team: shop } }
tracing:
  service_name: user-service
  sample_rate: 0.5
  ignored_paths: [/metrics, /health, /ready]
request_timeout: 10
`

describe("layerFile", () => {
  it.live("reads the document's example in YAML, JSON and TOML", () =>
    Effect.gen(function*() {
      const json = JSON.stringify({ env: "production", tracing: { serviceName: "user-service", sampleRate: 0.5 }, requestTimeout: 10 })
      const toml = "env = \"production\"\nrequest_timeout = 10\n[tracing]\nservice_name = \"user-service\"\nsample_rate = 0.5\n"
      for (const [name, content] of [["o.yaml", yaml], ["o.json", json], ["o.toml", toml]] as const) {
        const { env, requestTimeout, service, tracing } = yield* settingsOf(name, content)
        assert.deepStrictEqual([env, service.name, tracing.sampleRate, requestTimeout], ["production", "user-service", 0.5, 10_000])
      }
      const { metrics, tracing } = yield* settingsOf("o.yaml", yaml)
      assert.deepStrictEqual(metrics.defaultLabels, { team: "shop" })
      assert.strictEqual(metrics.prometheusPort, 9100)
      assert.include(tracing.ignoredPaths, "/ready")
    }))

  it.live("mounted secrets lie over the file, the environment over both", () =>
    Effect.gen(function*() {
      const dir = yield* folder
      writeFileSync(join(dir, "POSTGRES_CONNECTION"), "postgres://a:b@127.0.0.1/one\n")
      writeFileSync(join(dir, "dsn"), "https://key@127.0.0.1/2")
      const found = yield* settingsOf("o.yaml", `${yaml}postgres: { common: { schema: from_file } }\n`, {
        OBSERVABILITY_SECRETS_DIR: dir, SENTRY_DSN_FILE: join(dir, "dsn"), SENTRY_ENABLED: "false", APP_ENV: "staging"
      })
      assert.strictEqual(Redacted.value(found.postgres.connection!), "postgres://a:b@127.0.0.1/one")
      assert.strictEqual(Redacted.value(found.tracing.sentryDsn!), "https://key@127.0.0.1/2")
      assert.deepStrictEqual([found.env, found.postgres.schema], ["staging", "from_file"])
    }))

  it.live("names what is wrong with its file and line, all at once, without secrets", () =>
    Effect.gen(function*() {
      const text = yield* problemOf("o.yaml", "batch_size: 0\ntracing:\n  sample_rate: 2\npostgres:\n  common:\n    connection: canary-secret\n")
      assert.match(text, /batchSize \(.*o\.yaml:1\)/)
      assert.match(text, /tracing\.sampleRate \(.*o\.yaml:3\): expected a number from 0 to 1, got 2/)
      assert.match(text, /postgres\.common\.connection \(.*o\.yaml:6\)/)
      assert.notInclude(text, "canary-secret")
    }))

  it.live("refuses files that are no configuration, in words", () =>
    Effect.gen(function*() {
      let bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
      for (let i = 1; i < 8; i++) bomb += `a${i}: &a${i} [${Array(10).fill(`*a${i - 1}`).join(", ")}]\n`
      for (const [name, content, expected] of [
        ["o.yaml", "", /is empty/],
        ["o.yaml", "# nothing\n", /holds nothing but comments/],
        ["o.yaml", "- 1\n", /expected groups of settings at the top/],
        ["o.yaml", "env: a\nenv: b\n", /a key stands twice at line 2/],
        ["o.json", "{\"env\": \"a\", \"env\": \"b\"}", /a key stands twice/],
        ["o.toml", "env = \"a\"\nenv = \"b\"\n", /a key stands twice at line 2/],
        ["o.json", "{\"env\": \"pass", /wrong syntax, or cut off/],
        ["o.yaml", "tracing: [1,", /wrong syntax, or cut off/],
        ["o.yaml", bomb, /values, those behind aliases included|aliases/],
        ["o.yaml", `a: ${"[".repeat(50_000)}`, /levels deep/],
        ["o.json", `${"{\"a\":".repeat(500)}1${"}".repeat(500)}`, /levels deep/],
        ["o.yaml", Array.from({ length: 200 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"), /levels deep/],
        ["o.yaml", new Uint8Array([0x61, 0, 0x62]), /bytes of zero/],
        ["o.yaml", new Uint8Array([0xff, 0xfe, 0x41]), /not text in UTF-8/],
        ["o.yaml", "x".repeat(2_000_000), /larger than 1048576 bytes/],
        ["o.ini", "a=1", /ends in \.yaml/]
      ] as const) {
        assert.match(yield* problemOf(name, content), expected)
      }
    }), 30_000)

  it.live("a file that changes comes into force; one that is broken does not", () =>
    Effect.gen(function*() {
      const dir = yield* folder
      const path = join(dir, "o.yaml")
      const write = (text: string) => {
        writeFileSync(`${path}.new`, text)
        renameSync(`${path}.new`, path)
      }
      write("batch_size: 10\n")
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const until = (done: () => boolean) => Effect.gen(function*() {
          for (let i = 0; i < 400 && !done(); i++) yield* Effect.sleep(25)
          assert.isTrue(done())
        })
        write("batch_size: 11\n")
        yield* until(() => telemetry.settings().batchSize === 11)
        write("batch_size: 0\n")
        yield* until(() => telemetry.configuration().failures === 1)
        assert.strictEqual(telemetry.settings().batchSize, 11)
        write("batch_size: 12\n")
        yield* until(() => telemetry.settings().batchSize === 12)
        assert.strictEqual(telemetry.configuration().problem, undefined)
      }).pipe(
        Effect.provide(Observability.layerFile(path, { watch: { interval: "50 millis", settle: "20 millis" } }).pipe(Layer.provide(NodeServices.layer))),
        env({})
      )
    }), 30_000)
})

describe("reloadOnSignal", () => {
  it.live("reads the file anew on SIGHUP", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "o.yaml")
      writeFileSync(path, "batch_size: 10\n")
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        writeFileSync(path, "batch_size: 11\n")
        process.emit("SIGHUP", "SIGHUP")
        for (let i = 0; i < 400 && telemetry.settings().batchSize !== 11; i++) yield* Effect.sleep(10)
        assert.strictEqual(telemetry.settings().batchSize, 11)
      }).pipe(
        Effect.provide(reloadOnSignal().pipe(
          Layer.provideMerge(Observability.layerFile(path, { watch: false })),
          Layer.provide(NodeServices.layer)
        )),
        env({})
      )
      assert.strictEqual(process.listenerCount("SIGHUP"), 0)
    }))
})

describe("jsonSchema", () => {
  const valid = new Ajv2020({ strict: false, allErrors: true }).compile(ObservabilityConfig.jsonSchema)

  it("takes what the decoder takes, and refuses what it refuses", () => {
    for (const good of [
      {},
      { env: "x", tracing: { sampleRate: 0, service_name: "a" }, flushInterval: "15 seconds", postgres: { common: { retentionDays: 1 } } },
      { alerting: { rules: [{ name: "A", metric: "b", last: true, above: 1 }] }, logs: { level: "Warn" }, opentelemetry: { protocol: "grpc" } }
    ]) {
      assert.isTrue(valid(good), JSON.stringify(valid.errors))
      assert.strictEqual(ObservabilityConfig.decode(good)._tag, "Success")
    }
    for (const bad of [
      { batchSize: 0 }, { batchSize: 100_001 }, { batchSize: 1.5 }, { tracing: { sampleRate: 1.01 } }, { tracing: { sampleRate: -0.01 } }, { flushInterval: 0 },
      { flushInterval: 86_401 }, { postgres: { common: { retentionDays: 0 } } }, { metrics: { prometheusPort: 65_536 } }, { unknown: 1 }, { logs: { level: "Loud" } },
      { sentry: { sampleRatio: 2 } }, { datadog: { batchSize: 10_001 } }, { opentelemetry: { maxQueueSize: 0 } }, { tracing: { limits: { depth: 65 } } }
    ]) {
      assert.isFalse(valid(bad), JSON.stringify(bad))
      assert.strictEqual(ObservabilityConfig.decode(bad)._tag, "Failure", JSON.stringify(bad))
    }
  })
})
